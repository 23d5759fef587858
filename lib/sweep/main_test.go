package sweep

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

func ok[T any](t testing.TB) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %v, and does not say %q in one line", err, part)
		}
	}
}

func write(t testing.TB, path string, raw []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, raw, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// network is a copy of a small network of seven classes, which takes pictures of 15 x 17.
func network(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".onnx")
	write(t, path, ok[[]byte](t)(os.ReadFile("../model/testdata/autopad.onnx")))
	return path
}

// folder is one of small pictures, each class in a folder of its own.
func folder(t testing.TB, seed uint64, each int, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(seed, 1))
	for c, class := range classes {
		for i := range each {
			img := image.NewRGBA(image.Rect(0, 0, 17, 15))
			for p := range 17 * 15 {
				img.Set(p%17, p/17, color.RGBA{uint8(r.UintN(256)), uint8(36 * c), uint8(r.UintN(256)), 255})
			}
			var b strings.Builder
			if err := png.Encode(&b, img); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, class, fmt.Sprintf("%d.png", i)), []byte(b.String()))
		}
	}
	return dir
}

var seven = []string{"0", "1", "2", "3", "4", "5", "6"}

// small is a plan of one network under pictures as they are and in fog, not yet resolved.
func small(t testing.TB) Plan {
	t.Helper()
	p := Plan{
		Models:     []Model{{Name: "net", File: network(t, "net"), Normalisation: "none"}},
		Data:       []Data{{Name: "photos", Path: folder(t, 1, 3, seven...)}},
		Conditions: []Condition{{Data: "photos"}, {Data: "photos", Corruption: "contrast", Severity: 3}},
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p
}

// resolved is a plan whose files are found.
func resolved(t testing.TB, p Plan) (Plan, map[string]Pictures) {
	t.Helper()
	pictures, err := p.Resolve(Plan{})
	if err != nil {
		t.Fatal(err)
	}
	return p, pictures
}

// said is an outcome of predictions that a model may give: the classes it chooses, and how sure it is.
func said(classes ...int32) *Outcome {
	probabilities := make([]float32, len(classes))
	for i := range probabilities {
		probabilities[i] = 0.5
	}
	n := len(classes)
	return &Outcome{Truth: []int{0, 1, 2, 3, 4, 5, 6}, Arrays: map[string]*tensors.Tensor{
		"classes":       tensors.FromFlatDataAndDimensions(classes, n, 1),
		"probabilities": tensors.FromFlatDataAndDimensions(probabilities, n, 1),
	}}
}
