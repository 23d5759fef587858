package spray

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Transplant asks whether what a group of images goes by makes other images be taken for the group's class, which a
// heatmap alone cannot say. The square where the group has most more relevance than the rest of its class is cut out of
// images of the group and put onto images of other classes, where the network does not see the class yet. The control
// is the same square, cut out of the class's other images.
//
// One half of the group says where the square lies, and the other half is cut from. The zero value has settings that do
// for a mark in a corner.
type Transplant struct {
	Side   float64 // of the square, as a share of the image's sides; 0 means 0.25
	Images int     // how many images of other classes it is put onto, at most; 0 means 100
	Seed   uint64  // draws these images, and what is put onto each
}

// Transplanted is what a network says of images of other classes with a part of a group's images, and with the same
// part of the class's others.
type Transplanted struct {
	Class     int
	ClassName string
	Group     int // its place among the strategies of the analysis
	Size      int // how many images the group has
	// Row and Column are where the upper left corner of the part lies, Height and Width its size, in pixels.
	Row, Column, Height, Width int
	// Onto are where in the dataset the images lie that it was put onto, [N], and From and Control those that each part
	// was cut from: an image of the group, and another one of the class.
	Onto, From, Control []int
	// Taken says which of them are taken for the class with the group's part, and Before with the control's, [N].
	Taken, Before []bool
}

// Of puts the part of a group, the place of one among the analysis's strategies, onto images of the dataset that was
// analysed, which have the network's size. It is an error where there is no such group, and where no image of another
// class is there that the network does not take for this class already.
func (t Transplant) Of(m *model.Model, ds model.Labeled, a *Analysis, group int) (*Transplanted, error) {
	if t.Side == 0 {
		t.Side = 0.25
	}
	if t.Images == 0 {
		t.Images = 100
	}
	if !(t.Side > 0 && t.Side <= 1) || t.Images < 1 {
		return nil, fmt.Errorf("spray: a part of %v of the image's sides on %d images: the side is more than 0 and at most "+
			"1, and there is 1 image or more", t.Side, t.Images)
	}
	if a == nil || group < 0 || group >= len(a.Strategies) {
		return nil, errors.New("spray: there is no such group to cut a part from: give the place of one of an analysis's " +
			"Strategies")
	}
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, fmt.Errorf("spray: %w", err)
	}
	for _, i := range a.Images {
		if i >= len(labels) || labels[i] != a.Class {
			return nil, fmt.Errorf("spray: image %d was analysed as one of %s, and in this dataset it is none: give the one "+
				"that was analysed", i, a.ClassName)
		}
	}
	done := &Transplanted{Class: a.Class, ClassName: a.ClassName, Group: group, Size: a.Strategies[group].Size()}
	rng := rand.New(rand.NewPCG(t.Seed, uint64(a.Class)))
	if done.Onto, err = t.others(m, ds, labels, a, rng); err != nil {
		return nil, err
	}
	var say, cut, rest []int // places in the analysis
	for i, member := range a.Strategies[group].Members {
		switch {
		case !member:
			rest = append(rest, i)
		case len(say) <= len(cut):
			say = append(say, i)
		default:
			cut = append(cut, i)
		}
	}
	if len(cut) == 0 {
		return nil, fmt.Errorf("spray: a group of %s: one is to say where the part lies, and another to be cut from",
			plural.Of(len(say), "image"))
	}
	for range done.Onto {
		done.From = append(done.From, a.Images[cut[rng.IntN(len(cut))]])
		done.Control = append(done.Control, a.Images[rest[rng.IntN(len(rest))]])
	}
	done.place(a, say, rest, t.Side, m.Spec())
	for _, from := range []struct {
		index []int
		is    *[]bool
	}{{done.From, &done.Taken}, {done.Control, &done.Before}} {
		pasted, err := done.paste(ds, done.Onto, from.index)
		if err != nil {
			return nil, err
		}
		predicted, err := m.Predict(pasted)
		model.Free(pasted)
		if err != nil {
			return nil, err
		}
		for _, p := range predicted {
			*from.is = append(*from.is, p == a.Class)
		}
	}
	return done, nil
}

