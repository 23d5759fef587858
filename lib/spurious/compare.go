package spurious

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// PredictionsOf asks models for the classes of a dataset's images. Interrupted, it returns the predictions of the
// models that are done beside the error.
func PredictionsOf(ds model.Dataset, models ...*model.Model) ([]*model.Answers, error) {
	var all []*model.Answers
	for _, m := range models {
		if err := interrupt.Err(); err != nil {
			return all, err
		}
		answers, err := m.Answers(ds)
		if err != nil {
			return all, err
		}
		all = append(all, answers)
	}
	return all, nil
}

// Comparison is how well several models recognise the images at both ends of the same rankings. The rankings come from
// the features of one model, whose spurious ones a person has found; that others have the same biases is the finding of
// Moayeri et al., section 4.2.
//
// A ranking by a single feature is one of the paper's pairs of a class and a feature, and a gap on it that pair's bias.
type Comparison struct {
	Models   []string
	Rankings []*Ranking
	K        int
	Accuracy []stats.Accuracy   // of each model on all examples, [M]
	High     [][]stats.Accuracy // of each model on the K most spurious images of each ranking's class, [M][R]
	Low      [][]stats.Accuracy // on the K least spurious
}

// Compare measures models by rankings of examples. It is an error where a class has fewer than 2k images, or there are
// not as many predictions as examples.
func Compare(e Examples, rankings []*Ranking, k int, models ...*model.Answers) (*Comparison, error) {
	if len(rankings) == 0 || len(models) == 0 {
		return nil, fmt.Errorf("spurious: a comparison of %d models on %d rankings: give at least one of each", len(models),
			len(rankings))
	}
	c := &Comparison{Rankings: rankings, K: k}
	for _, p := range models {
		predicted, err := p.Predicted()
		if err != nil {
			return nil, fmt.Errorf("spurious: %w", err)
		}
		if err := checkPredicted(predicted, len(e.Labels)); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Model, err)
		}
		accuracy, err := stats.AccuracyOf(predicted, e.Labels)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Model, err)
		}
		var highs, lows []stats.Accuracy
		for _, r := range rankings {
			high, low, err := r.ends(predicted, k)
			if err != nil {
				return nil, err
			}
			highs, lows = append(highs, high), append(lows, low)
		}
		c.Models, c.Accuracy = append(c.Models, p.Model), append(c.Accuracy, accuracy)
		c.High, c.Low = append(c.High, highs), append(c.Low, lows)
	}
	return c, nil
}

// Gaps is the spurious gap of each model on each ranking, in percentage points, [M, R].
func (c *Comparison) Gaps() *mat.Dense {
	gaps := mat.NewDense(len(c.Models), len(c.Rankings), nil)
	for i := range c.Models {
		for j := range c.Rankings {
			gaps.Set(i, j, 100*(c.High[i][j].Share()-c.Low[i][j].Share()))
		}
	}
	return gaps
}

// MeanGaps is the mean of each model's gaps over the rankings, in percentage points, [M].
func (c *Comparison) MeanGaps() []float64 {
	gaps, means := c.Gaps(), make([]float64, len(c.Models))
	for i := range means {
		means[i] = stat.Mean(gaps.RawRowView(i), nil)
	}
	return means
}

// Gap is the [SpuriousGap] of a model, over all rankings, in percentage points, with its interval at confidence level
// 1-alpha over classes: see [Comparison.MeanCorrelation].
func (c *Comparison) Gap(model int, alpha float64) (float64, stats.Interval, error) {
	if model < 0 || model >= len(c.Models) {
		return 0, stats.Interval{}, fmt.Errorf("spurious: there is no model %d: they are 0 to %d", model, len(c.Models)-1)
	}
	row := c.Gaps().RawRowView(model)
	return c.overClasses(alpha, func(rankings []int) float64 {
		var sum float64
		for _, j := range rankings {
			sum += row[j]
		}
		return sum / float64(len(rankings))
	})
}

// Correlations is Pearson's r between the gaps of each two models over the rankings, [M, M]: the paper's figure 14. A
// model whose gap is the same on all rankings correlates with none: NaN.
func (c *Comparison) Correlations() *mat.SymDense {
	gaps := c.Gaps()
	m, _ := gaps.Dims()
	r := mat.NewSymDense(m, nil)
	for i := range m {
		for j := i; j < m; j++ {
			r.SetSym(i, j, stat.Correlation(gaps.RawRowView(i), gaps.RawRowView(j), nil))
		}
	}
	return r
}

// MeanCorrelation is the mean of the correlations of each two models, 0.69 in the paper, with its interval at
// confidence level 1-alpha. That is a percentile bootstrap of 2000 draws over classes: each class is drawn with all its
// rankings, which have images in common. It takes two models and three classes or more.
func (c *Comparison) MeanCorrelation(alpha float64) (float64, stats.Interval, error) {
	if len(c.Models) < 2 {
		return 0, stats.Interval{}, fmt.Errorf("spurious: a correlation takes two models, and there is %d", len(c.Models))
	}
	gaps := c.Gaps()
	return c.overClasses(alpha, func(rankings []int) float64 {
		rows := make([][]float64, len(c.Models))
		for i := range rows {
			for _, j := range rankings {
				rows[i] = append(rows[i], gaps.At(i, j))
			}
		}
		var sum, n float64
		for i := range rows {
			for j := range i {
				sum, n = sum+stat.Correlation(rows[i], rows[j], nil), n+1
			}
		}
		return sum / n
	})
}

