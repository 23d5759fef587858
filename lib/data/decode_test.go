package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is Pillow: bench/oracles/images.py. JPEG's transform may be rounded otherwise there, and of 16 bits it has
// the upper eight.
func TestImagesAreDecodedAsPillowDoes(t *testing.T) {
	has := map[string]bool{}
	golden, err := zip.OpenReader("testdata/images.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	for _, f := range golden.File {
		has[strings.TrimSuffix(f.Name, ".npy")] = true
	}
	for _, stored := range []bool{false, true} {
		d := must[*Dataset](t)(Zip("testdata/images.zip", Options{AsStored: stored}))
		if d.Len() != 111 {
			t.Fatalf("%d files", d.Len())
		}
		turned := 0
		for i := range d.Len() {
			img, err := d.Image(i)
			if err != nil {
				t.Errorf("%v", err)
				continue
			}
			name := d.Name(i)
			if stored && has[name+" stored"] && !strings.HasSuffix(name, ".tif") { // Pillow always turns these
				name += " stored"
				turned++
			}
			if stored && strings.HasPrefix(name, "turned") && strings.HasSuffix(name, ".tif") {
				continue
			}
			want := oracle.Read[uint8](t, "testdata/images.npz", name)
			if len(want) != len(img.Pix) {
				t.Errorf("%s is %d x %d", name, img.Height, img.Width)
				continue
			}
			worst, sum := 0.0, 0.0
			for k, v := range want {
				off := math.Abs(float64(img.Pix[k])*255 - float64(v))
				worst, sum = max(worst, off), sum+off
			}
			within, onAverage := 1e-4, 1e-4
			switch {
			case strings.HasSuffix(d.Name(i), ".jpg"):
				within, onAverage = 3.01, 0.1
				if img.Height*img.Width < 32 {
					onAverage = 0.2
				}
			case strings.Contains(name, "16."), strings.HasPrefix(name, "deep"), strings.HasPrefix(name, "words"),
				strings.HasPrefix(name, "odd"):
				within, onAverage = 1, 0.5 // finer than the 255ths of Pillow
			}
			if mean := sum / float64(len(want)); !(worst <= within && mean <= onAverage) {
				t.Errorf("%s differs by %.3f of 255 on average and %.2f at most", name, mean, worst)
			}
		}
		if stored && turned != 11 {
			t.Errorf("of %d files the stored pixels are others", turned)
		}
	}
}

