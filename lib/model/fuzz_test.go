package model_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/bounded"
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
