package labels

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzDecisions ./lib/labels goes on from the seeds: files of decisions, and of verdicts.
func FuzzDecisions(f *testing.F) {
	f.Add(0, []byte(`[{"index": 0, "given": 0, "suggested": 1, "decision": "keep"}]`))
	f.Add(1, []byte("index,given,suggested,decision\n0,0,1,keep\n"))
	f.Add(1, []byte("index,given,suggested,decision\n99999999999999999999,0,1\n"))
	f.Add(2, []byte(`[{"id": 1, "given_original_label": 2, "our_guessed_label": 3, "mturk": {"given": 5, "guessed": 0, `+
		`"neither": 0, "both": 0}}]`))
	f.Add(2, []byte(`[null]`))
	f.Fuzz(func(t *testing.T, kind int, content []byte) {
		if kind < 0 || kind > 2 {
			return
		}
		path := filepath.Join(t.TempDir(), []string{"d.json", "d.csv", "v.json"}[kind])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			if kind == 2 {
				v, err := ReadVerdicts(path)
				if err == nil && len(v) > 0 {
					_, err = v.Table()
				}
				return err
			}
			images, issues := manyIssues(t, 2)
			r, err := OpenReview(path, images, issues, nil)
			if err != nil {
				return err
			}
			if err := r.Decide(0, BothLabels); err != nil {
				t.Errorf("it is read, and cannot be written: %v", err)
			}
			again, err := OpenReview(path, images, issues, nil)
			if err != nil || again.Decision(0) != BothLabels || again.Decided() != r.Decided() {
				t.Errorf("it is read another way after it is written: %v", err)
			}
			return nil
		})
	})
}

// go test -fuzz FuzzProbabilities ./lib/labels goes on from the seeds: NumPy files of probabilities and labels.
func FuzzProbabilities(f *testing.F) {
	of := func(head, data string) []byte {
		return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head))), head+data...)
	}
	f.Add(of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n",
		"\x00\x00\x80>\x00\x00@?\x00\x00\x80>\x00\x00@?"))
	f.Add(of("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", "\x00\x00\x00\x00\x01\x00\x00\x00"))
	f.Add(of("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }\n", "\x00\x00\x80>"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "p.npy")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		bounded.Read(t, len(content), func() error {
			if _, err := ReadLabels(path); err == nil {
				return nil
			}
			p, err := OpenProbabilities(path)
			if err != nil {
				return err
			}
			defer p.Close()
			n, k := p.Dims()
			if n*k > 4*len(content) {
				t.Errorf("%d x %d numbers in %d bytes", n, k, len(content))
			}
			p.Row(0, make([]float64, k))
			p.Row(n-1, make([]float64, k))
			_, err = FindLabelIssues(p, make([]int, n), Options{})
			return err
		})
	})
}
