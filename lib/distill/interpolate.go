package distill

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Interpolate returns the student with weights near its teacher's, for a student to begin from:
//
//	θ = r·θ_student + (1-r)·θ_teacher
//
// so that r = 0 is the teacher and r = 1 the student as it is. The two are one architecture: they have weights of the
// same names and shapes, and normalise images alike. Running statistics of batch normalisations are interpolated as
// well, and then refreshed by the images of data in batches of a size: see [Refresh]. A network without any needs no
// data. Stanton et al., section 6, with the released program's r.
//
// That program also lowers the learning rate to r times itself for such a student; whoever wants that sets it in the
// run.
func Interpolate(teacher, student *model.Model, r float64, data learn.Source, batch int) (*model.Model, error) {
	if err := sameClasses(teacher, student); err != nil {
		return nil, err
	}
	if !(r >= 0 && r <= 1) {
		return nil, fmt.Errorf("distill: the student's share of the weights is %v: it lies between 0 and 1", r)
	}
	t, s := teacher.Spec(), student.Spec()
	if t.Height != s.Height || t.Width != s.Width || t.Channels != s.Channels || !slices.Equal(t.Mean, s.Mean) ||
		!slices.Equal(t.Std, s.Std) {
		return nil, fmt.Errorf("distill: %s and %s take other images or normalise them in another way", teacher.Name(),
			student.Name())
	}
	from, to := teacher.Weights(), student.Weights()
	if len(to) == 0 {
		return nil, fmt.Errorf("distill: %s has no weights of its own", student.Name())
	}
	if len(from) != len(to) {
		return nil, fmt.Errorf("distill: %s has %d weights and %s %d: near the teacher is for one architecture",
			teacher.Name(), len(from), student.Name(), len(to))
	}
	mixed, statistics := map[string]*tensors.Tensor{}, false
	for _, name := range slices.Sorted(maps.Keys(to)) {
		a, b := from[name], to[name]
		switch {
		case a == nil:
			return nil, fmt.Errorf("distill: %s has no weight %q, which %s has: near the teacher is for one architecture",
				teacher.Name(), name, student.Name())
		case !a.Shape().Equal(b.Shape()):
			return nil, fmt.Errorf("distill: the weight %q is %s in %s and %s in %s", name, a.Shape(), teacher.Name(), b.Shape(),
				student.Name())
		case a.DType() != dtypes.Float32:
			return nil, fmt.Errorf("distill: the weight %q is of the type %s: Interpolate is for weights of single precision",
				name, a.DType())
		}
		statistics = statistics || student.IsStatistic(name)
		w, err := between(a, b, r)
		if err != nil {
			return nil, err
		}
		mixed[name] = w
	}
	near, err := student.WithWeights(mixed)
	if err != nil || !statistics {
		return near, err
	}
	if data == nil {
		return nil, fmt.Errorf("distill: %s has batch normalisations, whose statistics have to be refreshed: give images",
			student.Name())
	}
	return Refresh(near, data, batch)
}

// between is r·b + (1-r)·a.
func between(a, b *tensors.Tensor, r float64) (*tensors.Tensor, error) {
	x, err := tensors.CopyFlatData[float32](a)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	y, err := tensors.CopyFlatData[float32](b)
	if err != nil {
		return nil, fmt.Errorf("distill: %w", err)
	}
	for i := range x {
		x[i] = float32(r*float64(y[i]) + (1-r)*float64(x[i]))
	}
	return tensors.FromFlatDataAndDimensions(x, a.Shape().Dimensions...), nil
}

// Refresh returns the model with the running statistics of its batch normalisations renewed by one pass over the images
// of a source, in their order, in batches of a size, the last of which may be smaller: after each batch the statistics
// are nine tenths of what they were and a tenth of the batch's, as in training. Weights stay. PyTorch's training mode
// without a gradient does the same, and so does the released program, on shuffled and augmented images. Batch
// normalisations of an ONNX file are none of these, and a model that has no other is an error.
//
// Interrupted, it returns the model as it is after the batches that are done beside the error; nil after none.
func Refresh(m *model.Model, data learn.Source, batch int) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("distill: there is no model to refresh: it is nil")
	}
	images, err := imagesOf(data)
	if err != nil {
		return nil, err
	}
	n := images.Len()
	if batch < 2 || n%batch == 1 {
		return nil, fmt.Errorf("distill: batches of %d of %d images: each has two images at least, to have a variance", batch,
			n)
	}
	var names []string
	var state []*tensors.Tensor
	weights := m.Weights()
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if m.IsStatistic(name) {
			copied, err := weights[name].LocalClone()
			if err != nil {
				return nil, fmt.Errorf("distill: %w", err)
			}
			names, state = append(names, name), append(state, copied)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("distill: %s has no running statistics to refresh", m.Name())
	}
	var unknown error
	step, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		how := model.CallOptions{Weights: map[string]*graph.Node{}, BatchStats: func(string) bool { return true }}
		for i, name := range names {
			how.Weights[name] = in[1+i]
		}
		out := m.CallAs(in[0], how)
		next := make([]*graph.Node, len(names))
		for i, name := range names {
			if next[i] = out.Updates[name]; next[i] == nil {
				unknown = fmt.Errorf("distill: the statistic %q of %s is not one that training renews", name, m.Name())
				panic(unknown)
			}
		}
		return next
	})
	if err != nil {
		return nil, err
	}
	defer step.Finalize()
	bar := progress.New(m.Name()+": statistics", n)
	defer bar.Close()
	done := 0
	for done < n {
		if err = interrupt.Err(); err != nil {
			break
		}
		numbers := firsts(min(batch, n-done))
		for i := range numbers {
			numbers[i] += done
		}
		x, err := images.Images(numbers...)
		if err != nil {
			return nil, err
		}
		args := []any{x}
		for _, t := range state {
			args = append(args, t)
		}
		next, err := step.Call(args...)
		if unknown != nil {
			return nil, unknown
		}
		if err != nil {
			return nil, fmt.Errorf("distill: %w", err)
		}
		model.Free(state...)
		state, done = next, done+len(numbers)
		bar.Add(len(numbers))
	}
	stopped := interrupt.After(err, "distill: statistics of "+m.Name(), done, n, "images")
	if done == 0 {
		return nil, stopped
	}
	fresh := map[string]*tensors.Tensor{}
	for i, name := range names {
		if err := state[i].ToLocal(); err != nil {
			return nil, fmt.Errorf("distill: %w", err)
		}
		fresh[name] = state[i]
	}
	renewed, err := m.WithWeights(fresh)
	if err != nil {
		return nil, err
	}
	return renewed, stopped
}
