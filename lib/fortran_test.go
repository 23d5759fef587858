package loupe

import (
	"archive/zip"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/weightfile"
)

// NumPy writes an array column by column where it lies so, as every transposed matrix does. Read row by row it would be
// another one of the same shape. bench/oracles/fortran.py wrote the files.
func TestArraysColumnByColumnComeInRightOrAreRefused(t *testing.T) {
	archive, err := zip.OpenReader("testdata/fortran.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := t.TempDir()
	if err := os.CopyFS(dir, archive); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	if err := os.WriteFile(in("names.txt"), []byte("a\nb\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"images.npy":          func() error { _, err := data.Open(in("images.npy")); return err },
		"images.npz":          func() error { _, err := data.Open(in("images.npz")); return err },
		"floats.npy":          func() error { _, err := data.NPY(in("floats.npy"), "", nil); return err },
		"array.npy":           func() error { _, err := save.Read(in("array.npy")); return err },
		"weights.npz":         func() error { _, err := weightfile.Read(in("weights.npz")); return err },
		"probabilities.npy":   func() error { _, err := labels.OpenProbabilities(in("probabilities.npy")); return err },
		"predictions/net.npy": func() error { _, err := shift.ReadPredictions(in("predictions")); return err },
		"archive.npz": func() error {
			_, _, err := shift.ReadPredictionArchive(in("archive.npz"),
				in("names.txt"))
			return err
		},
	} {
		if _, err := fs.Stat(archive, name); err != nil {
			t.Error(err)
		}
		err := read()
		if err == nil {
			t.Errorf("%s comes in", name)
			continue
		}
		for _, says := range []string{filepath.Base(name), "Fortran", "numpy.ascontiguousarray"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: the error does not say %q: %v", name, says, err)
			}
		}
		t.Log(err)
	}
	weights, err := weightfile.Read(in("weights.pkl"))
	if err != nil {
		t.Fatal(err)
	}
	w := weights["fc.weight"]
	if got := tensors.MustCopyFlatData[float32](w); !slices.Equal(w.Shape().Dimensions, []int{2, 3}) ||
		!slices.Equal(got, []float32{0, 1, 2, 3, 4, 5}) {
		t.Errorf("a pickle's weights came in as %s, %v", w.Shape(), got)
	}
}
