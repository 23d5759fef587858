package perturb

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/pixels"
	"github.com/loupeml/loupe/lib/interrupt"
)

// seeded are the corruptions of testdata/corruptions.npz, in its order, and how far from the oracle's each may be: the
// mean absolute difference, on the scale of 0 to 1, at the worst of the severities; a level of 8 bits is 0.0039. eight
// rounds ours where the oracle's is rounded.
var seeded = []struct {
	name            string
	cifar, imageNet float64
	eight           func(float64) float64
}{
	{"defocus_blur", 0.0001, 0.0001, nil},
	{"glass_blur", 0.0003, 0.0001, nil},
	{"motion_blur", 0.0001, 0.0001, math.Floor},
	{"zoom_blur", 0.0001, 0.0001, nil},
	{"snow", 0.0001, 0.0001, nil},
	{"frost", 0.0001, 0.0001, nil},
	{"fog", 0.0001, 0.0001, nil},
	{"brightness", 0.0001, 0.0001, nil},
	{"contrast", 0.0001, 0.0001, nil},
	{"elastic_transform", 0.0001, 0.0001, nil},
	{"pixelate", 0.0010, 0.0015, math.Round},
	{"jpeg_compression", 0, 0, math.Round},
	{"gaussian_blur", 0.0001, 0.0001, nil},
	{"spatter", 0.0001, 0.0001, nil},
	{"saturate", 0.0001, 0.0001, nil},
}

// read reads an array that bench/oracles/corruptions.py wrote.
func read[T any](t testing.TB, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/corruptions.npz", name)
}

// cifar are 20 real images, and photograph one.
func cifar(t *testing.T) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(oracle.Unit(read[uint8](t, "images")), 20, 32, 32, 3)
}

func photo(t testing.TB) picture {
	return picture{oracle.Unit(read[uint8](t, "photograph")), 224, 224, 3}
}

