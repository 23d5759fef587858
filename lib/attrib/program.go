package attrib

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/model"
)

// oneProgram is a method whose values are those of one graph function of the images and their classes, which
// [NoiseTunnel] puts into a program of its own.
type oneProgram interface {
	Method
	// program returns the graph function for images x [B, H, W, C] and classes [B] int32, and the method with the
	// settings that hold for the model, under which programs are kept.
	program(m *model.Model) (Method, graphFunction, error)
}

type graphFunction func(x, classes *graph.Node) *graph.Node

// programKey is what a method's program is kept under.
type programKey struct{ method Method }

// attributeBy explains images by a method's one program.
func attributeBy(method oneProgram, m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error) {
	settled, values, err := method.program(m)
	if err != nil {
		return nil, err
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	results, stopped := m.Map(method.Name(), programKey{settled}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{single(values(in[0], in[1]))}
	}, images, model.ClassTensor(classes))
	if results == nil {
		return nil, ours(stopped)
	}
	return NewAttribution(method, m, results[0], classes), stopped
}

// ours takes away what was put before an error of this package on its way through a graph function.
func ours(err error) error { return failure.Ours(err, "attrib: ") }
