package onnx

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of an ONNX file, as far as a network needs them. Fields are numbered as in
// https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Strings and bytes are parts of the file's bytes, not copies.

type modelProto struct {
	opsets    map[string]int // of each domain; "ai.onnx" is ""
	graph     *graphProto
	functions []*functionProto
}

type graphProto struct {
	nodes           []*nodeProto
	initial         []*tensorProto
	sparse          int // how many sparse initial values
	inputs, outputs []*valueProto
}

// functionProto is an operator that the file defines by others.
type functionProto struct {
	domain, name, overload string
	inputs, outputs        []string
	attributes             []string     // that a node gives
	defaults               []*attribute // of those that it may leave out
	nodes                  []*nodeProto
	opsets                 map[string]int
}

// valueProto is an input or output of a graph.
type valueProto struct {
	name   string
	kind   int   // of its elements; 0 where it is no tensor
	ranked bool  // whether its shape is said
	dims   []int // -1 where they are left open
}

type nodeProto struct {
	op, domain, overload, name string
	inputs, outputs            []string
	attributes                 []*attribute
}

// The kinds of attributes.
const (
	attrFloat = iota + 1
	attrInt
	attrString
	attrTensor
	attrGraph
	attrFloats
	attrInts
	attrStrings
)

type attribute struct {
	name, ref string // ref is the attribute of the function around it whose value it has
	kind      int
	f         float32
	i         int64
	s         []byte
	t         *tensorProto
	g         *graphProto
	floats    []float32
	ints      []int64
	strings   [][]byte
}

// tensorProto is a tensor whose values have not been looked at.
type tensorProto struct {
	name     string
	kind     int
	dims     []int64
	raw      []byte // little-endian; nil where the values are in one of the lists
	floats   []float32
	ints     []int64 // int32_data and int64_data
	doubles  []float64
	unsigned []uint64
	strings  int
	external map[string]string // where the values are in another file
}

const (
	nestingLimit = 64 // of graphs in nodes
	opsetDefault = ""
)

