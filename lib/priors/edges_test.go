package priors

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are those of the authors' code: bench/oracles/copriors.py.
func authors[T any](t *testing.T, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/copriors.npz", array)
}

func seen(t *testing.T, p Prior, images *tensors.Tensor) []float32 {
	t.Helper()
	got, err := Apply(p, images)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Shape().Equal(images.Shape()) {
		t.Fatalf("%s of %s is %s", p, images.Shape(), got.Shape())
	}
	return tensors.MustCopyFlatData[float32](got)
}

// spreadOver repeats each value for every channel.
func spreadOver(grey []float32, channels int) (out []float32) {
	for _, v := range grey {
		for range channels {
			out = append(out, v)
		}
	}
	return out
}

// same is the share of the pixels at which two say the same.
func same(a, b []float32) float64 {
	n := 0
	for i := range b {
		if a[i] == b[i] {
			n++
		}
	}
	return float64(n) / float64(len(b))
}

// Edges are OpenCV's and Pillow's: Canny's at no less than 99.9% of the pixels (the smoothing before is in single
// precision), Sobel's steepness within 1e-3.
func TestEdgesAreTheAuthors(t *testing.T) {
	for _, side := range []int{32, 96, 150} {
		if side == 96 && !testenv.IsHeavy() { // as 32: smaller than 128
			continue
		}
		pixels := oracle.Unit(authors[uint8](t, fmt.Sprintf("images%d", side)))
		images := tensors.FromFlatDataAndDimensions(pixels, len(pixels)/(side*side*3), side, side, 3)
		canny := spreadOver(oracle.Unit(authors[uint8](t, fmt.Sprintf("canny%d", side))), 3)
		got := seen(t, Canny{}, images)
		edges := 0.0
		for _, v := range got {
			edges += float64(v) / float64(len(got))
		}
		t.Logf("%d pixels wide: Canny agrees at %.4f%%, %.1f%% are edges", side, 100*same(got, canny), 100*edges)
		if s := same(got, canny); !(s >= 0.999) || edges < 0.005 {
			t.Errorf("%d pixels wide: Canny agrees at %g of the pixels, and %g are edges", side, s, edges)
		}
		sobel := spreadOver(oracle.Unit(authors[uint8](t, fmt.Sprintf("sobel%d", side))), 3)
		if err := approx.All(seen(t, Sobel{Exchanged: true}, images), sobel, 1e-3); err != nil {
			t.Errorf("%d pixels wide: Sobel: %v", side, err)
		}
	}
}

// The same on real images, as they come from the JPEG files.
func TestEdgesOfRealImages(t *testing.T) {
	set, err := testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 20, 500)
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions(set.Pixels, 500, 32, 32, 3)
	packed, want := authors[uint8](t, "canny_cifar"), make([]float32, 500*1024)
	for i := range want {
		want[i] = float32(packed[i/8] >> (7 - i%8) & 1)
	}
	got := seen(t, Canny{}, images)
	t.Logf("Canny agrees at %.4f%%", 100*same(got, spreadOver(want, 3)))
	if s := same(got, spreadOver(want, 3)); !(s >= 0.999) {
		t.Errorf("Canny agrees at %g of the pixels", s)
	}
	steep := seen(t, Sobel{Exchanged: true}, images)
	var tenth []float32
	for i := 0; i < 500; i += 10 {
		tenth = append(tenth, steep[i*3072:(i+1)*3072]...)
	}
	if err := approx.All(tenth, spreadOver(oracle.Unit(authors[uint8](t, "sobel_cifar")), 3), 1e-3); err != nil {
		t.Errorf("Sobel: %v", err)
	}
}

// A weak edge that winds through the whole image is found from its one strong pixel, however long that takes.
func TestHysteresisGoesToTheEnd(t *testing.T) {
	const side = 33
	weak, strong := make([]bool, side*side), make([]bool, side*side)
	length := 0
	for y := 0; y < side; y += 2 { // a snake of rows
		for x := range side {
			weak[y*side+x] = true
			length++
		}
		if y+1 < side {
			weak[(y+1)*side+[]int{side - 1, 0}[y/2%2]] = true
			length++
		}
	}
	strong[0] = true
	apart := make([]bool, side*side) // and one that touches nothing strong
	program, err := model.NewExec(hysteresis)
	if err != nil {
		t.Fatal(err)
	}
	got, err := program.Call1(tensors.FromFlatDataAndDimensions(append(append([]bool{}, weak...), weak...), 2, side, side),
		tensors.FromFlatDataAndDimensions(append(strong, apart...), 2, side, side))
	if err != nil {
		t.Fatal(err)
	}
	found := [2]int{}
	for i, v := range tensors.MustCopyFlatData[int32](got) {
		if v != 0 && !weak[i%(side*side)] {
			t.Fatalf("pixel %d is an edge and was no weak one", i)
		}
		found[i/(side*side)] += int(v)
	}
	if found != [2]int{length, 0} {
		t.Errorf("%d pixels of the snake and %d of one without a strong pixel are found, of %d", found[0], found[1], length)
	}
}

