package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/carry"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/model"
	_ "github.com/loupeml/loupe/lib/pretrained" // its networks are known to model.Load
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/shift"
)

func shapeOf(dtype dtypes.DType, dims ...int) shapes.Shape { return shapes.Make(dtype, dims...) }

// serve opens what standard input names, and says on standard output what became of it.
func serve() {
	said := os.Stdout
	os.Stdout = os.Stderr // lines of progress are no answers
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		line, err := json.Marshal(attempt(r))
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(said, "%s\n", line)
	}
}

// attempt opens the files of a folder.
func attempt(r request) (a answer) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	defer func() {
		if p := recover(); p != nil {
			a.Outcome, a.Message = "panic", fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
		runtime.ReadMemStats(&after)
		a.Seconds, a.Bytes = time.Since(begun).Seconds(), int64(after.TotalAlloc-before.TotalAlloc)
	}()
	files, err := os.ReadDir(r.Dir)
	if err != nil {
		panic(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Join(r.Dir, f.Name()))
	}
	err = openers[r.Kind](r.Dir, names)
	switch {
	case err == nil:
		a.Outcome = "good"
	case strings.Contains(err.Error(), "\n") || len(err.Error()) > 1500 || err.Error() == "":
		a.Outcome, a.Message = "long error", err.Error()
	case strings.Contains(err.Error(), "runtime error"):
		a.Outcome, a.Message = "panic", err.Error()
	default:
		a.Outcome, a.Message = "refused", err.Error()
	}
	return a
}

