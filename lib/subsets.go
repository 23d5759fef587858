package loupe

import (
	"fmt"
	"image"
	"image/color"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

// BackSelect finds the order in which the images' pixels can be masked while a class, by default the predicted one,
// stays likely: by mask.BatchedGradientSIS{} or mask.SIS{}.
func BackSelect(m *model.Model, images any, by mask.BackSelector, classes ...int) *mask.Ordering {
	images, files := withNames(images)
	o := must(by.BackSelect(m, Images(m, images), classes...))
	o.Files = files
	return o
}

// KeepLast masks all but that fraction of each image's pixels that were masked last.
func KeepLast(images *tensors.Tensor, o *mask.Ordering, fraction float64) *tensors.Tensor {
	kept := must(o.Last(fraction))
	return must(mask.Keep(images, kept, o.Filler, 0))
}

// KeepRandom masks all but as many pixels drawn by chance.
func KeepRandom(images *tensors.Tensor, fraction float64, filler mask.Filler, seed uint64) *tensors.Tensor {
	d := shapeOf(images)
	return must(mask.Keep(images, must(mask.Random(d[0], d[1], d[2], fraction, seed)), filler, seed))
}

// Score is a model's accuracy on labelled images, and its mean confidence in classes, by default the predicted ones.
func Score(m *model.Model, images any, labels []int, classes ...int) mask.Score {
	return must(mask.Evaluate(m, Images(m, images), labels, classes))
}

// Subsets show images beside what is left of them, with the confidence before and after.
type Subsets struct {
	// Fraction of the pixels that is left.
	Fraction float64

	whole, left    []image.Image
	above, beneath []string
}

// maskedColor is what masked pixels are shown in: no pixel of a photograph is easily taken for it, and none of a grey
// image.
var maskedColor = color.RGBA{0xc6, 0xd3, 0xee, 0xff}

// LastSubsets shows the subsets of an ordering: that fraction of each image's pixels that were masked last. What the
// model sees in the place of the others is the ordering's filler; they are shown in pale blue, so that what is left
// stands out.
func LastSubsets(m *model.Model, images any, o *mask.Ordering, fraction float64) Subsets {
	x := Images(m, images)
	s := Subsets{Fraction: fraction}
	kept := must(tensors.CopyFlatData[float32](must(o.Last(fraction))))
	for i, img := range must(display.Images(x)) {
		b := img.Bounds()
		left := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		for y := range b.Dy() {
			for column := range b.Dx() {
				left.SetRGBA(column, y, maskedColor)
				if kept[i*o.Pixels()+y*o.Width+column] != 0 {
					left.Set(column, y, img.At(b.Min.X+column, b.Min.Y+y))
				}
			}
		}
		s.whole, s.left = append(s.whole, img), append(s.left, left)
	}
	before := Confidence(m, x, o.Classes...)
	after := Confidence(m, KeepLast(x, o, fraction), o.Classes...)
	for i, name := range o.ClassNames {
		s.above = append(s.above, fmt.Sprintf("%s\n%.1f%%", name, 100*before[i]))
		s.beneath = append(s.beneath, fmt.Sprintf("%s\n%.1f%%", name, 100*after[i]))
	}
	return s
}

// Grid lays the images out, each above what is left of it.
func (s Subsets) Grid() display.Grid {
	const across = 8
	var g display.Grid
	for lo := 0; lo < len(s.whole); lo += across {
		var whole, left []display.Tile
		for i := lo; i < min(lo+across, len(s.whole)); i++ {
			whole = append(whole, display.Tile{Image: s.whole[i], Title: s.above[i]})
			left = append(left, display.Tile{Image: s.left[i], Title: s.beneath[i]})
		}
		g.Rows = append(g.Rows, whole, left)
		g.Labels = append(g.Labels, "whole image", fmt.Sprintf("%.3g%% of its pixels", 100*s.Fraction))
	}
	return g
}

// Bundle shows the grid.
func (s Subsets) Bundle() mime.Bundle { return s.Grid().Bundle() }
