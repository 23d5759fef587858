// Package loupe is what a person types in a cell to ask why an image classifier will fail.
//
// It puts the packages below it under one short name. Where these return an error, its functions panic with it, since
// a cell has nothing better to do with an error than to stop and show it; a program uses the packages themselves.
// What a call had done when it was interrupted, [Partial] returns. Where a function takes images, it takes a dataset,
// which is brought to the model's size, or a tensor [N, H, W, C], float32 in 0..1, which is taken as it is.
//
// A question is a line: how good is the model ([Evaluate], [Compare]), where does it look ([Explain], [LIME],
// [Missing]), what stands against it ([Robustness], [CorruptionSweep]), what is wrong with the images ([Issues]), and
// what has it learnt: what a class rests on ([Spurious]), which images it knows by the wrong thing ([Spuriosity]),
// which part of a class it recognises by something else ([SpRAy]), what it sees in an image ([Concepts]) and what its
// features are worth elsewhere ([Transfer]). [Report] asks what is asked first of all these, and makes one page of it.
package loupe

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path"
	"reflect"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/table"
)

// Function makes a model of a graph function written in a cell, from images [N, height, width, channels] to logits
// [N, K].
func Function(name string, height, width, channels int, fn func(x *graph.Node) *graph.Node) *model.Model {
	return must(model.FromFunc(model.Spec{Name: name, Height: height, Width: width, Channels: channels}, fn))
}

// Open opens a dataset by name, such as "sample-imagenet", or from a path, by options where that is a folder or an
// archive: see data.Open.
func Open(nameOrPath string, options ...data.Options) *data.Dataset {
	ds := must(data.Open(nameOrPath, options...))
	if nameOrPath == "sample-imagenet" {
		// Its labels are ImageNet's; the names come with another asset, and numbers do without it.
		if names, err := imagenet.Classes(); err == nil {
			ds = must(ds.WithClasses(names))
		}
	}
	return ds
}

// Exec runs a graph function on the backend, with tensors or Go values as arguments:
//
//	loupe.Exec(func(x *graph.Node) *graph.Node { return graph.Mul(x, x) }, []float32{1, 2, 3})
func Exec(fn any, args ...any) []*tensors.Tensor {
	return must(must(model.NewExec(fn)).Call(args...))
}

// Images returns the pixels of images as the model takes them: [N, H, W, C] float32 in 0..1. Besides a dataset and a
// tensor it takes the path of an image, of a folder or archive of images, or several as a []string.
func Images(m *model.Model, images any) *tensors.Tensor {
	switch images := images.(type) {
	case *tensors.Tensor:
		return images
	case *data.Dataset:
		return must(Prepare(m, images).All())
	case string:
		return Images(m, Open(images))
	case []string:
		return Images(m, must(data.Files(images...)))
	}
	panic(notImages(images))
}

func notImages(images any) error {
	if images == nil {
		return errors.New("loupe: there are no images: the argument is nil")
	}
	return fmt.Errorf("loupe: images are a *data.Dataset, a *tensors.Tensor, a path or several, not a %T", images)
}

// Prepare brings a dataset's images to the size and number of channels that the model takes: see the model's Prepare.
// One that has been prepared so stays as it is: to do it twice would show the network another part of the images. One
// that has been prepared otherwise for another model is an error: this model would see what was left by the other.
func Prepare(m *model.Model, ds *data.Dataset) *data.Dataset {
	return must(m.Prepared(ds))
}

// Gallery shows images with titles, or a dataset with the names of its classes.
func Gallery(images any, titles ...string) display.Grid {
	ds, ok := images.(*data.Dataset)
	if !ok {
		return display.Gallery(images, titles...)
	}
	if len(titles) == 0 {
		for i := range ds.Len() {
			titles = append(titles, ds.ClassName(i))
		}
	}
	pictures := make([]any, ds.Len())
	for i := range pictures {
		must(pictures[:i], interrupt.After(interrupt.Err(), "loupe: gallery", i, len(pictures), "images"))
		img := must(ds.Image(i))
		pictures[i] = tensors.FromFlatDataAndDimensions(img.Pix, img.Height, img.Width, img.Channels)
	}
	return display.Gallery(pictures, titles...)
}

// Predictions are the likeliest classes of each image; they show themselves as a table with the images.
type Predictions struct {
	Top    [][]model.Prediction
	images *tensors.Tensor // nil if they are a dataset's, which is read again for the pictures that are shown
	ds     *data.Dataset
	truth  []string // class names, if known
	files  []string // names of the images, if known
}

// TopK returns the k likeliest classes of each image with their probabilities. A dataset goes through the network a
// batch at a time.
func TopK(m *model.Model, images any, k int) Predictions {
	images, files := withNames(images)
	ds, ok := images.(*data.Dataset)
	if !ok {
		x := Images(m, images)
		return Predictions{images: x, Top: must(m.TopK(x, k))}
	}
	p := Predictions{ds: Prepare(m, ds), truth: truthOf(m, ds), files: files}
	p.Top = must(m.TopKOf(p.ds, k))
	return p
}

