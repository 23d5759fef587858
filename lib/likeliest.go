package loupe

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// Likeliest are the k images of a dataset to which the model gives the highest logits of a class, the highest first,
// of equal ones the earlier: images of a class where nothing is labelled.
func Likeliest(m *model.Model, images any, class, k int) *data.Dataset {
	ds := datasetOf(m, images)
	if class < 0 || class >= m.NumClasses() {
		panic(fmt.Errorf("loupe: %s has the classes 0 to %d, and no %d", m.Name(), m.NumClasses()-1, class))
	}
	if k < 1 || k > ds.Len() {
		panic(fmt.Errorf("loupe: %s has %d images, and the %d likeliest are asked for", ds.Title(), ds.Len(), k))
	}
	said := must(m.LogitsOf(ds))
	logits, width := must(tensors.CopyFlatData[float32](said)), said.Shape().Dimensions[1]
	of := func(i int) float32 {
		switch {
		case width == m.NumClasses():
			return logits[i*width+class]
		case class == 0: // of one sigmoid, which says how likely class 1 is
			return -logits[i]
		}
		return logits[i]
	}
	order := make([]int, ds.Len())
	for i := range order {
		order[i] = i
		if v := of(i); v != v {
			panic(fmt.Errorf("loupe: what %s says of image %d of %s is not a number: the network overflows", m.Name(), i,
				ds.Title()))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(of(b), of(a))
	})
	return ds.Subset(order[:k])
}
