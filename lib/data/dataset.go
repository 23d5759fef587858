// Package data reads image datasets: folders and archives of photographs, IDX, CIFAR and NumPy files, and
// the datasets that `loupe fetch` brings.
//
// A [Dataset] is lazy: images are decoded when they are asked for. It never changes; subsets, shuffles
// and transforms are views of it.
package data

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/interrupt"
)

// Image is a decoded image: Pix is row-major [Height, Width, Channels], float32 in 0..1.
type Image struct {
	Pix                     []float32
	Height, Width, Channels int
}

// source is where images come from. Its methods may be called from any goroutine.
type source interface {
	len() int
	name(i int) string
	label(i int) int // -1 for unknown
	image(i int) (Image, error)
}

// Dataset is a list of images with labels.
type Dataset struct {
	title      string
	source     source
	index      []int // of the source's items, in order
	classes    []string
	transforms []Transform
	skipped    []string
	notes      []string
}

func newDataset(title string, s source, classes []string) (*Dataset, error) {
	if s.len() == 0 {
		return nil, fmt.Errorf("data: %s has no images", title)
	}
	d := &Dataset{title: title, source: s, classes: classes, index: make([]int, s.len())}
	for i := range d.index {
		d.index[i] = i
		if label := s.label(i); label < -1 || classes != nil && label >= len(classes) {
			return nil, fmt.Errorf("data: %s of %s has the label %d, and the classes are 0 to %d", s.name(i), title, label,
				len(classes)-1)
		}
	}
	return d, nil
}

// view is a copy of d that shares everything.
func (d *Dataset) view() *Dataset {
	v := *d
	return &v
}

// Title says where the dataset comes from.
func (d *Dataset) Title() string { return d.title }

// Len is the number of images.
func (d *Dataset) Len() int { return len(d.index) }

// Classes are the names of the classes by label; nil if unknown.
func (d *Dataset) Classes() []string { return append([]string(nil), d.classes...) }

// Skipped names the files that were left out because they are damaged: see [Options].
func (d *Dataset) Skipped() []string { return append([]string(nil), d.skipped...) }

// Notes say how the classes of a folder or an archive were found, and what in it was left out.
func (d *Dataset) Notes() []string { return append([]string(nil), d.notes...) }

func (d *Dataset) at(i int) int {
	if i < 0 || i >= len(d.index) {
		panic(fmt.Errorf("data: %s has images 0 to %d, not %d", d.title, len(d.index)-1, i))
	}
	return d.index[i]
}

// Name is the name of image i, such as its path within the folder. It panics if there is no image i.
func (d *Dataset) Name(i int) string { return d.source.name(d.at(i)) }

// Label is the class of image i; -1 if unknown. It panics if there is no image i.
func (d *Dataset) Label(i int) int { return d.source.label(d.at(i)) }

// ClassName is the name of image i's class, its number if there are no names, "" if it is unknown.
func (d *Dataset) ClassName(i int) string {
	label := d.Label(i)
	switch {
	case label < 0:
		return ""
	case d.classes == nil:
		return fmt.Sprint(label)
	}
	return d.classes[label]
}

// Labels are the classes of all images, -1 where unknown.
func (d *Dataset) Labels() []int {
	labels := make([]int, len(d.index))
	for i := range labels {
		labels[i] = d.Label(i)
	}
	return labels
}

// Image decodes image i and applies the transforms.
func (d *Dataset) Image(i int) (Image, error) {
	if i < 0 || i >= len(d.index) {
		return Image{}, fmt.Errorf("data: %s has images 0 to %d, not %d", d.title, len(d.index)-1, i)
	}
	img, err := d.source.image(d.index[i])
	if err != nil {
		return img, failure.OneLine(fmt.Errorf("data: %s: %w", d.Name(i), err))
	}
	for _, t := range d.transforms {
		if img, err = t.Apply(img); err != nil {
			return img, fmt.Errorf("data: %s: %s: %w", d.Name(i), t.Name, err)
		}
	}
	return img, nil
}

