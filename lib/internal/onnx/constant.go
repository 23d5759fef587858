package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Constant is a small tensor that is known before anything runs: amounts of padding, sizes, axes.
type Constant struct {
	dims   []int
	values []float64
}

func (c Constant) ints() []int {
	ints := make([]int, len(c.values))
	for i, v := range c.values {
		switch {
		case v >= math.MaxInt64:
			ints[i] = math.MaxInt64
		case v <= math.MinInt64:
			ints[i] = math.MinInt64
		default:
			ints[i] = int(v)
		}
	}
	return ints
}

func (c Constant) least() int {
	least := math.MaxInt64
	for _, v := range c.ints() {
		least = min(least, v)
	}
	return least
}

// constantLimit is how many values a constant may have.
const constantLimit = 1 << 12

// constant is the value of that name if it is a small constant of the file, or made from such by the arithmetic that
// exporters write for amounts of padding and sizes. (onnx-gomlx computes them too, but takes a Slice with a negative
// step for empty.)
func (f *File) constant(name string) (Constant, bool) {
	if known, ok := f.constants[name]; ok {
		return known, known.values != nil
	}
	c, ok := f.findConstant(name)
	if !ok {
		c = Constant{}
	}
	f.constants[name] = c
	return c, ok
}

func (f *File) findConstant(name string) (Constant, bool) {
	if t := f.initial[name]; t != nil {
		return constantOf(t)
	}
	node, ok := f.makers[name]
	if !ok || name == "" || name != node.outputs()[0] {
		return Constant{}, false
	}
	var in []Constant
	switch node.op() {
	case "Constant", "ConstantOfShape", "Concat", "Reshape", "Slice", "Transpose", "Cast", "Identity", "Unsqueeze", "Squeeze", "Gather",
		"Add", "Sub", "Mul", "Div":
		for _, input := range node.inputs() {
			c, ok := f.constant(input)
			if !ok {
				return Constant{}, false
			}
			in = append(in, c)
		}
	default:
		return Constant{}, false
	}
	return node.compute(in)
}

// compute is what the node makes of constants; false for forms that are not needed.
func (n Node) compute(in []Constant) (c Constant, ok bool) {
	none := Constant{}
	switch n.op() {
	case "Constant":
		a := n.attribute("value")
		if a == nil {
			return none, false
		}
		return constantOf(get(a, "t").Message())
	case "ConstantOfShape":
		value := Constant{values: []float64{0}}
		if a := n.attribute("value"); a != nil {
			if value, ok = constantOf(get(a, "t").Message()); !ok || len(value.values) != 1 {
				return none, false
			}
		}
		c.dims = in[0].ints()
		size := product(c.dims)
		if size < 0 || size > constantLimit {
			return none, false
		}
		c.values = make([]float64, size)
		for i := range c.values {
			c.values[i] = value.values[0]
		}
		return c, true
	case "Identity":
		return in[0], true
	case "Cast":
		// Between numbers; what is computed here are whole ones.
		switch a := n.attribute("to"); {
		case a == nil:
			return none, false
		case get(a, "i").Int() == onnxInt64 || get(a, "i").Int() == 6:
			c = Constant{in[0].dims, append([]float64(nil), in[0].values...)}
			for i, v := range c.values {
				c.values[i] = math.Trunc(v)
			}
			return c, true
		case get(a, "i").Int() == floatType || get(a, "i").Int() == 11:
			return in[0], true
		}
		return none, false
	case "Concat":
		for _, part := range in {
			if len(part.dims) != 1 {
				return none, false
			}
			c.values = append(c.values, part.values...)
		}
		c.dims = []int{len(c.values)}
		return c, len(c.values) > 0 && len(c.values) <= constantLimit
	case "Reshape":
		if len(in) != 2 {
			return none, false
		}
		dims := in[1].ints()
		known, open := 1, -1
		for i, d := range dims {
			switch {
			case d == 0 && i < len(in[0].dims):
				dims[i] = in[0].dims[i]
			case d == -1 && open < 0:
				open = i
				continue
			case d < 0:
				return none, false
			}
			known *= dims[i]
		}
		if open >= 0 && known > 0 {
			dims[open] = len(in[0].values) / known
		}
		return Constant{dims, in[0].values}, product(dims) == len(in[0].values)
	case "Unsqueeze", "Squeeze":
		return Constant{[]int{len(in[0].values)}, in[0].values}, n.op() == "Unsqueeze" && len(in[0].dims) == 0
	case "Transpose":
		if len(in[0].dims) != 2 || n.ints("perm") != nil && (len(n.ints("perm")) != 2 || n.ints("perm")[0] != 1) {
			return none, false
		}
		rows, columns := in[0].dims[0], in[0].dims[1]
		c = Constant{[]int{columns, rows}, make([]float64, rows*columns)}
		for at, v := range in[0].values {
			c.values[at%columns*rows+at/columns] = v
		}
		return c, true
	case "Slice": // along the first axis
		if len(in) < 3 || len(in[0].dims) == 0 || len(in[1].values) != 1 || len(in) > 3 && in[3].least() != 0 {
			return none, false
		}
		step := 1
		if len(in) > 4 {
			step = in[4].ints()[0]
		}
		row := len(in[0].values) / max(in[0].dims[0], 1)
		for _, i := range sliced(in[1].ints()[0], in[2].ints()[0], step, in[0].dims[0]) {
			c.values = append(c.values, in[0].values[i*row:(i+1)*row]...)
		}
		c.dims = append([]int{len(c.values) / max(row, 1)}, in[0].dims[1:]...)
		return c, len(c.values) > 0
	case "Gather": // along the first axis
		if len(in[0].dims) == 0 || n.axis(0) != 0 || in[0].dims[0] == 0 {
			return none, false
		}
		row := len(in[0].values) / in[0].dims[0]
		for _, i := range in[1].ints() {
			if i < 0 {
				i += in[0].dims[0]
			}
			if i < 0 || i >= in[0].dims[0] {
				return none, false
			}
			c.values = append(c.values, in[0].values[i*row:(i+1)*row]...)
		}
		c.dims = append(append([]int{}, in[1].dims...), in[0].dims[1:]...)
		return c, len(c.values) > 0
	}
	// Arithmetic, on equal shapes or with one value.
	a, b := in[0], in[1]
	if len(a.values) != len(b.values) && len(a.values) != 1 && len(b.values) != 1 {
		return none, false
	}
	c.dims = a.dims
	if len(b.dims) > len(a.dims) || len(b.values) > len(a.values) {
		c.dims = b.dims
	}
	for i := range max(len(a.values), len(b.values)) {
		x, y := a.values[i%len(a.values)], b.values[i%len(b.values)]
		switch n.op() {
		case "Add":
			x += y
		case "Sub":
			x -= y
		case "Mul":
			x *= y
		case "Div":
			if x != math.Trunc(x) || y != math.Trunc(y) || y == 0 || math.Mod(x, y) != 0 {
				return none, false // whole numbers and others divide differently
			}
			x /= y
		}
		c.values = append(c.values, x)
	}
	return c, true
}

