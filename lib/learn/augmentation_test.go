package learn

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// augmented are the images and masks, [N, H, W, ...], that an augmentation makes of others, float32 both.
func augmented(t *testing.T, images, masks *tensors.Tensor, seed int64, all ...Augmentation) (x, y []float32,
	shape shapes.Shape) {
	t.Helper()
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		b := &Batch{g: g, columns: map[string]*graph.Node{Images: in[0], "masks": in[1]}, views: 1,
			random:  graph.RNGStateFromSeedForGraph(g, seed),
			numbers: graph.Iota(g, shapes.Make(dtypes.Int32, in[0].Shape().Dimensions[0]), 0)}
		for _, a := range all {
			a.Augment(b)
		}
		return []*graph.Node{b.Images(), b.Column("masks")}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call(images, masks)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1]), out[0].Shape()
}

// counted are images whose values are all different, and masks that say the same with other numbers.
func counted(n, h, w, c int) (images, masks *tensors.Tensor) {
	x, y := make([]float32, n*h*w*c), make([]float32, n*h*w)
	for i := range x {
		x[i] = float32(i+1) / float32(len(x))
	}
	for i := range y {
		y[i] = x[i*c] + 5
	}
	return tensors.FromFlatDataAndDimensions(x, n, h, w, c), tensors.FromFlatDataAndDimensions(y, n, h, w)
}

// mirrored is where a place outside of 0 to length-1 comes from, NumPy's reflect.
func mirrored(at, length int) int {
	for at < 0 || at >= length {
		if at < 0 {
			at = -at
		} else {
			at = 2*(length-1) - at
		}
	}
	return at
}

// Every cropped image is the image moved by some pixels, padded by its mirror image or black; all moves come, and masks
// move alike.
func TestCropMovesImages(t *testing.T) {
	const n, h, w, c, pad = 400, 5, 4, 2, 2
	images, masks := counted(n, h, w, c)
	from := tensors.MustCopyFlatData[float32](images)
	for _, black := range []bool{false, true} {
		got, moved, _ := augmented(t, images, masks, 3, Crop{Padding: pad, Black: black, Also: []string{"masks"}})
		seen := map[[2]int]int{}
		for k := range n {
			found := 0
			for dy := -pad; dy <= pad; dy++ {
			shift:
				for dx := -pad; dx <= pad; dx++ {
					for y := range h {
						for x := range w {
							sy, sx := mirrored(y+dy, h), mirrored(x+dx, w)
							outside := sy != y+dy || sx != x+dx
							for ch := range c {
								want := from[((k*h+sy)*w+sx)*c+ch]
								if black && outside {
									want = 0
								}
								if got[((k*h+y)*w+x)*c+ch] != want {
									continue shift
								}
							}
							want := from[((k*h+sy)*w+sx)*c] + 5
							if black && outside {
								want = 0
							}
							if moved[(k*h+y)*w+x] != want {
								t.Fatalf("the mask of image %d is moved otherwise than the image", k)
							}
						}
					}
					found++
					seen[[2]int{dy, dx}]++
				}
			}
			if found != 1 {
				t.Fatalf("image %d is %d moved images, black %v", k, found, black)
			}
		}
		if len(seen) != (2*pad+1)*(2*pad+1) {
			t.Errorf("%d moves come of %d", len(seen), (2*pad+1)*(2*pad+1))
		}
	}
}

// About half of the images are turned left to right, with their masks.
func TestFlipTurnsHalf(t *testing.T) {
	const n, h, w, c = 400, 3, 4, 2
	images, masks := counted(n, h, w, c)
	from := tensors.MustCopyFlatData[float32](images)
	got, moved, _ := augmented(t, images, masks, 1, Flip{Also: []string{"masks"}})
	turned := 0
	for k := range n {
		flip := got[k*h*w*c] != from[k*h*w*c]
		if flip {
			turned++
		}
		for y := range h {
			for x := range w {
				sx := x
				if flip {
					sx = w - 1 - x
				}
				at := (k*h+y)*w + x
				if want := from[((k*h+y)*w+sx)*c]; got[at*c] != want || got[at*c+1] != from[((k*h+y)*w+sx)*c+1] ||
					moved[at] != want+5 {
					t.Fatalf("image %d, turned %v, is not itself", k, flip)
				}
			}
		}
	}
	if !approx.Equal(turned, n/2, 50) {
		t.Errorf("%d of %d images are turned", turned, n)
	}
}

