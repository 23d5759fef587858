package onnx

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// value is what a name of the file stands for while a graph is built.
type value struct {
	node     *graph.Node     // on the device; nil of what is known until it is needed there
	known    *tensors.Tensor // what is known before anything runs: shapes, axes, small constants
	weight   *tensorProto    // of a weight, whose values are read only if the graph's form depends on them
	kind     int             // of a tensor of the file: 4-bit numbers lie in larger ones
	constant bool            // of a weight: that it is part of the graph
	moved    bool            // whether it depends on the images
	lost     bool            // what was to make it has been refused
}

// scope is the values of a graph, with those of the graph around it.
type scope struct {
	values  map[string]*value
	around  *scope
	through map[string]bool // values that are handed out: see [builder.through]
}

func (s *scope) find(name string) *value {
	for ; s != nil; s = s.around {
		if v := s.values[name]; v != nil {
			return v
		}
	}
	return nil
}

// builder builds the nodes of a file in a graph.
type builder struct {
	g *graph.Graph
	// read reads the values of a weight that the graph's form depends on.
	read func(t *tensorProto) (*tensors.Tensor, error)
	// weight is the node of a weight; nil makes constants of them.
	weight func(t *tensorProto) *graph.Node
	// edit, unless nil, is called for each node of the file's own graph with its inputs, which it may change, and may give
	// the outputs itself; made is called for each value when it is there, and may put another in its place.
	edit      func(n *nodeProto, in []*value) (out []*value)
	made      func(name string, v *value) *value
	opsets    map[string]int
	functions map[string]*functionProto   // by functionKey
	refused   []error                     // what cannot be built
	depth     int                         // of functions and graphs inside nodes
	count     int                         // how many images there are
	images    int                         // the same where the file says that it takes one; else 0
	double    bool                        // whether single precision is to become double precision
	plain     bool                        // whether nothing is in the graph only to make gradients fast
	lasts     map[*graph.Node]*graph.Node // with channels last, of values with channels first that were made of these
}

func functionKey(domain, name, overload string) string {
	return domain + "\x00" + name + "\x00" + overload
}

// refusal is panicked with by an operator that has a form which is not handled.
type refusal struct{ what string }

// call is a node as it is built.
type call struct {
	*builder
	node    *nodeProto
	in      []*value
	opset   int
	scope   *scope
	binding map[string]*attribute // of the function around it
	read    map[string]bool       // attributes that were asked for
	out     []*value
	turned  bool // whether inputs and outputs have their channels last
}

// refuse ends the building of a node.
func (c *call) refuse(format string, args ...any) {
	panic(refusal{fmt.Sprintf(format, args...)})
}

// foldLimit is how many numbers of something that is known are computed before anything runs.
const foldLimit = 1 << 16

// run builds nodes in their order.
func (b *builder) run(nodes []*nodeProto, s *scope, binding map[string]*attribute, outermost bool) {
	for _, n := range nodes {
		b.step(n, s, binding, outermost)
	}
}

func (b *builder) step(n *nodeProto, s *scope, binding map[string]*attribute, outermost bool) {
	put := func(out []*value) {
		for i, name := range n.outputs {
			if name == "" {
				continue
			}
			v := &value{lost: true}
			if i < len(out) && out[i] != nil {
				v = out[i]
			}
			if outermost && b.made != nil && !v.lost {
				v = b.made(name, v)
			}
			if s.through[name] && v.node != nil {
				b.through(v.node)
			}
			s.values[name] = v
		}
	}
	var in []*value
	for _, name := range n.inputs {
		v := s.find(name)
		switch {
		case name == "":
		case v == nil:
			b.refused = append(b.refused, fmt.Errorf("%s takes %s, which nothing before it makes", n.title(), name))
			put(nil)
			return
		case v.lost:
			put(nil)
			return
		}
		in = append(in, v)
	}
	if outermost && b.edit != nil {
		if out := b.edit(n, in); out != nil {
			put(out)
			return
		}
	}
	out, err := b.build(n, in, s, binding)
	if err != nil {
		b.refused = append(b.refused, err)
	}
	put(out)
}

