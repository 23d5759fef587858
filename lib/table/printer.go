package table

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The limits of a [printer]. What package fmt prints has none, and a value that contains itself overflows its stack.
const (
	mostElements = 200     // of a slice, an array or a map
	mostSorted   = 100_000 // keys of a map, which are sorted; of a larger one some are shown
	mostDeep     = 100     // values inside of values
)

// printer writes values as fmt's %+v does, within limits.
type printer struct {
	out    strings.Builder
	left   int            // bytes that may still be written; below 0 there was no more room
	quotes bool           // strings of the outermost list are quoted
	inside map[visit]bool // the maps, slices and pointers that are being written
}

// visit is a value by its place in memory.
type visit struct {
	of  reflect.Type
	at  uintptr
	len int
}

func (p *printer) write(s string) {
	if len(s) > p.left {
		s, p.left = s[:max(p.left, 0)], 0
		p.out.WriteString(strings.ToValidUTF8(s, ""))
		p.left = -1
		return
	}
	p.left -= len(s)
	p.out.WriteString(s)
}

// value writes a value that lies so deep in the one that is shown.
func (p *printer) value(v reflect.Value, depth int) {
	switch {
	case p.left < 0:
		return
	case !v.IsValid():
		p.write("<nil>")
		return
	case depth > mostDeep:
		p.write("…")
		return
	case v.CanInterface() && v.Type().NumMethod() > 0 && p.says(v.Interface(), depth):
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		p.write(strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.write(strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		p.write(strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32:
		p.write(fmt.Sprint(float32(v.Float())))
	case reflect.Float64:
		p.write(fmt.Sprint(v.Float()))
	case reflect.Complex64:
		p.write(fmt.Sprint(complex64(v.Complex())))
	case reflect.Complex128:
		p.write(fmt.Sprint(v.Complex()))
	case reflect.String:
		s := v.String()
		if s = s[:min(len(s), p.left+1)]; p.quotes && depth == 1 {
			s = strconv.Quote(s)
		}
		p.write(s)
	case reflect.Interface:
		p.value(v.Elem(), depth+1)
	case reflect.Struct:
		p.fields(v, depth)
	case reflect.Array:
		p.list(v, depth)
	case reflect.Slice:
		p.within(visit{v.Type(), v.Pointer(), v.Len()}, "[…]", func() { p.list(v, depth) })
	case reflect.Map:
		p.within(visit{v.Type(), v.Pointer(), v.Len()}, "map[…]", func() { p.pairs(v, depth) })
	default: // pointers, channels, functions
		p.address(v, depth)
	}
}

// says writes what a value says of itself, if it does.
func (p *printer) says(v any, depth int) bool {
	switch v := v.(type) {
	case reflect.Value:
		p.value(v, depth+1) // as fmt does, the value that it stands for
	case fmt.Formatter, error, fmt.Stringer:
		format := "%v"
		if p.quotes && depth == 1 && reflect.TypeOf(v).Kind() == reflect.String {
			format = "%q"
		}
		p.write(fmt.Sprintf(format, v))
	default:
		return false
	}
	return true
}

// within writes what may contain itself; where it does, short stands for it.
func (p *printer) within(v visit, short string, write func()) {
	if p.inside[v] && v.len > 0 {
		p.write(short)
		return
	}
	p.inside[v] = true
	write()
	delete(p.inside, v)
}

func (p *printer) fields(v reflect.Value, depth int) {
	p.write("{")
	for i := range v.NumField() {
		if i > 0 {
			p.write(" ")
		}
		p.write(v.Type().Field(i).Name + ":")
		p.value(held(v.Field(i)), depth+1)
		if p.left < 0 {
			return
		}
	}
	p.write("}")
}

// held is what is in an interface.
func held(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Interface && !v.IsNil() {
		return v.Elem()
	}
	return v
}

func (p *printer) list(v reflect.Value, depth int) {
	p.write("[")
	for i := range min(v.Len(), mostElements) {
		if i > 0 {
			p.write(" ")
		}
		p.value(v.Index(i), depth+1)
		if p.left < 0 {
			return
		}
	}
	p.more(v.Len())
	p.write("]")
}

// more says how many elements there are, where not all are written.
func (p *printer) more(n int) {
	if n > mostElements {
		p.write(fmt.Sprintf(" … %d in all", n))
	}
}

func (p *printer) pairs(v reflect.Value, depth int) {
	type pair struct{ key, value reflect.Value } // a key that is not a number is not found again
	var all []pair
	for each := v.MapRange(); len(all) < mostSorted && each.Next(); {
		all = append(all, pair{each.Key(), each.Value()})
	}
	slices.SortStableFunc(all, func(a, b pair) int { return inOrder(a.key, b.key) })
	p.write("map[")
	for i, one := range all[:min(len(all), mostElements)] {
		if i > 0 {
			p.write(" ")
		}
		p.value(one.key, depth+1)
		p.write(":")
		p.value(one.value, depth+1)
		if p.left < 0 {
			return
		}
	}
	p.more(v.Len())
	p.write("]")
}

// address writes a pointer, a channel or a function by its place in memory; the outermost pointer by what it points to.
func (p *printer) address(v reflect.Value, depth int) {
	if v.IsZero() {
		p.write("<nil>")
		return
	}
	if v.Kind() == reflect.Pointer && depth == 0 {
		switch v.Elem().Kind() {
		case reflect.Array, reflect.Slice, reflect.Struct, reflect.Map:
			p.write("&")
			p.value(v.Elem(), depth+1)
			return
		}
	}
	p.write("0x" + strconv.FormatUint(uint64(v.Pointer()), 16))
}

// inOrder compares keys of a map in the order in which package fmt prints them.
func inOrder(a, b reflect.Value) int {
	if a.Type() != b.Type() {
		return -1
	}
	switch a.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return cmp.Compare(a.Int(), b.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return cmp.Compare(a.Uint(), b.Uint())
	case reflect.String:
		return cmp.Compare(a.String(), b.String())
	case reflect.Float32, reflect.Float64:
		return cmp.Compare(a.Float(), b.Float())
	case reflect.Complex64, reflect.Complex128:
		x, y := a.Complex(), b.Complex()
		return cmp.Or(cmp.Compare(real(x), real(y)), cmp.Compare(imag(x), imag(y)))
	case reflect.Bool:
		switch {
		case a.Bool() == b.Bool():
			return 0
		case a.Bool():
			return 1
		}
		return -1
	case reflect.Pointer, reflect.UnsafePointer, reflect.Chan:
		return cmp.Compare(a.Pointer(), b.Pointer())
	case reflect.Struct:
		for i := range a.NumField() {
			if c := inOrder(a.Field(i), b.Field(i)); c != 0 {
				return c
			}
		}
	case reflect.Array:
		for i := range a.Len() {
			if c := inOrder(a.Index(i), b.Index(i)); c != 0 {
				return c
			}
		}
	case reflect.Interface:
		switch {
		case a.IsNil() || b.IsNil():
			return cmp.Compare(btoi(b.IsNil()), btoi(a.IsNil()))
		case a.Elem().Type() != b.Elem().Type():
			return cmp.Compare(reflect.ValueOf(a.Elem().Type()).Pointer(), reflect.ValueOf(b.Elem().Type()).Pointer())
		}
		return inOrder(a.Elem(), b.Elem())
	}
	return 0
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
