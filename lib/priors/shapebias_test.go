package priors

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are those of the authors' code and of their experiments: bench/oracles/cueconflict.py.
func conflicts[T any](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/cueconflict.npz", array)
}

// The categories' classes, and the decisions for a category by ImageNet's probabilities, are the authors'.
func TestDecisionsAreTheAuthors(t *testing.T) {
	indices := conflicts[int64](t, "indices")
	for c, n := range conflicts[int64](t, "counts") {
		var own []int64
		for _, r := range classesOf[Categories[c]] {
			for class := r[0]; class <= r[1]; class++ {
				own = append(own, int64(class))
			}
		}
		if !slices.Equal(own, indices[:n]) {
			t.Errorf("%s has the classes %v, want %v", Categories[c], own, indices[:n])
		}
		indices = indices[n:]
	}
	want := conflicts[uint8](t, "decisions")
	a, err := model.AnswersFromProbabilities("net", tensors.FromFlatDataAndDimensions(conflicts[float32](t,
		"probabilities"), len(want), 1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decisions(a)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if got[i] != Categories[w] {
			t.Errorf("image %d is decided to be a %s, want %s", i, got[i], Categories[w])
		}
	}
}

// The shape biases of the published decisions are the published ones.
func TestShapeBiasIsThePublishedOne(t *testing.T) {
	shapes, textures := conflicts[uint8](t, "shape"), conflicts[uint8](t, "texture")
	for net, published := range map[string]float64{"alexnet": 0.253, "vgg16": 0.092} {
		var classes []int
		var names []string
		for i, d := range conflicts[uint8](t, net) {
			classes = append(classes, int(d))
			names = append(names, fmt.Sprintf("%s/%[1]s%d-%s%d.png", Categories[shapes[i]], 1+i%9,
				Categories[textures[i]], 1+i%7))
		}
		a := model.AnswersFromClasses(net, classes)
		a.Names, a.Classes = names, Categories
		b, err := ShapeBias(a)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(b)
		if !approx.Equal(b.Share().Share(), published, 0.0006) || b.Agreeing != 80 {
			t.Errorf("%v; published %g; %d images have no conflict", b, published, b.Agreeing)
		}
		a.Names[5] = "cat1.png"
		if _, err := ShapeBias(a); err == nil || !strings.Contains(err.Error(), `"cat1.png" does not name a shape`) {
			t.Errorf("a file of another name: %v", err)
		}
	}
	five, err := model.AnswersFromLogits("five", tensors.FromFlatDataAndDimensions(make([]float32, 10), 2, 5), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ShapeBias(five); err == nil || !strings.Contains(err.Error(), "five has 5 classes") {
		t.Errorf("other classes: %v", err)
	}
}

func TestCueConflictImages(t *testing.T) {
	ds, err := CueConflict(testenv.SharedData(t, "cue-conflict", "images.zip"))
	if err != nil {
		t.Fatal(err)
	}
	if ds.Len() != 640 || slices.ContainsFunc(ds.Labels(), func(l int) bool { return l >= 0 }) {
		t.Errorf("%v", ds)
	}
	dir := t.TempDir()
	image, err := ds.Image(0)
	if err != nil || image.Height == 0 {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cat.png"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CueConflict(dir); err == nil || !strings.Contains(err.Error(), "does not name a shape") {
		t.Errorf("a folder of other images: %v", err)
	}
}
