package spurious

import (
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// Six images of class 1 of which a model recognises the last three: their number is feature 0, feature 1 runs the other
// way, and feature 2 has nothing to do with it. By hand: between ends of 3 the biases are 100, -100 and 100/3 points.
func TestMostBiased(t *testing.T) {
	e := Examples{Features: mat.NewDense(6, 3, []float64{
		0, 5, 1,
		1, 4, 4,
		2, 3, 2,
		3, 2, 3,
		4, 1, 0,
		5, 0, 5,
	}), Labels: []int{1, 1, 1, 1, 1, 1}}
	predicted := []int{0, 0, 0, 1, 1, 1}
	for k, want := range map[int][]int{1: {0}, 2: {0, 2}, 3: {0, 2, 1}} {
		got, err := MostBiased(predicted, e, 1, []int{1, 2, 0}, 3, k)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the %d most biased are %v, want %v", k, got, want)
		}
	}
	if _, err := MostBiased(predicted, e, 1, []int{0}, 3, 2); err == nil {
		t.Error("two of one feature were found")
	}
}

// By hand: of the four pairs of an image with the mark and one without, three are in order.
func TestRankingTellsAMark(t *testing.T) {
	r := &Ranking{Class: 1, Images: []int{7, 3, 5, 9}, Scores: []float64{-2, -1, 0, 1}}
	auc, err := r.AUC(map[int]bool{9: true, 3: true, 8: true})
	if err != nil {
		t.Fatal(err)
	}
	if auc != 0.75 {
		t.Errorf("the AUC is %g, want 0.75", auc)
	}
	if _, err := r.AUC(map[int]bool{8: true}); err == nil {
		t.Error("a ranking tells a mark that no image has")
	}
	// What is appended to an end of a ranking does not change it.
	_ = append(r.Low(2), 100)
	if !slices.Equal(r.Images, []int{7, 3, 5, 9}) || !slices.Equal(r.High(1), []int{9}) {
		t.Errorf("the ranking is %v", r.Images)
	}
}