// build builds a node.
func (b *builder) build(n *nodeProto, in []*value, s *scope, binding map[string]*attribute) (out []*value, err error) {
	if fn := b.functions[functionKey(n.domain, n.op, n.overload)]; fn != nil {
		return b.function(fn, n, in, binding)
	}
	op, ok := operations[operationKey(n.domain, n.op)]
	switch {
	case !ok && n.domain == "com.microsoft.nchwc":
		return nil, fmt.Errorf("%s is laid out by onnxruntime for one kind of processor: give the file from before, or "+
			"optimise it no further than ORT_ENABLE_EXTENDED", n.title())
	case !ok:
		return nil, fmt.Errorf("%s is of a kind that is not handled", n.title())
	}
	if len(in) < op.least || op.most >= 0 && len(in) > op.most {
		return nil, fmt.Errorf("%s has %d inputs, and takes %s", n.title(), len(in), op.takes())
	}
	for i := range op.least {
		if in[i] == nil {
			return nil, fmt.Errorf("%s has nothing for its input %d", n.title(), i)
		}
	}
	opset := b.opsets[n.domain]
	for _, v := range in {
		if v != nil && v.constant && v.known == nil {
			if v.known, err = b.read(v.weight); err != nil {
				return nil, err
			}
		}
	}
	if !op.control && len(in) > 0 && !slices.ContainsFunc(in, func(v *value) bool { return v != nil && v.known == nil }) {
		if out, ok, err := b.fold(op, n, in, opset, binding); err != nil || ok {
			return out, err
		}
	}
	return b.apply(op, n, in, opset, s, binding)
}

// apply calls an operator, and makes an error of what it refuses.
func (b *builder) apply(op *operation, n *nodeProto, in []*value, opset int, s *scope, binding map[string]*attribute) (
	out []*value, err error) {
	c := &call{builder: b, node: n, in: in, opset: opset, scope: s, binding: binding, read: map[string]bool{}}
	failed := failure.Catch(func() {
		defer func() {
			switch r := recover().(type) {
			case nil:
			case refusal:
				err = fmt.Errorf("%s has %s", n.title(), r.what)
			case runtime.Error:
				err = fmt.Errorf("%s cannot be built (%v)", n.title(), r)
			default:
				panic(r)
			}
		}()
		c.turned = op.numberwise && opset >= opsetBroadcasting && c.anyTurned()
		op.build(c)
	})
	switch {
	case err != nil:
		return nil, err
	case failed != nil:
		return nil, fmt.Errorf("%s cannot be built: %s", n.title(), strings.TrimPrefix(failed.Error(), "model: "))
	}
	for _, a := range n.attributes {
		if !c.read[a.name] {
			return nil, fmt.Errorf("%s has the attribute %s=%s, which is not handled", n.title(), a.name, a.text())
		}
	}
	for i, name := range n.outputs {
		if name != "" && (i >= len(c.out) || c.out[i] == nil) {
			return nil, fmt.Errorf("%s is to make its output %d (%s), which is not handled", n.title(), i, name)
		}
	}
	moved := slices.ContainsFunc(in, func(v *value) bool { return v != nil && v.moved })
	for _, v := range c.out {
		if v != nil && v.node != nil {
			v.moved = v.moved || moved
			if err := checkSize(v.node.Shape(), b.count); err != nil {
				return nil, fmt.Errorf("%s %w", n.title(), err)
			}
		}
	}
	return c.out, nil
}

// valueLimit is how many numbers a value of one image may have: a gigabyte.
const valueLimit = 1 << 28

// checkSize refuses what has more numbers than any network on images needs.
func checkSize(s shapes.Shape, images int) error {
	size := 1
	for _, d := range s.Dimensions {
		if d > 0 && size > valueLimit*max(images, 1)/d {
			return fmt.Errorf("makes %v, which is too large", s.Dimensions)
		}
		size *= d
	}
	return nil
}

