package background

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/data"
)

func dataset(t *testing.T, pixels []float32, labels []int, dims ...int) *data.Dataset {
	t.Helper()
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, dims...), labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// box is where a mask is above 0: rows from top to below bottom, and columns.
func box(mask []int32, width int) (top, bottom, left, right int) {
	top, left = len(mask), width
	for p, v := range mask {
		if v > 0 {
			top, bottom, left, right = min(top, p/width), max(bottom, p/width+1), min(left, p%width), max(right, p%width+1)
		}
	}
	return top, bottom, left, right
}

// Squares of one brightness each, with black around them, come in sizes and to places that all differ, from the
// smallest to the largest and from one edge to the other, and the mask is where they are.
func TestPlacement(t *testing.T) {
	const n, small, h, w = 200, 4, 16, 20
	things, labels := make([]float32, n*small*small*3), make([]int, n)
	for i := range n {
		labels[i] = i % 3
		for p := range small * small {
			copy(things[(i*small*small+p)*3:], []float32{0.02, float32(i+20) / 250, 0.02})
		}
	}
	ds := dataset(t, things, labels, n, small, small, 3)
	p := Placement{Height: h, Width: w, Scale: [2]float64{0.25, 1}, Level: 0.05, Seed: 1}
	s, err := p.Of(ds)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Labels, labels) || fmt.Sprint(s.Images.Shape().Dimensions,
		s.Masks.Shape().Dimensions) != "[200 16 20 3] [200 16 20]" {
		t.Fatalf("images %v, masks %v, labels %v", s.Images.Shape(), s.Masks.Shape(), s.Labels)
	}
	pixels, masks := floats(s.Images), tensors.MustCopyFlatData[int32](s.Masks)
	sides, tops, lefts, bottoms, rights := map[int]int{}, map[int]int{}, map[int]int{}, map[int]int{}, map[int]int{}
	for i := range n {
		mask := masks[i*h*w : (i+1)*h*w]
		top, bottom, left, right := box(mask, w)
		if bottom-top != right-left {
			t.Fatalf("square %d is %d x %d", i, bottom-top, right-left)
		}
		for q, v := range mask {
			inside := q/w >= top && q/w < bottom && q%w >= left && q%w < right
			at := (i*h*w + q) * 3
			if inside != (v == 1) || !inside && (v != 0 || pixels[at] != 0 || pixels[at+1] != 0 || pixels[at+2] != 0) {
				t.Fatalf("pixel %d of square %d, inside %v, has the mask %d and is %v", q, i, inside, v, pixels[at:at+3])
			}
			if inside && (!approx.Equal(pixels[at], 0.02, 1e-4) || !approx.Equal(pixels[at+1], float32(i+20)/250, 1e-4)) {
				t.Fatalf("pixel %d of square %d is %v", q, i, pixels[at:at+3])
			}
		}
		sides[bottom-top]++
		tops[top], lefts[left], bottoms[h-bottom], rights[w-right] = tops[top]+1, lefts[left]+1, bottoms[h-bottom]+1,
			rights[w-right]+1
	}
	// A quarter to all of 16 pixels.
	for side := 4; side <= 16; side++ {
		if sides[side] == 0 {
			t.Errorf("no square is %d pixels large", side)
		}
	}
	if len(sides) != 13 || tops[0] == 0 || lefts[0] == 0 || bottoms[0] == 0 || rights[0] == 0 {
		t.Errorf("sides %v, from the edges %v, %v, %v, %v", sides, tops, bottoms, lefts, rights)
	}
	again, err := p.Of(ds)
	if err != nil || !slices.Equal(floats(again.Images), pixels) {
		t.Error("the same seed gives other images", err)
	}
	p.Seed = 2
	if other, err := p.Of(ds); err != nil || slices.Equal(floats(other.Images), pixels) {
		t.Error("another seed gives the same images", err)
	}
	p = Placement{Height: h, Width: w, Level: 0.05}
	whole, err := p.Of(ds.Take(3))
	if err != nil {
		t.Fatal(err)
	}
	if top, bottom, _, _ := box(tensors.MustCopyFlatData[int32](whole.Masks)[:h*w], w); top != 0 || bottom != h {
		t.Errorf("the largest square goes from %d to %d of %d", top, bottom, h)
	}
}

