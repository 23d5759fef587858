package carry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzLoad ./lib/carry goes on from the seeds.
func FuzzLoad(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	if err := Save(path, map[string][]float64{"a": {1, 2}, "b": {3}}); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "value")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			if _, err := Describe(path); err != nil {
				return err
			}
			_, err := load[map[string][]float64](path)
			return err
		})
	})
}