// folder is the backend that computes what is known: GoMLX's in Go, which compiles nothing.
var folder = sync.OnceValues(func() (compute.Backend, error) { return compute.NewWithConfig("go") })

// fold computes a node whose inputs are all known. It is not ok where the result is large: then it is computed on the
// device like everything else.
func (b *builder) fold(op *operation, n *nodeProto, in []*value, opset int, binding map[string]*attribute) (
	out []*value, ok bool, err error) {
	for _, v := range in {
		if v != nil && v.known.Size() > foldLimit {
			return nil, false, nil
		}
	}
	// The backend in Go lacks some operations, and some types of others: what it cannot do the device does.
	for _, get := range []func() (compute.Backend, error){folder, backend.Get} {
		on, err := get()
		if err != nil {
			return nil, false, err
		}
		made, large, err := b.foldOn(on, op, n, in, opset, binding)
		var failed *folding
		switch {
		case errors.As(err, &failed):
			continue
		case err != nil || large:
			return nil, false, err
		}
		return made, true, nil
	}
	return nil, false, nil
}

// folding is the failure of a backend, and not of the node.
type folding struct{ error }

func (b *builder) foldOn(on compute.Backend, op *operation, n *nodeProto, in []*value, opset int,
	binding map[string]*attribute) (out []*value, large bool, err error) {
	g := graph.NewGraph(on, "known")
	defer g.Finalize()
	inside := &builder{g: g, read: b.read, opsets: b.opsets, functions: b.functions, depth: b.depth}
	fresh := make([]*value, len(in))
	for i, v := range in {
		if v != nil {
			fresh[i] = &value{known: v.known, kind: v.kind}
		}
	}
	made, err := inside.apply(op, n, fresh, opset, nil, binding)
	if err != nil {
		return nil, false, err
	}
	out = make([]*value, len(made))
	var nodes []*graph.Node
	var places []int
	for i, v := range made {
		switch {
		case v == nil:
		case v.known != nil:
			out[i] = &value{known: v.known, kind: v.kind}
		case v.node.Shape().Size() == 0:
			out[i] = &value{known: tensors.FromShape(v.node.Shape())}
		case v.node.Shape().Size() > foldLimit:
			return nil, true, nil
		default:
			nodes, places = append(nodes, v.node), append(places, i)
		}
	}
	if len(nodes) == 0 {
		return out, false, nil
	}
	var results []*tensors.Tensor
	if failed := failure.Catch(func() {
		if err = g.Compile(nodes...); err == nil {
			results = g.Run()
		}
	}); failed != nil {
		err = failed
	}
	if err != nil {
		return nil, false, &folding{err}
	}
	for k, i := range places {
		if err := results[k].ToLocal(); err != nil {
			return nil, false, &folding{err}
		}
		out[i] = &value{known: results[k]}
	}
	return out, false, nil
}

// depthLimit is how deep functions and graphs in nodes may call each other.
const depthLimit = 64

