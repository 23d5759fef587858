package perturb

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/approx"
)

// rotated holds what bench/oracles/rotate.py wrote.
type rotated struct {
	images *tensors.Tensor
	// turned and rolled follow each other for each angle and number of pixels.
	turned, moved []float32
}

func rotations(t *testing.T) (degrees []float64, rolls []int64, sets []rotated) {
	t.Helper()
	z, err := npz.Open("testdata/rotate.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	read := func(name string, into any) {
		if err := z.Read(name+".npy", into); err != nil {
			t.Fatal(err)
		}
	}
	read("degrees", &degrees)
	read("rolls", &rolls)
	for name, dims := range map[string][]int{"digits": {2, 28, 28, 1}, "noise": {2, 15, 12, 3}} {
		var bytes []uint8
		var s rotated
		read(name, &bytes)
		read(name+"_rotated", &s.turned)
		read(name+"_rolled", &s.moved)
		values := make([]float32, len(bytes))
		for i, v := range bytes {
			values[i] = float32(v) / 255
		}
		s.images = tensors.FromFlatDataAndDimensions(values, dims...)
		sets = append(sets, s)
	}
	return degrees, rolls, sets
}

func TestRotateAgreesWithSciPy(t *testing.T) {
	degrees, _, sets := rotations(t)
	outside := false
	for _, s := range sets {
		size := s.images.Size()
		for n, d := range degrees {
			turned, err := Rotate(s.images, d)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range tensors.MustCopyFlatData[float32](turned) {
				// SciPy computes in float64 from the same float32 pixels.
				if want := s.turned[n*size+i]; !approx.Equal(v, want, 1e-6) {
					t.Fatalf("%v turned by %v°: value %d is %v, want %v", s.images.Shape(), d, i, v, want)
				}
				outside = outside || v < -0.05 || v > 1.05
			}
		}
	}
	if !outside {
		t.Error("no value leaves 0..1: the golden ones are not those of a cubic spline")
	}
}

func TestRollAgreesWithNumPy(t *testing.T) {
	_, rolls, sets := rotations(t)
	for _, s := range sets {
		size := s.images.Size()
		for n, by := range rolls {
			moved, err := Roll(s.images, int(by))
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range tensors.MustCopyFlatData[float32](moved) {
				if want := s.moved[n*size+i]; v != want {
					t.Fatalf("%v moved by %d: value %d is %v, want %v", s.images.Shape(), by, i, v, want)
				}
			}
		}
	}
}

// A line of one pixel has no neighbours to make a spline of.
func TestRotateALine(t *testing.T) {
	line := tensors.FromFlatDataAndDimensions([]float32{0.1, 0.2, 0.9}, 1, 1, 3, 1)
	turned, err := Rotate(line, 180)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.9, 0.2, 0.1} {
		if v := tensors.MustCopyFlatData[float32](turned)[i]; !approx.Equal(v, want, 1e-6) {
			t.Errorf("pixel %d is %v, want %v", i, v, want)
		}
	}
}

func TestBadRotations(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions(make([]float32, 4), 1, 2, 2, 1)
	for want, call := range map[string]func() error{
		"turned by NaN degrees": func() error { _, err := Rotate(images, math.NaN()); return err },
		"the images are nil":    func() error { _, err := Rotate(nil, 15); return err },
		"[N, H, W, C]":          func() error { _, err := Roll(tensors.FromValue([]float32{1}), 1); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "perturb: ") {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}
