package numpy

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// array is one of NumPy's format with any header.
func array(head string, numbers []byte) []byte {
	var b bytes.Buffer
	b.WriteString("\x93NUMPY\x01\x00")
	binary.Write(&b, binary.LittleEndian, uint16(len(head)+1))
	b.WriteString(head + "\n")
	b.Write(numbers)
	return b.Bytes()
}

func header(kind, shape string) string {
	return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", kind, shape)
}

// archiveOf is a .npz file of these entries.
func archiveOf(t *testing.T, entries map[string][]byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range entries {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return written(t, b.Bytes())
}

func written(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Numbers may lie with the highest byte first.
func TestNumbersTheOtherWayRound(t *testing.T) {
	got, err := ReadArray(written(t, array(header(">f4", "(2,)"), []byte("\x3f\x80\x00\x00\xc0\x00\x00\x00"))))
	if err != nil {
		t.Fatal(err)
	}
	if v := tensors.MustCopyFlatData[float32](got); !slices.Equal(v, []float32{1, -2}) {
		t.Errorf("%v", v)
	}
}

func TestHostileArraysAreRefused(t *testing.T) {
	eight := make([]byte, 8)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a pickle": {array(header("|O", "(1,)"), []byte("cos\nsystem\n(S'true'\ntR.")), "Python objects"},
		"text":     {array(header("<U4", "(1,)"), make([]byte, 16)), `type "<U4"`},
		"a structure": {array("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", eight),
			"type"},
		"columns": {array("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }", eight),
			"Fortran"},
		"a shape larger than the file": {array(header("<f4", "(3,)"), eight), "cut short"},
		"a shape smaller than it":      {array(header("<f4", "(1,)"), eight), "takes 4 bytes, and there are 8"},
		"a shape that overflows":       {array(header("<f4", "(4611686018427387904, 4)"), eight), "cut short"},
		"a negative shape":             {array(header("<f4", "(-2,)"), eight), "cut short"},
		"two negative axes":            {array(header("<f4", "(-2, -1)"), eight), "cut short"},
		"a long header":                {append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), eight...), "whole"},
		"no header":                    {[]byte("\x93NUMPY\x01\x00\x04\x00{}\n\n"), "whole"},
		"half a header":                {array("{'descr': '", nil), "whole"},
		"another version":              {[]byte("\x93NUMPY\x09\x00\x04\x00{}\n\n"), "whole"},
		"something else":               {[]byte("GIF89a, which is no array"), "whole"},
		"nothing":                      {nil, "whole"},
	} {
		file := archiveOf(t, map[string][]byte{"a.npy": c.data})
		if arrays, _, err := ReadArchive(file); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v, want an error that says %q", name, arrays, err, c.want)
		}
		alone := filepath.Join(t.TempDir(), "x.npy")
		if err := os.WriteFile(alone, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if a, err := ReadArray(alone); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, alone: %v, %v, want an error that says %q", name, a, err, c.want)
		}
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	good := array(header("<f4", "(2,)"), make([]byte, 8))
	whole, err := os.ReadFile(archiveOf(t, map[string][]byte{"a.npy": good, MetadataFile: []byte(`{"k": "v"}`)}))
	if err != nil {
		t.Fatal(err)
	}
	if arrays, metadata, err := ReadArchive(written(t, whole)); err != nil || len(arrays) != 1 || metadata["k"] != "v" {
		t.Fatalf("%v, %v: %v", arrays, metadata, err)
	}
	damaged, err := os.ReadFile(archiveOf(t, map[string][]byte{"a.npy": good}))
	if err != nil {
		t.Fatal(err)
	}
	damaged[len("PK")+40] ^= 0xff // in the array
	for name, c := range map[string]struct{ file, want string }{
		"a program in it":  {archiveOf(t, map[string][]byte{"a.npy": good, "run.py": nil}), `"run.py", which is no array`},
		"damaged metadata": {archiveOf(t, map[string][]byte{MetadataFile: []byte(`{"k": 1}`)}), "metadata"},
		"cut short":        {written(t, whole[:len(whole)/2]), "whole"},
		"damaged":          {written(t, damaged), "a: "},
		"a bomb":           {bomb(t), "unpacks to more than"},
	} {
		if arrays, _, err := ReadArchive(c.file); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v, want an error that says %q", name, arrays, err, c.want)
		}
	}
	if _, err := ArchiveMetadata(bomb(t)); err == nil {
		t.Error("a bomb's metadata is read")
	}
}

// bomb is an array of 300 MB of zeros in 300 KB, whose header is right.
func bomb(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bomb.npz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	w, err := z.Create("a.npy")
	if err != nil {
		t.Fatal(err)
	}
	const size = 300 << 20
	w.Write(array(header("|u1", fmt.Sprintf("(%d,)", size)), nil))
	if _, err := io.CopyN(w, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
