package carry_test

import (
	"image"
	"image/color"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/carry"
	_ "github.com/loupeml/loupe/lib/carry/arrays"
	"github.com/loupeml/loupe/lib/data"
)

func through[T any](t *testing.T, v T, typ string) T {
	t.Helper()
	file := filepath.Join(t.TempDir(), "value")
	if err := carry.Save(file, v); err != nil {
		t.Fatal(err)
	}
	h, err := carry.Describe(file)
	if err != nil || h.Type != typ {
		t.Errorf("%T is described as %q, want %q (%v)", v, h.Type, typ, err)
	}
	return carry.Load[T](file)
}

func same[T any](t *testing.T, v T, typ string) {
	t.Helper()
	if got := through(t, v, typ); !reflect.DeepEqual(got, v) {
		t.Errorf("%v became %v", v, got)
	}
}

func TestValues(t *testing.T) {
	same(t, 7, "int")
	same(t, -1.5, "float64")
	same(t, float32(0.1), "float32")
	same(t, "grün\x00", "string")
	same(t, true, "bool")
	same(t, complex(1, 2), "complex128")
	same(t, []float32{1, 2, 3}, "[]float32")
	same(t, [2][]string{{"a"}, {"b", "c"}}, "[2][]string")
	same(t, map[string][]int{"a": {1}, "b": {2, 3}}, "map[string][]int")
	same(t, 3*time.Second, "time.Duration")
	same(t, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "time.Time")
	same(t, struct {
		A int
		B map[string]struct{ C []byte }
	}{1, map[string]struct{ C []byte }{"x": {[]byte{9}}}}, "struct{ A int; B map[string]struct{ C []uint8 } }")
	img := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	img.Set(1, 1, color.NRGBA{1, 2, 3, 200})
	same(t, img, "*image.NRGBA")
	var shown image.Image = img
	file := filepath.Join(t.TempDir(), "image")
	if err := carry.Save(file, shown); err != nil {
		t.Fatal(err)
	}
	if got := carry.Load[*image.NRGBA](file); !reflect.DeepEqual(got, img) {
		t.Error("an image changed on the way")
	}
}

func TestTensorsAndDatasets(t *testing.T) {
	x := tensors.MustFromAnyValue([][]float32{{1, 2}, {3, 4}})
	if got := through(t, x, "*tensors.Tensor"); !got.Equal(x) {
		t.Errorf("%s became %s", x, got)
	}
	d, err := data.FromTensor(tensors.MustFromAnyValue([][][][]float32{{{{0.5}}}, {{{1}}}}), []int{1, 0},
		[]string{"cat", "dog"})
	if err != nil {
		t.Fatal(err)
	}
	got := through(t, d, "*data.Dataset")
	if got.Len() != 2 || got.ClassName(0) != "dog" || !reflect.DeepEqual(got.Labels(), d.Labels()) {
		t.Errorf("%s became %s", d, got)
	}
}

type node struct{ Next *node }

func TestWhatCannotBeCarriedIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	for _, test := range []struct {
		v    any
		says string
	}{
		{nil, "nil"},
		{make(chan int), "the value has the type chan int"},
		{func() {}, "func()"},
		{map[string]any{"a": 1}, "an element of the value has the type interface {}"},
		{struct{ a int }{1}, "field a of the value is not exported"},
		{struct{ A []func() }{}, "an element of the field A of the value has the type func()"},
		{node{}, "holds itself"},
	} {
		if err := carry.Save(file, test.v); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%T: %v, want %q", test.v, err, test.says)
		}
	}
}

func TestDamagedFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := carry.Save(file, []int{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(file, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.HasPrefix(err.Error(), "carry: ") {
					t.Errorf("cut at %d: %v", cut, err)
				}
			}()
			carry.Load[[]int](file)
		}()
	}
	if err := carry.Save(file, "a string"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "a string cannot be read as int") {
			t.Errorf("another type: %v", err)
		}
	}()
	carry.Load[int](file)
}
