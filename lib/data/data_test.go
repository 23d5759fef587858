package data

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
)

func photo(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(x * 7), uint8(y * 5), 90, 255})
		}
	}
	return img
}

func pngBytes(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegBytes(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folder writes files below a new folder.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q lacks %q", err, w)
		}
	}
	if !strings.HasPrefix(err.Error(), "data: ") {
		t.Errorf("the error %q does not say where it comes from", err)
	}
}

// The oracle is Pillow: bench/oracles/pil_resize.py. Pillow's results have 8 bits; ours, rounded to these, may be one
// step off.
func TestResizeAgreesWithPillow(t *testing.T) {
	z := must[*npz.Reader](t)(npz.Open("testdata/pil_resize.npz"))
	defer z.Close()
	load := func(key string) Image {
		var v []uint8
		if err := z.Read(key, &v); err != nil {
			t.Fatal(err)
		}
		shape := z.Header(key).Descr.Shape
		img := Image{Height: shape[0], Width: shape[1], Channels: 3}
		for _, b := range v {
			img.Pix = append(img.Pix, float32(b)/255)
		}
		return img
	}
	n := 0
	for _, key := range z.Keys() {
		var from, kind string
		var h, w int
		parts := strings.Split(strings.TrimSuffix(key, ".npy"), "_")
		if len(parts) != 4 {
			continue
		}
		from, kind = parts[0], parts[1]
		fmt.Sscan(parts[2], &h)
		fmt.Sscan(parts[3], &w)
		by := Bilinear
		if kind == "bicubic" {
			by = Bicubic
		}
		got := must[Image](t)(ResizeBy(h, w, by).Apply(load(from + ".npy")))
		want := load(key)
		var worst float64
		for i, v := range want.Pix {
			worst = max(worst, math.Abs(math.Round(float64(255*got.Pix[i]))-math.Round(float64(255*v))))
		}
		if !approx.Equal(worst, 0, 1) {
			t.Errorf("%s differs from Pillow by up to %v/255", key, worst)
		}
		n++
	}
	if n != 12 {
		t.Errorf("compared %d images, want 12", n)
	}
}

func TestFolderAndZipAreTheSame(t *testing.T) {
	files := map[string][]byte{"cat/1.png": pngBytes(t, photo(20, 10)), "cat/2.png": pngBytes(t, photo(20, 10)),
		"dog/1.jpg": jpegBytes(t, photo(20, 10)), "dog/notes.txt": []byte("x"), "dog/.hidden.png": []byte("x")}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for name, content := range files {
		w, err := z.Create("set/" + name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(content)
	}
	z.Close()
	archive := filepath.Join(t.TempDir(), "set.zip")
	if err := os.WriteFile(archive, buf.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	a := must[*Dataset](t)(Open(folder(t, files)))
	b := must[*Dataset](t)(Open(archive))
	for _, d := range []*Dataset{a, b} {
		if d.Len() != 3 || !slices.Equal(d.Classes(), []string{"cat", "dog"}) || !slices.Equal(d.Labels(), []int{0, 0, 1}) ||
			d.ClassName(2) != "dog" {
			t.Errorf("%v: classes %v, labels %v", d, d.Classes(), d.Labels())
		}
	}
	if !must[*tensors.Tensor](t)(a.All()).Equal(must[*tensors.Tensor](t)(b.All())) {
		t.Error("the archive has other pixels than the folder")
	}
	if a.Name(2) != "dog/1.jpg" {
		t.Errorf("name %q", a.Name(2))
	}
}

func TestEveryKindOfImageBecomesRGB(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 4, 4))
	grey.SetGray(1, 0, color.Gray{100})
	deep := image.NewGray16(image.Rect(0, 0, 4, 4))
	deep.SetGray16(1, 0, color.Gray16{25700})
	see := image.NewNRGBA(image.Rect(0, 0, 4, 4))
	see.SetNRGBA(1, 0, color.NRGBA{100, 100, 100, 7}) // what is nearly transparent keeps its colour
	pal := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.RGBA{100, 100, 100, 255}})
	pal.SetColorIndex(1, 0, 1)
	d := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"a.png": pngBytes(t, grey), "b.png": pngBytes(t, deep),
		"c.png": pngBytes(t, see), "d.png": pngBytes(t, pal)}), Options{}))
	for i := range d.Len() {
		img := must[Image](t)(d.Image(i))
		for ch := range 3 {
			if got := img.Pix[3+ch]; !approx.Equal(got, 100.0/255, 1e-4) {
				t.Errorf("%s has %v in channel %d, want 100/255", d.Name(i), got*255, ch)
			}
		}
		if d.Label(i) != -1 {
			t.Errorf("%s has the label %d", d.Name(i), d.Label(i))
		}
	}
}

