package lrp

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// cifar is a residual network and n test images.
func cifar(t *testing.T, n int) (*model.Model, *data.Dataset) {
	t.Helper()
	m, err := model.Load(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 10000/n, n)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(set.Pixels, n, 32, 32, 3), set.Labels, m.Classes())
	if err != nil {
		t.Fatal(err)
	}
	return m, ds
}

func TestHierarchy(t *testing.T) {
	m, ds := cifar(t, 20)
	img, err := ds.Images(3)
	if err != nil {
		t.Fatal(err)
	}
	c := CRP{Composite: EpsilonPlusFlat()}
	c.Composite.ZeroBias = true
	class := ds.Label(3)
	h, err := c.Hierarchy(m, img, class, []string{"layer3.1", "layer2"}, []int{3, 32})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Parts) != 3 || h.Layer != "" || h.Channel != class {
		t.Fatalf("%+v", h)
	}
	for i, part := range h.Parts {
		if i > 0 && !(part.Relevance <= h.Parts[i-1].Relevance) {
			t.Errorf("part %d is more relevant than the one before", i)
		}
		// Without biases, what came to a concept comes to the layer below: all its 32 channels are among the parts.
		sum, shares := 0.0, 0.0
		for _, below := range part.Parts {
			sum += below.Relevance
			shares += math.Abs(below.Share)
		}
		if len(part.Parts) != 32 || !approx.Equal(sum, part.Relevance, 1e-3*math.Abs(part.Relevance)) ||
			!approx.Equal(shares, 1, 1e-4) {
			t.Errorf("#%d has the relevance %g, its %d parts %g, their shares sum to %g", part.Channel, part.Relevance,
				len(part.Parts), sum, shares)
		}
	}
	g, err := h.Grid(m, img, c)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Rows) != 3 || len(g.Rows[2]) != 96 || !strings.Contains(g.Rows[0][0].Title, m.ClassName(class)) {
		t.Errorf("a grid of %d rows", len(g.Rows))
	}
	if _, err := c.Hierarchy(m, img, class, []string{"layer3.1"}, nil); err == nil ||
		!strings.Contains(err.Error(), "a width for each") {
		t.Errorf("without widths: %v", err)
	}
}

func TestAtlas(t *testing.T) {
	m, ds := cifar(t, 20)
	img, err := ds.Images(5)
	if err != nil {
		t.Fatal(err)
	}
	a, err := (CRP{}).Atlas(m, img, ds.Label(5), "layer2", 4, 8)
	if err != nil {
		t.Fatal(err)
	}
	relevance, err := CRP{}.Concepts(m, img, []int{ds.Label(5)}, "layer2")
	if err != nil {
		t.Fatal(err)
	}
	all := tensors.MustCopyFlatData[float32](relevance)
	if len(a.Concepts) != 4 || len(a.Cells) != 8 {
		t.Fatalf("%d concepts, %d rows of cells", len(a.Concepts), len(a.Cells))
	}
	for i, concept := range a.Concepts {
		better := 0
		for _, v := range all {
			if float64(v) > concept.Relevance {
				better++
			}
		}
		if better != i {
			t.Errorf("concept %d has %d better than it", i, better)
		}
	}
	// In each cell of 4x4 pixels no other concept has more relevance than the one that is named.
	heat := tensors.MustCopyFlatData[float32](a.Heatmaps)
	cell := func(concept, row, column int) (sum float64) {
		for y := range 4 {
			for x := range 4 {
				sum += float64(heat[(concept*32+row*4+y)*32+column*4+x])
			}
		}
		return sum
	}
	named := 0
	for row := range 8 {
		for column := range 8 {
			best := a.Cells[row][column]
			if best >= 0 {
				named++
			}
			for i := range a.Concepts {
				if best < 0 && cell(i, row, column) > 0 || best >= 0 && cell(i, row, column) > cell(best, row, column) {
					t.Errorf("cell %d, %d is given to %d and not to %d", row, column, best, i)
				}
			}
		}
	}
	if named == 0 {
		t.Error("no cell has a concept")
	}
	if size := a.Picture().Bounds().Size(); size.X != 32 || size.Y != 32 {
		t.Errorf("a picture of %v", size)
	}
	for says, do := range map[string]func() error{
		"1 to 32 cells": func() error { _, err := (CRP{}).Atlas(m, img, 0, "layer2", 4, 33); return err },
		"no layer":      func() error { _, err := (CRP{}).Atlas(m, img, 0, "layr2", 4, 8); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

func TestExamples(t *testing.T) {
	m, ds := cifar(t, 100)
	m.BatchSize = 32
	before := model.Compilations()
	all, err := (Maximization{Count: 7}).Search(m, ds, "relu", "layer3.1")
	if err != nil {
		t.Fatal(err)
	}
	if n := model.Compilations() - before; n != 1 {
		t.Errorf("the search compiled %d programs", n)
	}
	for _, r := range all {
		for c := range r.Relevance {
			if len(r.Relevance[c]) != 7 || len(r.Activation[c]) != 7 {
				t.Fatalf("%s: channel %d has %d and %d references", r.Layer, c, len(r.Relevance[c]), len(r.Activation[c]))
			}
			for i := 1; i < 7; i++ {
				if !(r.Relevance[c][i].Value <= r.Relevance[c][i-1].Value) {
					t.Errorf("%s: channel %d is not in order", r.Layer, c)
				}
			}
			if r.Relevance[c][0].Class != ds.Label(r.Relevance[c][0].Image) {
				t.Errorf("%s: not the label was explained", r.Layer)
			}
			o, err := r.Overlap(c, 7)
			if err != nil || !(o >= 0) || !(o <= 1) {
				t.Errorf("overlap %v, %v", o, err)
			}
		}
	}
	g, err := Examples{Each: 3}.Grid(m, all[1], 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Rows) != 2 || len(g.Rows[0]) != 3 {
		t.Errorf("a grid of %d rows", len(g.Rows))
	}
	if _, err := (Examples{}).Grid(m, all[1], 64); err == nil {
		t.Error("channel 64 of 64 is no error")
	}
	// What comes through one place of the first convolution, 3x3 and padded by 1, is what it sees: the pixels around
	// it.
	best := all[0].Activation[4][0]
	img, err := ds.Images(best.Image)
	if err != nil {
		t.Fatal(err)
	}
	heat, err := CRP{}.neurons(m, img, []int{best.Class}, "relu", 4, []int{best.Row*32 + best.Column})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, v := range tensors.MustCopyFlatData[float32](heat) {
		if v == 0 {
			continue
		}
		seen++
		if y, x := i/32-best.Row, i%32-best.Column; y < -1 || y > 1 || x < -1 || x > 1 {
			t.Errorf("pixel %d, %d from the place has relevance", y, x)
		}
	}
	if seen == 0 {
		t.Error("nothing comes through the place")
	}
}