// What is cut out is a square, or what of it lies in the image; everything else stays.
func TestCutOutTakesASquare(t *testing.T) {
	const n, h, w, side = 600, 6, 7, 3
	images, masks := counted(n, h, w, 1)
	from := tensors.MustCopyFlatData[float32](images)
	got, _, _ := augmented(t, images, masks, 1, CutOut{side})
	corners := map[[2]int]bool{}
	for k := range n {
		found := false
		for cy := range h {
		middle:
			for cx := range w {
				for y := range h {
					for x := range w {
						want := from[(k*h+y)*w+x]
						if y >= cy-1 && y <= cy+1 && x >= cx-1 && x <= cx+1 {
							want = 0
						}
						if got[(k*h+y)*w+x] != want {
							continue middle
						}
					}
				}
				found = true
				corners[[2]int{cy, cx}] = true
			}
		}
		if !found {
			t.Fatalf("what is cut out of image %d is no square", k)
		}
	}
	if len(corners) != h*w {
		t.Errorf("%d middles of %d come", len(corners), h*w)
	}
}

// Views lie one behind the other, and what follows changes each otherwise; labels and numbers go with them.
func TestViewsAreRepeated(t *testing.T) {
	images, masks := counted(2, 4, 4, 1)
	x, y, shape := augmented(t, images, masks, 1, Views(3))
	if shape.Dimensions[0] != 6 {
		t.Fatalf("two images in three views are %v", shape)
	}
	from := tensors.MustCopyFlatData[float32](images)
	for i := range 6 {
		for p := range 16 {
			if want := from[i/3*16+p]; x[i*16+p] != want || y[i*16+p] != want+5 {
				t.Fatalf("view %d is not of image %d", i, i/3)
			}
		}
	}
	x, _, _ = augmented(t, images, masks, 5, Views(8), Flip{})
	alike := 0
	for i := 1; i < 8; i++ {
		if x[i*16] == x[0] {
			alike++
		}
	}
	if alike == 7 {
		t.Error("all views are turned alike")
	}
}

// The oracle is torchvision, bench/oracles/colours.py, to 1e-6.
func TestColoursAgreeWithTorchvision(t *testing.T) {
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{recoloured(in[0], in[1], in[2], in[3])}
	})
	if err != nil {
		t.Fatal(err)
	}
	factors := func(a, b float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions([]float32{a, b}, 2, 1, 1, 1)
	}
	x := pixelWave(2, 4, 5, 3)
	all := tensors.MustCopyFlatData[float32](x)
	var grey []float32
	for i := 0; i < len(all); i += 3 {
		grey = append(grey, all[i])
	}
	for name, images := range map[string]*tensors.Tensor{"colour": x, "grey": tensors.FromFlatDataAndDimensions(grey, 2,
		4, 5, 1)} {
		out, err := exec.Call1(images, factors(0.6, 1.5), factors(1.4, 0.7), factors(0.3, 1.8))
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(tensors.MustCopyFlatData[float32](out), oracle.Read[float32](t, "testdata/colours.npz", name),
			1e-6); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Drawn factors lie where they are said to.
	ones, masks := tensors.FromScalarAndDimensions(float32(0.4), 500, 1, 1, 1),
		tensors.FromScalarAndDimensions(float32(0), 500, 1, 1)
	got, _, _ := augmented(t, ones, masks, 1, ColorJitter{Brightness: 0.5})
	low, high := got[0], got[0]
	for _, v := range got {
		low, high = min(low, v), max(high, v)
	}
	if !(low >= 0.2 && low < 0.21 && high <= 0.6 && high > 0.59) {
		t.Errorf("0.4 becomes %v to %v, want 0.2 to 0.6", low, high)
	}
}

// Images of bytes are 255ths.
func TestBytesAreImages(t *testing.T) {
	bytes := tensors.FromFlatDataAndDimensions([]uint8{0, 51, 255, 102}, 1, 2, 2, 1)
	x, _, shape := augmented(t, bytes, tensors.FromScalarAndDimensions(float32(0), 1, 2, 2), 1)
	if err := approx.All(x, []float32{0, 0.2, 1, 0.4}, 1e-7); err != nil || shape.DType != dtypes.Float32 {
		t.Error(shape, err)
	}
}

func TestAugmentationsRefuse(t *testing.T) {
	for says, a := range map[string]Augmentation{
		"cannot be padded by the mirror image of 8": Crop{Padding: 8},
		"0 views":          Views(0),
		"0 pixels":         CutOut{},
		"from 1-v to 1+v":  ColorJitter{Contrast: 2},
		`no column "mask"`: Flip{Also: []string{"mask"}},
		"images of the shape that it gets": Changed(func(x *graph.Node, _ func(dims ...int) *graph.Node) *graph.Node {
			return graph.ReduceMean(x, 0)
		}),
	} {
		_, err := Run{Nets: map[string]*model.Model{"net": network(t, 1)}, Data: examples(t, 10, 1), Sampler: Shuffled(5),
			Step:    classify,
			Augment: []Augmentation{a}, Optimizer: SGD{LearningRate: 0.1}, Steps: 1}.Do()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}