// Pillow wrote the file: 16 x 12 pixels of one colour, without loss.
func TestWebP(t *testing.T) {
	raw := must[[]byte](t)(os.ReadFile("testdata/plain.webp"))
	d := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"a.webp": raw}), Options{}))
	img := must[Image](t)(d.Image(0))
	if img.Width != 16 || img.Height != 12 || img.Pix[0] != 200.0/255 || img.Pix[1] != 40.0/255 ||
		img.Pix[3*16*12-1] != 90.0/255 {
		t.Errorf("%d x %d, first pixel %v", img.Width, img.Height, img.Pix[:3])
	}
}

func TestViews(t *testing.T) {
	images := make([]float32, 100*2*2*1)
	labels := make([]int, 100)
	for i := range 100 {
		labels[i] = i % 4
		for k := range 4 {
			images[i*4+k] = float32(i) / 100
		}
	}
	d := must[*Dataset](t)(FromTensor(tensors.FromFlatDataAndDimensions(images, 100, 2, 2, 1), labels,
		[]string{"a", "b", "c", "d"}))
	if s := d.Shuffle(1); slices.Equal(s.Labels(), d.Labels()) || !slices.Equal(s.Labels(), d.Shuffle(1).Labels()) ||
		slices.Equal(s.Labels(), d.Shuffle(2).Labels()) {
		t.Error("a shuffle does not depend on its seed alone")
	}
	train, test := d.Split(0.8, 3)
	count := [4]int{}
	for _, l := range train.Labels() {
		count[l]++
	}
	if train.Len() != 80 || test.Len() != 20 || count != [4]int{20, 20, 20, 20} {
		t.Errorf("split into %d and %d, by class %v", train.Len(), test.Len(), count)
	}
	if c := d.OfClass(2, 3); c.Len() != 50 || c.Label(0) != 2 {
		t.Errorf("of class: %v", c)
	}
	if s := d.Subset([]int{7, 3}).Skip(1); s.Len() != 1 || s.Label(0) != d.Label(3) {
		t.Errorf("Skip gives %d images of %d", s.Len(), d.Len())
	}
	if s := d.Subset([]int{7, 3}).Take(1); s.Len() != 1 || s.Label(0) != 3 {
		t.Errorf("subset: %v", s.Labels())
	}
	sizes := []int{}
	for b, err := range d.Take(10).Batches(4) {
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(b.Labels))
		if first := must[[]float32](t)(tensors.CopyFlatData[float32](b.Images))[0]; first != float32(b.Indices[0])/100 {
			t.Errorf("batch starts with %v", first)
		}
	}
	if !slices.Equal(sizes, []int{4, 4, 2}) {
		t.Errorf("batches of %v", sizes)
	}
	big := must[Image](t)(d.Map(RGB(), Resize(4, 6)).Image(50))
	if big.Channels != 3 || big.Height != 4 || big.Width != 6 || !approx.Equal(big.Pix[5], 0.5, 1e-4) {
		t.Errorf("mapped to %+v", big)
	}
	if crop := must[Image](t)(d.Map(ResizeShorter(8), CenterCrop(3, 5)).Image(0)); crop.Height != 3 || crop.Width != 5 {
		t.Errorf("cropped to %d x %d", crop.Height, crop.Width)
	}
}

