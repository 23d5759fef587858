// Package attrib says which pixels a model's answer rests on.
//
// A [Method] is a value: its fields are its settings, their zero values the defaults of the paper. All
// methods explain one class's logit for each image and give an [Attribution], so a grid can loop over them:
//
//	for _, method := range attrib.Methods() {
//		a, err := method.Attribute(m, images, nil)
//		...
//	}
//
// Packages faithful and sound test whether what a method says is so.
package attrib

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// Method is a way to share a model's answer out among the pixels.
type Method interface {
	// Name is what the field calls it.
	Name() string
	// Attribute explains, for images [N, H, W, C] float32 in 0..1, the logit of each image's class. classes may be
	// nil for the predicted ones, one for all, or one for each image.
	//
	// Interrupted, it returns the attribution of the images that are done beside the error, exactly as a whole run has
	// them; nil if none is.
	Attribute(m *model.Model, images *tensors.Tensor, classes []int) (*Attribution, error)
}

// Methods returns, with their default settings, the methods of the package that take any network with a layer to map.
// Not among them are [GuidedBackprop] and [DeepLIFT], which refuse operations that they have no rule for, [ScoreCAM]
// and [KernelSHAP], which ask the network a thousand times of an image, and what goes around others, [NoiseTunnel] and
// [Toward].
func Methods() []Method {
	return []Method{Gradient{}, InputXGradient{}, IntegratedGradients{}, SmoothGrad{}, GradientSHAP{}, GradCAM{},
		GradCAMPlusPlus{}, LayerCAM{}, Occlusion{}}
}

// Attribution is what a method found.
type Attribution struct {
	// Values are [N, H, W, C] float32: what each value of each image adds to the logit (or how strongly the logit
	// depends on it: see the method). C is 1 where a method does not tell channels apart.
	Values *tensors.Tensor
	// Method is the name of the method.
	Method string
	// Classes are the classes explained, one for each image, and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Delta is by how much completeness fails for each image: the sum of its values less what they should
	// sum to. Nil for methods that do not promise completeness.
	Delta []float64
	// Files are the names of the images; nil where they are not known.
	Files []string
}

// Title is the method's name, and that its values do not sum to what they should, not even roughly, if that is so: by
// ten times of it and more for some image.
func (a *Attribution) Title() string {
	sums, err := a.Sums()
	if err != nil || len(sums) != len(a.Delta) {
		return a.Method
	}
	worst := 0.0
	for i, delta := range a.Delta {
		if off := math.Abs(delta); !(off <= 10*math.Abs(sums[i]-delta)) && !(off <= 0.1) {
			worst = max(worst, off)
		}
	}
	if worst == 0 {
		return a.Method
	}
	return fmt.Sprintf("%s: values are off their sum by up to %.2g", a.Method, worst)
}

// Reduction makes one number of the values of a pixel's channels.
type Reduction int

// The reductions.
const (
	Sum    Reduction = iota // the sum, which keeps sign and completeness
	AbsSum                  // the sum of the absolute values
	MaxAbs                  // the largest absolute value
	L2                      // the root of the sum of squares
)

// Heatmap returns one number a pixel, [N, H, W] float32. Without a reduction it is [Sum].
func (a *Attribution) Heatmap(by ...Reduction) (*tensors.Tensor, error) {
	if a == nil || a.Values == nil {
		return nil, fmt.Errorf("attrib: there is no attribution: it is nil or empty")
	}
	reduction := Sum
	if len(by) > 1 {
		return nil, fmt.Errorf("attrib: a heatmap takes one reduction, not %d", len(by))
	}
	if len(by) == 1 {
		reduction = by[0]
	}
	if reduction < Sum || reduction > L2 {
		return nil, fmt.Errorf("attrib: there is no reduction %d: Sum, AbsSum, MaxAbs and L2 are", reduction)
	}
	d := a.Values.Shape().Dimensions
	flat, err := tensors.CopyFlatData[float32](a.Values)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	heat := make([]float32, d[0]*d[1]*d[2])
	for i := range heat {
		var sum float64
		for _, v := range flat[i*d[3] : (i+1)*d[3]] {
			v := float64(v)
			switch reduction {
			case Sum:
				sum += v
			case AbsSum:
				sum += math.Abs(v)
			case MaxAbs:
				sum = max(sum, math.Abs(v))
			case L2:
				sum += v * v
			}
		}
		if reduction == L2 {
			sum = math.Sqrt(sum)
		}
		heat[i] = float32(sum)
	}
	return tensors.FromFlatDataAndDimensions(heat, d[:3]...), nil
}

// Sums are the sums of each image's values: by how much they move its class's logit, for methods that promise
// completeness.
func (a *Attribution) Sums() ([]float64, error) {
	if a == nil || a.Values == nil {
		return nil, fmt.Errorf("attrib: there is no attribution: it is nil or empty")
	}
	flat, err := tensors.CopyFlatData[float32](a.Values)
	if err != nil {
		return nil, fmt.Errorf("attrib: %w", err)
	}
	sums := make([]float64, a.Values.Shape().Dimensions[0])
	for i := range sums {
		for _, v := range flat[i*len(flat)/len(sums) : (i+1)*len(flat)/len(sums)] {
			sums[i] += float64(v)
		}
	}
	return sums, nil
}

// NewAttribution puts a method's result together: values, of all images or of the first of them, and the classes of
// all.
func NewAttribution(method Method, m *model.Model, values *tensors.Tensor, classes []int) *Attribution {
	a := &Attribution{Values: values, Method: method.Name(), Classes: classes[:values.Shape().Dimensions[0]]}
	for _, c := range a.Classes {
		a.ClassNames = append(a.ClassNames, m.ClassName(c))
	}
	return a
}

// classGradient is the gradient, for each row of x, of the logit of its class.
func classGradient(m *model.Model, x, classes *graph.Node) *graph.Node {
	logits := m.ClassLogits(m.Call(x).Logits, classes)
	return graph.Gradient(graph.ReduceAllSum(logits), x)[0]
}

type classLogitsKey struct{}

// classLogits evaluates the logit of each image's class.
func classLogits(m *model.Model, images *tensors.Tensor, classes []int) ([]float32, error) {
	results, err := m.Map("class logits", classLogitsKey{}, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{single(m.ClassLogits(m.Call(in[0]).Logits, in[1]))}
	}, images, model.ClassTensor(classes))
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](results[0])
}

// filled returns images of nothing but the filler, or of the given one where it is not set.
func filled(images *tensors.Tensor, filler, otherwise mask.Filler) (*tensors.Tensor, error) {
	if filler.Name == "" {
		filler = otherwise
	}
	d := images.Shape().Dimensions
	everywhere := tensors.FromScalarAndDimensions(float32(1), d[0], d[1], d[2])
	return mask.Apply(images, everywhere, filler, 0)
}

// tile repeats the rows of x, [B, ...], to [times*B, ...].
func tile(x *graph.Node, times int) *graph.Node {
	dims := x.Shape().Dimensions
	wide := graph.BroadcastToDims(graph.ExpandAxes(x, 0), append([]int{times}, dims...)...)
	return graph.Reshape(wide, append([]int{times * dims[0]}, dims[1:]...)...)
}

// single converts what a network computed to float32, also where it computes in double precision.
func single(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float32) }

// scalars views a vector [A] as [A, 1, 1, 1, 1], to scale images [A, B, H, W, C].
func scalars(v *graph.Node) *graph.Node {
	return graph.Reshape(v, v.Shape().Dimensions[0], 1, 1, 1, 1)
}
