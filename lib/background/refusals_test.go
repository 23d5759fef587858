package background

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/parts"
)

func refused(t *testing.T, says string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("want an error that says %q, got %v", says, err)
	}
}

// Masks that are no masks, such as bytes of 0 to 255 as floats, are refused before a run trains and where somebody
// looks at what it would learn from, also beside images that are streamed.
func TestMasksOfOtherValues(t *testing.T) {
	s := scenes(t)
	size := s.Masks.Shape().Dimensions
	long := size[0] * size[1] * size[2]
	bytes, unlabelled := make([]float32, long), make([]int32, long)
	bytes[long-1], unlabelled[2] = 255, -1
	ds, err := data.FromTensor(s.Images, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := learn.FromDataset(ds, nil)
	if err != nil {
		t.Fatal(err)
	}
	inMemory, err := learn.FromTensors(s.Images, nil)
	if err != nil {
		t.Fatal(err)
	}
	for says, masks := range map[string]*tensors.Tensor{
		fmt.Sprintf("the mask of image %d has the value 255", size[0]-1): tensors.FromFlatDataAndDimensions(bytes, size...),
		"the mask of image 0 has the value -1": tensors.FromFlatDataAndDimensions(unlabelled,
			size...),
	} {
		for _, from := range []learn.Source{stream, inMemory} {
			with, err := learn.WithColumn(from, parts.MasksColumn, masks)
			if err != nil {
				t.Fatal(err)
			}
			for _, augment := range []learn.Augmentation{Remove{}, Random{}, Swaps{}} {
				_, err := learn.Augmented(with, numbers(2), 1, learn.Views(3), augment)
				refused(t, says, err)
				_, err = learn.Run{Nets: map[string]*model.Model{"net": brightness(t, 1, 0)}, Data: with,
					Sampler: learn.Shuffled(2), Steps: 1,
					Augment: []learn.Augmentation{learn.Views(3), augment}, Optimizer: learn.SGD{LearningRate: 1},
					Step: func(*learn.Step) learn.Loss { return learn.Loss{} }}.Do()
				refused(t, says, err)
			}
		}
		some, err := inMemory.With(parts.MasksColumn, masks)
		if err != nil {
			t.Fatal(err)
		}
		selected, err := some.Select([]int{0}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if learn.Resident(selected, parts.MasksColumn) != masks || learn.Resident(stream, learn.Images) != nil ||
			learn.Resident(some, "none") != nil {
			t.Error("a column in memory is another")
		}
	}
}

func TestRefusals(t *testing.T) {
	s := scenes(t)
	for says, augment := range map[string][]learn.Augmentation{
		"there are 2":                     {learn.Views(2), Swaps{Positive: 1, Negative: 1}},
		"a probability of 1.5":            {Remove{Probability: []float64{1.5}}},
		"3 probabilities for 2 views":     {learn.Views(2), Random{Probability: []float64{0, 0, 1}}},
		"a probability of -1":             {learn.Views(3), Swaps{Negative: -1}},
		"has no masks of subjects":        nil,
		"from another image of the batch": {Random{}},
	} {
		var from learn.Source = source(t, s)
		at := numbers(n)
		switch {
		case augment == nil:
			only, err := learn.FromTensors(s.Images, nil)
			if err != nil {
				t.Fatal(err)
			}
			from, augment = only, []learn.Augmentation{Remove{}}
		case strings.HasPrefix(says, "from another"):
			at = at[:1]
		}
		_, err := learn.Augmented(from, at, 1, augment...)
		refused(t, says, err)
	}
	for _, mixing := range []learn.Augmentation{Random{}, Swaps{}} {
		_, err := learn.Run{Nets: map[string]*model.Model{"net": brightness(t, 1, 0)}, Data: source(t, s),
			Sampler: learn.Poisson(0.5), Steps: 1, Augment: []learn.Augmentation{mixing},
			Gradient: learn.DP{Clip: 1, Noise: 1}, Optimizer: learn.SGD{LearningRate: 1},
			Step: func(*learn.Step) learn.Loss { return learn.Loss{} }}.Do()
		refused(t, "puts several examples into one", err)
	}
	with := func(change func(*Subjects)) Subjects {
		other := s
		other.Labels = append([]int{}, s.Labels...)
		change(&other)
		return other
	}
	mixed := func(_ *tensors.Tensor, err error) error { return err }
	refused(t, "11 labels for 12 images", mixed(with(func(s *Subjects) { s.Labels = s.Labels[1:] }).MixedRand(1)))
	refused(t, "image 2 has the label -1", mixed(with(func(s *Subjects) { s.Labels[2] = -1 }).OnlyFG()))
	refused(t, "class 7 has one image alone", mixed(with(func(s *Subjects) { s.Labels[2] = 7 }).MixedSame(1)))
	refused(t, "class 7 has one image alone", mixed(with(func(s *Subjects) { s.Labels[2] = 7 }).MixedRand(1)))
	refused(t, "of one class", mixed(with(func(s *Subjects) { s.Labels = make([]int, n) }).MixedRand(1)))
	refused(t, "Binary makes them",
		mixed(with(func(s *Subjects) { s.Masks = tensors.FromScalarAndDimensions(float32(1), n, side, side) }).OnlyFG()))
	refused(t, "the value -1",
		mixed(with(func(s *Subjects) { s.Masks = tensors.FromScalarAndDimensions(int32(-1), n, side, side) }).OnlyFG()))
	refused(t, "of its size", mixed(Tiled(s.Images, tensors.FromScalarAndDimensions(int32(1), n, side, side+1))))
	refused(t, "images are [N, H, W, C]", mixed(Tiled(nil, s.Masks)))
	grounds := Places{tensors.FromScalarAndDimensions(float32(1), 3, side, side, 2), []int{0, 1, 2}}
	composed := func(s Subjects, p Places, own float64) error {
		_, err := Compose(s, p, own, 1)
		return err
	}
	refused(t, "a share of 2", composed(s, grounds, 2))
	refused(t, "no place of kind 1", composed(s, Places{grounds.Images, []int{0, 2, 2}}, 0.5))
	refused(t, "has the label 2, and there are places of the kinds 0 to 1",
		composed(s, Places{grounds.Images, []int{0, 1, 1}}, 0.5))
	refused(t, "2 kinds for 3 places", composed(s, Places{grounds.Images, []int{0, 1}}, 0.5))
	refused(t, "places of [2 2 1] for images of [8 8 2]",
		composed(s, Places{tensors.FromScalarAndDimensions(float32(1), 1, 2, 2, 1), []int{0}}, 0.5))
	_, err := GapOf(func(*tensors.Tensor) ([]int, error) { return []int{1}, nil }, s, 1)
	refused(t, "1 answers to 12 images", err)
	_, err = GapOf(nil, s, 1)
	refused(t, "predict is nil", err)
	_, err = (&Composed{Labels: []int{1}, Kinds: []int{0}}).Groups(nil)
	refused(t, "they are 0", err)
	_, err = Binary(tensors.FromScalarAndDimensions(float32(2), 1, 2, 2), 0.5)
	refused(t, "the value 2", err)
	_, err = Binary(tensors.FromScalarAndDimensions(float32(1), 1, 2, 2), 0)
	refused(t, "from the level 0", err)
}

// paint writes an image of one grey level, or of a colour, of h x w pixels, with white in the left column.
func paint(t *testing.T, path string, h, w int, fill color.Color) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, fill)
		}
		img.Set(0, y, color.White)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// Masks meet images by name, whatever their order, and what does not fit is refused with the file's name.
