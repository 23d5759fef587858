package model

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/data"
)

// The oracle is torchvision's usual preparation of photographs, with Pillow: bench/oracles/prepare.py. Pillow rounds to
// 8 bits after each of its two passes.
func TestPhotographsArePreparedAsTorchvisionDoes(t *testing.T) {
	const file = "../data/testdata/prepare.npz"
	for name, size := range map[string][2]int{"wide": {97, 131}, "tall": {130, 93}, "square": {101, 101}} {
		to := oracle.Read[int64](t, file, name+"_size")
		m, err := FromFunc(Spec{Height: int(to[1]), Width: int(to[2]), Resize: int(to[0]), Channels: 3},
			func(x *graph.Node) *graph.Node {
				return graph.ReduceMean(x, 1, 2)
			})
		if err != nil {
			t.Fatal(err)
		}
		img := data.Image{Height: size[0], Width: size[1], Channels: 3, Pix: oracle.Unit(oracle.Read[uint8](t, file, name))}
		for _, step := range m.Prepare() {
			if img, err = step.Apply(img); err != nil {
				t.Fatal(err)
			}
		}
		if err := approx.All(img.Pix, oracle.Unit(oracle.Read[uint8](t, file, name+"_prepared")), 1.6/255); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
