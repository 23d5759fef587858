package background

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/parts"
)

const n, side = 12, 8

// scenes are images of one colour each, i/100 in the background and 0.5 + i/100 in the subject, a box: so each pixel
// says whose it is.
func scenes(t *testing.T) Subjects {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	pixels, masks, labels := make([]float32, n*side*side*2), make([]int32, n*side*side), make([]int, n)
	for i := range n {
		labels[i] = i % 3
		for p := range side * side {
			v := float32(i) / 100
			if y, x := p/side, p%side; y >= 2 && y < 5 && x >= 1+i%3 && x < 5 {
				v += 0.5
				masks[i*side*side+p] = int32(1 + i%2)
			}
			pixels[(i*side*side+p)*2], pixels[(i*side*side+p)*2+1] = v, v
		}
	}
	return Subjects{tensors.FromFlatDataAndDimensions(pixels, n, side, side, 2), tensors.FromFlatDataAndDimensions(masks,
		n, side, side), labels}
}

func source(t *testing.T, s Subjects) *learn.Tensors {
	t.Helper()
	data, err := parts.Data(s.Images, s.Labels, s.Masks, 2)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func changed(t *testing.T, data learn.Source, augment ...learn.Augmentation) map[string]*tensors.Tensor {
	t.Helper()
	out, err := learn.Augmented(data, numbers(data.Len()), 3, augment...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func floats(x *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](x) }

// whose are, of an image of scenes after a change, the number of the image that its subject is of, and that its
// background is of, told by the mask; an error where either is of several.
func whose(pixels []float32, mask []int32) (subject, background int, err error) {
	subject, background = -1, -1
	for p, part := range mask {
		v := pixels[2*p]
		if pixels[2*p+1] != v {
			return 0, 0, fmt.Errorf("the channels of pixel %d differ", p)
		}
		of, at := &background, int(100*v+0.5)
		if part > 0 {
			of, at = &subject, int(100*(v-0.5)+0.5)
		}
		if *of >= 0 && *of != at {
			return 0, 0, fmt.Errorf("pixel %d, %v, is of image %d, and others of %d", p, v, at, *of)
		}
		*of = at
	}
	return subject, background, nil
}

// Backgrounds become x·m + grey·(1-m) for soft masks, with one grey for an image, and each view has its probability.
func TestRemoveIsACompositeWithGrey(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	rng := rand.New(rand.NewPCG(1, 1))
	x, m := make([]float32, n*side*side*2), make([]float32, n*side*side)
	for i := range x {
		x[i] = rng.Float32()
	}
	for i := range m {
		if m[i] = rng.Float32(); i%(side*side) < 3 {
			m[i] = float32(i%(side*side)) / 2 // 0, 1/2, 1
		}
	}
	data, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(x, n, side, side, 2), nil)
	if err == nil {
		data, err = data.With(parts.MasksColumn, tensors.FromFlatDataAndDimensions(m, n, side, side))
	}
	if err != nil {
		t.Fatal(err)
	}
	got := floats(changed(t, data, learn.Views(2), Remove{Probability: []float64{0, 1}})[learn.Images])
	size := side * side * 2
	greys := map[float32]bool{}
	for i := range n {
		first, second := got[2*i*size:(2*i+1)*size], got[(2*i+1)*size:(2*i+2)*size]
		if !slices.Equal(first, x[i*size:(i+1)*size]) {
			t.Fatalf("the first view of image %d has changed", i)
		}
		grey := second[0] // its mask is 0 there
		if greys[grey] = true; !(grey >= 0 && grey < 1) {
			t.Fatalf("the grey of image %d is %v", i, grey)
		}
		for p, v := range second {
			at := i*size + p
			if share := m[at/2]; !approx.Equal(v, x[at]*share+grey*(1-share), 1e-6) {
				t.Fatalf("pixel %d of image %d is %v, of %v by %v on %v", p, i, v, x[at], share, grey)
			}
		}
	}
	if len(greys) != n {
		t.Errorf("%d greys for %d images", len(greys), n)
	}
}

// The subject stays, and the background is one other image's, without its subject; of all the others each comes.
func TestRandomTakesAnotherBackground(t *testing.T) {
	s := scenes(t)
	masks := tensors.MustCopyFlatData[int32](s.Masks)
	const views = 40
	got := floats(changed(t, source(t, s), learn.Views(views), Random{})[learn.Images])
	seen := map[[2]int]bool{}
	for row := range n * views {
		i := row / views
		subject, background, err := whose(got[row*side*side*2:(row+1)*side*side*2], masks[i*side*side:(i+1)*side*side])
		if err != nil || subject != i || background == i || background < 0 || background >= n {
			t.Fatalf("view %d of image %d has the subject of %d and the background of %d: %v", row%views, i, subject,
				background, err)
		}
		seen[[2]int{i, background}] = true
	}
	if len(seen) < n*(n-1)-10 {
		t.Errorf("%d of %d pairs come in %d views", len(seen), n*(n-1), views)
	}
	whole := floats(changed(t, source(t, s), Random{Whole: true, Probability: []float64{1}})[learn.Images])
	foreign := 0
	for i := range n {
		for p := range side * side {
			if v := whole[(i*side*side+p)*2]; v >= 0.5 && masks[i*side*side+p] == 0 {
				foreign++
			}
		}
	}
	if foreign == 0 {
		t.Error("whole backgrounds have no subjects in them")
	}
}

// slowTiled is the definition of tiled, of one image and a mask of 0 and 1.
func slowTiled(x []float32, m []int32, h, w, c int) []float32 {
	top, bottom, left, right := h, -1, w, -1
	for p, part := range m {
		if part > 0 {
			top, bottom, left, right = min(top, p/w), max(bottom, p/w), min(left, p%w), max(right, p%w)
		}
	}
	out := slices.Clone(x)
	if bottom < 0 {
		return out
	}
	strips := [][4]int{{0, top, 0, w}, {bottom + 1, h - 1 - bottom, 0, w}, {0, h, 0, left},
		{0, h, right + 1, w - 1 - right}}
	best := strips[0]
	for _, s := range strips[1:] {
		if s[1]*s[3] > best[1]*best[3] {
			best = s
		}
	}
	within := func(at, start, length int) int { return start + ((at-start)%length+length)%length }
	mean, background := make([]float32, c), float32(0)
	for p, part := range m {
		if part == 0 {
			background++
			for ch := range c {
				mean[ch] += x[p*c+ch]
			}
		}
	}
	for p, part := range m {
		for ch := range c {
			switch {
			case part == 0:
			case best[1]*best[3] > 0:
				out[p*c+ch] = x[(within(p/w, best[0], best[1])*w+within(p%w, best[2], best[3]))*c+ch]
			case background > 0:
				out[p*c+ch] = mean[ch] / background
			default:
				out[p*c+ch] = 0.5
			}
		}
	}
	return out
}

// Subjects at all sorts of places are filled as the definition says; among them ones that reach all edges, cover the
// image, or are not there.
func TestTiledFillsSubjects(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	const n, h, w, c = 60, 9, 7, 3
	rng := rand.New(rand.NewPCG(7, 1))
	x, m := make([]float32, n*h*w*c), make([]int32, n*h*w)
	for i := range x {
		x[i] = rng.Float32()
	}
	for i := range n {
		y0, x0 := rng.IntN(h), rng.IntN(w)
		y1, x1 := y0+rng.IntN(h-y0), x0+rng.IntN(w-x0)
		if i == 0 {
			y0, x0, y1, x1 = 0, 0, h-1, w-1
		}
		for p := range h * w {
			in := p/w >= y0 && p/w <= y1 && p%w >= x0 && p%w <= x1
			if i == 1 {
				in = p == 3 || p == h*w-3 || p == 3*w || p == 5*w-1 // reaches all edges
			}
			if in && i != 2 {
				m[i*h*w+p] = 2
			}
		}
	}
	out, err := Tiled(tensors.FromFlatDataAndDimensions(x, n, h, w, c), tensors.FromFlatDataAndDimensions(m, n, h, w))
	if err != nil {
		t.Fatal(err)
	}
	got := floats(out)
	for i := range n {
		want := slowTiled(x[i*h*w*c:(i+1)*h*w*c], m[i*h*w:(i+1)*h*w], h, w, c)
		if err := approx.All(got[i*h*w*c:(i+1)*h*w*c], want, 1e-6); err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
	}
}

// The query stays, the positive has another background, the negative has the query's background and another subject,
// with that subject's mask.
func TestSwaps(t *testing.T) {
	s := scenes(t)
	own := tensors.MustCopyFlatData[int32](s.Masks)
	out := changed(t, source(t, s), learn.Views(3), Swaps{Positive: 1, Negative: 0.5})
	pixels, masks, there := floats(out[learn.Images]), tensors.MustCopyFlatData[int32](out[parts.MasksColumn]),
		tensors.MustCopyFlatData[bool](out[Matched])
	negatives := 0
	for i := range n {
		for v := range 3 {
			row := 3*i + v
			mask := masks[row*side*side : (row+1)*side*side]
			subject, background, err := whose(pixels[row*side*side*2:(row+1)*side*side*2], mask)
			if err != nil {
				t.Fatalf("view %d of image %d: %v", v, i, err)
			}
			if subject >= 0 && !slices.Equal(mask, own[subject*side*side:(subject+1)*side*side]) {
				t.Fatalf("view %d of image %d has the subject of %d and not its mask", v, i, subject)
			}
			is := there[row]
			switch {
			case v == 0 && (subject != i || background != i):
				t.Fatalf("the query %d has the subject of %d and the background of %d", i, subject, background)
			case v == 1 && (subject != i || background == i):
				t.Fatalf("the positive of %d has the subject of %d and the background of %d", i, subject, background)
			case v == 2 && is && (subject == i || background != i):
				t.Fatalf("the negative of %d has the subject of %d and the background of %d", i, subject, background)
			case v == 2 && !is && (subject != i || background != i):
				t.Fatalf("the third view of %d, no negative, has the subject of %d and the background of %d", i, subject,
					background)
			}
			if v == 2 && is {
				negatives++
			}
		}
	}
	if negatives == 0 || negatives == n {
		t.Errorf("%d of %d third views are negatives, want about half", negatives, n)
	}
}

// Mixed-Same, Mixed-Rand and Only-FG have the backgrounds that they are to have, and a predictor that sees nothing but
// backgrounds has all of its accuracy as a gap.
func TestMixedAndGap(t *testing.T) {
	s := scenes(t)
	masks := tensors.MustCopyFlatData[int32](s.Masks)
	donors := func(images *tensors.Tensor, err error) (of []int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		pixels := floats(images)
		for i := range n {
			subject, background, err := whose(pixels[i*side*side*2:(i+1)*side*side*2], masks[i*side*side:(i+1)*side*side])
			if err != nil || subject != i {
				t.Fatalf("image %d has the subject of %d: %v", i, subject, err)
			}
			of = append(of, background)
		}
		return of
	}
	foreign := 0
	for i, of := range donors(s.MixedSame(1)) {
		if of == i || s.Labels[of] != s.Labels[i] {
			t.Errorf("image %d, of class %d, is on the background of %d", i, s.Labels[i], of)
		}
	}
	for i, of := range donors(s.MixedRand(1)) {
		if of == i {
			t.Errorf("image %d is on its own background", i)
		}
		if s.Labels[of] != s.Labels[i] {
			foreign++
		}
	}
	if foreign < n/3 || foreign == n {
		t.Errorf("%d of %d images are on backgrounds of other classes", foreign, n)
	}
	for i, of := range donors(s.OnlyFG()) {
		if of != 0 {
			t.Errorf("image %d is on the background of %d, not on black", i, of)
		}
	}
	gap, err := GapOf(func(images *tensors.Tensor) (classes []int, err error) {
		for i, v := range floats(images) {
			if i%(side*side*2) == 0 { // a corner
				classes = append(classes, int(100*v+0.5)%3)
			}
		}
		return classes, nil
	}, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := 1 - float64(n-foreign)/n
	if gap.Original.Share() != 1 || gap.MixedSame.Share() != 1 || !approx.Equal(gap.Background(), want, 1e-12) ||
		gap.OnlyFG.Correct != n/3 {
		t.Errorf("%+v, want a gap of %v", gap, want)
	}
	if text := gap.String(); !strings.Contains(text, "100.0% on backgrounds of the same class") ||
		!strings.Contains(gap.Table().String(), "Only-FG") {
		t.Error(text, gap.Table())
	}
}

// Subjects lie on places of their own kind as often as they are to, and groups are counted.
func TestCompose(t *testing.T) {
	const n, h = 3000, 2
	subjects := Subjects{tensors.FromScalarAndDimensions(float32(1), n, h, h, 1), nil, make([]int, n)}
	masks := make([]int32, n*h*h)
	for i := range n {
		masks[i*h*h], subjects.Labels[i] = 1, i%3
	}
	subjects.Masks = tensors.FromFlatDataAndDimensions(masks, n, h, h)
	places := Places{Kinds: []int{0, 0, 1, 2, 2, 2}}
	var grounds []float32
	for i := range places.Kinds {
		grounds = append(grounds, slices.Repeat([]float32{float32(i) / 10}, h*h)...)
	}
	places.Images = tensors.FromFlatDataAndDimensions(grounds, len(places.Kinds), h, h, 1)
	c, err := Compose(subjects, places, 0.9, 1)
	if err != nil {
		t.Fatal(err)
	}
	pixels := floats(c.Images)
	own, counts := 0, map[int]int{}
	predicted := make([]int, n)
	for i := range n {
		of := c.Backgrounds[i]
		if pixels[i*h*h] != 1 || pixels[i*h*h+1] != float32(of)/10 || places.Kinds[of] != c.Kinds[i] {
			t.Fatalf("image %d is %v, on place %d of kind %d", i, pixels[i*h*h:(i+1)*h*h], of, c.Kinds[i])
		}
		if predicted[i] = c.Kinds[i]; c.Kinds[i] == c.Labels[i] {
			own++
		} else {
			counts[3*c.Labels[i]+c.Kinds[i]]++
		}
	}
	if !approx.Equal(own, 2700, 60) || len(counts) != 6 {
		t.Errorf("%d of %d lie on their own kind, and others on %v", own, n, counts)
	}
	for at, many := range counts {
		if !approx.Equal(many, 50, 30) {
			t.Errorf("%d images of class %d lie on kind %d, want 50", many, at/3, at%3)
		}
	}
	groups, err := c.Groups(predicted) // by the background alone
	if err != nil || len(groups) != 9 {
		t.Fatal(groups, err)
	}
	for _, g := range groups {
		if right := g.Class == g.Kind; right != (g.Accuracy.Share() == 1) || !right && g.Accuracy.Correct != 0 {
			t.Errorf("%+v", g)
		}
	}
	if worst := groups.Worst(); worst.Accuracy.Share() != 0 || worst.Class != 0 || worst.Kind != 1 {
		t.Errorf("the worst group is %+v", worst)
	}
	if on, off := groups.OnOwn(), groups.OnOthers(); on.Correct != own || on.Total != own || off.Correct != 0 ||
		off.Total != n-own {
		t.Errorf("by the background alone %v are right on their own kind and %v on others, of %d and %d", on, off, own, n-own)
	}
	if _, err := groups.Table(); err != nil {
		t.Error(err)
	}
	if rows := c.Table().Rows; len(rows) != 9 || rows[1][0] != 0 || rows[1][1] != 1 || rows[1][2] != counts[1] ||
		len((*Composed)(nil).Table().Rows) != 0 {
		t.Error(rows)
	}
	data, err := c.Source()
	if err != nil || data.Len() != n || len(data.Columns()) != 3 {
		t.Error(data, err)
	}
}
