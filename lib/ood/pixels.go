package ood

import "fmt"

// Segmentation is how well scores find the pixels of unknown things in pictures.
type Segmentation struct {
	// Mean is the mean over the pictures, each measured by itself, as Hendrycks et al. report it for CAOS; the counts
	// are sums.
	Mean Detection
	// Pooled is the measure of all their pixels together.
	Pooled Detection
	// Pictures is how many were measured, Left how many were left out because they hold only known or only unknown
	// pixels.
	Pictures, Left int
}

// DetectPixels compares the scores of pixels, [N·H·W] as [Of] gives them for logits [N, H, W, K], with where the
// unknown things are: unknown has a value for each pixel. perPicture is H·W. Hendrycks et al., ICML 2022, section 5:
// the Combined Anomalous Object Segmentation benchmark.
func DetectPixels(scores []float64, unknown []bool, perPicture int) (Segmentation, error) {
	var s Segmentation
	if perPicture < 1 || len(scores) != len(unknown) || len(scores) == 0 || len(scores)%perPicture != 0 {
		return s, fmt.Errorf("ood: %d scores, %d marks and pictures of %d pixels do not go together", len(scores),
			len(unknown), perPicture)
	}
	var allUnknown, allKnown []float64
	for at := 0; at < len(scores); at += perPicture {
		var in, out []float64
		for i, score := range scores[at : at+perPicture] {
			if unknown[at+i] {
				out = append(out, score)
			} else {
				in = append(in, score)
			}
		}
		if len(in) == 0 || len(out) == 0 {
			s.Left++
			continue
		}
		d, err := Detect(out, in)
		if err != nil {
			return s, fmt.Errorf("ood: picture %d: %w", at/perPicture, err)
		}
		s.Pictures++
		allUnknown, allKnown = append(allUnknown, out...), append(allKnown, in...)
		s.Mean.AUROC += d.AUROC
		s.Mean.AUPR += d.AUPR
		s.Mean.Prevalence += d.Prevalence
		s.Mean.FPR95 += d.FPR95
		s.Mean.FPR95Nearest += d.FPR95Nearest
		s.Mean.Unknown += d.Unknown
		s.Mean.Known += d.Known
	}
	if s.Pictures == 0 {
		return s, fmt.Errorf("ood: none of %d pictures holds both known and unknown pixels", s.Left)
	}
	for _, v := range []*float64{&s.Mean.AUROC, &s.Mean.AUPR, &s.Mean.Prevalence, &s.Mean.FPR95, &s.Mean.FPR95Nearest} {
		*v /= float64(s.Pictures)
	}
	var err error
	s.Pooled, err = Detect(allUnknown, allKnown)
	return s, err
}
