package parts

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
)

const tiny = 8 // side of the images below

// bars are images of two classes: a horizontal or a vertical bar at a random place, whose halves are parts 1 and 2 of
// class 0, and 3 and 4 of class 1, in noise.
func bars(count int, seed uint64) (images *tensors.Tensor, labels []int, masks *tensors.Tensor) {
	rng := rand.New(rand.NewPCG(seed, 0))
	pixels, parts := make([]float32, count*tiny*tiny), make([]int32, count*tiny*tiny)
	for i := range pixels {
		pixels[i] = 0.3 * rng.Float32()
	}
	for i := range count {
		class, at := rng.IntN(2), rng.IntN(tiny)
		labels = append(labels, class)
		for p := range tiny {
			place := i*tiny*tiny + at*tiny + p
			if class == 1 {
				place = i*tiny*tiny + p*tiny + at
			}
			pixels[place], parts[place] = 0.8, int32(2*class+1+2*p/tiny)
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, count, tiny, tiny, 1), labels,
		tensors.FromFlatDataAndDimensions(parts, count, tiny, tiny)
}

func unet(t *testing.T) *model.Model {
	t.Helper()
	m, err := networks.UNet{Width: 4, Downs: 1}.Make(model.Spec{Height: tiny, Width: tiny, Channels: 1}, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Trained as one under an attack, a part model learns its classes and its parts, with a quarter of the masks, and
// attacks through its parts break some of what a plain one does not.
func TestPartModelsLearnUnderAttack(t *testing.T) {
	images, labels, masks := bars(400, 1)
	some, err := Unlabel(masks, 0.75)
	if err != nil {
		t.Fatal(err)
	}
	data, err := Data(images, labels, some, 4)
	if err != nil {
		t.Fatal(err)
	}
	test, truth, testMasks := bars(100, 2)
	m, err := BoundingBox{}.Make(unet(t), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	const eps = 0.05
	trained, err := learn.Run{Nets: map[string]*model.Model{"parts": m}, Data: data, Sampler: learn.Shuffled(50),
		Steps: 300, Optimizer: learn.Adam{LearningRate: 0.01}, Schedule: learn.Cosine,
		Step: Training{Weight: 0.9, Attack: learn.Adversarial{Norm: attack.LInf, Epsilon: eps, Steps: 2}}.Step("parts")}.Do()
	if err != nil {
		t.Fatal(err)
	}
	m = trained.Nets["parts"]
	seen, err := Segment(m, test)
	if err != nil {
		t.Fatal(err)
	}
	right, err := PixelAccuracy(seen, testMasks)
	if err != nil || !(right.Share() > 0.35) {
		// who calls all of them background sees none, as with equal weights of class and parts
		t.Errorf("of the pixels of parts %v are seen (%v)", right, err)
	}
	up := attack.APGD{Norm: attack.LInf, Eps: eps, Steps: 20}
	guided, err := Guided{APGD: up}.Robustness(m, test, truth, nil, masks, labels)
	if err != nil {
		t.Fatal(err)
	}
	untargeted, err := Guided{APGD: up, Untargeted: true}.Robustness(m, test, truth, testMasks, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("parts %v, clean %v, guided %v, untargeted %v", right, guided.Clean, guided.Robust, untargeted.Robust)
	if guided.Clean.Share() < 0.9 || guided.Robust.Share() < 0.5 || untargeted.Robust.Share() < 0.5 {
		t.Errorf("clean %v, under guided attacks %v, under untargeted ones %v", guided.Clean, guided.Robust,
			untargeted.Robust)
	}
	// Where the ball is large the attacks get through.
	up.Eps = 0.6
	guided, err = Guided{APGD: up}.Robustness(m, test, truth, nil, masks, labels)
	if err != nil {
		t.Fatal(err)
	}
	if guided.Robust.Share() > 0.2 {
		t.Errorf("in a ball of radius 0.6 %v stand", guided.Robust)
	}
}

// Backgrounds and what fills shapes are exchanged pixel by pixel.
func TestComposedImages(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions([]float32{0.1, 0.2, 0.3, 0.4}, 1, 2, 2, 1)
	others := tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5, 1, 0.5}, 1, 2, 2, 1)
	masks := tensors.FromFlatDataAndDimensions([]int32{0, 1, 2, 0}, 1, 2, 2)
	for name, c := range map[string]struct {
		of   func(images, masks, others *tensors.Tensor) (*tensors.Tensor, error)
		want []float32
	}{"OnBackgrounds": {OnBackgrounds, []float32{0.5, 0.2, 0.3, 0.5}}, "Filled": {Filled, []float32{0.1, 0.1, 0.3, 0.4}}} {
		got, err := c.of(images, masks, others)
		if err != nil {
			t.Fatal(err)
		}
		if flat := tensors.MustCopyFlatData[float32](got); !slices.Equal(flat, c.want) {
			t.Errorf("%s gives %v, want %v", name, flat, c.want)
		}
		if _, err := c.of(images, tensors.FromFlatDataAndDimensions([]int32{0, -1, 2, 0}, 1, 2, 2), others); err == nil ||
			!strings.Contains(err.Error(), "nobody has labelled") {
			t.Errorf("%s with a pixel without a label: %v", name, err)
		}
	}
}

// What is bright has an upper and a lower half, of its own class.
func TestHalves(t *testing.T) {
	images := tensors.FromFlatDataAndDimensions([]float32{
		0, 0.9, 0, 0.2, 0.8, 0, 0, 1, 0,
		0.1, 0, 0, 0.6, 0.6, 0.6, 0, 0, 0}, 2, 3, 3, 1)
	masks, err := Halves(images, []int{0, 3}, 0.3)
	if err != nil {
		t.Fatal(err)
	}
	// The centre of the first is a little below its middle row.
	want := []int32{0, 1, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 8, 8, 8, 0, 0, 0}
	if got := tensors.MustCopyFlatData[int32](masks); !slices.Equal(got, want) {
		t.Errorf("the halves are %v, want %v", got, want)
	}
}

// Scattered masks have as many pixels of each part, in each image for itself, in other places, by the seed.
func TestScattered(t *testing.T) {
	_, _, masks := bars(6, 1)
	before := tensors.MustCopyFlatData[int32](masks)
	scatter := func(seed uint64) []int32 {
		t.Helper()
		scattered, err := Scattered(masks, seed)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[int32](scattered)
	}
	after, other := scatter(1), scatter(2)
	if !slices.Equal(before, tensors.MustCopyFlatData[int32](masks)) || !slices.Equal(after, scatter(1)) {
		t.Error("the masks have changed, or one seed gives two orders")
	}
	for i := 0; i < len(before); i += tiny * tiny {
		was, is, too := before[i:i+tiny*tiny], after[i:i+tiny*tiny], other[i:i+tiny*tiny]
		if slices.Equal(was, is) || slices.Equal(is, too) {
			t.Errorf("the pixels of mask %d lie as they did", i/tiny/tiny)
		}
		if !slices.Equal(slices.Sorted(slices.Values(was)), slices.Sorted(slices.Values(is))) {
			t.Errorf("mask %d has other parts than before", i/tiny/tiny)
		}
	}
}

func TestBadParts(t *testing.T) {
	images, labels, masks := bars(4, 1)
	wrong := tensors.FromFlatDataAndDimensions(slices.Repeat([]int32{5}, 4*tiny*tiny), 4, tiny, tiny)
	plain, err := model.FromFunc(model.Spec{Name: "plain", Height: tiny, Width: tiny, Channels: 1},
		func(x *graph.Node) *graph.Node {
			return graph.ReduceMean(graph.Concatenate([]*graph.Node{x, x}, -1), 1, 2)
		})
	if err != nil {
		t.Fatal(err)
	}
	data, err := learn.FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	withMasks, err := Data(images, labels, masks, 4)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := BoundingBox{}.Make(unet(t), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	run := func(data learn.Source, tr Training) error {
		_, err := learn.Run{Nets: map[string]*model.Model{"net": parts}, Data: data, Sampler: learn.Shuffled(2), Steps: 1,
			Optimizer: learn.SGD{LearningRate: 0.1}, Step: tr.Step("net")}.Do()
		return err
	}
	up := attack.APGD{Eps: 1}
	for want, do := range map[string]func() error{
		"no segmenter: it is nil":   func() error { _, err := Downsampled{}.Make(nil, 2, 1); return err },
		"plain is no segmenter":     func() error { _, err := BoundingBox{}.Make(plain, 2, 1); return err },
		"a classifier of 1 classes": func() error { _, err := BoundingBox{}.Make(unet(t), 1, 1); return err },
		"9 x 9 places":              func() error { _, err := Downsampled{Side: 9}.Make(unet(t), 2, 1); return err },
		"has the part 5":            func() error { _, err := Data(images, labels, wrong, 4); return err },
		"masks [4 8 8] of images": func() error {
			some, _, _ := bars(3, 1)
			_,
				err := Data(some, labels[:3], masks, 4)
			return err
		},
		"a share of 2":          func() error { _, err := Unlabel(masks, 2); return err },
		"masks are [N, H, W]":   func() error { _, err := Scattered(nil, 1); return err },
		"the data has no masks": func() error { return run(data, Training{Weight: 0.5}) },
		"it is no part model": func() error {
			_, err := Guided{APGD: up}.Robustness(plain, images, labels, masks, masks, labels)
			return err
		},
		"the level is from 0": func() error { _, err := Halves(images, labels, 1); return err },
		"says nothing of pixels": func() error {
			_, err := learn.Run{Nets: map[string]*model.Model{"net": plain}, Data: withMasks, Sampler: learn.Shuffled(2),
				Steps: 1, Optimizer: learn.SGD{LearningRate: 0.1}, Step: Training{Weight: 0.5}.Step("net")}.Do()
			return err
		},
		"no guide of class": func() error {
			_, err := Guided{APGD: up}.Robustness(parts, images, []int{0, 0, 1, 1}, nil, masks, []int{7, 7, 7, 7})
			return err
		},
		"a weight of 2": func() error {
			_, err := Guided{APGD: up, Weight: 2}.Robustness(parts, images, labels, nil, masks, labels)
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}
