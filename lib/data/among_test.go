package data

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// Of five classes two are left, in the order that was asked for, each image with its own pixels and its class's name.
func TestAmong(t *testing.T) {
	labels := []int{4, 0, 2, 4, 1, 2, 2}
	pixels := make([]float32, len(labels))
	for i, label := range labels {
		pixels[i] = float32(label) / 4
	}
	all, err := FromTensor(tensors.FromFlatDataAndDimensions(pixels, len(labels), 1, 1, 1), labels,
		[]string{"a", "b", "c", "d", "e"})
	if err != nil {
		t.Fatal(err)
	}
	some, err := all.Among(4, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*Dataset{"as they lie": some, "turned round": some.Subset([]int{4, 3, 2, 1, 0}),
		"mapped": some.Map(CenterCrop(1, 1))} {
		if d.Len() != 5 || !slices.Equal(d.Classes(), []string{"e", "c"}) {
			t.Errorf("%s: %d images of the classes %v", name, d.Len(), d.Classes())
		}
		for i, label := range d.Labels() {
			image, err := d.Image(i)
			if err != nil {
				t.Fatal(err)
			}
			if label != 0 && label != 1 || d.ClassName(i) != []string{"e", "c"}[label] ||
				image.Pix[0] != []float32{1, 0.5}[label] {
				t.Errorf("%s: image %d has the label %d, the class %q and the pixel %g", name, i, label, d.ClassName(i),
					image.Pix[0])
			}
		}
	}
	if want := []int{0, 1, 0, 1, 1}; !slices.Equal(some.Labels(), want) || all.Label(0) != 4 {
		t.Errorf("the labels are %v, want %v; the first one of all is %d, want 4", some.Labels(), want, all.Label(0))
	}
	for want, of := range map[string][]int{"named twice": {4, 4}, "no image of tensor has the label 3": {4, 3}} {
		if _, err := all.Among(of...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}
