package model

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// Prediction is one class with what the model makes of it.
type Prediction struct {
	Class       int
	Name        string
	Probability float64
}

func (p Prediction) String() string { return fmt.Sprintf("%s %.1f%%", p.Name, 100*p.Probability) }

// Output returns what the network makes of images [N, H, W, C] in 0..1: the logits, [N, K], of a classifier.
// Interrupted, it returns the rows of the images that are done beside the error.
func (m *Model) Output(images *tensors.Tensor) (*tensors.Tensor, error) {
	return m.OutputOf(batch{images})
}

// classifier returns an error for a network that has no classes.
func (m *Model) classifier() error {
	if err := m.there(); err != nil {
		return err
	}
	if m.classes == 0 {
		return fmt.Errorf("model: %s is not a classifier, it makes %v of an image: use Output", m.spec.Name, m.output)
	}
	return nil
}

// Logits returns the scores before softmax, [N, K], of images [N, H, W, C] in 0..1.
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) Logits(images *tensors.Tensor) (*tensors.Tensor, error) {
	return m.LogitsOf(batch{images})
}

// Probabilities returns the softmax of the logits, [N, K].
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) Probabilities(images *tensors.Tensor) (*tensors.Tensor, error) {
	return m.ProbabilitiesOf(batch{images})
}

// Predict returns the class with the highest logit for each image.
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) Predict(images *tensors.Tensor) ([]int, error) { return m.PredictOf(batch{images}) }

// TopK returns for each image the k classes with the highest probabilities, highest first.
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) TopK(images *tensors.Tensor, k int) ([][]Prediction, error) {
	return m.TopKOf(batch{images}, k)
}

// Features returns what the last linear layer sees, [N, D].
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) Features(images *tensors.Tensor) (*tensors.Tensor, error) {
	return m.FeaturesOf(batch{images})
}

// Activations returns the value of a layer (see [Model.Layers]) for each image, [N, ...].
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) Activations(layer string, images *tensors.Tensor) (*tensors.Tensor, error) {
	return m.ActivationsOf(layer, batch{images})
}

type inputGradientKey struct{}

// InputGradient returns the gradient of each image's logit of its class by the image, [N, H, W, C]. See
// [Model.TargetClasses] for what classes may be.
// Interrupted, it returns those of the images that are done beside the error.
func (m *Model) InputGradient(images *tensors.Tensor, classes []int) (*tensors.Tensor, error) {
	classes, err := m.TargetClasses(images, classes)
	if err != nil {
		return nil, err
	}
	return only(m.Map("input gradient", inputGradientKey{}, func(in []*graph.Node) []*graph.Node {
		logit := graph.ReduceAllSum(m.ClassLogits(m.Call(in[0]).Logits, in[1]))
		return graph.Gradient(logit, in[0])
	}, images, ClassTensor(classes)))
}

// only is the one result that a function makes, of the images that are done.
func only(results []*tensors.Tensor, err error) (*tensors.Tensor, error) {
	if len(results) == 0 {
		return nil, err
	}
	return results[0], err
}

// TargetClasses says for which class each image is to be explained: nil means the class that the model
// predicts, one class is for all images, else there is one for each.
func (m *Model) TargetClasses(images *tensors.Tensor, classes []int) ([]int, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	if err := m.checkImages(images, 0); err != nil {
		return nil, err
	}
	n := images.Shape().Dimensions[0]
	if len(classes) == 0 {
		predicted, err := m.Predict(images)
		if err != nil {
			return nil, err // the classes of some images would not do
		}
		return predicted, nil
	}
	for _, c := range classes {
		if c < 0 || c >= m.classes {
			return nil, fmt.Errorf("model: class %d does not exist: %s has the classes 0 to %d", c, m.spec.Name, m.classes-1)
		}
	}
	switch len(classes) {
	case n:
		return append([]int(nil), classes...), nil
	case 1:
		all := make([]int, n)
		for i := range all {
			all[i] = classes[0]
		}
		return all, nil
	}
	return nil, fmt.Errorf(
		"model: %d classes for %d images: give one for each, one for all, or nil for the predicted ones", len(classes), n)
}