func TestMasksFromFiles(t *testing.T) {
	folder := func(paint func(dir string)) *data.Dataset {
		t.Helper()
		dir := t.TempDir()
		paint(dir)
		ds, err := data.Folder(dir, data.Options{Label: func(string) int { return -1 }})
		if err != nil {
			t.Fatal(err)
		}
		return ds
	}
	images := folder(func(dir string) {
		paint(t, filepath.Join(dir, "b", "2.png"), 4, 6, color.Gray{51})
		paint(t, filepath.Join(dir, "a", "1.png"), 4, 6, color.Gray{102})
	})
	masks := folder(func(dir string) {
		paint(t, filepath.Join(dir, "a", "1.png"), 4, 6, color.Gray{0})
		paint(t, filepath.Join(dir, "b", "2.png"), 4, 6, color.Gray{51})
		paint(t, filepath.Join(dir, "c", "3.png"), 1, 1, color.Black) // of no image here
	})
	got, err := FromFiles(images.Subset([]int{1, 0}), masks)
	if err != nil {
		t.Fatal(err)
	}
	var want []float32
	for _, v := range []float32{0.2, 0} {
		for range 4 {
			want = append(want, 1, v, v, v, v, v)
		}
	}
	if err := approx.All(floats(got), want, 1e-6); err != nil || got.Rank() != 3 {
		t.Error(got.Shape(), err)
	}
	hard, err := Binary(got, 0.5)
	if err != nil || tensors.MustCopyFlatData[int32](hard)[0] != 1 || tensors.MustCopyFlatData[int32](hard)[1] != 0 {
		t.Error(hard, err)
	}
	with := func(h, w int, fill color.Color, name string) *data.Dataset {
		return folder(func(dir string) {
			paint(t, filepath.Join(dir, "a", "1.png"), 4, 6, color.Black)
			paint(t, filepath.Join(dir, "b", name), h, w, fill)
		})
	}
	for says, masks := range map[string]*data.Dataset{
		"the image b/2.png has no mask":                             with(4, 6, color.Black, "4.png"),
		"the mask b/2.png is 6 x 4, and its image b/2.png is 4 x 6": with(6, 4, color.Black, "2.png"),
		"the mask b/2.png is in colour":                             with(4, 6, color.RGBA{200, 0, 0, 255}, "2.png"),
	} {
		_, err := FromFiles(images, masks)
		refused(t, says, err)
	}
	_, err = FromFiles(images, nil)
	refused(t, "there are no masks", err)
}

