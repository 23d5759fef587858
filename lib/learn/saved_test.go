package learn

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// Each network comes back with its spec, its classes and to the bit the same answers.
func TestNetworksAreSavedAndLoaded(t *testing.T) {
	spec := model.Spec{Name: "mine", Height: 8, Width: 8, Channels: 3, Mean: []float64{0.1, 0.2, 0.3},
		Std: []float64{1, 2, 3}, Classes: []string{"hen", "owl", "emu"}, Resize: 9}
	flat := make([]float32, 2*8*8*3)
	for i := range flat {
		flat[i] = float32(i%17) / 17
	}
	x := tensors.FromFlatDataAndDimensions(flat, 2, 8, 8, 3)
	for name, make := range map[string]func() (*model.Model, error){
		"small CNN":    func() (*model.Model, error) { return SmallCNN(spec, 3, 1, 4, 6) },
		"one width":    func() (*model.Model, error) { return SmallCNN(spec, 3, 1, 5) },
		"bag":          func() (*model.Model, error) { return SmallBag(spec, 3, 1, 5, 4, 6) },
		"MLP":          func() (*model.Model, error) { return MLP(spec, 3, 1, 7, 5) },
		"linear":       func() (*model.Model, error) { return MLP(spec, 3, 1) },
		"ViT":          func() (*model.Model, error) { return ViT{Patch: 2, Width: 8, Depth: 2, Heads: 2}.Make(spec, 3, 1) },
		"ViT, 1 head":  func() (*model.Model, error) { return ViT{Patch: 4, Width: 8, Depth: 1, Heads: 1}.Make(spec, 3, 1) },
		"ViT, 8 heads": func() (*model.Model, error) { return ViT{Patch: 4, Width: 8, Depth: 1, Heads: 8}.Make(spec, 3, 1) },
	} {
		m, err := make()
		if err != nil {
			t.Fatal(err)
		}
		a, err := m.Logits(x)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{".safetensors", ".npz"} {
			file := filepath.Join(t.TempDir(), "m"+suffix)
			if err := save.Write(file, m); err != nil {
				t.Fatal(err)
			}
			back, err := model.Load(file)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := back.Spec(); got.Name != "mine" || !slices.Equal(got.Classes, spec.Classes) ||
				!slices.Equal(got.Std, spec.Std) || got.Resize != 9 {
				t.Errorf("%s: the spec is %+v", name, got)
			}
			b, err := back.Logits(x)
			if err != nil {
				t.Fatal(err)
			}
			if !a.Equal(b) {
				t.Errorf("%s: other answers", name)
			}
		}
	}
}

// A network that only looks like one of this package's is saved, and refused by Load rather than built wrongly.
func TestLookalikesAreNotLoaded(t *testing.T) {
	spec := model.Spec{Name: "mine", Height: 8, Width: 8, Channels: 3, Classes: []string{"hen", "owl", "emu"}}
	cnn, err := SmallCNN(spec, 3, 1, 4, 6)
	if err != nil {
		t.Fatal(err)
	}
	another := func(pool func(x *graph.Node) *graph.Node, rate float64) any {
		return func(b *model.Builder, x *graph.Node) *graph.Node {
			for _, i := range []string{"1", "2"} {
				x = b.ReLU("relu"+i, b.Conv2D("conv"+i, x, 1, 1))
				x = b.Record("pool"+i, pool(x))
			}
			x = b.Dropout(graph.Reshape(x, x.Shape().Dimensions[0], 24), rate)
			return b.Linear("linear", b.Features(b.ReLU("features", b.Linear("hidden", x))))
		}
	}
	largest := func(x *graph.Node) *graph.Node { return graph.MaxPool(x).Window(2).Strides(2).NoPadding().Done() }
	for name, fn := range map[string]any{
		"the same by hand": another(largest, 0), // nobody can tell without running it
		"mean pooling": another(func(x *graph.Node) *graph.Node {
			return graph.MeanPool(x).Window(2).Strides(2).NoPadding().Done()
		}, 0),
		"another window": another(func(x *graph.Node) *graph.Node {
			return graph.MaxPool(x).Window(1).Strides(2).NoPadding().Done()
		}, 0),
		"dropout": another(largest, 0.5),
	} {
		m, err := model.FromTensors(cnn.Weights(), spec, fn)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "m.safetensors")
		if err := save.Write(file, m); err != nil {
			t.Fatal(err)
		}
		_, err = model.Load(file)
		if err == nil || !strings.Contains(err.Error(), "FromWeights") {
			t.Errorf("%s: loaded with %v", name, err)
		}
		saved, err := model.SavedSpec(file)
		if err != nil || !slices.Equal(saved.Classes, spec.Classes) {
			t.Errorf("%s: the spec is %+v: %v", name, saved, err)
		}
		if again, err := model.FromWeights(file, saved, fn); err != nil || again.NumClasses() != 3 {
			t.Errorf("%s: FromWeights: %v", name, err)
		}
	}
	function, err := model.FromFunc(spec, func(x *graph.Node) *graph.Node { return graph.ReduceMean(x, 1, 2) })
	if err != nil {
		t.Fatal(err)
	}
	if err := save.Write(filepath.Join(t.TempDir(), "m.safetensors"), function); err == nil ||
		!strings.Contains(err.Error(), "no weights of its own") {
		t.Errorf("a function is saved: %v", err)
	}
}