// ClassTensor turns class numbers into the [N] int32 tensor that graph functions take.
func ClassTensor(classes []int) *tensors.Tensor {
	flat := make([]int32, len(classes))
	for i, c := range classes {
		flat[i] = int32(c)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(flat))
}

// CheckLayer returns an error, with the nearest names, unless the model has a layer of that name.
func (m *Model) CheckLayer(name string) error {
	if err := m.there(); err != nil {
		return err
	}
	var names []string
	for _, l := range m.layers {
		if l.Name == name {
			return nil
		}
		names = append(names, l.Name)
	}
	return fmt.Errorf("model: %s has no layer %q%s; Layers lists all %d", m.spec.Name, name,
		nearest.DidYouMean(name, names), len(names))
}

// Map runs a graph function over images in batches and joins what it returns. Each of the inputs has one row for each
// image, as has each result. what labels the progress, in words. The program is kept under key as [Model.Exec] says,
// where nil does not keep it.
//
// The program is compiled for one batch size. A last, smaller batch is filled up with copies of its
// last image, whose results are dropped: fn must treat images independently.
//
// Interrupted, it returns the results of the images that are done beside the error; nil if none is.
func (m *Model) Map(what string, key any, fn func(in []*graph.Node) []*graph.Node, images *tensors.Tensor,
	more ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	if err := m.checkImages(images, 0); err != nil {
		return nil, err
	}
	n := images.Shape().Dimensions[0]
	inputs := append([]*tensors.Tensor{images}, more...)
	if err := checkMore(what, n, more); err != nil {
		return nil, err
	}
	return m.run(what, key, fn, n, nil, func(lo, hi, size int) ([]any, error) {
		args := make([]any, len(inputs))
		for i, t := range inputs {
			part, err := rows.Take(t, lo, hi, size)
			if err != nil {
				return nil, err
			}
			args[i] = part
		}
		return args, nil
	})
}

// run is the loop of Map: batch gives the arguments for images lo to hi, filled up to size rows. While the device
// works on a batch, the next is made ready. check, which may be nil, looks at the first results. Interrupted, run
// returns the images that are done, as Map does.
func (m *Model) run(what string, key any, fn func(in []*graph.Node) []*graph.Node, n int,
	check func(first *tensors.Tensor) error, batch func(lo, hi, size int) ([]any, error)) ([]*tensors.Tensor, error) {
	exec, err := m.Exec(key, fn)
	if err != nil {
		return nil, err
	}
	size := m.ChunkSize(n)
	bar := progress.New(m.spec.Name+": "+what, n)
	defer bar.Close()
	defer interrupt.Busy("images for " + m.spec.Name + ": " + what)()

	type ready struct {
		args []any
		err  error
	}
	prepare := func(lo int) chan ready {
		done := make(chan ready, 1)
		go func() {
			args, err := batch(lo, min(lo+size, n), size)
			done <- ready{args, err}
		}()
		return done
	}
	var joins []*rows.Join
	var stopped error
	next := prepare(0)
	for lo := 0; lo < n; lo += size {
		now := <-next
		if now.err == nil {
			now.err = interrupt.Err()
		}
		if interrupt.Is(now.err) {
			stopped = interrupt.After(now.err, "model: "+what, lo, n, "images")
			break
		}
		if now.err != nil {
			return nil, now.err
		}
		hi := min(lo+size, n)
		if hi < n {
			next = prepare(hi)
		}
		results, err := exec.Call(now.args...)
		if err != nil {
			return nil, failure.Named(err)
		}
		if lo == 0 && check != nil {
			if err := check(results[0]); err != nil {
				return nil, err
			}
		}
		for i, r := range results {
			if i == len(joins) {
				joins = append(joins, rows.NewJoin(n))
			}
			if err := joins[i].Add(r, hi-lo); err != nil {
				return nil, err
			}
		}
		bar.Add(hi - lo)
	}
	var joined []*tensors.Tensor
	for _, j := range joins {
		t, err := j.Tensor()
		if err != nil {
			return nil, err
		}
		joined = append(joined, t)
	}
	return joined, stopped
}

