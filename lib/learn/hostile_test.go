package learn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/internal/bounded"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// keptRun is a run of two steps, of three where it goes on, with its checkpoint.
func keptRun(t testing.TB, file string, steps int) Run {
	t.Helper()
	m, err := MLP(model.Spec{Height: 3, Width: 2, Channels: 1}, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	data, err := FromTensors(pixelWave(8, 3, 2, 1), []int{0, 1, 2, 3, 0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	return Run{Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: Shuffled(4), Step: classify,
		Optimizer: SGD{LearningRate: 0.1}, Steps: steps, Checkpoint: file,
		Every: []Hook{Evaluate{Name: "zero", Every: 1, Measure: func(*model.Model) (float64, error) { return 0, nil }},
			KeepBest{}}}
}

// A checkpoint whose sums are right, and what it says is not, is an error.
func TestCheckpointsThatTellOfWhatTheyHaveNot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "run.safetensors")
	if _, err := keptRun(t, file, 2).Do(); err != nil {
		t.Fatal(err)
	}
	arrays, metadata, _, err := safetensors.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	var was place
	if err := json.Unmarshal([]byte(metadata[runKey]), &was); err != nil {
		t.Fatal(err)
	}
	long := tensors.FromFlatDataAndDimensions([]float64{1, 2, 3}, 3)
	for name, c := range map[string]struct {
		change func(p *place, arrays map[string]*tensors.Tensor)
		want   string
	}{
		"as it was":       {func(*place, map[string]*tensors.Tensor) {}, ""},
		"fewer than none": {func(p *place, _ map[string]*tensors.Tensor) { p.Done = -2 }, "-2 steps"},
		"more than all": {func(p *place, _ map[string]*tensors.Tensor) { p.Done = 1 << 40 },
			"it has done 1099511627776 steps"},
		"best after":  {func(p *place, _ map[string]*tensors.Tensor) { p.BestAt = 3 }, "the best is 3"},
		"best before": {func(p *place, _ map[string]*tensors.Tensor) { p.BestAt = -1 }, "the best is -1"},
		"evaluated later": {func(p *place, _ map[string]*tensors.Tensor) { p.Evaluations[0].Step = 7 },
			"after step 7 of 2"},
		"a longer history": {func(_ *place, a map[string]*tensors.Tensor) { a[historyPrefix+"loss"] = long },
			"history/loss"},
		"no history": {func(_ *place, a map[string]*tensors.Tensor) { delete(a, historyPrefix+"rate") },
			"not of 2 steps"},
		"a measure of more": {func(_ *place, a map[string]*tensors.Tensor) { a[historyPrefix+"metric/x"] = long },
			"history/metric/x"},
		"a history of text": {func(_ *place, a map[string]*tensors.Tensor) {
			a[historyPrefix+"loss"] = tensors.FromFlatDataAndDimensions([]int32{1, 2}, 2)
		}, "history/loss"},
		"another best": {func(_ *place, a map[string]*tensors.Tensor) {
			for key := range a {
				if strings.HasPrefix(key, bestPrefix) {
					a[key] = long
				}
			}
		}, "it has best/"},
		"a best of nothing": {func(_ *place, a map[string]*tensors.Tensor) { a[bestPrefix+"x"] = long }, "it has best/x"},
	} {
		p, changed := was, maps.Clone(arrays)
		p.Evaluations = append([]evaluated(nil), was.Evaluations...)
		c.change(&p, changed)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := digestOf(changed, text)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(dir, "other.safetensors")
		if err := wholefile.Write(other, func(w io.Writer) error {
			return safetensors.Write(w, changed, map[string]string{runKey: string(text), digestKey: digest})
		}); err != nil {
			t.Fatal(err)
		}
		_, err = keptRun(t, other, 3).Do()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A saved network is built for the images that its weights fit, and nothing is drawn for others.
func TestSavedNetworksThatTellOfOtherImages(t *testing.T) {
	spec := model.Spec{Height: 8, Width: 8, Channels: 3, Classes: []string{"a", "b", "c"}}
	cnn, err := SmallCNN(spec, 3, 1, 4, 8)
	if err != nil {
		t.Fatal(err)
	}
	mlp, err := MLP(spec, 3, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	bag, err := SmallBag(spec, 3, 1, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	vit, err := ViT{Width: 8, Depth: 1, Heads: 2, Patch: 4}.Make(spec, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	for kind, m := range map[string]*model.Model{"cnn": cnn, "mlp": mlp, "bag": bag, "vit": vit} {
		file := filepath.Join(t.TempDir(), kind+".safetensors")
		if err := save.Write(file, m); err != nil {
			t.Fatal(err)
		}
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Load(file); err != nil {
			t.Errorf("%s as it was: %v", kind, err)
		}
		// The header's length stays: what takes more digits takes the spaces behind it.
		for _, said := range []string{`\"Height\":-1`, `\"Height\":0`, `\"Channels\":-3`, `\"Channels\":0`,
			`\"Height\":1099511627776`, `\"Channels\":65536`, `\"Width\":1048576`} {
			field, _, _ := strings.Cut(said, ":")
			was := map[string]string{`\"Height\"`: `\"Height\":8`, `\"Width\"`: `\"Width\":8`,
				`\"Channels\"`: `\"Channels\":3`}[field]
			if !bytes.Contains(good, []byte(was)) {
				t.Fatalf("%s says nothing of %s: %.300q", kind, field, good)
			}
			if err := os.WriteFile(file, rewritten(t, good, was, said), 0o600); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { _, err := model.Load(file); done <- err }()
			select {
			case err := <-done:
				if err == nil && kind == "bag" && field != `\"Channels\"` && !strings.Contains(said, "1099511627776") &&
					!strings.Contains(said, "-1") && !strings.HasSuffix(said, ":0") {
					continue // whose patches go over images of any size
				}
				if err == nil || strings.Contains(err.Error(), "runtime error") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s with %s: %v", kind, said, err)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("%s with %s hangs", kind, said)
			}
		}
	}
}

// rewritten is a safetensors file with something else in its header.
func rewritten(t *testing.T, raw []byte, was, is string) []byte {
	t.Helper()
	n := int(raw[0]) | int(raw[1])<<8 | int(raw[2])<<16
	header := bytes.Replace(raw[8:8+n], []byte(was), []byte(is), 1)
	n = len(header)
	return bytes.Join([][]byte{{byte(n), byte(n >> 8), byte(n >> 16), 0, 0, 0, 0, 0}, header,
		raw[8+int(raw[0])|int(raw[1])<<8|int(raw[2])<<16:]}, nil)
}

// Layers that do not fit each other are an error, and take no memory: each of two has a million numbers, and between
// them a network would have a million millions.
func TestSavedLayersThatDoNotFit(t *testing.T) {
	const wide = 1 << 20
	file := filepath.Join(t.TempDir(), "net.safetensors")
	spec, err := json.Marshal(model.Spec{Height: 1, Width: 1, Channels: 1})
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]*tensors.Tensor{}
	for name, dims := range map[string][]int{"hidden1.weight": {wide, 1}, "hidden1.bias": {wide},
		"hidden2.weight": {wide, 1}, "hidden2.bias": {wide}, "linear.weight": {3, 1}, "linear.bias": {3}} {
		n := 1
		for _, d := range dims {
			n *= d
		}
		weights[name] = tensors.FromFlatDataAndDimensions(make([]float32, n), dims...)
	}
	if err := wholefile.Write(file, func(w io.Writer) error {
		return safetensors.Write(w, weights, map[string]string{"loupe.spec": string(spec), "loupe.architecture": "MLP"})
	}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("needs %v", []int{wide, wide})
	if _, err := model.Load(file); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// go test -fuzz FuzzResume ./lib/learn goes on from the seeds: what a checkpoint says of itself, with a sum that is
// right.
func FuzzResume(f *testing.F) {
	dir := f.TempDir()
	file := filepath.Join(dir, "run.safetensors")
	if _, err := keptRun(f, file, 2).Do(); err != nil {
		f.Fatal(err)
	}
	arrays, metadata, _, err := safetensors.Read(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(metadata[runKey])
	f.Add(strings.Replace(metadata[runKey], `"Done":2`, `"Done":-2`, 1))
	f.Add("null")
	f.Fuzz(func(t *testing.T, said string) {
		digest, err := digestOf(arrays, []byte(said))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "run.safetensors")
		if err := wholefile.Write(path, func(w io.Writer) error {
			return safetensors.Write(w, arrays, map[string]string{runKey: said, digestKey: digest})
		}); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(said), func() error {
			trained, err := keptRun(t, path, 3).Do()
			if err == nil {
				_, err = trained.History.Table()
			}
			return err
		})
	})
}
