// Package onnx reads ONNX files of image networks and builds them in a graph: each operator as ONNX says, or refused by
// its node, its kind and what it has.
package onnx

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// Options are what a person says of a file.
type Options struct {
	Height, Width, Channels int // of the images; 0 as the file says
	// Output is the value to take as the network's output; empty means the file's first, and its others besides.
	Output string
}

// Network is an ONNX file with one image input.
type Network struct {
	Options
	Ending  Ending // what came behind the output in the file
	Layers  []Value
	Maps    []Value                    // further outputs that have rows and columns
	Weights map[string]*tensors.Tensor // by the names in the file
	// Rows and Columns are those of a vision transformer's patches; 0 unless tokens can be dropped.
	Rows, Columns int
	// OneByOne tells that the file takes one image at a time and mixes images where it is given more, so that a batch
	// goes through it image by image.
	OneByOne bool

	path         string
	model        *modelProto
	nodes        []*nodeProto            // those that the output and the maps need
	makers       map[string]*nodeProto   // by the values that they make
	initial      map[string]*tensorProto // the values that are there from the start
	input        string                  // name of the image input
	inputType    dtypes.DType
	channelsLast bool            // of the image input
	fixed        bool            // whether the file says that it takes one image
	asked        map[string]bool // initial values that the form of the graph depends on
	prepared     bool            // whether what is asked is known, and nothing here changes any more
	weights      map[string]*tensorProto
	heads        []*nodeProto // the last linear layers, whose results are added up; most have one, some none
	scores       string       // what a last softmax or sigmoid takes, in whose place its result is; empty if there is none
	ending       *nodeProto
	tokens       tokens
}

// Value is a named value of the file. Channels is the axis of its channels, 1 or 3, if two others are known to be rows
// and columns, else 0.
type Value struct {
	Name     string
	Channels int
}

// Nodes are a network's values in a graph.
type Nodes struct {
	Output   *graph.Node
	Features *graph.Node   // what goes into the last linear layer, [N, D]; nil if there is none
	Layers   []*graph.Node // as the network's Layers
	Maps     []*graph.Node // as the network's Maps
}

// fileLimit is how large a file may be: protocol buffers end at 2 GB.
const fileLimit = 2 << 30

// Open reads a file and tells all that stands in the way of building it.
func Open(path string, o Options) (*Network, error) {
	raw, err := regular.ReadUpTo(path, fileLimit)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m, err := parseModel(raw)
	if err != nil {
		return nil, fmt.Errorf("model: %s is not a whole ONNX file: %s", path, failure.FirstLine(err))
	}
	n := &Network{Options: o, path: path, model: m, makers: map[string]*nodeProto{}, initial: map[string]*tensorProto{},
		asked: map[string]bool{}, weights: map[string]*tensorProto{}}
	if err := n.prepare(); err != nil {
		return nil, failure.OneLine(fmt.Errorf("model: %s%w", path, err))
	}
	return n, nil
}

// prepare finds what is in the graph. Its errors follow the file's name.
func (n *Network) prepare() error {
	if err := n.checkStructure(); err != nil {
		return fmt.Errorf(": %w", err)
	}
	if err := n.imageInput(); err != nil {
		return fmt.Errorf(": %w", err)
	}
	result := n.model.graph.outputs[0].name
	if n.Output == "" {
		n.Output = n.beforeRounding(result)
		n.Maps = n.furtherOutputs()
	} else if n.makers[n.Output] == nil {
		return fmt.Errorf(" has no value %q%s", n.Output, nearest.DidYouMean(n.Output, slices.Sorted(maps.Keys(n.makers))))
	}
	needed := []string{n.Output}
	for _, m := range n.Maps {
		needed = append(needed, m.Name)
	}
	n.nodes = n.needed(needed...)
	n.chooseWeights()
	if err := n.examine(); err != nil {
		if len(n.Maps) > 0 {
			return fmt.Errorf("%w (the file has %d further outputs, such as %s: Spec{Output: %q} leaves them out)", err,
				len(n.Maps), n.Maps[0].Name, result)
		}
		return err
	}
	return n.loadWeights()
}