func idx(rank byte, dims []uint32, values []byte) []byte {
	out := []byte{0, 0, 8, rank}
	for _, d := range dims {
		out = append(out, byte(d>>24), byte(d>>16), byte(d>>8), byte(d))
	}
	return append(out, values...)
}

func TestArrays(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(idx(3, []uint32{2, 2, 2}, []byte{0, 51, 102, 255, 1, 2, 3, 4}))
	z.Close()
	dir := folder(t, map[string][]byte{"images.gz": packed.Bytes(), "labels": idx(1, []uint32{2}, []byte{1, 0}),
		"cifar.bin": append([]byte{3}, bytes.Repeat([]byte{255}, 3072)...)})
	d := must[*Dataset](t)(IDX(filepath.Join(dir, "images.gz"), filepath.Join(dir, "labels"), digits))
	if img := must[Image](t)(d.Image(0)); !reflect.DeepEqual(img, Image{Pix: []float32{0, 0.2, 0.4, 1}, Height: 2,
		Width: 2, Channels: 1}) || d.Label(0) != 1 {
		t.Errorf("IDX: %+v", img)
	}
	c := must[*Dataset](t)(CIFAR10(filepath.Join(dir, "cifar.bin")))
	if img := must[Image](t)(c.Image(0)); img.Height != 32 || img.Channels != 3 || img.Pix[3071] != 1 ||
		c.ClassName(0) != "cat" {
		t.Errorf("CIFAR: %d x %d", img.Height, img.Width)
	}
	file := filepath.Join(dir, "x.npz")
	if err := npz.Write(file, map[string]any{"labels": []int64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	_, err := NPZ(file, "images", "labels", nil)
	wantError(t, err, `no array "images"`, "labels")
	// [120, 160, 3] is read as 120 grey images of 160 x 3.
	if n := must[*Dataset](t)(NPZ("testdata/pil_resize.npz", "photo", "", nil)); n.Len() != 120 ||
		len(must[Image](t)(n.Image(0)).Pix) != 480 {
		t.Errorf("NPZ: %v", n)
	}
}

func TestBadInput(t *testing.T) {
	whole := jpegBytes(t, photo(40, 40))
	bad := folder(t, map[string][]byte{"a/1.jpg": whole, "a/2.jpg": whole[:len(whole)/2],
		"b/3.png": []byte("not a picture"), "b/4.jpg": whole})
	d := must[*Dataset](t)(Folder(bad, Options{}))
	_, err := d.All()
	wantError(t, err, "a/2.jpg", "cut short")
	_, err = d.Images(2)
	wantError(t, err, "b/3.png", "not an image")
	kept := must[*Dataset](t)(Folder(bad, Options{OnBad: Skip}))
	if kept.Len() != 2 || len(kept.Skipped()) != 2 || !strings.HasPrefix(kept.Skipped()[0], "a/2.jpg") ||
		!slices.Equal(kept.Labels(), []int{0, 1}) {
		t.Errorf("%v, skipped %v", kept, kept.Skipped())
	}
	_, err = Folder(folder(t, map[string][]byte{"1.jpg": nil}), Options{OnBad: Skip})
	wantError(t, err, "all 1 images", "1.jpg")

	_, err = Folder(t.TempDir(), Options{})
	wantError(t, err, "has no images", ".jpg")
	_, err = Folder(filepath.Join(t.TempDir(), "absent"), Options{})
	wantError(t, err, "absent")
	_, err = Open("mnits")
	wantError(t, err, "mnits", "mnist")

	mixed := must[*Dataset](t)(Folder(folder(t, map[string][]byte{"1.png": pngBytes(t, photo(4, 4)),
		"2.png": pngBytes(t, photo(5, 4))}), Options{}))
	_, err = mixed.All()
	wantError(t, err, "1.png is 4 x 4", "2.png is 4 x 5", "data.Resize")
	_, err = mixed.Map(CenterCrop(8, 8)).Image(0)
	wantError(t, err, "1.png", "too small")
	_, err = mixed.Image(2)
	wantError(t, err, "images 0 to 1, not 2")

	nan := []float32{0, 0, 0, 0, 0, float32(math.NaN()), 0, 0}
	_, err = FromTensor(tensors.FromFlatDataAndDimensions(nan, 2, 2, 2, 1), nil, nil)
	wantError(t, err, "image 1", "NaN")
	_, err = FromTensor(nil, nil, nil)
	wantError(t, err, "the tensor is nil")
	_, err = FromTensor(tensors.FromValue([]int32{1, 2}), nil, nil)
	wantError(t, err, "not (Int32)[2]")
	_, err = FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 128}, 2, 1, 1, 1), nil, nil)
	wantError(t, err, "image 1", "divide them by 255")
	_, err = FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 1}, 2, 1, 1, 1), []int{0, 5}, []string{"a", "b"})
	wantError(t, err, "image 1", "label 5", "0 to 1")
	_, err = FromTensor(tensors.FromFlatDataAndDimensions([]float32{0, 1}, 2, 1, 1, 1), []int{0}, nil)
	wantError(t, err, "2 images and 1 labels")

	dir := folder(t, map[string][]byte{
		"short": idx(3, []uint32{2, 2, 2}, []byte{1, 2}), "huge": idx(3, []uint32{1 << 30, 1 << 30, 4}, nil),
		"other":  []byte("hello, this is no IDX"),
		"labels": idx(1, []uint32{2}, []byte{0, 0}), "good": idx(3, []uint32{2, 1, 1}, []byte{1, 2}),
		"far": idx(1, []uint32{2}, []byte{0, 99}), "cifar.bin": make([]byte, 3000), "x.zip": []byte("PK no"),
	})
	for name, words := range map[string][]string{"short": {"cut short", "2 of 8"}, "huge": {"damaged"},
		"other": {"not an IDX"}} {
		_, err = IDX(filepath.Join(dir, name), filepath.Join(dir, "labels"), nil)
		wantError(t, err, words...)
	}
	_, err = IDX(filepath.Join(dir, "good"), filepath.Join(dir, "far"), digits)
	wantError(t, err, "label 99")
	_, err = CIFAR10(filepath.Join(dir, "cifar.bin"))
	wantError(t, err, "3000 bytes", "3073")
	_, err = Open(filepath.Join(dir, "x.zip"))
	wantError(t, err, "zip")
}

