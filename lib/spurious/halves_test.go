package spurious

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// A half of each class is ranked by features that the other half has chosen: what Ranker.Of makes of the two. Of more
// than ten classes those with the largest gaps are shown.
func TestHalf(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	const classes, each = 12, 16
	flat, labels := make([]float32, classes*each*16), make([]int, classes*each)
	for i := range labels {
		labels[i] = i % classes
		flat[i*16+labels[i]] = float32(i*13%29) / 60 // what makes the class, more or less
		for p := 12; p < 16; p++ {
			flat[i*16+p] = float32((i*7+p*p)%11) / 11
		}
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(flat, classes*each, 4, 4, 1), labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := learn.MLP(model.Spec{Height: 4, Width: 4, Channels: 1}, classes, 1, 24)
	if err != nil {
		t.Fatal(err)
	}
	images, err := ds.All()
	if err != nil {
		t.Fatal(err)
	}
	m, _, err = learn.Recipe{Epochs: 15, BatchSize: 16, LearningRate: 0.02, Adam: true, Seed: 1}.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	r := Ranker{Important: 4, Spurious: 1, Ends: 4}
	h, err := r.Half(m, ds, 5)
	if err != nil {
		t.Fatal(err)
	}
	choose, rank := ds.Split(0.5, 5)
	r.Classes = h.Classes
	want, err := r.Of(m, choose, choose, rank)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.OnTest) != classes || h.Images.Len() != classes*each/2 || !slices.Equal(h.Test.Labels, rank.Labels()) {
		t.Fatalf("%d classes of %d images are ranked", len(h.OnTest), h.Images.Len())
	}
	var gaps []float64
	for i, ranking := range h.OnTest {
		if !slices.Equal(ranking.Images, want.OnTest[i].Images) || !slices.Equal(ranking.Features, want.OnTest[i].Features) {
			t.Errorf("class %d is ranked as %v by %v", h.Classes[i], ranking.Images, ranking.Features)
		}
		gap, err := SpuriousGap(Predict(h.Head, h.Test.Features), h.OnTest[i:i+1], 2)
		if err != nil {
			t.Fatal(err)
		}
		gaps = append(gaps, gap)
	}
	grid, err := h.Grid()
	if err != nil || len(grid.Rows) != 10 || len(grid.Labels) != 10 {
		t.Fatalf("%d walls: %v", len(grid.Rows), err)
	}
	var shown []float64
	for _, label := range grid.Labels {
		for i := range gaps {
			if label == h.class(i) {
				shown = append(shown, gaps[i])
			}
		}
	}
	slices.Sort(gaps)
	slices.Reverse(gaps)
	if !slices.Equal(shown, gaps[:10]) || gaps[0] < gaps[10]+25 {
		t.Errorf("shown are the gaps %v of %v", shown, gaps)
	}
	for want, ask := range map[string]func() error{
		"no class has 9 images": func() error { _, err := Ranker{Ends: 9}.Half(m, ds, 1); return err },
		"it is nil":             func() error { _, err := r.Half(m, nil, 1); return err },
		"no class was ranked":   func() error { _, err := (&HalfRanking{}).Grid(); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