// checkStructure refuses a graph whose nodes are not in an order of computation, which takes circles out too, one
// without an output, and tensors that say another size than they have.
func (n *Network) checkStructure() error {
	g := n.model.graph
	known := map[string]bool{"": true}
	for _, in := range g.inputs {
		known[in.name] = true
	}
	for _, t := range g.initial {
		if n.initial[t.name] != nil {
			return fmt.Errorf("two tensors are called %s", t.name)
		}
		n.initial[t.name], known[t.name] = t, true
		if err := t.check(); err != nil {
			return err
		}
	}
	for _, node := range g.nodes {
		for _, in := range node.inputs {
			if !known[in] {
				return fmt.Errorf("%s takes %s, which nothing before it makes", node.title(), in)
			}
		}
		if len(node.outputs) == 0 {
			return fmt.Errorf("%s has no output", node.title())
		}
		for _, out := range node.outputs {
			if out != "" && n.makers[out] != nil {
				return fmt.Errorf("two nodes make %s", out)
			}
			if out != "" {
				known[out], n.makers[out] = true, node
			}
		}
	}
	switch opset := n.model.opsets[opsetDefault]; {
	case len(g.outputs) == 0 || n.makers[g.outputs[0].name] == nil:
		return errors.New("the graph has no output")
	case opset < 7:
		return fmt.Errorf("it is of ONNX's opset %d, and 7 and later are read: export it anew with a later one", opset)
	case g.sparse > 0:
		return errors.New("it has sparse weights, which are not read")
	}
	return nil
}

// imageInput finds the one input that is not a weight and completes the options from its shape.
func (n *Network) imageInput() error {
	var inputs []*valueProto
	var names []string
	for _, in := range n.model.graph.inputs {
		if n.initial[in.name] == nil {
			inputs, names = append(inputs, in), append(names, in.name)
		}
	}
	if len(inputs) != 1 {
		return fmt.Errorf("the network has %d inputs (%s), and a model takes one, the images", len(inputs),
			strings.Join(names, ", "))
	}
	in := inputs[0]
	n.input = in.name
	if n.inputType = elements[in.kind].dtype; !n.inputType.IsFloat() {
		return fmt.Errorf(
			"the network's input %s is %s, and images are numbers in 0..1: export it without its preparation of pixels", n.input,
			kindName(in.kind))
	}
	if len(in.dims) != 4 {
		return fmt.Errorf("the network's input %s has the shape %v, and images have four axes", n.input, in.dims)
	}
	if in.dims[0] > 1 {
		return fmt.Errorf("the network takes exactly %d images at a time: export it with a dynamic batch axis", in.dims[0])
	}
	channels := func(n int) bool { return n == 1 || n == 3 }
	dims := in.dims
	n.channelsLast = channels(dims[3]) && !channels(dims[1])
	if !n.channelsLast {
		dims = []int{dims[0], dims[2], dims[3], dims[1]}
	}
	for i, size := range []*int{&n.Height, &n.Width, &n.Channels} {
		said := max(dims[i+1], 0)
		switch {
		case *size == 0:
			*size = said
		case said != 0 && said != *size:
			return fmt.Errorf("the network takes images of %v (height, width, channels), not %d x %d x %d", dims[1:], n.Height,
				n.Width, n.Channels)
		}
		if *size == 0 {
			return errors.New(
				"the file leaves the size of the images open: say Height, Width and Channels in the Spec that you give to FromONNX")
		}
	}
	if err := checkSize(shapes.Make(dtypes.Float32, n.Height, n.Width, n.Channels), 1); err != nil {
		return fmt.Errorf("the network's input %w", err)
	}
	n.fixed = in.dims[0] == 1
	return nil
}

