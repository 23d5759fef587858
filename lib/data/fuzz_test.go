package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// fuzzed writes a file, and looks at the first and the last image of the dataset that open makes of it.
func fuzzed(t *testing.T, name string, content []byte, open func(path string) (*Dataset, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	bounded.Read(t, len(content), func() error {
		ds, err := open(path)
		if err != nil {
			return err
		}
		if ds.Len() == 0 {
			t.Error("a dataset of nothing")
			return nil
		}
		for _, i := range []int{0, ds.Len() - 1} {
			img, err := ds.Image(i)
			if err != nil {
				return err
			}
			if len(img.Pix) != img.Height*img.Width*img.Channels {
				t.Errorf("%d numbers for %d x %d x %d", len(img.Pix), img.Height, img.Width, img.Channels)
			}
		}
		ds.Labels()
		return nil
	})
}

// npyFile is a NumPy file of bytes.
func npyFile(kind, shape, data string) []byte {
	head := "{'descr': '" + kind + "', 'fortran_order': False, 'shape': " + shape + ", }\n"
	return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head))), head+data...)
}

func zipFile(f *testing.F, entries ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i])
		if err == nil {
			_, err = w.Write([]byte(entries[i+1]))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// go test -fuzz FuzzArrays ./lib/data goes on from the seeds: files of NumPy, IDX and CIFAR.
func FuzzArrays(f *testing.F) {
	images := npyFile("|u1", "(2, 2, 3, 3)", "abcdefghijklmnopqrstuvwxyz0123456789")
	f.Add(0, images)
	f.Add(0, npyFile("<f4", "(1, 2, 2)", "\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00?\x00\x00\x80>"))
	f.Add(0, npyFile("|u1", "(2147483648, 1, 1, 1)", ""))
	f.Add(0, npyFile("|u1", "(-2, -2, 8, 8)", ""))
	f.Add(1, zipFile(f, "images.npy", string(images), "labels.npy",
		string(npyFile("<i8", "(2,)", "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))))
	f.Add(2, []byte("\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x02abcdefgh"))
	f.Add(2, []byte("\x00\x00\x08\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add(3, bytes.Repeat([]byte("c"), 3073))
	f.Fuzz(func(t *testing.T, kind int, content []byte) {
		labels := filepath.Join(t.TempDir(), "labels")
		if err := os.WriteFile(labels, []byte("\x00\x00\x08\x01\x00\x00\x00\x02ab"), 0o600); err != nil {
			t.Fatal(err)
		}
		switch kind {
		case 0:
			fuzzed(t, "images.npy", content, opened)
		case 1:
			fuzzed(t, "images.npz", content, opened)
		case 2:
			fuzzed(t, "images.idx", content, func(path string) (*Dataset, error) { return IDX(path, labels, nil) })
		case 3:
			fuzzed(t, "batch.bin", content, func(path string) (*Dataset, error) { return CIFAR10(path) })
		}
	})
}

// go test -fuzz FuzzZip ./lib/data goes on from the seeds.
func FuzzZip(f *testing.F) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewNRGBA(image.Rect(0, 0, 5, 3))); err != nil {
		f.Fatal(err)
	}
	f.Add(zipFile(f, "a/1.png", picture.String(), "b/2.png", picture.String(), "b/notes.txt", "notes"))
	f.Add(zipFile(f, `a\1.png`, picture.String(), "../b/2.png", picture.String()))
	f.Fuzz(func(t *testing.T, content []byte) { fuzzed(t, "images.zip", content, opened) })
}

func opened(path string) (*Dataset, error) { return Open(path) }