func named(t *testing.T, name string) Corruption {
	t.Helper()
	c, err := CorruptionNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lcg is the oracle's generator.
type lcg struct{ state uint32 }

func (l *lcg) Float64() float64 {
	l.state = l.state*1664525 + 1013904223
	return float64(l.state) / (1 << 32)
}

func (l *lcg) normals(to []float32) {
	for i := range to {
		var sum float64
		for range 12 {
			sum += l.Float64()
		}
		to[i] = float32(sum - 6)
	}
}

func (l *lcg) uniforms(to []float32) {
	for i := range to {
		to[i] = float32(l.Float64())
	}
}

func (l *lcg) IntN(n int) int { return int(l.Float64() * float64(n)) }

func (l *lcg) Uint64() uint64 { panic("no corruption with an oracle needs it") }

func (l *lcg) halves([]uint32) { l.Uint64() }

// difference is the mean absolute difference of every step-th pixel from what the oracle found, and the largest.
func difference(p picture, step int, want []uint16, eight func(float64) float64) (mean, most float64) {
	n := 0
	for y := 0; y < p.h; y += step {
		for x := 0; x < p.w; x += step {
			for ch := range p.c {
				v := float64(min(max(p.pix[(y*p.w+x)*p.c+ch], 0), 1)) * 255
				if eight != nil {
					v = eight(v + 1e-4)
				}
				d := math.Abs(v-float64(want[n])/16) / 255
				mean, most = mean+d, max(most, d)
				n++
			}
		}
	}
	return mean / float64(n), most
}

// With the authors' numbers in place of chance, every corruption but the noises makes the image that the authors'
// program makes.
func TestCorruptionsAgreeWithTheAuthorsPrograms(t *testing.T) {
	small, large, elastic := read[uint16](t, "cifar"), read[uint16](t, "imagenet"), read[uint16](t, "elastic")
	image, photograph := oracle.Unit(read[uint8](t, "images")[:32*32*3]), photo(t)
	check := func(what string, corrupt corrupter, p picture, step int, want []uint16, eight func(float64) float64,
		limit float64) {
		size := len(want) / Severities
		for severity := range Severities {
			got := picture{slices.Clone(p.pix), p.h, p.w, p.c}
			corrupt(got, severity, &lcg{1})
			mean, most := difference(got, step, want[severity*size:(severity+1)*size], eight)
			t.Logf("%s at severity %d: %.5f on average, at most %.4f", what, severity+1, mean, most)
			if !(mean <= limit) {
				t.Errorf("%s at severity %d is %.5f away on average, want at most %.5f", what, severity+1, mean, limit)
			}
		}
	}
	for i, s := range seeded {
		t.Run(s.name, func(t *testing.T) {
			c := named(t, s.name)
			if c.ready != nil {
				testenv.Asset(t, frostAsset)
				if err := c.Ready(); err != nil {
					t.Fatal(err)
				}
			}
			n := len(small) / len(seeded)
			check("CIFAR-10-C's "+s.name, c.cifar, picture{image, 32, 32, 3}, 1, small[i*n:(i+1)*n], s.eight, s.cifar)
			n = len(large) / len(seeded)
			check("ImageNet-C's "+s.name, c.imageNet, photograph, 8, large[i*n:(i+1)*n], s.eight, s.imageNet)
			if c.pypi != nil {
				check("imagecorruptions' "+s.name, c.pypi, photograph, 8, elastic, s.eight, s.imageNet)
			}
		})
	}
}

func TestNoiseChangesImagesAsMuchAsTheBenchmarkDoes(t *testing.T) {
	images := cifar(t)
	before := tensors.MustCopyFlatData[float32](images)
	rows := oracle.Rows(t, "testdata/corruptions.csv")
	if len(rows) != 1+2*4*Severities {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows[1:] {
		severity, _ := strconv.Atoi(row[2])
		wantMean, err1 := strconv.ParseFloat(row[3], 64)
		wantDeviation, err2 := strconv.ParseFloat(row[4], 64)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		c := named(t, row[1])
		if row[0] == "imagenet" {
			c.Benchmark = ImageNetC
		}
		var sum, signed, squares float64
		const draws = 20
		for seed := range uint64(draws) {
			got, err := c.Apply(images, severity, seed)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range tensors.MustCopyFlatData[float32](got) {
				d := float64(v - before[i])
				sum, signed, squares = sum+math.Abs(d), signed+d, squares+d*d
			}
		}
		n := float64(draws * len(before))
		mean, deviation := sum/n, math.Sqrt(squares/n-signed/n*signed/n)
		if !approx.Equal(mean/wantMean, 1, 0.02) || !approx.Equal(deviation/wantDeviation, 1, 0.02) {
			t.Errorf("%s of %s at severity %d changes images by %.5f on average with a deviation of %.5f, the authors' by "+
				"%.5f and %.5f: more than 2%% apart",
				row[1], row[0], severity, mean, deviation, wantMean, wantDeviation)
		}
	}
}

func TestCorruptionIsTheSameForTheSameSeed(t *testing.T) {
	images := cifar(t)
	chanceless := []string{"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
		"gaussian_blur", "saturate"}
	for _, c := range Corruptions() {
		if c.ready != nil {
			testenv.Asset(t, frostAsset)
		}
		first, err := c.Apply(images, 3, 7)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := c.Apply(images, 3, 7)
		other, _ := c.Apply(images, 3, 8)
		if !first.Equal(again) {
			t.Errorf("%s: the same seed gave other images", c.Name)
		}
		if has := !slices.Contains(chanceless, c.Name); first.Equal(other) == has {
			t.Errorf("%s has chance: %v; another seed gave the same images: %v", c.Name, has, first.Equal(other))
		}
		for i, v := range tensors.MustCopyFlatData[float32](first) {
			if !(v >= 0 && v <= 1) {
				t.Fatalf("%s: value %d is %v", c.Name, i, v)
			}
		}
	}
}

// Images of 8 bits are those of 0..1, to the bit.
func TestCorruptionsTakeEightBits(t *testing.T) {
	testenv.Asset(t, frostAsset)
	eight := tensors.FromFlatDataAndDimensions(read[uint8](t, "images"), 20, 32, 32, 3)
	for _, c := range Corruptions() {
		got, err := c.Apply(eight, 3, 7)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := c.Apply(cifar(t), 3, 7); err != nil || !got.Equal(want) {
			t.Errorf("%s of images in 8 bits is another than of the same in 0..1: %v", c.Name, err)
		}
	}
	if !eight.Equal(tensors.FromFlatDataAndDimensions(read[uint8](t, "images"), 20, 32, 32, 3)) {
		t.Error("the images of 8 bits have been changed")
	}
	_, err := named(t, "fog").Apply(tensors.FromFlatDataAndDimensions(make([]int32, 12), 1, 2, 2, 3), 3, 7)
	if err == nil || !strings.Contains(err.Error(), "float32 in 0..1 or uint8, not Int32") {
		t.Errorf("images of int32: %v", err)
	}
}

func TestBenchmarkGoesByTheImagesSize(t *testing.T) {
	for _, c := range []struct {
		side      int
		benchmark Benchmark
		same      Benchmark
	}{{32, BySize, CIFAR10C}, {33, BySize, ImageNetC}, {32, ImageCorruptions, ImageNetC}} {
		flat := make([]float32, c.side*c.side*3)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range flat {
			flat[i] = r.Float32()
		}
		images := tensors.FromFlatDataAndDimensions(flat, 1, c.side, c.side, 3)
		blur := named(t, "gaussian_blur")
		blur.Benchmark = c.benchmark
		got, err1 := blur.Apply(images, 2, 0)
		blur.Benchmark = c.same
		want, err2 := blur.Apply(images, 2, 0)
		if err1 != nil || err2 != nil || !got.Equal(want) {
			t.Errorf("%d pixels: benchmark %d is not benchmark %d: %v, %v", c.side, c.benchmark, c.same, err1, err2)
		}
	}
}

// A grey image keeps its one channel, and is what a colour image of three equal channels becomes where no colour is
// added.
func TestCorruptionOfGreyImages(t *testing.T) {
	colour := photo(t)
	one, three := picture{make([]float32, 64*48), 64, 48, 1}, picture{make([]float32, 64*48*3), 64, 48, 3}
	for i := range one.pix {
		one.pix[i] = float32(eightBits(colour.pix[(i/48*224+i%48)*3])) / 255
		three.pix[3*i], three.pix[3*i+1], three.pix[3*i+2] = one.pix[i], one.pix[i], one.pix[i]
	}
	for _, c := range Corruptions() {
		if slices.Contains([]string{"gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"}, c.Name) {
			continue // which draw for each channel
		}
		if c.ready != nil {
			testenv.Asset(t, frostAsset)
			if err := c.Ready(); err != nil {
				t.Fatal(err)
			}
		}
		for severity := range Severities {
			if c.Name == "saturate" && severity > 2 {
				continue // makes grey red
			}
			a, b := picture{slices.Clone(one.pix), one.h, one.w, 1}, picture{slices.Clone(three.pix), three.h, three.w, 3}
			c.imageNet(a, severity, &lcg{1})
			c.imageNet(b, severity, &lcg{1})
			for i, v := range a.pix {
				if d := math.Abs(float64(v - grey(b.pix[3*i], b.pix[3*i+1], b.pix[3*i+2]))); !approx.Equal(d, 0, 0.006) {
					t.Errorf("%s at severity %d: pixel %d differs by %.3f", c.Name, severity+1, i, d)
					break
				}
			}
		}
	}
}

// The slow definition of a correlation, which taking the kernel apart must not change, also where the image is smaller
// than the kernel.
func TestCorrelateIsTheSum(t *testing.T) {
	for _, l := range []lens{{.3, .4}, {1.5, .1}, {3, .1}, {6, .5}, {8, .5}, {10, .5}} {
		p := picture{photo(t).pix[:7*9*3], 7, 9, 3}
		kernel, n := l.kernel()
		got := picture{slices.Clone(p.pix), p.h, p.w, p.c}
		l.spans().correlate(got)
		for i, v := range got.pix {
			y, x, ch := i/(p.w*p.c), i/p.c%p.w, i%p.c
			var want float64
			for k, weight := range kernel {
				want += weight * float64(p.pix[(pixels.Reflect(y+k/n-n/2, p.h)*p.w+pixels.Reflect(x+k%n-n/2, p.w))*p.c+ch])
			}
			if !approx.Equal(v, want, 1e-5) {
				t.Fatalf("lens %v, row %d, column %d, channel %d is %v, want %v", l, y, x, ch, v, want)
			}
		}
	}
}

func TestSmallAndOblongImages(t *testing.T) {
	testenv.Asset(t, frostAsset)
	for _, size := range [][2]int{{1, 1}, {2, 3}, {8, 8}, {5, 70}, {700, 40}} {
		h, w := size[0], size[1]
		values := make([]float32, h*w*3)
		for i := range values {
			values[i] = float32(i%97) / 96
		}
		images := tensors.FromFlatDataAndDimensions(values, 1, h, w, 3)
		for _, c := range Corruptions() {
			for _, c.Benchmark = range []Benchmark{ImageNetC, CIFAR10C, ImageCorruptions} {
				for severity := 1; severity <= Severities; severity++ {
					got, err := c.Apply(images, severity, 3)
					if err != nil {
						t.Fatal(err)
					}
					for _, v := range tensors.MustCopyFlatData[float32](got) {
						if !(v >= 0 && v <= 1) {
							t.Fatalf("%s of benchmark %d at severity %d makes %v of an image of %d x %d", c.Name, c.Benchmark,
								severity, v, h, w)
						}
					}
				}
			}
		}
	}
}

func TestSetsOfCorruptions(t *testing.T) {
	if all, common, ovadia := Corruptions(), Common(), Ovadia(); len(all) != 19 || len(common) != 15 ||
		common[14].Name != "jpeg_compression" || len(ovadia) != 16 {
		t.Errorf("there are %d, %d and %d", len(all), len(common), len(ovadia))
	}
}

func TestFrostSaysWhatToFetch(t *testing.T) {
	frostPhotographs.Lock()
	kept := frostPhotographs.all
	frostPhotographs.all = nil
	frostPhotographs.Unlock()
	defer func() {
		frostPhotographs.Lock()
		frostPhotographs.all = kept
		frostPhotographs.Unlock()
	}()
	t.Setenv("LOUPE_CACHE", t.TempDir())
	_, err := named(t, "frost").Apply(cifar(t), 1, 0)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "loupe fetch imagenet-c-frost") {
		t.Errorf("got %v", err)
	}
}

func TestCorruptionNamesWhatIsWrong(t *testing.T) {
	images := cifar(t)
	noise := named(t, "gaussian_noise")
	nan := tensors.MustCopyFlatData[float32](images)
	nan[3072*2+5] = float32(math.NaN())
	for want, call := range map[string]func() error{
		"severities 1 to 5": func() error { _, err := noise.Apply(images, 6, 0); return err },
		"gaussian_noise":    func() error { _, err := CorruptionNamed("gausian_noise"); return err },
		"[N, H, W, C]":      func() error { _, err := noise.Apply(tensors.FromValue([]float32{1}), 1, 0); return err },
		"not Float64": func() error {
			_, err := noise.Apply(tensors.FromValue([][][][]float64{{{{1}}}}), 1,
				0)
			return err
		},
		"image 2 has the": func() error {
			_, err := noise.Apply(tensors.FromFlatDataAndDimensions(nan, 20, 32, 32, 3), 1, 0)
			return err
		},
		"the images are nil": func() error { _, err := noise.Apply(nil, 1, 0); return err },
		"1 channel or 3, not 2": func() error {
			_, err := named(t, "snow").Apply(tensors.FromFlatDataAndDimensions(make([]float32, 8), 1, 2, 2, 2), 1, 0)
			return err
		},
		"no benchmark 9": func() error {
			odd := noise
			odd.Benchmark = 9
			_, err := odd.Apply(images, 1, 0)
			return err
		},
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
	if _, err := c.ApplyNumbered(tensors.FromFlatDataAndDimensions(make([]float32, 2*4*4*3), 2, 4, 4, 3), []int{1}, 1,
		1); err == nil || !strings.Contains(err.Error(), "2 images have 1 numbers") {
		t.Errorf("got %v", err)
	}
}

func TestInterruptedCorruption(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{0.3, 0.6}, 150*8), 150, 4, 4, 1)
	c, err := CorruptionNamed("gaussian_noise")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := c.Apply(images, 3, 7)
	if err != nil {
		t.Fatal(err)
	}
	release := interrupt.Use(testenv.CancelledAfter(2))
	some, err := c.Apply(images, 3, 7)
	release()
	if !errors.Is(err, context.Canceled) || some == nil || some.Shape().Dimensions[0] != 32 {
		t.Fatalf("an interrupted corruption gives %v, %v", some, err)
	}
	if !slices.Equal(tensors.MustCopyFlatData[float32](some), tensors.MustCopyFlatData[float32](whole)[:32*16]) {
		t.Error("its images are others than without an interrupt")
	}
	release = interrupt.Use(testenv.CancelledAfter(0))
	defer release()
	if none, err := c.Apply(images, 3, 7); !errors.Is(err, context.Canceled) || none != nil {
		t.Errorf("interrupted at once it gives %v, %v", none, err)
	}
}