// furtherOutputs are the graph's outputs but for the first, as far as they have four axes.
func (n *Network) furtherOutputs() []Value {
	var further []Value
	for _, out := range n.model.graph.outputs[1:] {
		if n.makers[out.name] != nil && out.name != n.Output && len(out.dims) == 4 {
			further = append(further, Value{Name: out.name})
		}
	}
	return further
}

// needed are the nodes that values need, in their order.
func (n *Network) needed(values ...string) []*nodeProto {
	wanted := map[string]bool{}
	for _, v := range values {
		wanted[v] = true
	}
	all := n.model.graph.nodes
	var kept []*nodeProto
	for i := len(all) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(all[i].outputs, func(out string) bool { return wanted[out] }) {
			continue
		}
		kept = append(kept, all[i])
		for _, in := range append(slices.Clone(all[i].inputs), captured(all[i])...) {
			wanted[in] = true
		}
	}
	slices.Reverse(kept)
	return kept
}

// captured are the values that the graphs inside a node may take from outside.
func captured(n *nodeProto) []string {
	var names []string
	for _, a := range n.attributes {
		if a.g == nil {
			continue
		}
		for _, inner := range a.g.nodes {
			names = append(append(names, inner.inputs...), captured(inner)...)
		}
		for _, out := range a.g.outputs {
			names = append(names, out.name)
		}
	}
	return names
}

// chooseWeights finds the initial values that each call of the graph brings along, so that other weights need no other
// program: numbers with a point, more than one of them or an input of a layer. The others are part of the graph.
func (n *Network) chooseWeights() {
	used, layered := map[string]bool{}, map[string]bool{}
	for _, node := range n.nodes {
		for i, in := range node.inputs {
			used[in] = true
			layered[in] = layered[in] || n.traits(node).weights && i > 0
		}
	}
	for name, t := range n.initial {
		shape, err := t.shape()
		if err == nil && used[name] && shape.DType.IsFloat() && shape.Size() > 0 && (shape.Size() > 1 || layered[name]) {
			n.weights[name] = t
		}
	}
}

// read reads the values of a tensor of which the form of the graph depends.
func (n *Network) read(t *tensorProto) (*tensors.Tensor, error) {
	if !n.prepared && n.initial[t.name] == t {
		n.asked[t.name] = true
	}
	return t.load(n.path)
}

// builder makes a builder with the initial values and the images. images is how many there are, where the file says
// that it takes one; else 0.
func (n *Network) builder(x *graph.Node, images int, weight func(name string) *graph.Node) (*builder, *scope) {
	b := newBuilder(x.Graph(), n.model, n.read)
	b.count, b.images = x.Shape().Dimensions[0], images
	b.double = x.DType() == dtypes.Float64
	b.weight = func(t *tensorProto) *graph.Node { return weight(t.name) }
	s := &scope{values: map[string]*value{}}
	for name, t := range n.initial {
		_, isWeight := n.weights[name]
		if isWeight && !n.asked[name] {
			s.values[name] = &value{weight: t, kind: t.kind}
			continue
		}
		s.values[name] = &value{weight: t, kind: t.kind, constant: true}
	}
	if x = converted(x, b.real(n.inputType)); !n.channelsLast {
		x = b.first(x)
	}
	s.values[n.input] = &value{node: x, moved: true}
	b.edit = func(node *nodeProto, in []*value) []*value {
		if node == n.ending && n.scores != "" {
			return []*value{s.find(n.scores)}
		}
		return nil
	}
	return b, s
}

// Build builds the network for images x, [N, Height, Width, Channels]. weight gives the node of a weight. Images in
// double precision make it compute in double precision, with weights that are so too. plain leaves out what is there
// only to make gradients fast, for those who read the graph.
func (n *Network) Build(x *graph.Node, weight func(name string) *graph.Node, plain bool) Nodes {
	return n.build(x, weight, func(_ *scope, b *builder) { b.plain = plain }, true)
}

