package learn

import (
	"fmt"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// The networks of this package can be saved and loaded: their sizes are those of the weights.
var (
	savedCNN = model.Architecture{
		Name: "small CNN",
		Settings: func(weights map[string]*tensors.Tensor) []string {
			if numbered(weights, "conv%d.weight") == 0 || weights["hidden.weight"] == nil || weights["linear.weight"] == nil {
				return nil
			}
			return []string{""}
		},
		Make: func(spec model.Spec, weights map[string]*tensors.Tensor, _ string) (*model.Model, error) {
			widths := make([]int, numbered(weights, "conv%d.weight"))
			for i := range widths {
				widths[i] = dim(weights[fmt.Sprintf("conv%d.weight", i+1)], 3)
			}
			m, err := smallCNN(givenWeights(weights), spec, dim(weights["linear.weight"], 0), widths)
			return holding(m, weights, err)
		},
	}
	savedBag = model.Architecture{
		Name: "small bag",
		Settings: func(weights map[string]*tensors.Tensor) []string {
			if weights["conv1.weight"] == nil || weights["linear.weight"] == nil ||
				len(weights) != 2*(numbered(weights, "conv%d.weight")+1) {
				return nil
			}
			return []string{""}
		},
		Make: func(spec model.Spec, weights map[string]*tensors.Tensor, _ string) (*model.Model, error) {
			widths := make([]int, numbered(weights, "conv%d.weight"))
			for i := range widths {
				widths[i] = dim(weights[fmt.Sprintf("conv%d.weight", i+1)], 3)
			}
			m, err := smallBag(givenWeights(weights), spec, dim(weights["linear.weight"], 0), dim(weights["conv1.weight"], 0),
				widths)
			return holding(m, weights, err)
		},
	}
	savedMLP = model.Architecture{
		Name: "MLP",
		Settings: func(weights map[string]*tensors.Tensor) []string {
			if weights["linear.weight"] == nil || len(weights) != 2*(numbered(weights, "hidden%d.weight")+1) {
				return nil
			}
			return []string{""}
		},
		Make: func(spec model.Spec, weights map[string]*tensors.Tensor, _ string) (*model.Model, error) {
			widths := make([]int, numbered(weights, "hidden%d.weight"))
			for i := range widths {
				widths[i] = dim(weights[fmt.Sprintf("hidden%d.weight", i+1)], 0)
			}
			m, err := mlp(givenWeights(weights), spec, dim(weights["linear.weight"], 0), widths)
			return holding(m, weights, err)
		},
	}
	savedViT = model.Architecture{
		Name: "small ViT",
		// The number of heads is not to be seen in the weights.
		Settings: func(weights map[string]*tensors.Tensor) []string {
			if weights["patches.weight"] == nil || weights["positions"] == nil ||
				numbered(weights, "block%d.norm1.weight") == 0 {
				return nil
			}
			var heads []string
			width := dim(weights["patches.weight"], 0)
			for n := 1; n <= width; n++ {
				if width%n == 0 {
					heads = append(heads, fmt.Sprint(n))
				}
			}
			return heads
		},
		Make: func(spec model.Spec, weights map[string]*tensors.Tensor, settings string) (*model.Model, error) {
			heads, err := strconv.Atoi(settings)
			if err != nil {
				return nil, fmt.Errorf("learn: the number of heads of a vision transformer is %q", settings)
			}
			patches := weights["patches.weight"]
			v := ViT{Width: dim(patches, 0), Depth: numbered(weights, "block%d.norm1.weight"), Heads: heads, Patch: 1}
			for v.Patch*v.Patch*spec.Channels < dim(patches, 1) { // which is a number of numbers that are there
				v.Patch++
			}
			m, err := v.make(givenWeights(weights), spec, dim(weights["linear.weight"], 0))
			return holding(m, weights, err)
		},
	}
)

func init() {
	for _, a := range []model.Architecture{savedCNN, savedBag, savedMLP, savedViT} {
		model.RegisterArchitecture(a)
	}
}

// holding is a network that has taken all of the weights.
func holding(m *model.Model, weights map[string]*tensors.Tensor, err error) (*model.Model, error) {
	if err != nil {
		return nil, err
	}
	if own := len(m.Weights()); own != len(weights) {
		return nil, fmt.Errorf("learn: there are %d weights for the %d of a %s", len(weights), own, m.Name())
	}
	return m, nil
}

// numbered counts the weights that a pattern names from 1 on.
func numbered(weights map[string]*tensors.Tensor, pattern string) int {
	n := 0
	for weights[fmt.Sprintf(pattern, n+1)] != nil {
		n++
	}
	return n
}

// dim is the length of an axis; 0 where there is none.
func dim(w *tensors.Tensor, axis int) int {
	if w == nil || axis >= w.Rank() {
		return 0
	}
	return w.Shape().Dimensions[axis]
}
