package onnx

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzOpen ./lib/internal/onnx goes on from the seeds: networks of forms.zip, and hand-made ones.
func FuzzOpen(f *testing.F) {
	archive, err := zip.OpenReader("../../model/testdata/forms.zip")
	if err != nil {
		f.Fatal(err)
	}
	defer archive.Close()
	for _, entry := range archive.File {
		if entry.UncompressedSize64 > 2000 { // small ones: what is found in large ones is slow to find
			continue
		}
		r, err := entry.Open()
		if err != nil {
			f.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, raw := range largeGraphs() {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			n, err := Open(path, Options{Height: 8, Width: 8, Channels: 3})
			if err == nil && n.Height*n.Width*n.Channels == 0 {
				t.Error("a network of no images")
			}
			return err
		})
	})
}

// largeGraphs are networks of a few hundred bytes that make much of it, or go round, by what they are refused for.
func largeGraphs() map[string][]byte {
	node := func(op string, in, out string, attributes ...field) field {
		var fields []field
		for _, name := range strings.Fields(in) {
			fields = append(fields, text(1, strings.TrimPrefix(name, "-"))) // - is an input that is not given
		}
		return inside(1, append(append(fields, text(2, out), text(3, op), text(4, op)), attributes...)...)
	}
	ints := func(name string, values ...int64) field {
		fields := []field{text(1, name), number(20, 7)}
		for _, v := range values {
			fields = append(fields, number(8, uint64(v)))
		}
		return inside(5, fields...)
	}
	axis := func(v int64) field { return inside(5, text(1, "axis"), number(3, uint64(v)), number(20, 2)) }
	list := func(name string, values ...int64) field { // an initial value
		fields := []field{number(1, uint64(len(values))), number(2, 7), text(8, name)}
		for _, v := range values {
			fields = append(fields, number(7, uint64(v)))
		}
		return inside(5, fields...)
	}
	value := func(at int, name string, dims ...int64) field {
		var shape []field
		for _, d := range dims {
			shape = append(shape, inside(1, number(1, uint64(d))))
		}
		if at == 12 {
			return inside(12, text(1, name))
		}
		return inside(11, text(1, name), inside(2, inside(1, number(1, 1), inside(2, shape...))))
	}
	file := func(fields ...field) []byte {
		graph := append(fields, value(11, "x", 1, 3, 8, 8), value(12, "y"))
		return message{number(1, 8), inside(7, graph...), inside(8, text(1, ""), number(2, 17))}.bytes()
	}
	var doubling []field
	before := "x"
	for i := range 40 {
		name := strings.Repeat("a", i+1)
		if i == 39 {
			name = "y"
		}
		doubling = append(doubling, node("Concat", before+" "+before, name, axis(2)))
		before = name
	}
	const most = 1 << 31
	return map[string][]byte{
		"the attribute value has no value": file(node("Constant", "", "c",
			inside(5, text(1, "value"), number(20, 4))), node("Add", "x c", "y")),
		"the attribute body has no value": file(node("Loop", "x x", "y",
			inside(5, text(1, "body"), number(20, 5)))),
		"which is too large": file(doubling...),
		"takes b, which nothing before it makes": file(node("Add", "x b", "a"), node("Add", "a x", "b"),
			node("Relu", "b", "y")),
		"takes y, which nothing before it makes": file(node("Relu", "y", "y")),
		"has pads=[0 0 2147483648 0 0 0 0 0]": file(list("p", 0, 0, most, 0, 0, 0, 0, 0),
			node("Pad", "x p", "y")),
		"has pads=[2147483648 2147483648 2147483648 2147483648]": file(node("MaxPool", "x", "y", ints("kernel_shape", 2, 2),
			ints("pads", most, most, most, most))),
		"has the shape [2147483648 2147483648]": file(list("s", most, most),
			node("ConstantOfShape", "s", "c"), node("Add", "x c", "y")),
		"has the shape [1 3 2147483648 8]": file(list("s", 1, 3, most, 8),
			node("Expand", "x s", "y")),
		"has repeats=[1 1 1048576 1048576]": file(list("r", 1, 1, 1<<20, 1<<20),
			node("Tile", "x r", "y")),
		"has the size [1 3 2147483648 8]": file(list("s", 1, 3, most, 8),
			node("Resize", "x - - s", "y")),
		"the tensor w says that it is [2147483648 2147483648 3 3]": file(inside(5, number(1, most), number(1, most),
			number(1, 3), number(1, 3), number(2, 1), text(8, "w"), text(9, "abcd")), node("Conv", "x w", "y")),
		"images have four axes": message{number(1, 8), inside(7, node("Relu", "x", "y"), value(11, "x", 1, 3),
			value(12, "y")), inside(8, text(1, ""), number(2, 17))}.bytes(),
		"it has no graph": []byte("\x08\x08"),
	}
}

// Each graph that makes much of little is refused, with what it has, before anything runs.
func TestGraphsThatMakeMuchOfLittle(t *testing.T) {
	for want, raw := range largeGraphs() {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		err := bounded.Read(t, len(raw), func() error { _, err := Open(path, Options{}); return err })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
