// Package model loads image classifiers, runs them and looks inside.
//
// A [Model] takes images [N, H, W, C], float32 in 0..1, RGB; what else its network wants (another
// range, another order of channels) happens inside its graph, so that a gradient by the
// input is a gradient by the image. Everything runs on the backend of package backend.
package model

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// Spec is what has to be known of a network besides its graph.
type Spec struct {
	Name string
	// Height, Width and Channels of the images that it takes.
	Height, Width, Channels int
	// Mean and Std normalise each channel inside the graph, (x - Mean) / Std, in units of 0..1. Nil leaves x as it is.
	Mean, Std []float64
	// Classes are the names of the classes in the order of the logits; nil means unknown.
	Classes []string
	// Resize is the length that the shorter side of a photograph is brought to before the centre is cut
	// out at Height x Width; 0 stretches the whole photograph to Height x Width.
	Resize int
	// Output is the value of an ONNX file to take as the network's output, by name; empty means the file's own. A
	// backbone ends at one of the values in the middle, to which [Model.Extend] adds another end.
	Output string
	// Activation is how the network's outputs become probabilities; 0 means as the file says, and else [Softmax].
	Activation Activation
}

// Layer is a named activation: a value inside a model.
type Layer struct {
	Name string
	// Shape is that of one image's activation, without the batch axis.
	Shape []int
	// Layout says where the two spatial axes are, if it has such.
	Layout Layout
}

// Model is an image classifier, or any network from an image to a vector of scores: an architecture and weights.
// Models of one architecture, as [Model.WithWeights] and [Model.Renamed] make them, share the programs that are
// compiled for it.
type Model struct {
	// BatchSize is how many images go through the network at once; 0 chooses by their size.
	BatchSize int

	*architecture
	spec    Spec
	id      int64 // tells the weights of two models in one graph apart
	weights map[string]*tensors.Tensor
	store   *gomlx.Store // holds the weights instead, of models made with GoMLX's variables
	own     *programSet  // of a model with a store
	parts   []*Model     // the members of an ensemble, which hold the weights
	assumed string       // see Assumptions
	// recognised tells that the weights' names alone say what network it is.
	recognised bool

	mu   sync.Mutex
	head *Head // guarded by mu; nil until it is asked for
}

// architecture is what models with other weights share.
type architecture struct {
	build func(b *Builder, x *graph.Node) *graph.Node
	dtype dtypes.DType // what the network computes in
	// scaleOf, unless nil, is ScaleOf for normalisations that are not named as Builder.BatchNorm names them.
	scaleOf  func(weight string) string
	file     string // the ONNX file that it is read from; empty if it is from none
	settings any    // what FromArchitecture was given; nil of others
	byHand   bool   // build is a graph function that somebody has given, and can give again to a file's weights

	// What a first look at the graph tells, see prepared.
	layers   []Layer
	maps     []Layer
	spatial  string   // see SpatialLayer
	output   []int    // shape of the output for one image
	classes  int      // 0 if the output is not a vector
	features int      // length of a feature vector, 0 if there are none
	grid     Grid     // of droppable tokens, see Grid
	used     []string // see UsedWeights
	unused   []string // see UnusedWeights

	programs programSet

	mu     sync.Mutex
	double *architecture // guarded by mu; the same in double precision, once it is asked for
	// guarded by mu; of ensembles whose first member is of this one, by the members' architectures
	ensembles map[string]*architecture
	behind    map[behindKey]*architecture // guarded by mu; of the same network with something before it, see Behind
}

var lastID atomic.Int64

func newModel(spec Spec, weights map[string]*tensors.Tensor, build func(b *Builder, x *graph.Node) *graph.Node) (*Model,
	error) {
	return prepared(&Model{
		architecture: &architecture{build: build, dtype: dtypes.Float32},
		spec:         spec,
		weights:      weights,
	})
}

// shared are the architectures that are made again and again, by what tells them apart.
var shared sync.Map // of sharedKey to *architecture

type sharedKey struct {
	settings any
	code     uintptr
	spec     string // what of it shapes the graph
	weights  string // their names and shapes
}

// shape is what of the spec shapes the graph.
func (s Spec) shape() string {
	return fmt.Sprint(s.Height, s.Width, s.Channels, s.Mean, s.Std, s.Activation)
}