// parseModel reads a file's bytes.
func parseModel(raw []byte) (*modelProto, error) {
	m := &modelProto{opsets: map[string]int{}}
	err := fields(raw, func(f field) error {
		switch f.number {
		case 7:
			g, err := parseGraph(f.bytes, 0)
			m.graph = g
			return err
		case 8:
			return parseOpset(f.bytes, m.opsets)
		case 25:
			function, err := parseFunction(f.bytes)
			m.functions = append(m.functions, function)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.graph == nil || len(m.graph.nodes) == 0 {
		return nil, errors.New("it has no graph")
	}
	return m, nil
}

func parseOpset(raw []byte, into map[string]int) error {
	domain, version := "", int64(0)
	err := fields(raw, func(f field) error {
		switch f.number {
		case 1:
			domain = string(f.bytes)
		case 2:
			version = int64(f.value)
		}
		return nil
	})
	if domain == "ai.onnx" {
		domain = opsetDefault
	}
	if err == nil && (version < 0 || version > math.MaxInt32) {
		return fmt.Errorf("the opset %d", version)
	}
	into[domain] = int(version)
	return err
}

func parseGraph(raw []byte, depth int) (*graphProto, error) {
	if depth > nestingLimit {
		return nil, errors.New("its graphs are nested too deep")
	}
	g := &graphProto{}
	return g, fields(raw, func(f field) error {
		switch f.number {
		case 1:
			n, err := parseNode(f.bytes, depth)
			g.nodes = append(g.nodes, n)
			return err
		case 5:
			t, err := parseTensor(f.bytes)
			g.initial = append(g.initial, t)
			return err
		case 11, 12:
			v, err := parseValue(f.bytes)
			if f.number == 11 {
				g.inputs = append(g.inputs, v)
			} else {
				g.outputs = append(g.outputs, v)
			}
			return err
		case 15:
			g.sparse++
		}
		return nil
	})
}

func parseFunction(raw []byte) (*functionProto, error) {
	fn := &functionProto{opsets: map[string]int{}}
	return fn, fields(raw, func(f field) error {
		switch f.number {
		case 1:
			fn.name = string(f.bytes)
		case 4:
			fn.inputs = append(fn.inputs, string(f.bytes))
		case 5:
			fn.outputs = append(fn.outputs, string(f.bytes))
		case 6:
			fn.attributes = append(fn.attributes, string(f.bytes))
		case 7:
			n, err := parseNode(f.bytes, 0)
			fn.nodes = append(fn.nodes, n)
			return err
		case 9:
			return parseOpset(f.bytes, fn.opsets)
		case 10:
			fn.domain = string(f.bytes)
		case 11:
			a, err := parseAttribute(f.bytes, 0)
			fn.defaults = append(fn.defaults, a)
			return err
		case 13:
			fn.overload = string(f.bytes)
		}
		return nil
	})
}

func parseNode(raw []byte, depth int) (*nodeProto, error) {
	n := &nodeProto{}
	err := fields(raw, func(f field) error {
		switch f.number {
		case 1:
			n.inputs = append(n.inputs, string(f.bytes))
		case 2:
			n.outputs = append(n.outputs, string(f.bytes))
		case 3:
			n.name = string(f.bytes)
		case 4:
			n.op = string(f.bytes)
		case 5:
			a, err := parseAttribute(f.bytes, depth)
			n.attributes = append(n.attributes, a)
			return err
		case 7:
			if n.domain = string(f.bytes); n.domain == "ai.onnx" {
				n.domain = opsetDefault
			}
		case 8:
			n.overload = string(f.bytes)
		}
		return nil
	})
	for len(n.inputs) > 0 && n.inputs[len(n.inputs)-1] == "" { // inputs at the end that are not given
		n.inputs = n.inputs[:len(n.inputs)-1]
	}
	return n, err
}

func parseAttribute(raw []byte, depth int) (*attribute, error) {
	a := &attribute{}
	err := fields(raw, func(f field) (err error) {
		kind := 0
		switch f.number {
		case 1:
			a.name = string(f.bytes)
		case 2:
			a.f, kind = math.Float32frombits(uint32(f.value)), attrFloat
		case 3:
			a.i, kind = int64(f.value), attrInt
		case 4:
			a.s, kind = f.bytes, attrString
		case 5:
			a.t, err = parseTensor(f.bytes)
			kind = attrTensor
		case 6:
			a.g, err = parseGraph(f.bytes, depth+1)
			kind = attrGraph
		case 7:
			err = f.floats(&a.floats)
			kind = attrFloats
		case 8:
			err = f.ints(&a.ints)
			kind = attrInts
		case 9:
			a.strings = append(a.strings, f.bytes)
			kind = attrStrings
		case 20:
			a.kind = int(f.value)
		case 21:
			a.ref = string(f.bytes)
		}
		if a.kind == 0 { // old files do not say it
			a.kind = kind
		}
		return err
	})
	if err == nil && a.ref == "" && (a.kind == attrTensor && a.t == nil || a.kind == attrGraph && a.g == nil) {
		err = fmt.Errorf("the attribute %s has no value", a.name)
	}
	return a, err
}

func parseTensor(raw []byte) (*tensorProto, error) {
	t := &tensorProto{}
	return t, fields(raw, func(f field) error {
		switch f.number {
		case 1:
			return f.ints(&t.dims)
		case 2:
			t.kind = int(f.value)
		case 4:
			return f.floats(&t.floats)
		case 5, 7:
			return f.ints(&t.ints)
		case 6:
			t.strings++
		case 8:
			t.name = string(f.bytes)
		case 9:
			if t.raw = f.bytes; t.raw == nil {
				t.raw = []byte{}
			}
		case 10:
			return f.doubles(&t.doubles)
		case 11:
			return f.unsigned(&t.unsigned)
		case 13:
			key, value := "", ""
			if t.external == nil {
				t.external = map[string]string{}
			}
			err := fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					key = string(f.bytes)
				case 2:
					value = string(f.bytes)
				}
				return nil
			})
			t.external[key] = value
			return err
		case 14:
			if f.value != 0 && t.external == nil {
				t.external = map[string]string{}
			}
		}
		return nil
	})
}

