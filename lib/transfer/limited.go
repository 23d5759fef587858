package transfer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Limited is the task with a share of its training images: of each class this share, rounded, and one image at least.
// Which ones depends on the seed alone. It is how features learnt without labels are tried with 1% or 10% of the
// labels: Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020, section 6.
func (t Task) Limited(share float64, seed uint64) (Task, error) {
	if !(share > 0 && share <= 1) {
		return t, fmt.Errorf("transfer: a share of %v of the labels: it is more than 0 and at most 1", share)
	}
	if err := model.CheckDataset(t.Train); err != nil {
		return t, fmt.Errorf("transfer: the training images of %q: %w", t.Name, err)
	}
	members := map[int][]int{}
	for i, label := range t.Train.Labels() {
		if label < 0 {
			return t, fmt.Errorf("transfer: image %d of the training images of %q has no label", i, t.Name)
		}
		members[label] = append(members[label], i)
	}
	var chosen []int
	for label, of := range members {
		rng := rand.New(rand.NewPCG(seed, uint64(label)))
		rng.Shuffle(len(of), func(a, b int) { of[a], of[b] = of[b], of[a] })
		chosen = append(chosen, of[:max(1, int(math.Round(share*float64(len(of)))))]...)
	}
	slices.Sort(chosen)
	t.Train = &some{t.Train, chosen}
	return t, nil
}

// some are the images of a dataset with these numbers.
type some struct {
	of model.Labeled
	at []int
}

func (s *some) Len() int { return len(s.at) }

func (s *some) Images(indices ...int) (*tensors.Tensor, error) {
	at := make([]int, len(indices))
	for i, k := range indices {
		if k < 0 || k >= len(s.at) {
			return nil, fmt.Errorf("transfer: there is no image %d of %d", k, len(s.at))
		}
		at[i] = s.at[k]
	}
	return s.of.Images(at...)
}

func (s *some) Labels() []int {
	all := s.of.Labels()
	labels := make([]int, len(s.at))
	for i, k := range s.at {
		labels[i] = all[k]
	}
	return labels
}

func (s *some) Classes() []string { return model.ClassesOf(s.of) }