// ChunkSize is how many images of n go through the network at once: one of two sizes, so that a session with any
// numbers of images compiles two programs, not one for each. The large size is the batch size, and the small one a
// sixteenth of it. The last batch is filled up with copies.
func (m *Model) ChunkSize(n int) int {
	large := m.BatchSize
	if large <= 0 {
		large = 16 * 224 * 224 / (m.spec.Height * m.spec.Width)
		large = 1 << (bits.Len(uint(min(max(large, 1), 256))) - 1)
	}
	small := max(large/16, 1)
	// A small batch takes a bit longer for each image.
	const dearer = 1.3
	filled := func(size int) float64 { return float64((n + size - 1) / size * size) }
	if n <= 4*large && dearer*filled(small) < filled(large) {
		return small
	}
	return large
}

func (m *Model) checkShape(shape shapes.Shape) error {
	want := []int{m.spec.Height, m.spec.Width, m.spec.Channels}
	if shape.Rank() != 4 {
		return fmt.Errorf("model: %s takes images [N, %d, %d, %d], not a tensor of rank %d, %v", m.spec.Name, want[0],
			want[1], want[2], shape.Rank(), shape.Dimensions)
	}
	if shape.DType != dtypes.Float32 && shape.DType != m.dtype {
		return fmt.Errorf("model: %s takes float32 images in 0..1, not %s", m.spec.Name, shape.DType)
	}
	for i, d := range shape.Dimensions[1:] {
		if d != want[i] {
			fix := "resize them, as ds.Map(m.Prepare()...) does"
			if i == 2 {
				fix = "convert them"
			}
			return fmt.Errorf("model: %s takes images [N, %d, %d, %d], not %v: %s", m.spec.Name, want[0], want[1], want[2],
				shape.Dimensions, fix)
		}
	}
	return nil
}

// checkImages checks the shape, and that every pixel is a number that a pixel can be. first is the number of
// the first image, for the message.
func (m *Model) checkImages(images *tensors.Tensor, first int) error {
	if err := m.there(); err != nil {
		return err
	}
	if images == nil {
		return fmt.Errorf("model: no images: the tensor is nil")
	}
	if err := images.CheckValid(); err != nil {
		return fmt.Errorf("model: the tensor of images is not valid: %s", failure.FirstLine(err))
	}
	shape := images.Shape()
	if err := m.checkShape(shape); err != nil {
		return err
	}
	if shape.Dimensions[0] == 0 {
		return fmt.Errorf("model: no images: the batch %v is empty", shape.Dimensions)
	}
	bad := -1
	var value float32
	if err := tensors.ConstFlatData(images, func(flat []float32) {
		for i, v := range flat {
			// Comparing this way round catches NaN too.
			if !(v >= -64 && v <= 64) {
				bad, value = i, v
				return
			}
		}
	}); err != nil {
		return fmt.Errorf("model: %s", failure.FirstLine(err))
	}
	if bad < 0 {
		return nil
	}
	d := shape.Dimensions
	at := bad % (d[1] * d[2] * d[3])
	where := fmt.Sprintf("image %d, row %d, column %d, channel %d", first+bad/(d[1]*d[2]*d[3]), at/(d[2]*d[3]),
		at/d[3]%d[2], at%d[3])
	if v := float64(value); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("model: %s has the pixel value %v", where, value)
	}
	return fmt.Errorf("model: %s has the pixel value %v: images are in 0..1, divide by 255", where, value)
}