// sliced are the places that ONNX's Slice takes of an axis.
func sliced(start, end, step, size int) []int {
	if start < 0 {
		start += size
	}
	if end < 0 && end != math.MinInt64 {
		end += size
	}
	var places []int
	switch {
	case step > 0:
		for i := max(start, 0); i < min(end, size); i += step {
			places = append(places, i)
		}
	case step < 0:
		for i := min(start, size-1); i > max(end, -1) && i >= 0; i += step {
			places = append(places, i)
		}
	}
	return places
}

func product(dims []int) int {
	size := 1
	for _, d := range dims {
		if d < 0 || d > 0 && size > math.MaxInt32/d {
			return -1
		}
		size *= d
	}
	return size
}

// constantOf reads a small TensorProto of integers or floats that lies in the file itself.
func constantOf(t protoreflect.Message) (Constant, bool) {
	c := Constant{dims: integers(t, "dims"), values: []float64{}}
	size := product(c.dims)
	if size < 0 || size > constantLimit || len(messages(t, "external_data")) > 0 {
		return c, false
	}
	raw := get(t, "raw_data").Bytes()
	list := func(name protoreflect.Name, value func(protoreflect.Value) float64) {
		values := get(t, name).List()
		for i := range values.Len() {
			c.values = append(c.values, value(values.Get(i)))
		}
	}
	whole := func(v protoreflect.Value) float64 { return float64(v.Int()) }
	switch get(t, "data_type").Int() {
	case floatType:
		for ; len(raw) >= 4; raw = raw[4:] {
			c.values = append(c.values, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
		}
		list("float_data", protoreflect.Value.Float)
	case onnxInt64:
		for ; len(raw) >= 8; raw = raw[8:] {
			c.values = append(c.values, float64(int64(binary.LittleEndian.Uint64(raw))))
		}
		list("int64_data", whole)
	case 6: // int32
		for ; len(raw) >= 4; raw = raw[4:] {
			c.values = append(c.values, float64(int32(binary.LittleEndian.Uint32(raw))))
		}
		list("int32_data", whole)
	default:
		return c, false
	}
	return c, len(c.values) == size
}