// openers go a person's way with the files of a folder, by kind.
var openers = map[string]func(dir string, names []string) error{
	"image": func(_ string, names []string) error { return firstImage(data.Open(names[0])) },
	"npy":   func(_ string, names []string) error { return firstImage(data.Open(names[0])) },
	"npz":   func(_ string, names []string) error { return firstImage(data.Open(names[0])) },
	"zip": func(_ string, names []string) error {
		if _, err := data.Zip(names[0], data.Options{OnBad: data.Skip}); err != nil {
			return err
		}
		return firstImage(data.Open(names[0]))
	},
	"folder": func(dir string, _ []string) error {
		ds, err := data.Folder(dir, data.Options{OnBad: data.Skip})
		return firstImage(ds, err)
	},
	"labels": func(_ string, names []string) error {
		if strings.HasPrefix(filepath.Base(names[0]), "labels") {
			_, err := labels.ReadLabels(names[0])
			return err
		}
		p, err := labels.OpenProbabilities(names[0])
		if err != nil {
			return err
		}
		defer p.Close()
		n, k := p.Dims()
		for i := range min(n, 100) {
			p.Row(i, make([]float64, k))
		}
		_, err = labels.FindLabelIssues(p, make([]int, n), labels.Options{})
		return err
	},
	"arrays": func(_ string, names []string) error { _, err := save.Read(names[0]); return err },
	"table":  func(_ string, names []string) error { _, err := save.Read(names[0]); return err },
	"answers": func(_ string, names []string) error {
		a, err := model.ReadAnswers(names[0])
		if err != nil {
			return err
		}
		if _, err := a.Accuracy(); err != nil {
			return err
		}
		if _, err := a.Probabilities(); err != nil {
			return err
		}
		_, err = a.Table()
		return err
	},
	"idx": func(_ string, names []string) error { return firstImage(data.IDX(names[0], names[1], nil)) },
	"cifar": func(_ string, names []string) error {
		if strings.Contains(names[0], "100") {
			return firstImage(data.CIFAR100(names[0]))
		}
		return firstImage(data.CIFAR10(names[0]))
	},
	"pth":         func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"old pth":     func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"safetensors": func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"npz weights": func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"pkl":         func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"saved":       func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"onnx":        func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"made onnx":   func(_ string, names []string) error { return forward(model.Load(names[0])) },
	"onnx data":   func(dir string, _ []string) error { return forward(model.Load(filepath.Join(dir, "net.onnx"))) },
	"config":      func(dir string, _ []string) error { return forward(model.Load(filepath.Join(dir, "net.pth"))) },
	"names": func(dir string, names []string) error {
		at := slices.IndexFunc(names, func(n string) bool { return strings.Contains(n, "names.") })
		return forward(model.Load(filepath.Join(dir, "net.pth"), model.ClassNames(names[at])))
	},
	"checkpoint": func(dir string, _ []string) error {
		return forward(model.FromCheckpoint(dir, model.Spec{Height: 2, Width: 2, Channels: 3}, colours))
	},
	"run": func(_ string, names []string) error {
		run, err := steps(names[0], 3)
		if err == nil {
			_, err = run.Do()
		}
		return err
	},
	"review": func(_ string, names []string) error {
		images, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, 2*4*4*3), 2, 4, 4, 3), nil, nil)
		if err != nil {
			return err
		}
		r, err := labels.OpenReview(names[0], images, []labels.Issue{{Index: 0, Given: 0, Suggested: 1},
			{Index: 1, Given: 1, Suggested: 0}}, nil)
		if err != nil {
			return err
		}
		if err := r.Decide(1, labels.KeepLabel); err != nil {
			return err
		}
		_, err = r.Correct([]int{0, 1})
		return err
	},
	"verdicts": func(_ string, names []string) error {
		v, err := labels.ReadVerdicts(names[0])
		if err != nil {
			return err
		}
		_, err = v.Table()
		return err
	},
	"predictions": func(dir string, _ []string) error {
		p, err := shift.ReadPredictions(dir)
		if err != nil {
			return err
		}
		return shift.NewResults().AddPredictions("clean", make([]int, p[0].Len()), 1, p...)
	},
	"accuracies": func(_ string, names []string) error {
		_, err := shift.ReadAccuracies(names[0], 100, func(string) int { return 100 })
		return err
	},
	"carry": func(_ string, names []string) (err error) {
		if _, err := carry.Describe(names[0]); err != nil {
			return err
		}
		defer func() { // Load panics with the error where it fails, as it says
			if e, ok := recover().(error); ok {
				if _, bug := e.(runtime.Error); bug {
					panic(e)
				}
				err = e
			}
		}()
		carry.Load[map[string][]float64](names[0])
		return nil
	},
	"sources": func(dir string, _ []string) error {
		os.Setenv("LOUPE_CONFIG", dir)
		defer os.Unsetenv("LOUPE_CONFIG")
		_, err := assets.List()
		return err
	},
	"package": func(dir string, names []string) error {
		config, err := os.MkdirTemp("", "hostile-config")
		if err != nil {
			return err
		}
		defer os.RemoveAll(config)
		before := os.Getenv("LOUPE_CACHE")
		os.Setenv("LOUPE_CONFIG", config)
		os.Setenv("LOUPE_CACHE", filepath.Join(config, "cache"))
		defer os.Unsetenv("LOUPE_CONFIG")
		defer os.Setenv("LOUPE_CACHE", before)
		text, err := json.Marshal(map[string]any{"assets": []map[string]any{{"name": "mine", "kind": "model",
			"description": "d", "licence": "MIT", "source": map[string]any{"path": names[0]}}}})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(config, "sources.json"), text, 0o600); err != nil {
			return err
		}
		if _, err := assets.Fetch(context.Background(), "mine", nil); err != nil {
			return err
		}
		inside := []string{"assets", "cache", "downloads", "locks", "mine", "mine.lock", "sources.json"}
		written, err := readAll(config)
		if err != nil {
			return err
		}
		for name := range maps.Keys(written) {
			if first, _, _ := strings.Cut(name, string(filepath.Separator)); !slices.Contains(inside, first) {
				panic("it has written " + name)
			}
		}
		return nil
	},
}

// firstImage decodes the first image of a dataset, and the last.
func firstImage(ds *data.Dataset, err error) error {
	if err != nil {
		return err
	}
	if ds.Len() == 0 {
		return fmt.Errorf("data: the dataset is empty")
	}
	for _, i := range []int{0, ds.Len() - 1} {
		img, err := ds.Image(i)
		if err != nil {
			return err
		}
		if len(img.Pix) != img.Height*img.Width*img.Channels {
			panic("an image of another size than it says")
		}
	}
	_, _ = ds.Labels(), ds.String()
	return nil
}

// forward runs a model on two black images, and shows it.
func forward(m *model.Model, err error) error {
	if err != nil {
		return err
	}
	spec := m.Spec()
	if spec.Height < 1 || spec.Width < 1 || spec.Channels < 1 {
		return fmt.Errorf("model: images of %d x %d x %d", spec.Height, spec.Width, spec.Channels)
	}
	_ = m.String()
	images := tensors.FromFlatDataAndDimensions(make([]float32, 2*spec.Height*spec.Width*spec.Channels), 2, spec.Height,
		spec.Width, spec.Channels)
	_, err = m.Logits(images)
	return err
}