func parseValue(raw []byte) (*valueProto, error) {
	v := &valueProto{}
	dimension := func(f field) error {
		v.dims = append(v.dims, -1)
		return fields(f.bytes, func(f field) error {
			if f.number == 1 {
				v.dims[len(v.dims)-1] = int(int64(f.value))
				if int64(f.value) <= 0 { // some exporters write what is open so
					v.dims[len(v.dims)-1] = -1
				}
			}
			return nil
		})
	}
	tensor := func(f field) error {
		switch f.number {
		case 1:
			v.kind = int(f.value)
		case 2:
			v.ranked = true
			return fields(f.bytes, func(f field) error {
				if f.number == 1 {
					return dimension(f)
				}
				return nil
			})
		}
		return nil
	}
	return v, fields(raw, func(f field) error {
		switch f.number {
		case 1:
			v.name = string(f.bytes)
		case 2:
			return fields(f.bytes, func(f field) error {
				if f.number == 1 {
					return fields(f.bytes, tensor)
				}
				return nil
			})
		}
		return nil
	})
}

// field is one of a message: bytes of what has a length, value of numbers.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

// fields calls do for each field of a message.
func fields(raw []byte, do func(f field) error) error {
	for len(raw) > 0 {
		f := field{}
		var n int
		f.number, f.kind, n = protowire.ConsumeTag(raw)
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		switch f.kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(raw)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(raw)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(raw)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(raw)
		default:
			n = protowire.ConsumeFieldValue(f.number, f.kind, raw)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// each calls add for each number of a repeated field, packed or one by one.
func (f field) each(kind protowire.Type, add func(v uint64)) error {
	if f.kind != protowire.BytesType {
		if f.kind != kind {
			return fmt.Errorf("field %d is of another kind than it should be", f.number)
		}
		add(f.value)
		return nil
	}
	for raw := f.bytes; len(raw) > 0; {
		var v uint64
		var n int
		switch kind {
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(raw)
			v = uint64(short)
		case protowire.Fixed64Type:
			v, n = protowire.ConsumeFixed64(raw)
		default:
			v, n = protowire.ConsumeVarint(raw)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		raw = raw[n:]
		add(v)
	}
	return nil
}

func (f field) ints(into *[]int64) error {
	return f.each(protowire.VarintType, func(v uint64) { *into = append(*into, int64(v)) })
}

func (f field) unsigned(into *[]uint64) error {
	return f.each(protowire.VarintType, func(v uint64) { *into = append(*into, v) })
}

func (f field) floats(into *[]float32) error {
	return f.each(protowire.Fixed32Type, func(v uint64) { *into = append(*into, math.Float32frombits(uint32(v))) })
}

func (f field) doubles(into *[]float64) error {
	return f.each(protowire.Fixed64Type, func(v uint64) { *into = append(*into, math.Float64frombits(v)) })
}

// attribute returns a node's attribute of that name; nil where there is none.
func (n *nodeProto) attribute(name string) *attribute {
	for _, a := range n.attributes {
		if a.name == name {
			return a
		}
	}
	return nil
}

// title is how a message names a node.
func (n *nodeProto) title() string {
	name := n.name
	if name == "" && len(n.outputs) > 0 {
		name = n.outputs[0]
	}
	op := n.op
	if n.domain != "" {
		op = n.domain + "." + op
	}
	return fmt.Sprintf("node %s (%s)", name, op)
}

// text is an attribute's value for a message.
func (a *attribute) text() string {
	switch a.kind {
	case attrFloat:
		return fmt.Sprint(a.f)
	case attrInt:
		return fmt.Sprint(a.i)
	case attrString:
		return string(a.s)
	case attrInts:
		return fmt.Sprint(a.ints)
	case attrFloats:
		return fmt.Sprint(a.floats)
	case attrStrings:
		var all []string
		for _, s := range a.strings {
			all = append(all, string(s))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return "…"
}
