package parts

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
)

// plainPhotos are photographs of one grey each, 0, 0.1, 0.2 and so on.
func plainPhotos(t *testing.T, count int) *data.Dataset {
	t.Helper()
	flat := make([]float32, 0, count*12*12)
	for i := range count {
		flat = append(flat, slices.Repeat([]float32{float32(i) / 10}, 12*12)...)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(flat, count, 12, 12, 1), slices.Repeat([]int{0}, count),
		[]string{"photograph"})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// The photographs are those of the class as often as was asked for, and never where that is 0; behind the thing they
// are darkened, and in it brightened.
func TestScenes(t *testing.T) {
	const count, classes = 300, 3
	flat, labels := make([]float32, count*64), make([]int, count)
	for i := range labels {
		labels[i] = i % classes
		flat[i*64+9], flat[i*64+49] = 1, 1 // a thing of two pixels
	}
	things, err := data.FromTensor(tensors.FromFlatDataAndDimensions(flat, count, 8, 8, 1), labels,
		[]string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	of := func(background, fill float64) (behind, within int) {
		t.Helper()
		s, err := Scenes{Photos: plainPhotos(t, 6), Background: background, Fill: fill, Level: 0.5, Seed: 1}.Of(things)
		if err != nil {
			t.Fatal(err)
		}
		if grid, err := s.grid(); err != nil || len(grid.Rows) != 2 || len(grid.Rows[1]) != 10 {
			t.Fatalf("the scene's picture has %d rows (%v)", len(grid.Rows), err)
		}
		pixels, masks := tensors.MustCopyFlatData[float32](s.Images), tensors.MustCopyFlatData[int32](s.Masks)
		for i, label := range s.Labels {
			if masks[i*64] != 0 || masks[i*64+9] != int32(2*label+1) || masks[i*64+49] != int32(2*label+2) {
				t.Fatalf("image %d of class %d has the mask %v", i, label, masks[i*64:(i+1)*64])
			}
			if pixels[i*64] != float32(s.Behind[i])/10/2 || pixels[i*64+9] != 0.5+float32(classes+s.Fills[i])/10/2 {
				t.Fatalf("image %d is said to have %d behind and %d in it", i, s.Behind[i], s.Fills[i])
			}
			if s.Behind[i] == label {
				behind++
			}
			if pixels[i*64+9] != pixels[i*64+49] {
				t.Fatalf("image %d is filled with two photographs", i)
			}
			if s.Fills[i] == label {
				within++
			}
		}
		return behind, within
	}
	if behind, within := of(1, 0); behind != count || within != 0 {
		t.Errorf("of %d images %d have their photograph behind, where all should, and %d in them, where none should", count,
			behind, within)
	}
	// 300 draws of 0.8: four standard deviations are 28.
	if behind, within := of(0.8, 0.2); behind < 212 || behind > 268 || within < 32 || within > 88 {
		t.Errorf("of %d images %d have their photograph behind, for 0.8, and %d in them, for 0.2", count, behind, within)
	}
	// Two of the shape, one of the texture, one of neither, and one whose texture is its own.
	if bias, err := ShapeBias([]int{1, 2, 0, 0, 1}, []int{1, 2, 1, 1, 1}, []int{0, 0, 0, 2, 1}); err != nil ||
		bias.Correct != 2 || bias.Total != 3 {
		t.Errorf("the shape bias is %v (%v), not 2 of 3", bias, err)
	}
	for want, s := range map[string]Scenes{
		"and there are 5":    {Photos: plainPhotos(t, 5)},
		"these are in 0..1":  {Photos: plainPhotos(t, 6), Fill: 2},
		"one of them is nil": {},
	} {
		if _, err := s.Of(things); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// What a model sees is the likeliest part of each pixel: of the authors' scores.
func TestPartsSeen(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions(make([]float32, n*side*side), n, side, side, 1)
	m, err := BoundingBox{}.Make(looking(t), classes, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := Segment(m, images)
	if err != nil {
		t.Fatal(err)
	}
	flat, said := tensors.MustCopyFlatData[int32](seen), scores(t)
	for i, part := range flat {
		if of := said[i*masks : (i+1)*masks]; of[part] != slices.Max(of) {
			t.Fatalf("pixel %d has the scores %v and is seen as part %d", i, of, part)
		}
	}
	coloured, err := Coloured(images, seen, masks-1)
	if err != nil {
		t.Fatal(err)
	}
	colours := map[[3]float32]int32{}
	for i, rgb := 0, tensors.MustCopyFlatData[float32](coloured); i < len(flat); i++ {
		colour := [3]float32(rgb[3*i:])
		if part, known := colours[colour]; known && part != flat[i] {
			t.Fatalf("parts %d and %d have one colour, %v", part, flat[i], colour)
		}
		colours[colour] = flat[i]
	}
	if len(colours) != masks || colours[[3]float32{}] != 0 {
		t.Errorf("of black images the colours are %v", colours)
	}
	if grid, err := SegmentationGrid(m, images, images, masks-1); err != nil || len(grid.Rows) != 4 ||
		len(grid.Rows[3]) != n {
		t.Errorf("a look at %d images has %d rows (%v)", n, len(grid.Rows), err)
	}
	if right, err := PixelAccuracy(seen, seen); err != nil || right.Correct != right.Total || right.Total == 0 {
		t.Errorf("of itself %v are right (%v)", right, err)
	}
	truth := slices.Clone(flat)
	changed, total := 0, 0
	for i, part := range truth {
		if part > 0 {
			if total++; total%3 == 0 {
				truth[i] = part%4 + 1
				changed++
			}
		}
	}
	if right, err := PixelAccuracy(seen, tensors.FromFlatDataAndDimensions(truth, n, side, side)); err != nil ||
		right.Total != total || right.Correct != total-changed {
		t.Errorf("with %d of %d changed %v are right (%v)", changed, total, right, err)
	}
	if _, err := Coloured(images, seen, 1); err == nil || !strings.Contains(err.Error(), "of 1") {
		t.Errorf("colours of too few parts: %v", err)
	}
}
