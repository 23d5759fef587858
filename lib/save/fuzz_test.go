package save

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
	"github.com/loupeml/loupe/lib/table"
)

// go test -fuzz FuzzRead ./lib/save goes on from the seeds.
func FuzzRead(f *testing.F) {
	f.Add(0, []byte("index,file,score\n0,a.png,0.5\n1,\"b, c.png\",NaN\n2,,\n"))
	f.Add(0, []byte(""))
	f.Add(0, []byte("a,b\n1\n"))
	f.Add(1, []byte(`[{"a": null, "b": [1, 2.5, "x"]}]`))
	f.Add(1, []byte("[[[[[[[["))
	f.Add(2, []byte("\x93NUMPY\x01\x00\x3a\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n\x00\x00\x80?"))
	f.Fuzz(func(t *testing.T, kind int, content []byte) {
		if kind < 0 || kind > 2 {
			return
		}
		path := filepath.Join(t.TempDir(), "v"+[]string{".csv", ".json", ".npy"}[kind])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			v, err := Read(path)
			if err != nil {
				return err
			}
			if tab, ok := v.(table.Table); ok {
				for _, row := range tab.Rows {
					if len(row) != len(tab.Header) {
						t.Errorf("%d cells in %d columns", len(row), len(tab.Header))
					}
				}
				_ = tab.Bundle()
			}
			return nil
		})
	})
}