// All 10,000 test images of CIFAR-10 as JPEG, in an archive.
func TestRealCIFAR10(t *testing.T) {
	d := must[*Dataset](t)(Zip(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), Options{}))
	if d.Len() != 10000 || !slices.Equal(d.Classes(), CIFAR10Classes) {
		t.Fatalf("%v with classes %v", d, d.Classes())
	}
	all := must[*tensors.Tensor](t)(d.All())
	if !slices.Equal(all.Shape().Dimensions, []int{10000, 32, 32, 3}) {
		t.Errorf("shape %s", all.Shape())
	}
}

func TestRealSamples(t *testing.T) {
	testenv.Asset(t, "foolbox-samples")
	d := must[*Dataset](t)(Open("sample-imagenet"))
	if d.Len() != 20 || d.Label(0) != 243 || d.Label(19) != 305 {
		t.Fatalf("%v, labels %v", d, d.Labels())
	}
	x := must[*tensors.Tensor](t)(d.Map(ResizeShorter(256), CenterCrop(224, 224)).All())
	if !slices.Equal(x.Shape().Dimensions, []int{20, 224, 224, 3}) {
		t.Errorf("shape %s", x.Shape())
	}
	_, err := d.WithClasses([]string{"only", "these"})
	wantError(t, err, "label 243", "0 to 1")
	if names := must[*Dataset](t)(Open("sample-cifar10")); names.ClassName(0) != "cat" {
		t.Errorf("the first CIFAR-10 image is a %s", names.ClassName(0))
	}
}

