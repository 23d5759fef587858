package mask

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
)

func flat(t *testing.T, x *tensors.Tensor, err error) []float32 {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	v, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTopTakesTheLargestAndTheFirstOfEquals(t *testing.T) {
	heat := tensors.FromValue([][][]float32{{{1, 3}, {3, 2}, {0, 3}}, {{-5, -4}, {-3, -2}, {-1, -6}}})
	// ⌈0.3·6⌉ = 2 pixels.
	m, err := Top(heat, 0.3)
	if got, want := flat(t, m, err), []float32{0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("Top = %v, want %v", got, want)
	}
	m, err = Top(heat, 0)
	if got := flat(t, m, err); slices.Max(got) != 0 {
		t.Errorf("Top of nothing = %v", got)
	}
	m, err = Top(heat, 1)
	if got := flat(t, m, err); slices.Min(got) != 1 {
		t.Errorf("Top of everything = %v", got)
	}
}

func TestRandomMasksTheSameNumberOfPixels(t *testing.T) {
	m, err := Random(3, 32, 32, 0.05, 1)
	got := flat(t, m, err)
	for i := range 3 {
		var n float32
		for _, v := range got[i*1024 : (i+1)*1024] {
			n += v
		}
		if n != 52 {
			t.Errorf("image %d has %v masked pixels, want ⌈0.05·1024⌉ = 52", i, n)
		}
	}
}

func TestApplyFills(t *testing.T) {
	image := tensors.FromValue([][][][]float32{{{{0, 1}, {0.5, 0}}, {{1, 1}, {0.5, 0}}}})
	m := tensors.FromValue([][][]float32{{{1, 0}, {0, 0.5}}})
	out, err := Apply(image, m, Mean(), 0)
	// Channel means are 0.5 and 0.5.
	if got, want := flat(t, out, err), []float32{0.5, 0.5, 0.5, 0, 1, 1, 0.5, 0.25}; !slices.Equal(got, want) {
		t.Errorf("filled with the mean: %v, want %v", got, want)
	}
	out, err = Apply(image, m, Constant(0.25), 0)
	if got, want := flat(t, out, err), []float32{0.25, 0.25, 0.5, 0, 1, 1, 0.375, 0.125}; !slices.Equal(got, want) {
		t.Errorf("filled with a constant: %v, want %v", got, want)
	}
	flatImage := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{0.25}, 16*16), 1, 16, 16, 1)
	all, _ := Top(tensors.FromFlatDataAndDimensions(make([]float32, 16*16), 1, 16, 16), 1)
	out, err = Apply(flatImage, all, Blur(), 0)
	for i, v := range flat(t, out, err) {
		if !approx.Equal(v, 0.25, 1e-6) {
			t.Fatalf("the blur of a flat image is %v at %d, want 0.25", v, i)
		}
	}
	a, err := Apply(flatImage, all, Noise(), 1)
	first := flat(t, a, err)
	b, err := Apply(flatImage, all, Noise(), 1)
	if !slices.Equal(first, flat(t, b, err)) {
		t.Error("noise differs for the same seed")
	}
	if mean := sum(first) / 256; !(mean >= 0.4) || !(mean <= 0.6) {
		t.Errorf("the mean of uniform noise is %v", mean)
	}
}

func sum(v []float32) (s float32) {
	for _, x := range v {
		s += x
	}
	return s
}

func TestMaskNamesWhatIsWrong(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions(make([]float32, 2*4*4*3), 2, 4, 4, 3)
	heat := tensors.FromFlatDataAndDimensions(make([]float32, 2*4*4), 2, 4, 4)
	bad := make([]float32, 2*4*4)
	bad[21] = float32(math.NaN())
	for want, call := range map[string]func() error{
		"between 0 and 1": func() error { _, err := Top(heat, 1.5); return err },
		"heatmap 1 is not a number at row 1, column 1": func() error {
			_, err := Top(tensors.FromFlatDataAndDimensions(bad, 2, 4, 4), 0.1)
			return err
		},
		"sum an attribution over its channels": func() error { _, err := Top(images, 0.1); return err },
		"take a mask [2, 4, 4]":                func() error { _, err := Apply(images, images, Mean(), 0); return err },
		"this Filler is empty":                 func() error { _, err := Apply(images, heat, Filler{}, 0); return err },
		"[N, H, W, C]":                         func() error { _, err := Apply(heat, heat, Mean(), 0); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}

func TestGaussianBlurIsBlurOfAnyWidth(t *testing.T) {
	pixels := make([]float32, 15*13*2)
	for i := range pixels {
		pixels[i] = float32(i*i%31) / 31
	}
	x := tensors.FromFlatDataAndDimensions(pixels, 1, 15, 13, 2)
	blurred := func(f Filler) []float32 {
		out, err := Apply(x, tensors.FromScalarAndDimensions(float32(1), 1, 15, 13), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out)
	}
	if !slices.Equal(blurred(Blur()), blurred(GaussianBlur(10, 10))) {
		t.Error("Blur is not the blur of 10 pixels that it says")
	}
	if slices.Equal(blurred(Blur()), blurred(GaussianBlur(5, 5))) {
		t.Error("a blur of 5 pixels is one of 10")
	}
	// A narrow one is the weighted sum of nine pixels: at row 4, column 6, channel 1.
	got, want, weights := blurred(GaussianBlur(0.6, 1)), 0.0, []float64{math.Exp(-1 / 0.72), 1, math.Exp(-1 / 0.72)}
	sum := 1 + 2*weights[0]
	for y := range 3 {
		for c := range 3 {
			want += weights[y] * weights[c] / (sum * sum) * float64(pixels[((3+y)*13+5+c)*2+1])
		}
	}
	if at := (4*13+6)*2 + 1; !approx.Equal(got[at], want, 1e-6) {
		t.Errorf("the blur is %v, want %v", got[at], want)
	}
	for _, bad := range []func(){func() { GaussianBlur(0, 3) }, func() { GaussianBlur(math.NaN(), 3) },
		func() { GaussianBlur(1, 0) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a blur of no width")
				}
			}()
			bad()
		}()
	}
}