// Images returns the images with these numbers as a tensor [len(indices), H, W, C], float32 in 0..1. They must be of
// one size: where a dataset's are not, put Map(Resize(…)) or Map(CenterCrop(…)) before. Interrupted, it returns the
// images that are read beside the error; nil if none is.
func (d *Dataset) Images(indices ...int) (*tensors.Tensor, error) {
	if len(indices) == 0 {
		return nil, fmt.Errorf("data: no images of %s were asked for", d.title)
	}
	images := make([]Image, len(indices))
	done, err := parallel.Each("data: reading "+d.title, len(indices), func(k int) (err error) {
		images[k], err = d.Image(indices[k])
		return err
	})
	if done == 0 || err != nil && !interrupt.Is(err) {
		return nil, err
	}
	images = images[:done]
	first := images[0]
	var pixels [][]float32
	for k, img := range images {
		if img.Height != first.Height || img.Width != first.Width || img.Channels != first.Channels {
			return nil, fmt.Errorf(
				"data: %s is %d x %d x %d and %s is %d x %d x %d: bring them to one size with Map(data.Resize(height, width))",
				d.Name(indices[0]), first.Height, first.Width, first.Channels, d.Name(indices[k]), img.Height, img.Width,
				img.Channels)
		}
		pixels = append(pixels, img.Pix)
	}
	return tensors.FromFlatDataAndDimensions(slices.Concat(pixels...), done, first.Height, first.Width, first.Channels),
		err
}

// All returns all images as one tensor: see [Dataset.Images].
func (d *Dataset) All() (*tensors.Tensor, error) {
	indices := make([]int, d.Len())
	for i := range indices {
		indices[i] = i
	}
	return d.Images(indices...)
}

// WithClasses is the dataset with these names of its classes; an error if a label has none.
func (d *Dataset) WithClasses(names []string) (*Dataset, error) {
	for i := range d.Len() {
		if label := d.Label(i); label >= len(names) {
			return nil, fmt.Errorf("data: %s of %s has the label %d, and there are names for 0 to %d", d.Name(i), d.title, label,
				len(names)-1)
		}
	}
	v := d.view()
	v.classes = names
	return v, nil
}

// Subset is the images with these numbers, in this order. It panics if there is no such image.
func (d *Dataset) Subset(indices []int) *Dataset {
	v := d.view()
	v.index = make([]int, len(indices))
	for k, i := range indices {
		v.index[k] = d.at(i)
	}
	return v
}

// Take is the first n images, or all if there are fewer. It panics if n < 0.
func (d *Dataset) Take(n int) *Dataset {
	if n < 0 {
		panic(fmt.Errorf("data: Take(%d) of %s: a number of images is 0 or more", n, d.title))
	}
	v := d.view()
	v.index = d.index[:min(n, len(d.index))]
	return v
}

// Skip is the images after the first n. It panics if n < 0, or if there are fewer than n images.
func (d *Dataset) Skip(n int) *Dataset {
	if n < 0 || n > len(d.index) {
		panic(fmt.Errorf("data: Skip(%d) of %s, which has %d images", n, d.title, len(d.index)))
	}
	v := d.view()
	v.index = d.index[n:]
	return v
}

// OfClass is the images of these labels.
func (d *Dataset) OfClass(labels ...int) *Dataset { return d.where(labels, true) }

// WithoutClass is the images of other labels than these, and those without a label.
func (d *Dataset) WithoutClass(labels ...int) *Dataset { return d.where(labels, false) }

// where is the images whose label is among these, or is not.
func (d *Dataset) where(labels []int, among bool) *Dataset {
	v := d.view()
	v.index = nil
	for _, i := range d.index {
		if slices.Contains(labels, d.source.label(i)) == among {
			v.index = append(v.index, i)
		}
	}
	return v
}

// Shuffle is the images in a random order that depends on the seed alone (PCG).
func (d *Dataset) Shuffle(seed uint64) *Dataset {
	v := d.view()
	v.index = append([]int(nil), d.index...)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(v.index), func(a, b int) {
		v.index[a], v.index[b] = v.index[b],
			v.index[a]
	})
	return v
}