// function builds the nodes of which the file makes an operator of its own.
func (b *builder) function(fn *functionProto, n *nodeProto, in []*value, around map[string]*attribute) ([]*value,
	error) {
	if b.depth++; b.depth > depthLimit {
		return nil, fmt.Errorf("%s: functions call each other too deep", n.title())
	}
	defer func() { b.depth-- }()
	s := &scope{values: map[string]*value{}, through: map[string]bool{}}
	for _, name := range fn.outputs {
		s.through[name] = true
	}
	if len(in) > len(fn.inputs) {
		return nil, fmt.Errorf("%s has %d inputs, and the function takes %d", n.title(), len(in), len(fn.inputs))
	}
	for i, name := range fn.inputs {
		if i < len(in) && in[i] != nil {
			s.values[name] = in[i]
		}
	}
	binding := map[string]*attribute{}
	for _, a := range fn.defaults {
		binding[a.name] = a
	}
	for _, a := range n.attributes {
		if !slices.Contains(fn.attributes, a.name) && binding[a.name] == nil {
			return nil, fmt.Errorf("%s has the attribute %s, which the function does not", n.title(), a.name)
		}
		if a.ref != "" {
			if a = around[a.ref]; a == nil {
				continue
			}
		}
		binding[a.name] = a
	}
	outer := b.opsets
	if len(fn.opsets) > 0 {
		b.opsets = maps.Clone(outer)
		maps.Copy(b.opsets, fn.opsets)
	}
	before := len(b.refused)
	// An input that is left out is one for the nodes inside too.
	nodes := make([]*nodeProto, len(fn.nodes))
	for i, inner := range fn.nodes {
		copied := *inner
		copied.inputs = slices.Clone(inner.inputs)
		for k, name := range copied.inputs {
			if at := slices.Index(fn.inputs, name); at >= 0 && s.values[name] == nil {
				copied.inputs[k] = ""
			}
		}
		nodes[i] = &copied
	}
	b.run(nodes, s, binding, false)
	b.opsets = outer
	for i, err := range b.refused[before:] {
		b.refused[before+i] = fmt.Errorf("%s: %w", n.title(), err)
	}
	var out []*value
	for _, name := range fn.outputs {
		out = append(out, s.find(name))
	}
	return out, nil
}

// graph builds the graph of an attribute, with its inputs, and returns its outputs.
func (c *call) graph(g *graphProto, in ...*value) []*value {
	if c.depth++; c.depth > depthLimit {
		c.refuse("graphs that are nested too deep")
	}
	defer func() { c.depth-- }()
	s := &scope{values: map[string]*value{}, around: c.scope}
	for _, t := range g.initial {
		v, err := c.initial(t, false)
		if err != nil {
			c.refuse("%v", err)
		}
		s.values[t.name] = v
	}
	for i, input := range g.inputs {
		if i < len(in) {
			s.values[input.name] = in[i]
		}
	}
	before := len(c.refused)
	c.run(g.nodes, s, c.binding, false)
	if len(c.refused) > before {
		what := c.refused[before]
		c.builder.refused = c.refused[:before]
		c.refuse("a graph in which %v", what)
	}
	var out []*value
	for _, o := range g.outputs {
		v := s.find(o.name)
		if v == nil {
			c.refuse("a graph that does not make its output %s", o.name)
		}
		out = append(out, v)
	}
	return out
}

// initial is the value of a tensor that is there from the start: a weight, or known.
func (b *builder) initial(t *tensorProto, weight bool) (*value, error) {
	if weight {
		return &value{weight: t, kind: t.kind}, nil
	}
	known, err := b.read(t)
	if err != nil {
		return nil, err
	}
	return &value{known: known, kind: t.kind}, nil
}

// has tells whether an input is given.
func (c *call) has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// x is an input on the device.
func (c *call) x(i int) *graph.Node {
	if !c.has(i) {
		c.refuse("nothing for its input %d", i)
	}
	if c.turned {
		return c.along(c.nodeOf(c.in[i]))
	}
	return c.nodeOf(c.in[i])
}

func (b *builder) nodeOf(v *value) *graph.Node {
	switch {
	case v.node != nil:
	case v.weight != nil && b.weight != nil && !v.constant:
		v.node = b.weight(v.weight)
	case v.weight != nil && v.known == nil:
		known, err := b.read(v.weight)
		if err != nil {
			panic(refusal{err.Error()})
		}
		v.known = known
		v.node = b.constantOf(known)
	default:
		v.node = b.constantOf(v.known)
	}
	return v.node
}

// constantOf is a tensor as part of the graph.
func (b *builder) constantOf(t *tensors.Tensor) *graph.Node {
	if t.Size() == 0 { // of which XLA has no literal
		return graph.Zeros(b.g, shapes.Make(b.real(t.DType()), t.Shape().Dimensions...))
	}
	return converted(graph.ConstTensor(b.g, t), b.real(t.DType()))
}

