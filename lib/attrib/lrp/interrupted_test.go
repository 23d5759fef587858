package lrp

import (
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// Interrupted anywhere, what goes through images returns those that are done as a whole run has them.
func TestInterrupted(t *testing.T) {
	m, x := newSmall().model(t), picture(5, 3, 2)
	m.BatchSize = 2
	class := []int{1}
	through := []Condition{{"conv": {0}}, {"conv": {1, 2}}, {"hidden": {3}}}
	for name, do := range map[string]func() (*tensors.Tensor, error){
		"LRP": func() (*tensors.Tensor, error) {
			a, err := LRP{}.Attribute(m, x, class)
			if a == nil {
				return nil, err
			}
			if n := a.Values.Shape().Dimensions[0]; len(a.Classes) != n || len(a.ClassNames) != n || len(a.Delta) != n {
				t.Errorf("of %d images there is %+v", n, a)
			}
			return a.Values, err
		},
		"one program":      func() (*tensors.Tensor, error) { return CRP{}.Heatmaps(m, x, class, through[:2]...) },
		"two programs":     func() (*tensors.Tensor, error) { return CRP{}.Heatmaps(m, x, class, through...) },
		"concepts":         func() (*tensors.Tensor, error) { return CRP{}.Concepts(m, x, class, "conv", through[1:]...) },
		"relevance":        func() (*tensors.Tensor, error) { return CRP{}.Relevance(m, x, class, "dense") },
		"without a choice": func() (*tensors.Tensor, error) { return CRP{}.Concepts(m, x, class, "hidden") },
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := do()
			if err != nil {
				t.Fatal(err)
			}
			values := tensors.MustCopyFlatData[float32](whole)
			testenv.Interrupt(t, do, func(part *tensors.Tensor) int {
				if part == nil {
					return 0
				}
				d := part.Shape().Dimensions
				if got := tensors.MustCopyFlatData[float32](part); !slices.Equal(got, values[:len(got)]) ||
					!slices.Equal(d[1:], whole.Shape().Dimensions[1:]) {
					t.Fatalf("of %d images there are other values than those of the whole", d[0])
				}
				return d[0]
			})
		})
	}
}

// An atlas has the concepts that are done, a hierarchy the layers, and a search the references among the images that
// were seen.
func TestInterruptedConcepts(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Name: "coloured", Height: 4, Width: 4, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.ReLU("conv", graph.Convolve(x, waves(x, 1, 2, 2, 3, 4)).PadSame().Done())
			x = b.ReLU("hidden", graph.Dot(graph.Reshape(x, -1, 64), waves(x, 2, 64, 6)).Product())
			return graph.Dot(x, waves(x, 3, 6, 3)).Product()
		})
	if err != nil {
		t.Fatal(err)
	}
	x := picture(5, 4, 3)
	m.BatchSize = 2
	first, err := data.FromTensor(x, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	img, err := first.Images(3)
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (*Atlas, error) { return CRP{}.Atlas(m, img, 1, "hidden", 5, 3) }, func(part *Atlas) int {
		if part == nil {
			return 0
		}
		n := len(part.Concepts)
		whole, err := CRP{}.Atlas(m, img, 1, "hidden", n, 3)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(part.Concepts, whole.Concepts) || !reflect.DeepEqual(part.Cells, whole.Cells) ||
			!slices.Equal(tensors.MustCopyFlatData[float32](part.Heatmaps), tensors.MustCopyFlatData[float32](whole.Heatmaps)) {
			t.Fatalf("the atlas of %d concepts is another one", n)
		}
		if _, err := part.Grid(m, nil, Examples{}); err != nil {
			t.Error(err)
		}
		return n
	})
	layers, widths := []string{"hidden", "conv"}, []int{3, 2}
	testenv.Interrupt(t, func() (*Hierarchy, error) { return CRP{}.Hierarchy(m, img, 1, layers, widths) },
		func(part *Hierarchy) int {
			if part == nil {
				return 0
			}
			depth := 0
			part.walk(Condition{}, func(_ *Hierarchy, path Condition) { depth = max(depth, len(path)) })
			whole, err := CRP{}.Hierarchy(m, img, 1, layers[:depth], widths[:depth])
			if err != nil || !reflect.DeepEqual(part, whole) {
				t.Fatalf("the graph of %d layers is another one: %v", depth, err)
			}
			return depth
		})
	testenv.Interrupt(t, func() ([]*References, error) { return Maximization{}.Search(m, first, "conv", "hidden") },
		func(part []*References) int {
			if part == nil {
				return 0
			}
			n := len(part[0].Relevance[0]) // all images that were seen are among the first 40
			whole, err := Maximization{}.Search(m, first.Take(n), "conv", "hidden")
			if err != nil {
				t.Fatal(err)
			}
			for i := range part {
				if !reflect.DeepEqual(part[i].Relevance, whole[i].Relevance) ||
					!reflect.DeepEqual(part[i].Activation, whole[i].Activation) {
					t.Fatalf("of %d images the references are others", n)
				}
			}
			return n
		})
	references, err := Maximization{}.Search(m, first, "conv")
	if err != nil {
		t.Fatal(err)
	}
	testenv.Interrupt(t, func() (int, error) {
		g, err := Examples{}.Grid(m, references[0], 0, 1, 2)
		return len(g.Rows), err
	}, func(channels int) int { return channels })
}
