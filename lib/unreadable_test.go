package loupe_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"

	"github.com/loupeml/loupe/lib/carry"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/shift"
)

// What is no file, whatever its name, is an error of every reader at once: a pipe is not waited for, and /dev/zero not
// read to its end.
func TestWhatIsNoFileIsReadByNobody(t *testing.T) {
	photograph := func(ds *data.Dataset, err error) error {
		if err == nil {
			_, err = ds.Image(0)
		}
		return err
	}
	readers := map[string][]func(path string) error{}
	for _, suffix := range []string{".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".npz", ".pkl", ".onnx"} {
		readers[suffix] = append(readers[suffix], func(path string) error { _, err := model.Load(path); return err })
	}
	for _, suffix := range []string{".csv", ".json", ".npy", ".npz", ".safetensors"} {
		readers[suffix] = append(readers[suffix], func(path string) error { _, err := save.Read(path); return err })
	}
	for _, suffix := range []string{".zip", ".npz", ".npy", ".png", ".jpg", ".webp"} {
		readers[suffix] = append(readers[suffix], func(path string) error { return photograph(data.Open(path)) })
	}
	readers[".png"] = append(readers[".png"], func(path string) error {
		return photograph(data.Folder(filepath.Dir(path), data.Options{}))
	})
	readers[".gz"] = append(readers[".gz"], func(path string) error { return photograph(data.IDX(path, path, nil)) })
	readers[".bin"] = append(readers[".bin"], func(path string) error { return photograph(data.CIFAR10(path)) })
	readers[".npy"] = append(readers[".npy"],
		func(path string) error { _, err := labels.ReadLabels(path); return err },
		func(path string) error { _, err := labels.OpenProbabilities(path); return err },
		func(path string) error { _, err := shift.ReadPredictions(filepath.Dir(path)); return err })
	readers[".json"] = append(readers[".json"],
		func(path string) error { _, err := labels.ReadVerdicts(path); return err },
		func(path string) error { _, err := shift.ReadPredictions(filepath.Dir(path)); return err })
	readers[".csv"] = append(readers[".csv"], func(path string) error {
		_, err := shift.ReadAccuracies(path, 1, func(string) int { return 1 })
		return err
	})
	readers[".value"] = append(readers[".value"], func(path string) error { _, err := carry.Describe(path); return err })
	readers["-initial.json"] = append(readers["-initial.json"], func(path string) error {
		_, err := model.FromCheckpoint(filepath.Dir(path), model.Spec{Height: 1, Width: 1, Channels: 1},
			func(scope *gomlx.Scope, x *graph.Node) *graph.Node {
				return scope.VariableWithShape("w", shapes.Make(dtypes.Float32, 1, 2)).NodeValue(x.Graph())
			})
		return err
	})
	for suffix, all := range readers {
		for kind, put := range map[string]func(path string) error{
			"a pipe":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"a link to zeros":   func(path string) error { return os.Symlink("/dev/zero", path) },
			"a folder":          func(path string) error { return os.Mkdir(path, 0o700) },
			"a link to nothing": func(path string) error { return os.Symlink("nothing", path) },
			"a link to itself":  func(path string) error { return os.Symlink(filepath.Base(path), path) },
			"a socket of others": func(path string) error {
				l, err := net.Listen("unix", path)
				t.Cleanup(func() { l.Close() })
				return err
			},
		} {
			dir, err := os.MkdirTemp("", "none") // a socket's path is short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			path := filepath.Join(dir, "checkpoint-n0"+suffix)
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			for i, read := range all {
				done := make(chan error, 1)
				go func() { done <- read(path) }()
				select {
				case err := <-done:
					if err == nil || strings.Contains(err.Error(), "\n") {
						t.Errorf("%s called %s, reader %d: %v", kind, suffix, i, err)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("%s called %s hangs in reader %d", kind, suffix, i)
				}
			}
		}
	}
}
