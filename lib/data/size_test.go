package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"golang.org/x/image/bmp"
)

// A file that tells of more pixels than it can have, or than anybody has, is refused before there is room made for
// them.
func TestSizesThatAFileTellsOf(t *testing.T) {
	small := image.NewGray(image.Rect(0, 0, 16, 16))
	encoded := func(write func(b *bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	of := map[string][]byte{
		"png":  encoded(func(b *bytes.Buffer) error { return png.Encode(b, small) }),
		"jpeg": encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, small, nil) }),
		"gif":  encoded(func(b *bytes.Buffer) error { return gif.Encode(b, small, nil) }),
		"bmp":  encoded(func(b *bytes.Buffer) error { return bmp.Encode(b, small) }),
	}
	for name, change := range map[string]func(raw []byte, side int){
		"jpeg": func(raw []byte, side int) {
			at := bytes.Index(raw, []byte{0xff, 0xc0}) + 5
			binary.BigEndian.PutUint16(raw[at:], uint16(side))
			binary.BigEndian.PutUint16(raw[at+2:], uint16(side))
		},
		"gif": func(raw []byte, side int) {
			binary.LittleEndian.PutUint16(raw[6:], uint16(side))
			binary.LittleEndian.PutUint16(raw[8:], uint16(side))
		},
		"bmp": func(raw []byte, side int) {
			binary.LittleEndian.PutUint32(raw[18:], uint32(side))
			binary.LittleEndian.PutUint32(raw[22:], uint32(side))
		},
	} {
		for side, want := range map[int]string{9000: "the file is cut short: it tells of 9000 x 9000",
			60000: "more than 89478485: Options.MostPixels"} {
			raw := bytes.Clone(of[name])
			change(raw, side)
			if _, err := decode(raw, false, 0); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d x %d: %v, want %q", name, side, side, err, want)
			}
		}
	}
	for name, raw := range of {
		if img, err := decode(bytes.Clone(raw), false, 0); err != nil || img.Height != 16 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := decode(bytes.Clone(raw), false, 255); err == nil ||
			!strings.Contains(err.Error(), "16 x 16 pixels, more than 255") {
			t.Errorf("%s with a limit: %v", name, err)
		}
		if _, err := decode(bytes.Clone(raw), false, -1); err != nil {
			t.Errorf("%s without a limit: %v", name, err)
		}
	}
	// An image that is as empty as can be is one all the same.
	for name, write := range map[string]func(b *bytes.Buffer, img image.Image) error{
		"png": func(b *bytes.Buffer, img image.Image) error { return png.Encode(b, img) },
		"gif": func(b *bytes.Buffer, img image.Image) error { return gif.Encode(b, img, nil) },
		"jpeg": func(b *bytes.Buffer, img image.Image) error {
			return jpeg.Encode(b, img, &jpeg.Options{Quality: 1})
		},
	} {
		raw := encoded(func(b *bytes.Buffer) error { return write(b, image.NewGray(image.Rect(0, 0, 3000, 3000))) })
		if img, err := decode(raw, false, 0); err != nil || img.Width != 3000 {
			t.Errorf("an empty %s: %v", name, err)
		}
	}
}

// A pipe among photographs is named and not waited for.
func TestAPipeIsNoPhotograph(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.png"), 0o600); err != nil {
		t.Skipf("skipped: needs a system with named pipes: %v", err)
	}
	ds, err := Folder(dir, Options{})
	if err == nil {
		_, err = ds.All()
	}
	if err == nil || os.IsTimeout(err) {
		t.Error("it is read")
	}
}

// go test -fuzz FuzzDecode ./lib/data goes on from the seeds.
func FuzzDecode(f *testing.F) {
	for _, archive := range []string{"testdata/images.zip", "testdata/images-refused.zip"} {
		z, err := zip.OpenReader(archive)
		if err != nil {
			f.Fatal(err)
		}
		defer z.Close()
		for _, file := range z.File {
			raw, err := fs.ReadFile(&z.Reader, file.Name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		isAnimated(raw)
		img, err := decode(bytes.Clone(raw), false, 1<<20)
		if err == nil && len(img.Pix) != img.Height*img.Width*img.Channels {
			t.Errorf("%d numbers for %d x %d x %d", len(img.Pix), img.Height, img.Width, img.Channels)
		}
	})
}

// go test -fuzz FuzzLabels ./lib/data goes on from the seeds.
func FuzzLabels(f *testing.F) {
	for _, text := range []string{
		"file,label\n1.png,cat\n", "1.png;2\r\n", "sep=;\na;b", "\"a\"\"b\",c\n\"", "\xff\xfea\x00,\x00b\x00", "a 1\nb 2",
		`{"1.png": "cat"}`, `[{"file": "1.png", "label": 3}]`, `[["1.png", 1]]`,
		"{\"file_name\": \"1.png\", \"label\": \"cat\"}\n{}", `{"cat": 0, "dog": 5}`, `["cat"]`,
	} {
		f.Add([]byte(text))
	}
	images := []string{"1.png", "x/2.jpg", "x/3/4.png"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, name := range []string{"l.csv", "l.txt", "l.json", "l.jsonl"} {
			files := fstest.MapFS{name: {Data: raw}}
			of, err := Options{LabelsFile: name, Partial: true}.labelsOf(files, treeAt("x", ".", images).opened(), nil)
			if err == nil && len(of.labels) != len(images) {
				t.Errorf("%d labels", len(of.labels))
			}
			if _, err := readClassToIdx(files, name); err != nil && !strings.HasPrefix(err.Error(), "data: ") {
				t.Error(err)
			}
		}
	})
}
