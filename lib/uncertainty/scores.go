package uncertainty

import "math"

// NegativeLogLikelihood is the mean of -log of the label's probability, in nats. It is infinite where that probability
// is 0, which [FromLogits] avoids. It is a proper score: no other probabilities than the true ones have a lower
// expected one.
func (p *Predictions) NegativeLogLikelihood() float64 {
	sum := 0.0
	for _, l := range p.logLabel {
		sum -= l
	}
	return sum / float64(p.n)
}

// Brier is the mean squared distance of the probabilities from the label's 1 and the others' 0, from 0 to 2:
//
//	1/N Σ_i Σ_k (p_ik - [k = y_i])²
//
// It is a proper score. Brier, Monthly Weather Review 78 (1950). The released code of Ovadia et al. computes this less
// 1.
func (p *Predictions) Brier() float64 {
	sum := 0.0
	for i, label := range p.labels {
		row := p.row(i)
		squares := 0.0
		for _, v := range row {
			squares += float64(v) * float64(v)
		}
		sum += squares - 2*float64(row[label]) + 1
	}
	return sum / float64(p.n)
}

// BrierParts is what a Brier score is made of: Brier ≈ Uncertainty - Resolution + Reliability.
type BrierParts struct {
	// Uncertainty is that of the labels themselves, 1 - Σ_k p̄_k² of their shares p̄: no model changes it.
	Uncertainty float64 `display:"uncertainty"`
	// Resolution is how far the shares of labels among images of one prediction differ from p̄; more is better.
	Resolution float64 `display:"resolution"`
	// Reliability is how far probabilities differ from the shares of labels among the images of the same prediction;
	// less is better.
	Reliability float64 `display:"reliability"`
	// ReleasedResolution is the resolution as the released code of Ovadia et al. computes it, which takes p̄ of the
	// predicted class in the place of the label's.
	ReleasedResolution float64 `display:"resolution, as released"`
}

// BrierDecomposition splits the Brier score, with the images put together by their predicted class. As images of one
// prediction do not all have the same probabilities, the parts sum to the score up to their variation: Bröcker,
// "Reliability, sufficiency, and the decomposition of proper scores", QJRMS 135 (2009), as used by Ovadia et al.,
// appendix; their code's uncertainty is this one's less 1.
func (p *Predictions) BrierDecomposition() BrierParts {
	k := p.classes
	counts := make([][]float64, k) // [predicted][label], of the predicted classes alone: there may be very many
	perPrediction, perLabel := make([]float64, k), make([]float64, k)
	for i, label := range p.labels {
		if counts[p.predicted[i]] == nil {
			counts[p.predicted[i]] = make([]float64, k)
		}
		counts[p.predicted[i]][label]++
		perPrediction[p.predicted[i]]++
		perLabel[label]++
	}
	n := float64(p.n)
	parts := BrierParts{Uncertainty: 1}
	for c := range k {
		parts.Uncertainty -= perLabel[c] / n * perLabel[c] / n
	}
	for predicted, m := range perPrediction {
		if m == 0 {
			continue
		}
		for c := range k {
			share := counts[predicted][c] / m
			counts[predicted][c] = share
			parts.Resolution += m / n * math.Pow(share-perLabel[c]/n, 2)
			parts.ReleasedResolution += m / n * math.Pow(share-perLabel[predicted]/n, 2)
		}
	}
	for i := range p.n {
		for c, v := range p.row(i) {
			d := counts[p.predicted[i]][c] - float64(v)
			parts.Reliability += d * d / n
		}
	}
	return parts
}

// Entropy is that of each image's probabilities in nats, from 0, sure, to log K, no idea.
func (p *Predictions) Entropy() []float64 {
	entropies := make([]float64, p.n)
	for i := range entropies {
		for _, v := range p.row(i) {
			if v > 0 {
				entropies[i] -= float64(v) * math.Log(float64(v))
			}
		}
	}
	return entropies
}