func TestPlacementRefuses(t *testing.T) {
	things := dataset(t, slices.Repeat([]float32{0.5}, 2*16), []int{0, 1}, 2, 4, 4, 1)
	for says, c := range map[string]struct {
		p  Placement
		of *data.Dataset
	}{
		"nothing to place":     {Placement{Height: 8, Width: 8, Level: 0.1}, nil},
		"images of 0 x 8":      {Placement{Width: 8, Level: 0.1}, things},
		"more than 0 and":      {Placement{Height: 8, Width: 8, Level: 0.1, Scale: [2]float64{0, 1}}, things},
		"things of 0.9 to 0.5": {Placement{Height: 8, Width: 8, Level: 0.1, Scale: [2]float64{0.9, 0.5}}, things},
		"the level 0 on":       {Placement{Height: 8, Width: 8}, things},
		"reaches the level 0":  {Placement{Height: 8, Width: 8, Level: 0.6}, things},
		"has no label": {Placement{Height: 8, Width: 8, Level: 0.1}, dataset(t, slices.Repeat([]float32{0.5}, 32),
			[]int{0, -1}, 2, 4, 4, 1)},
		"nothing is left of": {Placement{Height: 8, Width: 8, Level: 0.1, Scale: [2]float64{0.01, 0.02}}, things},
	} {
		got, err := c.p.Of(c.of)
		refused(t, says, err)
		if got.Images != nil {
			t.Errorf("%s: there are images all the same", says)
		}
	}
}

// Each pixel of the photographs says where it is from, so that pieces can be told to be pieces, from everywhere.
func TestPieces(t *testing.T) {
	const photos, h, w, side, count = 3, 10, 12, 4, 300
	flat := make([]float32, photos*h*w*3)
	for i := range photos * h * w {
		flat[3*i], flat[3*i+1], flat[3*i+2] = float32(i)/1024, float32(i)/2048, float32(i)/4096
	}
	ds := dataset(t, flat, slices.Repeat([]int{0}, photos), photos, h, w, 3)
	p, err := Pieces(ds, side, side, count, 1)
	if err != nil {
		t.Fatal(err)
	}
	pixels := floats(p.Images)
	if len(p.Kinds) != photos*count || len(pixels) != photos*count*side*side*3 {
		t.Fatalf("%d kinds and %d values", len(p.Kinds), len(pixels))
	}
	seen := map[int]bool{}
	for i, kind := range p.Kinds {
		piece := pixels[i*side*side*3 : (i+1)*side*side*3]
		from := int(1024 * piece[0])
		if kind != i/count || from/(h*w) != kind || from/w%h > h-side || from%w > w-side {
			t.Fatalf("piece %d, of kind %d, is from pixel %d", i, kind, from)
		}
		seen[from] = true
		for q := range side * side {
			v := float32(from + q/side*w + q%side)
			if !slices.Equal(piece[3*q:3*q+3], []float32{v / 1024, v / 2048, v / 4096}) {
				t.Fatalf("piece %d has %v where the photograph has pixel %v", i, piece[3*q:3*q+3], v)
			}
		}
	}
	if all := photos * (h - side + 1) * (w - side + 1); len(seen) < all-5 {
		t.Errorf("pieces are from %d of %d places", len(seen), all)
	}
	if picture := p.Bundle().Data; picture["image/jpeg"] == "" && picture["image/png"] == "" {
		t.Errorf("places are shown as %v", picture)
	}
	_, err = Pieces(ds, h+1, side, 1, 1)
	refused(t, "are to be 11 x 4 x 3", err)
	_, err = Pieces(ds, side, side, 0, 1)
	refused(t, "0 pieces", err)
	_, err = Pieces(nil, side, side, 1, 1)
	refused(t, "no photographs", err)
}