// zipped are the files of an archive by their names.
func zipped(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// These Pillow reads, and loupe says what they are and what to do.
func TestFormatsThatAreNotRead(t *testing.T) {
	says := map[string]string{
		"photo.avif":    "is an image of the format AVIF, which loupe does not read: convert it to PNG or JPEG",
		"photo.jp2":     "JPEG 2000, which loupe does not read",
		"photo.ico":     "icon, which loupe does not read",
		"cmyk.tif":      "kind of TIFF (tiff: unsupported feature: color model): convert it to PNG",
		"greyalpha.tif": "extra samples): convert it", "planes.tif": "each colour in a plane of its own): convert it",
		"jpeg.tif":     "compression value 7): convert it",
		"float.tif":    "of TIFF",
		"restarts.jpg": "kind of JPEG (unsupported JPEG feature: restarts in scans of one component): convert it",
	}
	for name, raw := range zipped(t, "testdata/images-refused.zip") {
		want, known := says[name]
		if _, err := decode(raw, false, 0); err == nil || !known || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		delete(says, name)
	}
	if len(says) > 0 {
		t.Errorf("not tried: %v", says)
	}
	for raw, want := range map[string]string{
		"":                                 "the file is empty",
		"\x00\x00\x00\x00\x00\x00\x00\x00": "nothing but zeros",
		"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic": "a HEIC image, as phones write, which loupe does not read: " +
			"convert it to PNG or JPEG",
		"II+\x00\x08\x00\x00\x00": "an image of the format BigTIFF, which loupe does not read: convert " +
			"it to PNG or JPEG",
		"\x00\x00\x00\x18ftypmp42":                   "no image but MPEG-4",
		"<!DOCTYPE html><html>":                      "a page (HTML)",
		"version https://git-lfs.github.com/spec/v1": "`git lfs pull`",
		"hello":                    "not an image of a format that loupe reads (JPEG, PNG",
		"\xff\xd8":                 "cut short",
		"\x89PNG\r\n\x1a\n\x00":    "cut short",
		"GIF89a":                   "cut short",
		"BM":                       "cut short",
		"II*\x00":                  "cut short",
		"RIFF\x00\x00\x00\x00WEBP": "cut short",
		"P6 2":                     "cut short",
		"P6 2 2 255\n123":          "cut short",
		"P5 0 3 255\n":             "it has 3 x 0 pixels",
		"P5 9999999 9999999 255\n": "Options.MostPixels lifts that",
		"P5 9999 999 255\n":        "the file is cut short: it tells of 999 x 9999",
		"P2 2 1 3 1 9":             "has the value 9, and white is 3",
	} {
		if img, err := decode([]byte(raw), false, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v (%v), want %q", raw, err, img.Height, want)
		}
	}
}

// Away from its border a part of an image with fewer colours than pixels is what it is of the whole.
func TestPartsOfImagesWithSharedColours(t *testing.T) {
	img, err := jpeg.Decode(bytes.NewReader(photograph(t)))
	if err != nil {
		t.Fatal(err)
	}
	whole, part := FromImage(img), FromImage(img.(*image.YCbCr).SubImage(image.Rect(40, 80, 120, 140)))
	if part.Height != 60 || part.Width != 80 {
		t.Fatalf("%d x %d", part.Height, part.Width)
	}
	for y := 2; y < 58; y++ {
		if got, want := part.Pix[3*(80*y+2):3*(80*y+78)], whole.Pix[3*(800*(80+y)+42):3*(800*(80+y)+118)]; !slices.Equal(got,
			want) {
			t.Fatalf("row %d differs", y)
		}
	}
}

// photograph is a JPEG of 600 x 800 pixels, of four of which Go's encoder keeps one colour.
func photograph(t testing.TB) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 800, 600))
	rng := rand.New(rand.NewPCG(1, 2))
	for y := range 600 {
		for x := range 800 {
			noise := rng.IntN(20)
			img.SetRGBA(x, y, color.RGBA{uint8(x/4 + noise), uint8(y/3 + noise), uint8((x+y)/8%200 + noise), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// BenchmarkJPEG reads a photograph of 600 x 800 pixels with the colours of four pixels shared.
func BenchmarkJPEG(b *testing.B) {
	raw := photograph(b)
	b.SetBytes(600 * 800)
	for b.Loop() {
		if _, err := decode(raw, false, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// What a file is, its bytes say, whatever its name; what cannot be read is said.
func TestContentDecides(t *testing.T) {
	picture := pngBytes(t, photo(3, 4))
	dir := folder(t, map[string][]byte{"a.jpg": picture, "b": picture, "c.txt": picture, "d.png": []byte("no image"),
		"e.png": nil, "x.jpg/f.png": picture, "g.ZIP": nil})
	for name, says := range map[string]string{
		"a.jpg": "", "b": "", "c.txt": "", "x.jpg": "",
		"d.png": "d.png: the file is not an image of a format that loupe reads (JPEG, ", "e.png": "e.png: the file is empty",
		"g.ZIP": "g.ZIP: it is empty", "none.png": "none.png\" is neither a path nor a dataset's name; the names are",
	} {
		d, err := Open(filepath.Join(dir, name))
		if says == "" && (err != nil || d.Len() != 1) || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v (%v)", name, d, err)
			continue
		}
		if says == "" {
			if img, err := d.Image(0); err != nil || img.Height != 4 || img.Width != 3 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := Open(filepath.Join(dir, "a.jpg"), Options{Split: "val"}); err == nil ||
		!strings.Contains(err.Error(), "takes no such options: they are for folders and archives") {
		t.Errorf("%v", err)
	}
	turned := filepath.Join(t.TempDir(), "turned.jpg")
	z, err := zip.OpenReader("testdata/images.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if raw, err := fs.ReadFile(&z.Reader, "turned6.jpg"); err != nil || os.WriteFile(turned, raw, 0o644) != nil {
		t.Fatal(err)
	}
	for _, stored := range []bool{false, true} {
		if img, err := must[*Dataset](t)(Open(turned, Options{AsStored: stored})).Image(0); err != nil ||
			(img.Height < img.Width) != stored {
			t.Errorf("as stored %v: %d x %d (%v)", stored, img.Height, img.Width, err)
		}
	}
	if _, err := Open("mnist", Options{Split: "val"}); err == nil || !strings.Contains(err.Error(), "takes no options") {
		t.Errorf("%v", err)
	}
}

// Of animated files the first frame is read, which is said once for a dataset.
func TestTheFirstFrameIsSaidOnce(t *testing.T) {
	more := map[string]string{}
	for name, raw := range zipped(t, "testdata/images.zip") {
		if what, animated := isAnimated(raw); animated {
			more[name] = what
		}
	}
	want := map[string]string{"animated.png": "frame", "animated.webp": "frame", "animated_lossless.webp": "frame",
		"animated_part.webp": "frame", "animated_part_alpha.webp": "frame", "animated.gif": "frame", "pages.tif": "page"}
	if !maps.Equal(more, want) {
		t.Errorf("%v", more)
	}
	said := filepath.Join(t.TempDir(), "said")
	file, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = file
	_, err = must[*Dataset](t)(Zip("testdata/images.zip", Options{})).Image(0)
	d := must[*Dataset](t)(Zip("testdata/images.zip", Options{}))
	for i := range d.Len() {
		if _, e := d.Image(i); e != nil {
			err = e
		}
	}
	os.Stderr = stderr
	if err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	if want := "loupe: animated.gif has more than one frame: of such files the first is taken\n"; strings.ReplaceAll(
		string(text), want, "") != "" || len(text) > 2*len(want) || len(text) == 0 {
		t.Errorf("%q", text)
	}
}

// What an archive says of a file's size is not believed.
func TestSizesThatAnArchiveTellsOf(t *testing.T) {
	raw, err := os.ReadFile(zipOf(t, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	directory := bytes.Index(raw, []byte("PK\x01\x02"))
	for says, change := range map[string]func(raw []byte){
		"bytes cannot become 200000000": func(raw []byte) {
			binary.LittleEndian.PutUint32(raw[directory+24:],
				200000000)
		},
		"it unpacks to more than 256 MB": func(raw []byte) {
			binary.LittleEndian.PutUint32(raw[directory+24:],
				4000000000)
		},
		"it is encrypted: unpack the archive":            func(raw []byte) { raw[directory+8] |= 1 },
		"it is packed in a way that loupe does not read": func(raw []byte) { raw[directory+10] = 14 },
	} {
		file := filepath.Join(t.TempDir(), "a.zip")
		changed := bytes.Clone(raw)
		change(changed)
		if err := os.WriteFile(file, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := Open(file)
		if err == nil {
			_, err = d.Image(0)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
