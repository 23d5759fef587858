package dataflow

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// What GoMLX keeps to itself of a pooling is read rightly.
func TestPoolingsAreToldApart(t *testing.T) {
	exec, err := model.NewExec(func(x *graph.Node) *graph.Node {
		for stride := 1; stride <= 3; stride++ {
			for _, padding := range [][2]int{{0, 0}, {1, 0}, {1, 2}} {
				for i, pool := range []*graph.PoolBuilder{graph.SumPool(x), graph.MeanPool(x), graph.MaxPool(x), graph.MinPool(x)} {
					node := pool.Window(3).Strides(stride).PaddingPerDim([][2]int{padding, padding}).Done()
					for node.Type() != graph.NodeTypeReduceWindow { // a mean is a sum divided
						node = node.Inputs()[0]
					}
					want := []compute.ReduceOpType{compute.ReduceOpSum, compute.ReduceOpSum, compute.ReduceOpMax,
						compute.ReduceOpMin}[i]
					if got := Windows(node); got != want {
						panic(fmt.Errorf("pooling %d with stride %d and padding %v is read as %v, want %v", i, stride, padding,
							got, want))
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