// real is the type that values of a type of the file have in the graph.
func (b *builder) real(dtype dtypes.DType) dtypes.DType {
	if b.double && dtype == dtypes.Float32 {
		return dtypes.Float64
	}
	return dtype
}

// xs are all inputs on the device.
func (c *call) xs() []*graph.Node {
	nodes := make([]*graph.Node, len(c.in))
	for i := range nodes {
		nodes[i] = c.x(i)
	}
	return nodes
}

// tensor is an input whose values the form of the graph depends on.
func (c *call) tensor(i int) *tensors.Tensor {
	if !c.has(i) {
		c.refuse("nothing for its input %d", i)
	}
	v := c.in[i]
	if v.known == nil && v.weight != nil {
		known, err := c.builder.read(v.weight)
		if err != nil {
			c.refuse("%v", err)
		}
		v.known = known
	}
	if v.known == nil {
		c.refuse("an input %d (%s) that is computed from the image", i, c.node.inputs[i])
	}
	return v.known
}

// shape is that of an input.
func (c *call) shape(i int) shapes.Shape {
	if v := c.in[i]; v.node == nil && v.known != nil {
		return v.known.Shape()
	}
	return c.x(i).Shape()
}

func (c *call) dims(i int) []int { return c.shape(i).Dimensions }

// intsOf are an input's values, whole numbers.
func (c *call) intsOf(i int) []int {
	t := c.tensor(i)
	values, ok := wholeNumbers(t)
	if !ok {
		c.refuse("an input %d (%s) of %s, which are to be whole numbers", i, c.node.inputs[i], t.DType())
	}
	return values
}

// intOf is an input's one value.
func (c *call) intOf(i int) int {
	values := c.intsOf(i)
	if len(values) != 1 {
		c.refuse("an input %d of %d values, which is to be one", i, len(values))
	}
	return values[0]
}

// floatsOf are an input's values.
func (c *call) floatsOf(i int) []float64 {
	t := c.tensor(i)
	values, ok := numbers(t)
	if !ok {
		c.refuse("an input %d of %s", i, t.DType())
	}
	return values
}

// floatOf is an input's one value.
func (c *call) floatOf(i int) float64 {
	values := c.floatsOf(i)
	if len(values) != 1 {
		c.refuse("an input %d of %d values, which is to be one", i, len(values))
	}
	return values[0]
}

func wholeNumbers(t *tensors.Tensor) ([]int, bool) {
	if !t.DType().IsInt() && t.DType() != dtypes.Bool {
		return nil, false
	}
	values := make([]int, 0, t.Size())
	err := t.ConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []int64:
			values = mapped(flat, func(v int64) int { return int(v) })
		case []int32:
			values = mapped(flat, func(v int32) int { return int(v) })
		case []uint8:
			values = mapped(flat, func(v uint8) int { return int(v) })
		case []int8:
			values = mapped(flat, func(v int8) int { return int(v) })
		case []int16:
			values = mapped(flat, func(v int16) int { return int(v) })
		case []uint16:
			values = mapped(flat, func(v uint16) int { return int(v) })
		case []uint32:
			values = mapped(flat, func(v uint32) int { return int(v) })
		case []uint64:
			values = mapped(flat, func(v uint64) int { return int(min(v, math.MaxInt64)) })
		case []bool:
			values = mapped(flat, func(v bool) int {
				if v {
					return 1
				}
				return 0
			})
		}
	})
	return values, err == nil && len(values) == t.Size()
}

func numbers(t *tensors.Tensor) ([]float64, bool) {
	var values []float64
	switch t.DType() {
	case dtypes.Float32:
		values = mapped(tensors.MustCopyFlatData[float32](t), func(v float32) float64 { return float64(v) })
	case dtypes.Float64:
		values = tensors.MustCopyFlatData[float64](t)
	default:
		whole, ok := wholeNumbers(t)
		return mapped(whole, func(v int) float64 { return float64(v) }), ok
	}
	return values, true
}

