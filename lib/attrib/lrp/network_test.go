package lrp

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
)

// The default keeps relevance together in twelve blocks of attention, where the epsilon rule blows it up, which its
// title says.
func TestTransformersKeepRelevance(t *testing.T) {
	vit, err := networks.ViT{Width: 48, Depth: 12, Heads: 3}.Make(model.Spec{Name: "vit", Height: 32, Width: 32,
		Channels: 3}, 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]float32, 4*32*32*3)
	for i, u := range oracle.Hashed("images", len(pixels)) {
		pixels[i] = float32(0.5 + 0.28*u)
	}
	images := tensors.FromFlatDataAndDimensions(pixels, 4, 32, 32, 3)
	values := func(c Composite) (largest, sizes float64, title string) {
		a, err := LRP{Composite: c}.Attribute(vit, images, []int{0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range a.Delta {
			largest = max(largest, math.Abs(d))
		}
		for _, v := range tensors.MustCopyFlatData[float32](a.Values) {
			sizes += math.Abs(float64(v))
		}
		return largest, sizes, a.Title()
	}
	off, size, title := values(Composite{})
	if !(off < 0.5) || title != "LRP gamma-flat" {
		t.Errorf("the default is %q, off by %g, %g in absolute values", title, off, size)
	}
	epsilonOff, epsilonSize, title := values(EpsilonPlusFlat())
	if !(epsilonSize > 3*size) {
		t.Errorf("by the epsilon rule %g come to the pixels, by the default %g: it does not matter here", epsilonSize, size)
	}
	t.Logf("default: off by %.3g, %.3g in absolute values; epsilon: %.3g, %.3g, %q", off, size, epsilonOff,
		epsilonSize, title)
	if !strings.Contains(title, "off their sum") {
		t.Errorf("by the epsilon rule, off by %g, the title is %q", epsilonOff, title)
	}
}