// FromArchitecture is [FromTensors] for an architecture that is made many times, such as once for each seed or file:
// all models of it share the programs that are compiled for it. settings are a value of a named struct type that
// holds all that fn has captured but what the spec and the shapes of the weights tell, as for [Model.Exec].
func FromArchitecture(settings any, weights map[string]*tensors.Tensor, spec Spec,
	fn func(b *Builder, x *graph.Node) *graph.Node) (*Model, error) {
	t := reflect.TypeOf(settings)
	if t == nil || t.Kind() != reflect.Struct || t.Name() == "" || !reflect.ValueOf(settings).Comparable() {
		return nil, fmt.Errorf(
			"model: the settings of an architecture are a value of a named struct type whose fields can be compared, not a %T",
			settings)
	}
	var shapes strings.Builder
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		fmt.Fprintf(&shapes, "%q %s;", name, weights[name].Shape())
	}
	key := sharedKey{
		settings: settings,
		code:     reflect.ValueOf(fn).Pointer(),
		spec:     spec.shape(),
		weights:  shapes.String(),
	}
	if known, ok := shared.Load(key); ok && key.code != interpretedCode {
		m := &Model{architecture: known.(*architecture), spec: spec, id: lastID.Add(1), weights: maps.Clone(weights)}
		if spec.Classes != nil && len(spec.Classes) != m.classes {
			return nil, fmt.Errorf("model: %s has %d classes and %d class names", spec.Name, m.classes, len(spec.Classes))
		}
		return m, nil
	}
	m, err := newModel(spec, maps.Clone(weights), fn)
	if err == nil {
		m.byHand, m.architecture.settings = true, settings
		shared.Store(key, m.architecture)
	}
	return m, err
}

// copied is the same model under another identity, for a field or two to be changed.
func (m *Model) copied() *Model {
	return &Model{
		BatchSize:    m.BatchSize,
		architecture: m.architecture,
		spec:         m.spec,
		id:           lastID.Add(1),
		weights:      m.weights,
		store:        m.store,
		own:          m.own,
		parts:        m.parts,
	}
}

// prepared finishes a model of a new architecture: it builds its graph once, without compiling it, so that
// a weight that is missing is found now and the layers are known.
func prepared(m *Model) (*Model, error) {
	spec := m.spec
	if spec.Height <= 0 || spec.Width <= 0 || spec.Channels <= 0 {
		return nil, fmt.Errorf("model: %s takes images of %d x %d x %d: say the real Height, Width and Channels in its Spec",
			spec.Name, spec.Height, spec.Width, spec.Channels)
	}
	if len(spec.Mean) != len(spec.Std) || (len(spec.Mean) != 0 && len(spec.Mean) != spec.Channels) {
		return nil, fmt.Errorf("model: %s has %d channels, %d means and %d standard deviations", spec.Name, spec.Channels,
			len(spec.Mean), len(spec.Std))
	}
	if err := spec.Activation.check(); err != nil {
		return nil, err
	}
	m.id = lastID.Add(1)
	if m.store != nil && m.own == nil {
		m.own = &programSet{}
	}
	err := m.Trace(func(g *graph.Graph) {
		x := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, 1, spec.Height, spec.Width, spec.Channels))
		b := m.callAs(&Builder{asked: map[string]int{}}, x)
		out := b.out
		m.used = slices.SortedFunc(maps.Keys(b.asked), func(a, c string) int { return b.asked[a] - b.asked[c] })
		m.unused = nil
		for _, name := range slices.Sorted(maps.Keys(m.weights)) {
			if _, used := b.asked[name]; !used {
				m.unused = append(m.unused, name)
			}
		}
		m.spatial = b.beforeFeatures
		if m.spatial == "" {
			m.spatial = b.spatial
		}
		m.layers, m.maps = nil, nil
		for _, name := range out.Layers {
			m.layers = append(m.layers, Layer{name, out.Activations[name].Shape().Dimensions[1:], b.layouts[name]})
		}
		for _, name := range slices.Sorted(maps.Keys(out.Maps)) {
			m.maps = append(m.maps, Layer{name, out.Maps[name].Shape().Dimensions[1:], ChannelsLast})
		}
		m.output = out.Logits.Shape().Dimensions[1:]
		if len(m.output) == 1 {
			m.classes = m.output[0]
			if m.binary() {
				m.classes = 2
			}
		}
		if out.Features != nil {
			m.features = out.Features.Shape().Size()
		}
		m.grid = b.grid
	})
	if err != nil {
		return nil, err
	}
	if spec.Classes != nil && m.classes > 0 && len(spec.Classes) != m.classes {
		return nil, fmt.Errorf("model: %s has %d classes and %d class names", spec.Name, m.classes, len(spec.Classes))
	}
	return m, nil
}