// result gives the outputs of a node.
func (c *call) result(nodes ...*graph.Node) {
	for _, n := range nodes {
		if n == nil {
			c.out = append(c.out, nil)
			continue
		}
		if c.turned && n.Rank() == 4 {
			n = c.first(n)
		}
		c.out = append(c.out, &value{node: n})
	}
}

// knows gives an output that is known.
func (c *call) knows(t *tensors.Tensor) { c.out = append(c.out, &value{known: t}) }

// attr is an attribute, nil where there is none, by its kind.
func (c *call) attr(name string, kind int) *attribute {
	c.read[name] = true
	a := c.node.attribute(name)
	if a != nil && a.ref != "" {
		a = c.binding[a.ref]
	}
	if a != nil && a.kind != kind {
		c.refuse("%s=%s, an attribute of another kind than it should be", name, a.text())
	}
	return a
}

func (c *call) float(name string, otherwise float64) float64 {
	if a := c.attr(name, attrFloat); a != nil {
		return float64(a.f)
	}
	return otherwise
}

func (c *call) int(name string, otherwise int) int {
	if a := c.attr(name, attrInt); a != nil {
		return c.sane(name, a.i)
	}
	return otherwise
}

func (c *call) flag(name string) bool { return c.int(name, 0) != 0 }

// sane refuses numbers that no size, axis or padding has, with which sums and products would run over. The largest
// numbers stand for "to the end".
func (c *call) sane(name string, v int64) int {
	if v > 1<<31 && v < math.MaxInt64 || v < -1<<31 && v > math.MinInt64 {
		c.refuse("%s=%d", name, v)
	}
	return int(v)
}

// ints is nil where there is no such attribute.
func (c *call) ints(name string) []int {
	a := c.attr(name, attrInts)
	if a == nil {
		return nil
	}
	values := make([]int, len(a.ints))
	for i, v := range a.ints {
		values[i] = c.sane(name, v)
	}
	return values
}

func (c *call) floats(name string) []float64 {
	a := c.attr(name, attrFloats)
	if a == nil {
		return nil
	}
	return mapped(a.floats, func(v float32) float64 { return float64(v) })
}

// text is one of some words; the first stands where the attribute is left out.
func (c *call) text(name string, words ...string) string {
	a := c.attr(name, attrString)
	if a == nil {
		return words[0]
	}
	if !slices.Contains(words, string(a.s)) {
		c.refuse("%s=%s; handled are %s", name, a.s, strings.Join(words, ", "))
	}
	return string(a.s)
}

// ignore names attributes that say how a network is trained or how much memory to use.
func (c *call) ignore(names ...string) {
	for _, n := range names {
		c.read[n] = true
	}
}

// axis brings an axis that may be counted from the end to 0..rank-1.
func (c *call) axis(axis, rank int) int {
	at := axis
	if at < 0 {
		at += rank
	}
	if at < 0 || at >= rank {
		c.refuse("the axis %d of %d", axis, rank)
	}
	return at
}

// axes brings axes to 0..rank-1, and refuses one that is named twice.
func (c *call) axes(axes []int, rank int) []int {
	found := make([]int, len(axes))
	for i, a := range axes {
		if found[i] = c.axis(a, rank); slices.Contains(found[:i], found[i]) {
			c.refuse("the axis %d twice", a)
		}
	}
	return found
}

// intsGiven are whole numbers that are an input, or an attribute in earlier opsets; nil where neither is given.
func (c *call) intsGiven(attribute string, input int) []int {
	if values := c.ints(attribute); values != nil {
		return values
	}
	if c.has(input) {
		return c.intsOf(input)
	}
	return nil
}

// newBuilder makes a builder of what a file says of all its graphs.
func newBuilder(g *graph.Graph, m *modelProto, read func(t *tensorProto) (*tensors.Tensor, error)) *builder {
	b := &builder{g: g, read: read, opsets: m.opsets, functions: map[string]*functionProto{}}
	for _, f := range m.functions {
		b.functions[functionKey(f.domain, f.name, f.overload)] = f
	}
	return b
}
