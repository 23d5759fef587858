package distill

import (
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/lib/model"
)

// ReleasedNLL is what the released program of Stanton et al. logs as the negative log-likelihood, for comparison with
// its figures: it takes the logarithms of all of a batch's labels from every image of the batch, and of these B²
// numbers the mean, so that a right answer does not matter much. The mean over the batches counts a smaller last one
// as much as others. batch is the program's batch size, 128 by default. Every image has a label. See [Fidelity] for
// the right one.
func ReleasedNLL(a *model.Answers, batch int) (float64, error) {
	if a == nil {
		return 0, fmt.Errorf("distill: there are no answers: they are nil")
	}
	s, err := distributions(a)
	if err != nil {
		return 0, err
	}
	if a.Labels == nil {
		return 0, fmt.Errorf("distill: the answers of %s have no labels", a.Model)
	}
	for i, label := range a.Labels {
		if label < 0 {
			return 0, fmt.Errorf("distill: image %d has no label", i)
		}
	}
	return byBatches(len(s.classes), batch, func(lo, hi int) float64 {
		sum := 0.0
		for i := lo; i < hi; i++ {
			for _, label := range a.Labels[lo:hi] {
				sum -= s.logs[i*s.k+label]
			}
		}
		return sum / float64((hi-lo)*(hi-lo))
	})
}

// ReleasedKL is the mean over batches of the mean KL(teacher ‖ model) in each, as the released program logs it: a
// smaller last batch counts as much as others. [Fidelity] has the mean over the images.
func ReleasedKL(teacher, of *model.Answers, batch int) (float64, error) {
	if teacher == nil || of == nil {
		return 0, fmt.Errorf("distill: there are no answers: they are nil")
	}
	if err := alike(teacher, of); err != nil {
		return 0, err
	}
	t, err := distributions(teacher)
	if err != nil {
		return 0, err
	}
	m, err := distributions(of)
	if err != nil {
		return 0, err
	}
	kl := divergences(t, m)
	return byBatches(len(kl), batch, func(lo, hi int) float64 { return stat.Mean(kl[lo:hi], nil) })
}

// byBatches is the mean over batches of n images of what each comes to.
func byBatches(n, batch int, of func(lo, hi int) float64) (float64, error) {
	if batch < 1 {
		return 0, fmt.Errorf("distill: batches of %d images", batch)
	}
	sum, count := 0.0, 0
	for lo := 0; lo < n; lo += batch {
		sum += of(lo, min(lo+batch, n))
		count++
	}
	return sum / float64(count), nil
}
