package labels

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	tensorrows "github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Fit trains a classifier on the examples with the numbers in train, and returns its probabilities for the others,
// [len(held), K] float32. [Training] and [LinearHead] are fits.
type Fit func(train, held []int) (*tensors.Tensor, error)

// CrossValidate returns the probabilities of all examples, [N, K] float32, each row by a classifier that was not
// trained on its example: the examples are dealt into folds, and each fold's probabilities come of a fit to all the
// others. The folds have the same share of each label, as nearly as may be; given are the labels. It takes 2 folds or
// more; 5 are usual. The same seed deals the same folds. Interrupted, it returns the error only.
func CrossValidate(given []int, folds int, seed uint64, fit Fit) (*tensors.Tensor, error) {
	n := len(given)
	if folds < 2 || folds > n {
		return nil, fmt.Errorf("labels: %d folds of %d examples: take from 2 to as many as there are examples", folds, n)
	}
	dealt, err := deal(given, folds, seed)
	if err != nil {
		return nil, err
	}
	bar := progress.New("cross-validation: folds", folds)
	defer bar.Close()
	var all []float32
	k := 0
	for f, held := range dealt {
		if stopped := interrupt.Err(); stopped != nil {
			return nil, interrupt.After(stopped, "cross-validation: folds", f, folds, "folds")
		}
		train := slices.Concat(slices.Concat(dealt[:f]...), slices.Concat(dealt[f+1:]...))
		slices.Sort(train)
		p, err := fit(train, held)
		if err != nil {
			return nil, interrupt.After(fmt.Errorf("labels: fold %d of %d: %w", f+1, folds, err), "cross-validation: folds", f,
				folds, "folds")
		}
		if p == nil || p.Rank() != 2 || p.DType() != dtypes.Float32 || p.Shape().Dimensions[0] != len(held) || k > 0 &&
			p.Shape().Dimensions[1] != k {
			return nil, fmt.Errorf("labels: fold %d of %d: a fit returns the probabilities of the examples that it was not "+
				"trained on, [%d, K] float32, of the same classes in each fold", f+1, folds, len(held))
		}
		if all == nil {
			k = p.Shape().Dimensions[1]
			all = make([]float32, n*k)
		}
		if err := tensors.ConstFlatData(p, func(flat []float32) {
			for at, i := range held {
				copy(all[i*k:(i+1)*k], flat[at*k:(at+1)*k])
			}
		}); err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
		bar.Add(1)
	}
	return tensors.FromFlatDataAndDimensions(all, n, k), nil
}

// deal puts the examples into folds: those of each label are shuffled and dealt one to each fold in turn, where the
// label before left off. Each fold is in order.
func deal(given []int, folds int, seed uint64) ([][]int, error) {
	byLabel := map[int][]int{}
	for i, y := range given {
		if y < 0 {
			return nil, fmt.Errorf("labels: example %d has the label %d: they are counted from 0", i, y)
		}
		byLabel[y] = append(byLabel[y], i)
	}
	var used []int
	for y := range byLabel {
		used = append(used, y)
	}
	slices.Sort(used)
	rng := rand.New(rand.NewPCG(seed, 1))
	out := make([][]int, folds)
	next := 0
	for _, y := range used {
		of := byLabel[y]
		rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		for _, i := range of {
			out[next%folds] = append(out[next%folds], i)
			next++
		}
	}
	for _, fold := range out {
		slices.Sort(fold)
	}
	return out, nil
}

// Training fits a network to images by a recipe, beginning with the weights that m has: random ones, or those of a
// network trained on other images. images are [N, H, W, C] float32 in 0..1, given their labels.
func Training(r learn.Recipe, m *model.Model, images *tensors.Tensor, given []int) Fit {
	return func(train, held []int) (*tensors.Tensor, error) {
		x, err := pick(images, train, len(given))
		if err != nil {
			return nil, err
		}
		trained, _, err := r.Train(m, x, chosen(given, train))
		if err != nil {
			return nil, err
		}
		if x, err = pick(images, held, len(given)); err != nil {
			return nil, err
		}
		return trained.Probabilities(x)
	}
}

// chosen are the values with some numbers.
func chosen(values, at []int) []int {
	out := make([]int, len(at))
	for i, from := range at {
		out[i] = values[from]
	}
	return out
}

// pick copies rows of a float32 tensor with n rows.
func pick(t *tensors.Tensor, at []int, n int) (*tensors.Tensor, error) {
	if t == nil || t.Rank() < 2 || t.DType() != dtypes.Float32 || t.Shape().Dimensions[0] != n {
		return nil, fmt.Errorf("labels: there are %d labels: give a float32 tensor with a row for each, [%d, …]", n, n)
	}
	part, err := tensorrows.Pick(t, at)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	return part, nil
}
