package model

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

type darker struct{ By float32 }

func (d darker) of(x *graph.Node) *graph.Node { return graph.MulScalar(x, float64(d.By)) }

// A network behind a preparation says of images what it says of prepared ones, normalises after it, and shares its
// programs with other weights behind the same; an ensemble and double precision go on working.
func TestBehind(t *testing.T) {
	x := squares(3)
	half := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](x), x.Shape().Dimensions...)
	tensors.MustMutableFlatData(half, func(flat []float32) {
		for i := range flat {
			flat[i] *= 0.5
		}
	})
	behind := func(m *Model, by float32) *Model {
		t.Helper()
		d := darker{by}
		b, err := m.Behind(d, "darker", d.of)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m := linear(t, 1, 0.2)
	whole := behind(m, 0.5)
	want := logitsOf(t, m, half)
	if !same(logitsOf(t, whole, x), want, 1e-6) || same(logitsOf(t, m, x), want, 1e-3) {
		t.Error("a network behind a preparation says something else")
	}
	before := Compilations()
	other := linear(t, 2, 0.2)
	if !same(logitsOf(t, behind(other, 0.5), x), logitsOf(t, other, half), 1e-6) {
		t.Error("other weights behind the same say something else")
	}
	if n := Compilations() - before; n != 0 {
		t.Errorf("other weights behind the same compile %d programs", n)
	}
	if same(logitsOf(t, behind(m, 0.25), x), want, 1e-3) {
		t.Error("another preparation runs the first one's program")
	}
	pair, err := Ensemble("pair", m, other)
	if err != nil {
		t.Fatal(err)
	}
	if !same(logitsOf(t, behind(pair, 0.5), x), logitsOf(t, pair, half), 1e-5) {
		t.Error("an ensemble behind a preparation says something else")
	}
	double, err := whole.Double()
	if err != nil {
		t.Fatal(err)
	}
	if !same(logitsOf(t, double, x), want, 1e-5) {
		t.Error("in double precision it says something else")
	}
	if !m.SharesArchitecture(other) || m.SharesArchitecture(whole) || m.SharesArchitecture(nil) {
		t.Error("who shares an architecture is told wrongly")
	}
	for words, make := range map[string]func() (*Model, error){
		"is nil":       func() (*Model, error) { return m.Behind(darker{}, "", nil) },
		"named struct": func() (*Model, error) { return m.Behind(3, "", darker{}.of) },
		"of the shape": func() (*Model, error) {
			return m.Behind(darker{}, "", func(x *graph.Node) *graph.Node { return graph.Concatenate([]*graph.Node{x, x}, 1) })
		},
	} {
		if _, err := make(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