// overClasses is a statistic of rankings, by their numbers, with its interval over classes.
func (c *Comparison) overClasses(alpha float64, statistic func(rankings []int) float64) (float64,
	stats.Interval, error) {
	var classes []int
	of := map[int][]int{}
	var all []int
	for j, r := range c.Rankings {
		if of[r.Class] == nil {
			classes = append(classes, r.Class)
		}
		of[r.Class] = append(of[r.Class], j)
		all = append(all, j)
	}
	if len(classes) < 3 {
		return 0, stats.Interval{}, fmt.Errorf("spurious: an interval over classes takes three of them, and there are %d",
			len(classes))
	}
	value := statistic(all)
	if math.IsNaN(value) {
		return 0, stats.Interval{},
			fmt.Errorf("spurious: a model's gaps are the same on all rankings, and correlate with nothing")
	}
	interval, err := stats.Bootstrap(len(classes), 2000, alpha, 1, func(sample []int) float64 {
		var rankings []int
		for _, i := range sample {
			rankings = append(rankings, of[classes[i]]...)
		}
		return statistic(rankings)
	})
	return value, interval, err
}

// Spread is the sample variance of gaps across rankings (of their mean over models) over that across models (of their
// mean over rankings): 3.1 in the paper, whose rankings are one for each class. Far above 1, what is learnt from says
// more about a bias than who learns it.
func (c *Comparison) Spread() (float64, error) {
	gaps := c.Gaps()
	m, r := gaps.Dims()
	if m < 2 || r < 2 {
		return 0, fmt.Errorf("spurious: variances take two models and two rankings or more, not %d and %d", m, r)
	}
	overModels, overRankings := make([]float64, r), make([]float64, m)
	for j := range overModels {
		overModels[j] = stat.Mean(mat.Col(nil, j, gaps), nil)
	}
	for i := range overRankings {
		overRankings[i] = stat.Mean(gaps.RawRowView(i), nil)
	}
	return stat.Variance(overModels, nil) / stat.Variance(overRankings, nil), nil
}

// EffectiveRobustness is for each model how far its accuracy on the least spurious images is above what its accuracy on
// the most spurious ones predicts by a straight line through all models, in 0..1: acc_low - β(acc_high). Moayeri et
// al., appendix D (after Taori et al., NeurIPS 2020, whose line is one of logits through models without an
// intervention: [stats.EffectiveRobustness]). It takes three models or more.
func (c *Comparison) EffectiveRobustness() ([]float64, error) {
	high, low := c.ends()
	var pairs []stats.AccuracyPair
	for i, name := range c.Models {
		pairs = append(pairs, stats.AccuracyPair{Model: name, X: high[i], Y: low[i]})
	}
	line, err := stats.FitAccuracies(stats.Linear, pairs)
	if err != nil {
		return nil, fmt.Errorf("spurious: effective robustness: %w", err)
	}
	out := make([]float64, len(pairs))
	for i, p := range pairs {
		out[i] = stats.EffectiveRobustness(line, p) / 100
	}
	return out, nil
}

// ends is each model's share of right answers on the most and least spurious images, the mean over the rankings.
// Rankings may have images in common, so it is no count of images: [Comparison.Gap] has an interval.
func (c *Comparison) ends() (high, low []float64) {
	mean := func(accuracies []stats.Accuracy) float64 {
		var sum float64
		for _, a := range accuracies {
			sum += a.Share()
		}
		return sum / float64(len(accuracies))
	}
	for i := range c.Models {
		high, low = append(high, mean(c.High[i])), append(low, mean(c.Low[i]))
	}
	return high, low
}

// kinds numbers models by their names, so that several of one name have one colour.
func kinds(models []string) (groups []int, names []string) {
	for _, m := range models {
		at := slices.Index(names, m)
		if at < 0 {
			at = len(names)
			names = append(names, m)
		}
		groups = append(groups, at)
	}
	return groups, names
}

// Ends plots each model's accuracy on the least spurious images against that on the most spurious ones: the paper's
// figure 6. Models of the same name have the same colour; those below the diagonal rest on what is spurious.
func (c *Comparison) Ends() display.Scatter {
	s := display.Scatter{X: "accuracy, spurious cues present", Y: "accuracy, spurious cues absent", Diagonal: true}
	s.Xs, s.Ys = c.ends()
	s.Groups, s.Names = kinds(c.Models)
	return s
}

// ByAccuracy plots each model's spurious gap, in percentage points, against its accuracy on all examples.
func (c *Comparison) ByAccuracy() display.Scatter {
	s := display.Scatter{X: "accuracy", Y: "spurious gap, points"}
	high, low := c.ends()
	for i := range high {
		s.Xs = append(s.Xs, c.Accuracy[i].Share())
		s.Ys = append(s.Ys, 100*(high[i]-low[i]))
	}
	s.Groups, s.Names = kinds(c.Models)
	return s
}

// Against plots the gaps of the other models against those of one, a point for each ranking: the paper's figure 7.
func (c *Comparison) Against(model int) (display.Scatter, error) {
	if model < 0 || model >= len(c.Models) || len(c.Models) < 2 {
		return display.Scatter{}, fmt.Errorf("spurious: model %d against the others, of %d models", model, len(c.Models))
	}
	s := display.Scatter{X: "spurious gap of " + c.Models[model] + ", points", Y: "of others, points", Diagonal: true}
	gaps := c.Gaps()
	var others []string
	for i, name := range c.Models {
		if i == model {
			continue
		}
		for j := range c.Rankings {
			s.Xs, s.Ys = append(s.Xs, gaps.At(model, j)), append(s.Ys, gaps.At(i, j))
			others = append(others, name)
		}
	}
	s.Groups, s.Names = kinds(others)
	return s, nil
}
