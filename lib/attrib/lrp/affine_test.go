package lrp

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// A pooling that sums is a linear layer; one that takes the largest or smallest is none.
func TestPoolingsAreToldApart(t *testing.T) {
	exec, err := model.NewExec(func(x *graph.Node) *graph.Node {
		for stride := 1; stride <= 3; stride++ {
			for _, padding := range [][2]int{{0, 0}, {1, 0}, {1, 2}} {
				for i, pool := range []*graph.PoolBuilder{graph.SumPool(x), graph.MeanPool(x), graph.MaxPool(x), graph.MinPool(x)} {
					node := pool.Window(3).Strides(stride).PaddingPerDim([][2]int{padding, padding}).Done()
					for node.Type() != graph.NodeTypeReduceWindow { // a mean is a sum divided
						node = node.Inputs()[0]
					}
					if got, want := isSum(node), i < 2; got != want {
						panic(fmt.Errorf("of pooling %d with stride %d and padding %v it is said that it sums: %v", i, stride, padding, got))
					}
				}
			}
		}
		return x
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.Call1(tensors.FromScalarAndDimensions(float32(1), 1, 9, 9, 1)); err != nil {
		t.Fatal(err)
	}
}