// mostShown is how many of the predictions are shown with their pictures.
const mostShown = 50

// pictures are those of the first predictions.
func (p Predictions) pictures() ([]image.Image, error) {
	x := p.images
	if x == nil && p.ds == nil {
		return nil, errors.New("loupe: these predictions have no images")
	}
	if x == nil {
		first := make([]int, min(p.ds.Len(), mostShown))
		for i := range first {
			first[i] = i
		}
		var err error
		if x, err = p.ds.Images(first...); err != nil {
			return nil, err
		}
	}
	return display.Images(x)
}

// truthOf are the names of a dataset's labels: its own, which the model need not know, or else the model's.
func truthOf(m *model.Model, ds *data.Dataset) []string {
	names := make([]string, ds.Len())
	for i := range names {
		names[i] = ds.ClassName(i)
		if label := ds.Label(i); label >= 0 && ds.Classes() == nil {
			names[i] = m.ClassName(label)
		}
	}
	return names
}

// Classes are the likeliest class of each image.
func (p Predictions) Classes() []int {
	classes := make([]int, len(p.Top))
	for i, top := range p.Top {
		classes[i] = top[0].Class
	}
	return classes
}

// Names are the names of the likeliest class of each image.
func (p Predictions) Names() []string {
	names := make([]string, len(p.Top))
	for i, top := range p.Top {
		names[i] = top[0].Name
	}
	return names
}

// Table has a row for each image: its number, its file and its label where a dataset knows them, and the likeliest
// classes with their probabilities.
func (p Predictions) Table() table.Table {
	var columns []table.Column
	if p.truth != nil {
		columns = append(columns, table.ColumnOf("label", p.truth))
	}
	most := 0
	for _, top := range p.Top {
		most = max(most, len(top))
	}
	for k := range most {
		place := func(of func(model.Prediction) any) func(i int) any {
			return func(i int) any {
				if k >= len(p.Top[i]) {
					return nil
				}
				return of(p.Top[i][k])
			}
		}
		columns = append(columns,
			table.Column{Name: fmt.Sprintf("class %d", k+1), At: place(func(c model.Prediction) any { return c.Class })},
			table.Column{Name: fmt.Sprintf("name %d", k+1), At: place(func(c model.Prediction) any { return c.Name })},
			table.Column{Name: fmt.Sprintf("probability %d", k+1),
				At: place(func(c model.Prediction) any { return table.Percent(c.Probability) })})
	}
	return table.PerImage{Files: p.files, Columns: columns}.Table(len(p.Top))
}

// Grid shows the images, each above its file where that is known and its likeliest classes.
func (p Predictions) Grid() (display.Grid, error) {
	pictures, err := p.pictures()
	if err != nil {
		return display.Grid{}, err
	}
	var shown []any
	var titles []string
	for i, picture := range pictures[:min(len(pictures), mostShown)] {
		var lines []string
		if p.files != nil {
			lines = append(lines, path.Base(p.files[i]))
		}
		for _, c := range p.Top[i] {
			lines = append(lines, fmt.Sprintf("%s %.1f%%", c.Name, 100*c.Probability))
		}
		shown, titles = append(shown, picture), append(titles, strings.Join(lines, "\n"))
	}
	return display.Gallery(shown, titles...), nil
}

// Bundle shows the images with their likeliest classes.
func (p Predictions) Bundle() mime.Bundle {
	pictures, err := p.pictures()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	t := display.Table{Header: []string{"image", "predicted", "probability"}}
	if p.truth != nil {
		t.Header = append(t.Header, "label")
	}
	if p.files != nil {
		t.Header = append(t.Header, "file")
	}
	shown := p.Top[:min(len(p.Top), mostShown)]
	if len(shown) < len(p.Top) {
		t.Title = fmt.Sprintf("The first %d of %d images; Table has all", len(shown), len(p.Top))
	}
	for i, top := range shown {
		var names []string
		var shares display.Shares
		for _, c := range top {
			names = append(names, c.Name)
			shares = append(shares, c.Probability)
		}
		row := []any{pictures[i], strings.Join(names, "\n"), shares}
		if p.truth != nil {
			row = append(row, p.truth[i])
		}
		if p.files != nil {
			row = append(row, p.files[i])
		}
		t.Add(row...)
	}
	return t.Bundle()
}

// Confidence is the probability that the model gives to each image's class: see model.TargetClasses for what classes
// may be.
func Confidence(m *model.Model, images any, classes ...int) []float64 {
	x := Images(m, images)
	if len(classes) > 0 { // checked before the network runs
		classes = must(m.TargetClasses(x, classes))
	}
	answers := must(m.AnswersTo(x, nil))
	if len(classes) == 0 {
		return must(answers.Confidence())
	}
	return must(answers.OfClass(classes...))
}

// Mean is the mean of values.
func Mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Attribute explains each image's class by a method; no classes means the predicted ones.
func Attribute(m *model.Model, images any, method attrib.Method, classes ...int) *attrib.Attribution {
	if method == nil {
		panic(errors.New("loupe: there is no method to explain by: the argument is nil"))
	}
	images, files := withNames(images)
	a := must(method.Attribute(m, Images(m, images), classes))
	a.Files = files
	return a
}