// others are images of other classes that the network does not take for this one, drawn by chance.
func (t Transplant) others(m *model.Model, ds model.Labeled, labels []int, a *Analysis, rng *rand.Rand) ([]int, error) {
	var all []int
	for i, l := range labels {
		if l >= 0 && l != a.Class {
			all = append(all, i)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("spray: there are no images of another class to put a part onto")
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(len(all), 2*t.Images)]
	images, err := ds.Images(all...)
	if err != nil {
		return nil, err
	}
	defer model.Free(images)
	predicted, err := m.Predict(images)
	if err != nil {
		return nil, err
	}
	var onto []int
	for k, i := range all {
		if predicted[k] != a.Class && len(onto) < t.Images {
			onto = append(onto, i)
		}
	}
	if len(onto) == 0 {
		return nil, fmt.Errorf("spray: all of %s of other classes are taken for %s already", plural.Of(len(all), "image"),
			a.ClassName)
	}
	return onto, nil
}

// place is the square where the heatmaps that say where have most more relevance than the rest.
func (d *Transplanted) place(a *Analysis, say, rest []int, side float64, spec model.Spec) {
	dims := a.Reduced.Shape().Dimensions
	rows, columns := dims[1], dims[2]
	flat := tensors.MustCopyFlatData[float32](a.Reduced)
	more := make([]float64, rows*columns)
	for _, of := range []struct {
		places []int
		sign   float64
	}{{say, 1}, {rest, -1}} {
		for _, i := range of.places {
			for j := range more {
				more[j] += of.sign * float64(flat[i*len(more)+j]) / float64(len(of.places))
			}
		}
	}
	h, w := max(1, int(math.Round(side*float64(rows)))), max(1, int(math.Round(side*float64(columns))))
	best, top, left := math.Inf(-1), 0, 0
	for y := range rows - h + 1 {
		for x := range columns - w + 1 {
			var sum float64
			for r := y; r < y+h; r++ {
				for _, v := range more[r*columns+x : r*columns+x+w] {
					sum += v
				}
			}
			if sum > best {
				best, top, left = sum, y, x
			}
		}
	}
	d.Row, d.Column = top*spec.Height/rows, left*spec.Width/columns
	d.Height, d.Width = (top+h)*spec.Height/rows-d.Row, (left+w)*spec.Width/columns-d.Column
}

// paste are images of a dataset, [N, H, W, C], with the part of others.
func (d *Transplanted) paste(ds model.Dataset, onto, from []int) (*tensors.Tensor, error) {
	images, err := ds.Images(onto...)
	if err != nil {
		return nil, err
	}
	defer model.Free(images)
	parts, err := ds.Images(from...)
	if err != nil {
		return nil, err
	}
	defer model.Free(parts)
	below, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("spray: %w", err)
	}
	above, err := tensors.CopyFlatData[float32](parts)
	if err != nil {
		return nil, fmt.Errorf("spray: %w", err)
	}
	dims := images.Shape().Dimensions
	h, w, c := dims[1], dims[2], dims[3]
	for i := range onto {
		for y := d.Row; y < d.Row+d.Height; y++ {
			at := ((i*h+y)*w + d.Column) * c
			copy(below[at:at+d.Width*c], above[at:])
		}
	}
	return tensors.FromFlatDataAndDimensions(below, dims...), nil
}

// Pasted are images with the group's part, [N, H, W, C] float32 in 0..1, by their places in Onto. ds is the dataset
// that was analysed.
func (d *Transplanted) Pasted(ds model.Dataset, places ...int) (*tensors.Tensor, error) {
	if len(places) == 0 {
		return nil, errors.New("spray: images with a part: give the places of some of them in Onto")
	}
	var onto, from []int
	for _, k := range places {
		if k < 0 || k >= len(d.Onto) {
			return nil, fmt.Errorf("spray: there is no image %d with a part: they are 0 to %d", k, len(d.Onto)-1)
		}
		onto, from = append(onto, d.Onto[k]), append(from, d.From[k])
	}
	return d.paste(ds, onto, from)
}

// Paired is how many images are taken for the class with the control's part, which comes first, and with the group's.
func (d *Transplanted) Paired() (stats.Paired, error) { return stats.PairedOf(d.Before, d.Taken) }

// Where says where the part lies.
func (d *Transplanted) Where() string {
	return fmt.Sprintf("%d x %d pixels at row %d, column %d", d.Height, d.Width, d.Row, d.Column)
}

// Table has a row for the group's part and one for the control's: how many images are taken for the class with it.
func (d *Transplanted) Table() table.Table {
	t := table.Table{Title: fmt.Sprintf("%s: a part of %s, put onto %s of other classes", d.ClassName, d.Where(),
		plural.Of(len(d.Onto), "image")), Header: []string{"the part is cut from", "taken for " + d.ClassName}}
	t.Add("the group", d.WithPart().Rate())
	t.Add("the class's others", d.WithControl().Rate())
	return t
}

// WithPart is how many of the images are taken for the class with the group's part, of how many.
func (d *Transplanted) WithPart() stats.Accuracy { return shareOf(d.Taken) }

// WithControl is how many are with the control's.
func (d *Transplanted) WithControl() stats.Accuracy { return shareOf(d.Before) }

func shareOf(is []bool) stats.Accuracy {
	a := stats.Accuracy{Total: len(is)}
	for _, taken := range is {
		if taken {
			a.Correct++
		}
	}
	return a
}

func (d *Transplanted) String() string {
	return fmt.Sprintf("%s: with a part of %s of a group of %d, %s of other classes are taken for it, with the same part "+
		"of the class's others %s", d.ClassName, d.Where(), d.Size, d.WithPart(), d.WithControl())
}

// Bundle shows the table, and the difference with its interval.
func (d *Transplanted) Bundle() mime.Bundle {
	pair, err := d.Paired()
	if err != nil { // of no images nothing is known
		return d.Table().Bundle()
	}
	iv := pair.Interval()
	return display.Stack(d.Table().Bundle(), mime.TextOf(fmt.Sprintf(
		"%.1f points more with the group's part (95%% interval %.1f to %.1f)", 100*pair.Difference(), 100*iv.Low,
		100*iv.High)))
}