// UsedWeights are the weights that the network uses, in the order in which its graph first asks for them: from the
// image to the answer.
func (m *Model) UsedWeights() []string {
	m.mustBeThere()
	return slices.Clone(m.used)
}

// UnusedWeights are the weights that the network has and never uses, in order: those of a file of another network, or
// of parts that only training needs.
func (m *Model) UnusedWeights() []string { return slices.Clone(m.unused) }

// Trace calls f with a graph in which the model can be called, to look at shapes and operations, and throws it away
// without compiling it. It returns what f panics with as an error.
func (m *Model) Trace(f func(g *graph.Graph)) error {
	if err := m.there(); err != nil {
		return err
	}
	if f == nil {
		return fmt.Errorf("model: there is nothing to trace: the function is nil")
	}
	b, err := backend.Get()
	if err != nil {
		return err
	}
	g := graph.NewGraph(b, "trace")
	defer g.Finalize()
	g.AttachState(sidesKey{}, newSides(m, false))
	return failure.Catch(func() { f(g) })
}

// Cast converts x to the type that the network computes in.
func (m *Model) Cast(x *graph.Node) *graph.Node {
	if x.DType() == m.dtype {
		return x
	}
	return graph.ConvertDType(x, m.dtype)
}

// Double returns the same network computing in double precision, with the weights it has; images and results
// stay float32. It is slow, and answers whether something seen in a gradient is the network or rounding: near a kink
// of a ReLU or a tie in a max-pool the gradient jumps, and there two correct single-precision programs differ.
func (m *Model) Double() (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if m.store != nil {
		return nil, fmt.Errorf("model: %s keeps its weights in GoMLX variables, which have one precision", m.spec.Name)
	}
	if m.parts != nil {
		members := make([]*Model, len(m.parts))
		for i, part := range m.parts {
			var err error
			if members[i], err = part.Double(); err != nil {
				return nil, err
			}
		}
		return Ensemble(m.spec.Name, members...)
	}
	m.architecture.mu.Lock()
	defer m.architecture.mu.Unlock()
	other := m.copied()
	for i, part := range m.parts {
		doubled, err := part.Double()
		if err != nil {
			return nil, err
		}
		if i == 0 {
			other.parts = nil
		}
		other.parts = append(other.parts, doubled)
	}
	if m.double != nil {
		other.architecture = m.double
		return other, nil
	}
	other.architecture = &architecture{build: m.build, dtype: dtypes.Float64, scaleOf: m.scaleOf}
	other, err := prepared(other)
	if err == nil {
		m.double = other.architecture
	}
	return other, err
}

// Prepare is how photographs become images that the model takes: grey or in colour as it wants, the shorter side
// brought to the spec's Resize and the middle cut out, or, where that is 0, everything stretched; bicubically. Give
// it to a dataset's Map. The normalisation is not part of it: it is in the network's graph.
func (m *Model) Prepare() []data.Transform {
	steps := m.preparation()
	for i := range steps {
		steps[i].For = m.spec.Name
	}
	return steps
}

func (m *Model) preparation() []data.Transform {
	m.mustBeThere()
	colour := data.RGB()
	if m.spec.Channels == 1 {
		colour = data.Grayscale()
	}
	if m.spec.Resize == 0 {
		return []data.Transform{colour, data.ResizeBy(m.spec.Height, m.spec.Width, data.Bicubic)}
	}
	return []data.Transform{colour, data.ResizeShorterBy(m.spec.Resize, data.Bicubic),
		data.CenterCrop(m.spec.Height, m.spec.Width)}
}

// Prepared is a dataset as Prepare makes it. One that has been prepared so stays as it is: to do it twice would show
// the network another part of the images. One that has been prepared otherwise for another model is an error: this
// model would see what was left by the other.
func (m *Model) Prepared(ds *data.Dataset) (*data.Dataset, error) {
	if err := CheckDataset(ds); err != nil {
		return nil, err
	}
	by := m.Prepare()
	if ds.Mapped(by...) {
		return ds, nil
	}
	if other, how := ds.PreparedFor(); other != "" {
		var names []string
		for _, step := range by {
			names = append(names, step.Name)
		}
		return nil, fmt.Errorf(
			"model: %s was prepared for %s (%s), and %s takes other images (%s): give it the dataset as it was opened",
			ds.Title(), other, how, m.Name(), strings.Join(names, ", "))
	}
	return ds.Map(by...), nil
}