// Split draws the share fraction of the images of every class, rounded, for the first dataset, and leaves the rest
// for the second. The choice depends on the seed alone; both keep the order. It panics unless 0 <= fraction <= 1.
func (d *Dataset) Split(fraction float64, seed uint64) (first, second *Dataset) {
	if !(fraction >= 0 && fraction <= 1) {
		panic(fmt.Errorf("data: the share of a split is %v, it lies between 0 and 1", fraction))
	}
	byLabel := map[int][]int{}
	for k, i := range d.index {
		label := d.source.label(i)
		byLabel[label] = append(byLabel[label], k)
	}
	chosen := make([]bool, len(d.index))
	for label, members := range byLabel {
		rng := rand.New(rand.NewPCG(seed, uint64(label)))
		rng.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
		for _, k := range members[:int(math.Round(fraction*float64(len(members))))] {
			chosen[k] = true
		}
	}
	first, second = d.view(), d.view()
	first.index, second.index = nil, nil
	for k, i := range d.index {
		if chosen[k] {
			first.index = append(first.index, i)
		} else {
			second.index = append(second.index, i)
		}
	}
	return first, second
}

// Map applies transforms to every image, when it is asked for.
func (d *Dataset) Map(transforms ...Transform) *Dataset {
	v := d.view()
	v.transforms = append(append([]Transform(nil), d.transforms...), transforms...)
	return v
}

// Mapped reports whether these transforms have been applied, one after the other, going by their names.
func (d *Dataset) Mapped(transforms ...Transform) bool {
	for from := 0; from+len(transforms) <= len(d.transforms); from++ {
		if slices.EqualFunc(d.transforms[from:from+len(transforms)], transforms,
			func(a, b Transform) bool { return a.Name == b.Name }) {
			return true
		}
	}
	return false
}

// PreparedFor is the model whose preparation was applied last, and what that was: see [Transform]'s For; "" if there
// was none.
func (d *Dataset) PreparedFor() (model, how string) {
	for _, t := range d.transforms {
		switch {
		case t.For == "":
		case t.For == model:
			how += ", " + t.Name
		default:
			model, how = t.For, t.Name
		}
	}
	return model, how
}

// Batch is a number of images with what is known of them.
type Batch struct {
	Images  *tensors.Tensor // [N, H, W, C] float32 in 0..1
	Labels  []int
	Indices []int    // numbers of the images in the dataset
	Names   []string // of the images
}

// Batches are the images in order, size at a time; the last batch may be smaller. It stops at the first error.
func (d *Dataset) Batches(size int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for c := d.Cursor(size); ; {
			b, ok, err := c.Next()
			if !ok && err == nil || !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Cursor goes through the batches of a dataset by calls of Next, for interpreted cells, which cannot
// range over functions.
type Cursor struct {
	d    *Dataset
	size int
	at   int
}

// Cursor starts before the first batch of size images.
func (d *Dataset) Cursor(size int) *Cursor {
	return &Cursor{d: d, size: max(size, 1)}
}

// Next returns the next batch; ok is false behind the last.
func (c *Cursor) Next() (b Batch, ok bool, err error) {
	if c.at >= c.d.Len() {
		return b, false, nil
	}
	for i := c.at; i < min(c.at+c.size, c.d.Len()); i++ {
		b.Indices = append(b.Indices, i)
		b.Labels = append(b.Labels, c.d.Label(i))
		b.Names = append(b.Names, c.d.Name(i))
	}
	c.at += len(b.Indices)
	b.Images, err = c.d.Images(b.Indices...)
	return b, err == nil, err
}

func (d *Dataset) String() string {
	s := fmt.Sprintf("%s: %s", d.title, plural.Of(d.Len(), "image"))
	if d.classes != nil {
		s += fmt.Sprintf(" of %s", plural.Of(len(d.classes), "class"))
	}
	for _, t := range d.transforms {
		s += ", " + t.Name
	}
	if len(d.skipped) > 0 {
		s += fmt.Sprintf(" (%d damaged files skipped)", len(d.skipped))
	}
	for _, note := range d.notes {
		s += "; " + note
	}
	return s
}