// Brightness is that of the colours in their order, and the released program's with red and blue exchanged.
func TestSobelWeighsColoursAsItSays(t *testing.T) {
	flat := make([]float32, 32*32*3)
	for i := range 1024 {
		if i%32 >= 16 {
			flat[3*i] = 0.5 // red
		}
	}
	images := tensors.FromFlatDataAndDimensions(flat, 1, 32, 32, 3)
	peak := func(p Prior) (most float64) {
		for _, v := range seen(t, p, images) {
			most = math.Max(most, float64(v))
		}
		return most
	}
	if r := peak(Sobel{}) / peak(Sobel{Exchanged: true}); !approx.Equal(r, 0.299/0.114, 0.35) {
		t.Errorf("an edge of red is %g times as steep", r)
	}
	grey := tensors.FromFlatDataAndDimensions(make([]float32, 64), 1, 8, 8, 1)
	for _, p := range []Prior{Canny{}, Sobel{}, Canny{Low: 10, High: 20}} {
		for i, v := range seen(t, p, grey) {
			if v != 0 {
				t.Fatalf("%s of a black image has %g at %d", p, v, i)
			}
		}
	}
}

// A network behind a prior answers as the network does to what the prior leaves; what has no gradient says so.
func TestBehindAPrior(t *testing.T) {
	pixels := oracle.Unit(authors[uint8](t, "images32"))
	images := tensors.FromFlatDataAndDimensions(pixels, 6, 32, 32, 3)
	m := small(t, 3, 1)
	for _, p := range []Prior{Canny{}, Sobel{}} {
		whole, err := WithPrior(p, m)
		if err != nil {
			t.Fatal(err)
		}
		left, err := Apply(p, images)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Logits(left)
		if err != nil {
			t.Fatal(err)
		}
		got, err := whole.Logits(images)
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want),
			1e-5); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		if _, err := whole.InputGradient(images, []int{0}); err == nil || !strings.Contains(err.Error(), "have no gradient") {
			t.Errorf("the gradient behind %s: %v", p, err)
		}
		before := model.Compilations()
		again, err := WithPrior(p, small(t, 3, 2))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Logits(images); err != nil {
			t.Fatal(err)
		}
		if n := model.Compilations() - before; n != 0 {
			t.Errorf("another network behind %s compiles %d programs", p, n)
		}
	}
}

func TestPriorsRefuse(t *testing.T) {
	for words, images := range map[string]*tensors.Tensor{
		"one or three channels": tensors.FromFlatDataAndDimensions(make([]float32, 128), 1, 8, 8, 2),
		"3x3 pixels or larger":  tensors.FromFlatDataAndDimensions(make([]float32, 6), 1, 2, 3, 1),
	} {
		for _, p := range []Prior{Canny{}, Sobel{}} {
			if _, err := Apply(p, images); err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", words, err)
			}
		}
	}
	if _, err := Apply(Canny{Low: 300, High: 200}, tensors.FromFlatDataAndDimensions(make([]float32, 64), 1, 8, 8,
		1)); err == nil || !strings.Contains(err.Error(), "no less") {
		t.Errorf("thresholds the wrong way round: %v", err)
	}
	if _, err := Apply(Canny{}, nil); err == nil {
		t.Error("edges of nothing")
	}
}

// small is a network with a linear layer on every fourth pixel, with weights of a seed.
func small(t *testing.T, classes int, seed float64) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{"linear.weight": oracle.Sines(0.1, seed, classes, 192),
		"linear.bias": oracle.Sines(0.1, seed+7, classes)}
	m, err := model.FromArchitecture(smallKey{}, weights, model.Spec{Name: "small", Height: 32, Width: 32, Channels: 3,
		Mean: []float64{0.4, 0.5, 0.6}, Std: []float64{0.2, 0.3, 0.4}}, func(b *model.Builder, x *graph.Node) *graph.Node {
		n := x.Shape().Dimensions[0]
		x = graph.MeanPool(x).Window(4).NoPadding().Done()
		return b.Linear("linear", graph.Reshape(x, n, 192))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type smallKey struct{}