// Name is what the model is called.
func (m *Model) Name() string {
	m.mustBeThere()
	return m.spec.Name
}

// Spec returns what is known of the network besides its graph.
func (m *Model) Spec() Spec {
	m.mustBeThere()
	return m.spec
}

// NumClasses is the number of logits; 0 for a network that is not a classifier.
func (m *Model) NumClasses() int {
	m.mustBeThere()
	return m.classes
}

// Classes are the names of the classes in the order of the logits; numbers if there are none.
func (m *Model) Classes() []string {
	names := make([]string, m.classes)
	for i := range names {
		names[i] = m.ClassName(i)
	}
	return names
}

// ClassName returns the name of a class, or its number where there are no names.
func (m *Model) ClassName(class int) string {
	if class >= 0 && class < len(m.spec.Classes) {
		return m.spec.Classes[class]
	}
	return fmt.Sprint(class)
}

// Layers are the named activations in the order of computation. Names follow the checkpoint's modules.
func (m *Model) Layers() []Layer {
	m.mustBeThere()
	return append([]Layer(nil), m.layers...)
}

// SpatialLayer is the last layer with two spatial axes and more than one position before the features (or before the
// end, where no features are named): the one that class activation maps look at. It is empty where there is none.
func (m *Model) SpatialLayer() string {
	m.mustBeThere()
	return m.spatial
}

// Weights are the network's weights by the names of their file. Convolution kernels lie as [KH, KW, I, O].
func (m *Model) Weights() map[string]*tensors.Tensor {
	m.mustBeThere()
	weights := make(map[string]*tensors.Tensor, len(m.weights))
	for name, w := range m.weights {
		weights[name] = w
	}
	return weights
}

// IsStatistic tells whether a weight is a running mean or variance of a batch normalisation, to which no gradient goes
// in training.
func (m *Model) IsStatistic(weight string) bool { return m.ScaleOf(weight) != "" }

// ScaleOf is the name of the weight that scales the batch normalisation of which the given one is the running mean or
// variance; empty if it is neither. Who trains the scale wants the statistics renewed, see BatchStats of [CallOptions],
// which no ONNX file does.
func (m *Model) ScaleOf(weight string) string {
	if m.scaleOf != nil {
		if scale := m.scaleOf(weight); scale != "" {
			return scale
		}
	}
	for _, statistic := range []string{".running_mean", ".running_var"} { // as Builder.BatchNorm has them
		if module, ok := strings.CutSuffix(weight, statistic); ok {
			return module + ".weight"
		}
	}
	return ""
}

// Parameters is how many numbers of the network training changes: all its weights but statistics of batch
// normalisations. Networks of an equal number are compared fairly, as far as size goes.
func (m *Model) Parameters() int {
	n := 0
	for name, w := range m.Weights() {
		if !m.IsStatistic(name) {
			n += w.Shape().Size()
		}
	}
	return n
}

func (m *Model) String() string {
	to := plural.Of(m.classes, "class")
	if m.classes == 0 {
		to = fmt.Sprint(m.output)
	}
	return fmt.Sprintf("%s: images [N, %d, %d, %d] to %s, %d named layers", m.spec.Name, m.spec.Height, m.spec.Width,
		m.spec.Channels, to, len(m.layers))
}

// FromFunc makes a model of a graph function, such as one written in a cell. fn takes
// the images, [N, H, W, C], normalised by the spec's Mean and Std, and returns the logits, [N, K]:
//
//	func(x *graph.Node) *graph.Node
//
// or, to name activations and features, func(b *model.Builder, x *graph.Node) *graph.Node.
//
// fn is called anew for each program that is compiled. So what it captures must not change: make another model instead.
func FromFunc(spec Spec, fn any) (*Model, error) {
	if spec.Name == "" {
		spec.Name = "function"
	}
	build, err := graphFunction(fn)
	if err != nil {
		return nil, err
	}
	return newModel(spec, nil, build)
}

func graphFunction(fn any) (func(b *Builder, x *graph.Node) *graph.Node, error) {
	switch f := fn.(type) {
	case func(x *graph.Node) *graph.Node:
		return func(_ *Builder, x *graph.Node) *graph.Node { return f(x) }, nil
	case func(b *Builder, x *graph.Node) *graph.Node:
		return f, nil
	}
	return nil, fmt.Errorf("model: an architecture is a func(x *graph.Node) *graph.Node or a func(b *model.Builder, x "+
		"*graph.Node) *graph.Node, not %T", fn)
}
