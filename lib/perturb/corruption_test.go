package perturb

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"
)

// golden holds what bench/oracles/corruptions.py wrote: 20 real CIFAR-10 images, and what the PyPI
// package imagecorruptions makes of the first two.
func golden(t *testing.T) (images *tensors.Tensor, want []float32) {
	t.Helper()
	z, err := npz.Open("testdata/corruptions.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var pixels []uint8
	if err := z.Read("images.npy", &pixels); err != nil {
		t.Fatal(err)
	}
	if err := z.Read("golden.npy", &want); err != nil {
		t.Fatal(err)
	}
	flat := make([]float32, len(pixels))
	for i, v := range pixels {
		flat[i] = float32(v) / 255
	}
	return tensors.FromFlatDataAndDimensions(flat, 20, 32, 32, 3), want
}

func flat(t *testing.T, x *tensors.Tensor) []float32 {
	t.Helper()
	v, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCorruptionsWithoutChanceAgreeWithTheBenchmark(t *testing.T) {
	images, want := golden(t)
	const size = 2 * 32 * 32 * 3
	for n, name := range []string{"gaussian_blur", "brightness", "contrast"} {
		c, err := CorruptionNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		for severity := 1; severity <= Severities; severity++ {
			got, err := c.Apply(images, severity, 0)
			if err != nil {
				t.Fatal(err)
			}
			from := (n*Severities + severity - 1) * size
			var worst float64
			for i, v := range flat(t, got)[:size] {
				worst = max(worst, math.Abs(float64(v-want[from+i])))
			}
			if worst > 1e-5 {
				t.Errorf("%s at severity %d differs by up to %.2g from imagecorruptions, want at most 1e-5", name, severity, worst)
			}
		}
	}
}

func TestNoiseChangesImagesAsMuchAsTheBenchmarkDoes(t *testing.T) {
	images, _ := golden(t)
	before := flat(t, images)
	f, err := os.Open("testdata/corruptions.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 16 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		severity, _ := strconv.Atoi(row[1])
		want, err := strconv.ParseFloat(row[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		c, err := CorruptionNamed(row[0])
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		const draws = 20
		for seed := range uint64(draws) {
			got, err := c.Apply(images, severity, seed)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range flat(t, got) {
				sum += math.Abs(float64(v - before[i]))
			}
		}
		if got := sum / float64(draws*len(before)); math.Abs(got/want-1) > 0.01 {
			t.Errorf("%s at severity %d changes images by %.5f on average, imagecorruptions by %.5f: more than 1%% apart", row[0], severity, got, want)
		}
	}
}

func TestCorruptionIsTheSameForTheSameSeed(t *testing.T) {
	images, _ := golden(t)
	c, _ := CorruptionNamed("gaussian_noise")
	first, err := c.Apply(images, 3, 7)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := c.Apply(images, 3, 7)
	other, _ := c.Apply(images, 3, 8)
	if !first.Equal(again) {
		t.Error("the same seed gave other images")
	}
	if first.Equal(other) {
		t.Error("another seed gave the same images")
	}
}

func TestCorruptionNamesWhatIsWrong(t *testing.T) {
	images, _ := golden(t)
	noise, _ := CorruptionNamed("gaussian_noise")
	nan := flat(t, images)
	nan[3072*2+5] = float32(math.NaN())
	for want, call := range map[string]func() error{
		"severities 1 to 5": func() error { _, err := noise.Apply(images, 6, 0); return err },
		"gaussian_noise":    func() error { _, err := CorruptionNamed("gausian_noise"); return err },
		"[N, H, W, C]":      func() error { _, err := noise.Apply(tensors.FromValue([]float32{1}), 1, 0); return err },
		"not Float64":       func() error { _, err := noise.Apply(tensors.FromValue([][][][]float64{{{{1}}}}), 1, 0); return err },
		"image 2 has the": func() error {
			_, err := noise.Apply(tensors.FromFlatDataAndDimensions(nan, 20, 32, 32, 3), 1, 0)
			return err
		},
		"the images are nil": func() error { _, err := noise.Apply(nil, 1, 0); return err },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}

func TestNumberedCorruptionsTakeANumberForEachImage(t *testing.T) {
	c, err := CorruptionNamed("gaussian_noise")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ApplyNumbered(tensors.FromFlatDataAndDimensions(make([]float32, 2*4*4*3), 2, 4, 4, 3), []int{1}, 1, 1); err == nil || !strings.Contains(err.Error(), "2 images have 1 numbers") {
		t.Errorf("got %v", err)
	}
}
