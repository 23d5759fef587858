package shift

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzPublished ./lib/shift goes on from the seeds: predictions, and tables of published accuracies.
func FuzzPublished(f *testing.F) {
	f.Add(0, []byte("[1, 2, 3, 0]"))
	f.Add(0, []byte("[null, -1]"))
	f.Add(1, []byte("\x93NUMPY\x01\x00\x3d\x00{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), "+
		"}\n\x01\x00\x00\x00\x00\x00\x00\x00"))
	f.Add(2, []byte("model,clean,fog\nnet,75.0,50.0\nother,100,25\n"))
	f.Add(2, []byte("model,clean\nnet,NaN\n"))
	f.Fuzz(func(t *testing.T, kind int, content []byte) {
		if kind < 0 || kind > 2 {
			return
		}
		dir := t.TempDir()
		path := filepath.Join(dir, []string{"net.json", "net.npy", "table.csv"}[kind])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			if kind == 2 {
				_, err := ReadAccuracies(path, 100, func(string) int { return 100 })
				return err
			}
			p, err := ReadPredictions(dir)
			if err != nil {
				return err
			}
			return NewResults().AddPredictions("clean", make([]int, p[0].Len()), 1, p...)
		})
	})
}