// withNames opens images that are named by paths, and returns the names of a dataset's images; nil for a tensor's.
func withNames(images any) (opened any, files []string) {
	switch paths := images.(type) {
	case string:
		images = Open(paths)
	case []string:
		images = must(data.Files(paths...))
	}
	if ds, ok := images.(*data.Dataset); ok && ds != nil {
		for i := range ds.Len() {
			files = append(files, ds.Name(i))
		}
	}
	return images, files
}

// MaskTop replaces the fraction of each image's pixels to which an attribution gives the largest values.
func MaskTop(images *tensors.Tensor, a *attrib.Attribution, fraction float64, filler mask.Filler) *tensors.Tensor {
	return must(mask.Apply(images, must(mask.Top(must(a.Heatmap()), fraction)), filler, 0))
}

// shapeOf are the sizes of images, [N, H, W, C].
func shapeOf(images *tensors.Tensor) []int {
	if images == nil {
		panic(errors.New("loupe: there are no images: the tensor is nil"))
	}
	if images.Rank() != 4 {
		panic(fmt.Errorf("loupe: images have the shape [N, H, W, C], not %v", images.Shape().Dimensions))
	}
	return images.Shape().Dimensions
}

// MaskRandom replaces as many pixels as [MaskTop] does, drawn by chance: what a method has to beat.
func MaskRandom(images *tensors.Tensor, fraction float64, filler mask.Filler, seed uint64) *tensors.Tensor {
	d := shapeOf(images)
	return must(mask.Apply(images, must(mask.Random(d[0], d[1], d[2], fraction, seed)), filler, seed))
}

// Corrupt applies a corruption of ImageNet-C by its name, such as "gaussian_noise", at a severity from 1 to 5; images
// of up to 32 x 32 pixels get CIFAR-10-C's strength. The names are those of perturb.Corruptions; frost needs `loupe
// fetch imagenet-c-frost`.
func Corrupt(images *tensors.Tensor, name string, severity int, seed uint64) *tensors.Tensor {
	return must(must(perturb.CorruptionNamed(name)).Apply(images, severity, seed))
}

// CorruptionSweep measures a model on a labelled dataset under corruptions at all severities, by their names or those
// of families, "noise", "blur", "weather" and "digital", or under all corruptions if none is named; what it returns
// shows itself as a plot. More images than 256 MB of them are read and corrupted a batch at a time.
func CorruptionSweep(m *model.Model, ds *data.Dataset, names ...string) *shift.Sweep {
	return must(shift.SweepDataset(m, Prepare(m, ds), 0, must(perturb.CorruptionsNamed(names...))...))
}

// Show shows values at once: images, plots, grids, tables, tensors, anything.
func Show(values ...any) { display.Show(values...) }

// Save writes a value to a file, in the format that the path ends in: results as .csv or .json (their table), .png,
// .pdf or .svg (their picture), a report as .html or .json, arrays as .npy, .npz or .safetensors, a model as
// .safetensors or .npz with its spec and the names of its classes, which [Load] reads. See save.Write.
//
// No ONNX is written, though [Load] reads it: a model may be any function that builds a graph of XLA's operations, and
// nothing here says all of these in ONNX's. A .safetensors file of a network of package networks has PyTorch's names
// and layouts, so that the same network in PyTorch loads it, by load_state_dict(safetensors.torch.load_file(path)), and
// torch.onnx.export writes that; images come to it normalised, as the spec in the file's metadata says.
func Save(path string, v any) {
	if err := save.Write(path, v); err != nil {
		panic(err)
	}
}

// Read reads a .csv, .json, .npy, .npz or .safetensors file: see save.Read for what it gives. It is for data; [Open]
// reads images, [Load] models.
func Read(path string) any { return must(save.Read(path)) }

// Table starts a table with these columns; rows are added by Add.
func Table(columns ...string) *display.Table { return &display.Table{Header: columns} }

// must is for functions whose caller is a cell. What an interrupt or a loss that is no number leaves is for [Partial].
func must[T any](v T, err error) T {
	if err != nil {
		var none *learn.NotFinite
		if interrupt.Is(err) || errors.As(err, &none) {
			left.Keep(v)
		}
		panic(err)
	}
	return v
}

// showPart shows what an interrupt has left. Drawing it is work that the interrupt would stop as well.
func showPart(part any) {
	defer interrupt.Use(context.WithoutCancel(interrupt.Context()))()
	display.Show(part)
}

// Partial is what the last call of this package that was interrupted had done, such as the attribution of the first
// images or the network after the last step of training; nil if there was none, or nothing was done. Of training, by
// this package or by learn.Run, priors, distill and tasks, it is also what was done before an error, such as a loss
// that is no number or a disk that is full. So a cell that takes no error loses nothing of a training.
func Partial() any {
	last := left.Last()
	if last == nil {
		return nil
	}
	switch v := reflect.ValueOf(last); v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return nil
		}
	}
	return last
}