// brightness is a network that takes what is bright for the subject, scaled.
func brightness(t *testing.T, scale float64, resize int) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{"scale": tensors.FromScalar(float32(scale))},
		model.Spec{Name: "brightness", Height: 4, Width: 6, Channels: 1, Resize: resize},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Mul(graph.Squeeze(x, 3), graph.BroadcastToDims(b.Weight("scale"), x.Shape().Dimensions[:3]...))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSaliency(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	dir := t.TempDir()
	paint(t, filepath.Join(dir, "1.png"), 8, 12, color.Gray{51})
	ds, err := data.Folder(dir, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Saliency{Model: brightness(t, 0.5, 0)}.Of(ds, 8, 12)
	if err != nil {
		t.Fatal(err)
	}
	flat := floats(got)
	if d := got.Shape().Dimensions; len(d) != 3 || d[1] != 8 || d[2] != 12 || !approx.Equal(flat[11], 0.1, 1e-4) ||
		!(flat[0] > 0.2 && flat[0] <= 0.5) {
		t.Errorf("%v: %v", d, flat[:12])
	}
	stretched, err := Saliency{Model: brightness(t, 0.5, 0), Stretch: true}.Of(ds, 4, 6)
	if err != nil || slices.Max(floats(stretched)) != 1 || slices.Min(floats(stretched)) != 0 ||
		floats(stretched)[0] != 1 {
		t.Error(stretched, err)
	}
	_, err = Saliency{Model: brightness(t, 2, 0)}.Of(ds, 4, 6)
	refused(t, "a share of the subject lies in 0..1", err)
	_, err = Saliency{Model: brightness(t, 1, 8)}.Of(ds, 4, 6)
	refused(t, "the middle of a photograph alone", err)
	_, err = Saliency{}.Of(ds, 4, 6)
	refused(t, "Model is nil", err)
}