func TestRealMNISTs(t *testing.T) {
	for name, count := range map[string]int{"mnist": 10000, "mnist-train": 60000, "fashion-mnist": 10000,
		"fashion-mnist-train": 60000} {
		t.Run(name, func(t *testing.T) {
			testenv.Asset(t, strings.TrimSuffix(name, "-train"))
			d := must[*Dataset](t)(Open(name))
			if d.Len() != count || len(d.Classes()) != 10 {
				t.Fatalf("%v", d)
			}
			seen := map[int]int{}
			for _, l := range d.Labels() {
				seen[l]++
			}
			if len(seen) != 10 || seen[0] < count/12 {
				t.Errorf("images by label: %v", seen)
			}
			if img := must[Image](t)(d.Image(0)); img.Height != 28 || img.Width != 28 || img.Channels != 1 {
				t.Errorf("an image is %d x %d x %d", img.Height, img.Width, img.Channels)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"b.png", "a.png", "sub/c.png"} {
		img := image.NewRGBA(image.Rect(0, 0, 2, 2))
		img.SetRGBA(0, 0, color.RGBA{uint8(100 * i), 0, 0, 255})
		os.MkdirAll(filepath.Join(dir, "sub"), 0o755)
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		png.Encode(f, img)
		f.Close()
	}
	d, err := Files(filepath.Join(dir, "b.png"), filepath.Join(dir, "sub"), filepath.Join(dir, "a.png"))
	if err != nil || d.Len() != 3 || filepath.Base(d.Name(1)) != "c.png" || d.Label(0) != -1 {
		t.Fatalf("%v %v", d, err)
	}
	if img, err := d.Image(1); err != nil || !(img.Pix[0] >= 0.7) {
		t.Errorf("the second is not the third file: %v", err)
	}
	if d, err = Open(filepath.Join(dir, "a.png")); err != nil || d.Len() != 1 {
		t.Errorf("%v %v", d, err)
	}
	for _, wrong := range [][]string{nil, {filepath.Join(dir, "none.png")}, {os.Args[0]}} {
		if _, err := Files(wrong...); err == nil || !strings.HasPrefix(err.Error(), "data: ") {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// Interrupted anywhere, reading returns the images that are read, and checking the files that were looked at.
func TestInterrupted(t *testing.T) {
	files := map[string][]byte{}
	for i := range 50 {
		img := photo(4, 3)
		img.(draw.Image).Set(1, 1, color.Gray{uint8(5 * i)})
		files[fmt.Sprintf("%02d.png", i)] = pngBytes(t, img)
	}
	files["20.png"] = nil
	dir := folder(t, files)
	ds := must[*Dataset](t)(Folder(dir, Options{OnBad: Skip}))
	whole := tensors.MustCopyFlatData[float32](must[*tensors.Tensor](t)(ds.All()))
	testenv.Interrupt(t, ds.All, func(part *tensors.Tensor) int {
		if part == nil {
			return 0
		}
		if got := tensors.MustCopyFlatData[float32](part); !slices.Equal(got, whole[:len(got)]) {
			t.Fatalf("of %s there are others than of the whole", part.Shape())
		}
		return part.Shape().Dimensions[0]
	})
	testenv.Interrupt(t, func() (*Dataset, error) { return Folder(dir, Options{OnBad: Skip}) }, func(part *Dataset) int {
		if part == nil {
			return 0
		}
		for i := range part.Len() {
			if part.Name(i) != ds.Name(i) {
				t.Fatalf("image %d is %s, not %s", i, part.Name(i), ds.Name(i))
			}
		}
		return part.Len() + len(part.Skipped())
	})
}
