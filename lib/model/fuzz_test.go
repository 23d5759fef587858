package model_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/bounded"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// go test -fuzz FuzzSaved ./lib/model goes on from the seeds: saved models and answers, and what lies beside weights.
func FuzzSaved(f *testing.F) {
	dir := f.TempDir()
	spec := model.Spec{Height: 4, Width: 4, Channels: 1, Classes: []string{"a", "b"}}
	mlp, err := learn.MLP(spec, 2, 1, 3)
	if err != nil {
		f.Fatal(err)
	}
	vit, err := learn.ViT{Width: 4, Depth: 1, Heads: 2, Patch: 2}.Make(spec, 2, 1)
	if err != nil {
		f.Fatal(err)
	}
	answers, err := model.AnswersFromLogits("net", tensors.FromValue([][]float32{{1, 2}, {0, 3}}), []int{0, 1})
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"net.safetensors", "net.npz", "names.json", "names.txt"}
	for _, v := range []any{mlp, vit, answers} {
		for i, name := range names[:2] {
			path := filepath.Join(dir, name)
			if err := save.Write(path, v); err != nil {
				f.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(i, raw)
		}
	}
	if err := save.Write(filepath.Join(dir, "whole.safetensors"), mlp); err != nil {
		f.Fatal(err)
	}
	f.Add(2, []byte(`["cat", "dog"]`))
	f.Add(2, []byte(`{"0": "cat", "1": "dog"}`))
	f.Add(2, []byte(`null`))
	f.Add(3, []byte("cat\ndog\n"))
	f.Fuzz(func(t *testing.T, kind int, content []byte) {
		if kind < 0 || kind >= len(names) {
			return
		}
		path := filepath.Join(t.TempDir(), names[kind])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if kind >= 2 {
			bounded.Read(t, len(content), func() error {
				_, err := model.Load(filepath.Join(dir, "whole.safetensors"), model.ClassNames(path))
				return err
			})
			return
		}
		bounded.Read(t, len(content), func() error { _, err := model.Load(path); return err })
		bounded.Read(t, len(content), func() error {
			a, err := model.ReadAnswers(path)
			if err != nil {
				return err
			}
			_, err = a.Table()
			return err
		})
	})
}

// What lies beside weights cannot tell of images that nobody has. The network takes images of any size.
func TestConfigOfImagesThatNobodyHas(t *testing.T) {
	weights := map[string]*tensors.Tensor{}
	add := func(name string, dims ...int) {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = 1
		}
		weights[name] = tensors.FromFlatDataAndDimensions(values, dims...)
	}
	norm := func(name string, n int) {
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(name+"."+part, n)
		}
	}
	add("conv1.weight", 2, 3, 3, 3)
	norm("bn1", 2)
	in := 2
	for stage, n := range []int{2, 4, 8} {
		at := fmt.Sprintf("layer%d.0.", stage+1)
		add(at+"conv1.weight", n, in, 3, 3)
		norm(at+"bn1", n)
		add(at+"conv2.weight", n, n, 3, 3)
		norm(at+"bn2", n)
		in = n
	}
	add("linear.weight", 10, 8)
	add("linear.bias", 10)
	dir := t.TempDir()
	path := filepath.Join(dir, "net.safetensors")
	if err := save.Write(path, weights); err != nil {
		t.Fatal(err)
	}
	for said, want := range map[string]string{
		`"input_size": [3, 32, 48], "crop_pct": 0.875`:       "",
		`"input_size": [3, 32, 100000000]`:                   "images of 32 x 100000000 x 3",
		`"input_size": [3, 4294967296, 4294967296]`:          "images of 4294967296 x 4294967296 x 3",
		`"input_size": [3, 16000, 5000], "crop_pct": 0.01`:   "made 1600000 pixels large",
		`"input_size": [3, -32, 32]`:                         "the config.json beside",
		`"input_size": [3, 32, 48], "crop_pct": 1e-300`:      "", // which is no share
		`"input_size": null, "mean": null, "crop_pct": null`: "",
		`"mean": [0.5], "std": [0]`:                          "the config.json beside",
	} {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"pretrained_cfg": {`+said+`}}`),
			0o600); err != nil {
			t.Fatal(err)
		}
		m, err := model.Load(path)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %v, want %q", said, m, err, want)
		}
	}
}