// build builds the network; edit changes what nodes get, see [builder].
func (n *Network) build(x *graph.Node, weight func(name string) *graph.Node, edit func(s *scope, b *builder),
	layers bool) Nodes {
	count := x.Shape().Dimensions[0]
	if n.OneByOne && count > 1 {
		var all []Nodes
		for i := range count {
			all = append(all, n.build(graph.SliceAxis(x, 0, graph.AxisRange(i, i+1)), weight, edit, layers))
		}
		return joinNodes(all)
	}
	images := 0
	if n.fixed {
		images = count
	}
	b, s := n.builder(x, images, weight)
	if edit != nil {
		edit(s, b)
	}
	s.through = map[string]bool{}
	for _, handed := range append(slices.Clone(n.Layers), n.Maps...) {
		s.through[handed.Name] = true
	}
	var nodes Nodes
	before := b.edit
	b.edit = func(node *nodeProto, in []*value) []*value {
		if at := slices.Index(n.heads, node); at >= 0 {
			if nodes.Features == nil {
				nodes.Features = n.join(b, s)
			}
			in[0] = n.part(b, s, nodes.Features, at)
		}
		return before(node, in)
	}
	b.run(n.nodes, s, nil, true)
	if len(b.refused) > 0 {
		panic(fmt.Errorf("model: %s: %w", n.path, b.refused[0]))
	}
	node := func(name string) *graph.Node { return b.nodeOf(s.find(name)) }
	nodes.Output = node(n.Output)
	if layers {
		for _, l := range n.Layers {
			nodes.Layers = append(nodes.Layers, node(l.Name))
		}
		for _, m := range n.Maps {
			nodes.Maps = append(nodes.Maps, node(m.Name))
		}
	}
	return nodes
}

// join is what goes into the last linear layers, side by side, [N, D].
func (n *Network) join(b *builder, s *scope) *graph.Node {
	var all []*graph.Node
	for _, head := range n.heads {
		f := b.nodeOf(s.find(head.inputs[0]))
		if f.Rank() != 2 {
			f = graph.Reshape(f, f.Shape().Dimensions[:2]...)
		}
		all = append(all, f)
	}
	return graph.Concatenate(all, 1)
}

// part is what goes into one of the last linear layers, cut out of the features, so that these are on the way to the
// logits.
func (n *Network) part(b *builder, s *scope, features *graph.Node, at int) *value {
	from := 0
	for _, head := range n.heads[:at] {
		from += b.nodeOf(s.find(head.inputs[0])).Shape().Dimensions[1]
	}
	own := s.find(n.heads[at].inputs[0])
	shape := b.nodeOf(own).Shape()
	if len(n.heads) > 1 {
		features = graph.SliceAxis(features, 1, graph.AxisRange(from, from+shape.Dimensions[1]))
	}
	if shape.Rank() != 2 {
		features = graph.Reshape(features, shape.Dimensions...)
	}
	return &value{node: features, kind: own.kind, moved: true}
}

// joinNodes puts together what was built image by image.
func joinNodes(all []Nodes) Nodes {
	join := func(of func(n Nodes) *graph.Node) *graph.Node {
		var parts []*graph.Node
		for _, n := range all {
			if part := of(n); part != nil {
				parts = append(parts, part)
			}
		}
		if len(parts) == 0 {
			return nil
		}
		return graph.Concatenate(parts, 0)
	}
	joined := Nodes{Output: join(func(n Nodes) *graph.Node { return n.Output }),
		Features: join(func(n Nodes) *graph.Node { return n.Features })}
	for i := range all[0].Layers {
		joined.Layers = append(joined.Layers, join(func(n Nodes) *graph.Node { return n.Layers[i] }))
	}
	for i := range all[0].Maps {
		joined.Maps = append(joined.Maps, join(func(n Nodes) *graph.Node { return n.Maps[i] }))
	}
	return joined
}

