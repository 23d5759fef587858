package priors

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/model"
)

// The surest guesses and the merged ones are the authors', image for image and in their order, where a class is rare,
// where one is never predicted, and where a set has fewer images than classes.
func TestSelectionIsTheAuthors(t *testing.T) {
	twice := 0
	for c := range 3 {
		size := authors[int64](t, fmt.Sprintf("classes%d", c))
		n, k := int(size[0]), int(size[1])
		var answers []*model.Answers
		for m := range 2 {
			a, err := model.AnswersFromProbabilities("net",
				tensors.FromFlatDataAndDimensions(authors[float32](t, fmt.Sprintf("probabilities%d_%d", c, m)), n, k), nil)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, a)
		}
		for _, era := range []int{0, 2, 9} {
			perClass := PerClass(Share(0.15, era), n, k)
			var sets [][]PseudoLabel
			for m, a := range answers {
				set, err := Surest(a, perClass)
				if err != nil {
					t.Fatal(err)
				}
				var images []int64
				for _, g := range set {
					images = append(images, int64(g.Image))
				}
				if want := authors[int64](t, fmt.Sprintf("top%d_%d_%d", c, era, m)); !slices.Equal(images, want) {
					t.Errorf("case %d, era %d, network %d: the surest are %v, want %v", c, era, m, images, want)
				}
				sets = append(sets, set)
			}
			for name, of := range map[string][][]PseudoLabel{"both": sets, "first": sets[:1], "second": sets[1:]} {
				var rows []int64
				seen := map[int]int{}
				for _, g := range Merge(k, of...) {
					rows = append(rows, int64(g.Image), int64(g.Class))
					if class, known := seen[g.Image]; known && class != g.Class {
						twice++
					}
					seen[g.Image] = g.Class
				}
				if want := authors[int64](t, fmt.Sprintf("merged%d_%d_%s", c, era, name)); !slices.Equal(rows, want) {
					t.Errorf("case %d, era %d, %s: merged are %v, want %v", c, era, name, rows, want)
				}
			}
		}
	}
	if twice == 0 {
		t.Error("no image has two labels: the test says nothing of them")
	}
}

func TestTintIsTheAuthors(t *testing.T) {
	pixels := oracle.Unit(authors[uint8](t, "images32"))
	pixels = append(pixels, pixels...)[:10*32*32*3]
	labels := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	images := tensors.FromFlatDataAndDimensions(pixels, 10, 32, 32, 3)
	tinted, err := Tinted(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(oracle.Every(tinted, 4), authors[float32](t, "tinted"), 1e-6); err != nil {
		t.Error(err)
	}
	if labels[3] = 10; true {
		if _, err := Tinted(images, labels); err == nil {
			t.Error("a tint for an eleventh class")
		}
	}
	if _, err := Tinted(tensors.FromFlatDataAndDimensions(make([]float32, 16), 1, 4, 4, 1), []int{0}); err == nil {
		t.Error("a tint for a grey image")
	}
}