// probe builds, without compiling it, the network for so many images, and returns the shapes of its values. The weights
// have no values. images is as in [Network.builder].
func (n *Network) probe(count, images int) (map[string]shapes.Shape, error) {
	back, err := backend.Get()
	if err != nil {
		return nil, err
	}
	g := graph.NewGraph(back, "probe")
	defer g.Finalize()
	found := map[string]shapes.Shape{}
	var refused []error
	err = failure.Catch(func() {
		x := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, count, n.Height, n.Width, n.Channels))
		b, s := n.builder(x, images, func(name string) *graph.Node {
			shape, _ := n.initial[name].shape()
			return graph.Parameter(g, "weight/"+name, shape)
		})
		b.made = func(name string, v *value) *value {
			if v.node != nil {
				found[name] = v.node.Shape().Clone()
			} else if v.known != nil {
				found[name] = v.known.Shape().Clone()
			}
			return v
		}
		b.run(n.nodes, s, nil, true)
		refused = b.refused
	})
	if err != nil {
		return nil, fmt.Errorf(" cannot be run: %s", strings.TrimPrefix(err.Error(), "model: "))
	}
	return found, obstacles(refused)
}

// obstacles is one error of all that stands in the way.
func obstacles(refused []error) error {
	switch len(refused) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf(": %w", refused[0])
	}
	var all []string
	for i, err := range refused {
		if i == 8 {
			all = append(all, fmt.Sprintf("and %d more", len(refused)-i))
			break
		}
		all = append(all, err.Error())
	}
	return fmt.Errorf(": %d things stand in the way: %s", len(refused), strings.Join(all, "; "))
}

// loadWeights reads the values of the weights. From then on the file holds of them what tells their shape.
func (n *Network) loadWeights() error {
	n.Weights = map[string]*tensors.Tensor{}
	for name, t := range n.weights {
		if n.asked[name] {
			delete(n.weights, name)
			continue
		}
		w, err := t.load(n.path)
		if err != nil {
			return fmt.Errorf(": %w", err)
		}
		n.Weights[name] = w
		t.raw, t.floats, t.ints, t.doubles, t.unsigned = nil, nil, nil, nil, nil
	}
	n.letGo()
	n.prepared = true
	return nil
}

// letGo lets the file's bytes go, of which parts are in what was parsed: what is still needed becomes a copy.
func (n *Network) letGo() {
	used := map[string]bool{}
	for _, node := range n.nodes {
		for _, in := range append(slices.Clone(node.inputs), captured(node)...) {
			used[in] = true
		}
	}
	for name, t := range n.initial {
		if t.raw = slices.Clone(t.raw); !used[name] {
			t.raw, t.floats, t.ints, t.doubles, t.unsigned = nil, nil, nil, nil, nil
		}
	}
	copyAttributes(n.nodes)
	for _, f := range n.model.functions {
		copyAttributes(f.nodes)
	}
	n.model.graph = nil // its nodes that are not needed
}

func copyAttributes(nodes []*nodeProto) {
	for _, node := range nodes {
		for _, a := range node.attributes {
			a.s = slices.Clone(a.s)
			for i := range a.strings {
				a.strings[i] = slices.Clone(a.strings[i])
			}
			if a.t != nil {
				a.t.raw = slices.Clone(a.t.raw)
			}
			if a.g != nil {
				for _, t := range a.g.initial {
					t.raw = slices.Clone(t.raw)
				}
				copyAttributes(a.g.nodes)
			}
		}
	}
}

// ScaleOf is the name of the scale of the batch normalisation that a weight is the running mean or variance of; empty
// if it is neither.
func (n *Network) ScaleOf(weight string) string {
	for _, node := range n.nodes {
		if node.op == "BatchNormalization" && slices.Contains(node.inputs[3:], weight) {
			return node.inputs[1]
		}
	}
	return ""
}
