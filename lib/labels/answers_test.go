package labels

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// What Find finds in answers is what FindLabelIssues finds in the labelled ones, by their numbers among all.
func TestFindTakesAnswers(t *testing.T) {
	probabilities := []float32{.9, .1, .8, .2, .5, .5, .95, .05, .1, .9, .2, .8, .85, .15, .1, .9, .9, .1, .2, .8}
	labels := []int{0, 0, -1, 1, 1, 1, 0, 1, 0, 0} // the images 3 and 9 look wrong, and 2 has no label
	a, err := model.AnswersFromProbabilities("m", tensors.FromFlatDataAndDimensions(probabilities, 10, 2), labels)
	if err != nil {
		t.Fatal(err)
	}
	a.Classes, a.Names = []string{"hen", "owl"}, strings.Split("a b c d e f g h i j", " ")
	found, err := Find(a, Options{})
	if err != nil {
		t.Fatal(err)
	}
	known, err := a.Labeled()
	if err != nil {
		t.Fatal(err)
	}
	p, err := known.Probabilities()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := FromTensor(p)
	if err != nil {
		t.Fatal(err)
	}
	want, err := FindLabelIssues(rows, known.Labels, Options{})
	if err != nil || len(want.List) == 0 {
		t.Fatalf("%v, %v", want, err)
	}
	var files []string
	for _, i := range want.Indices() {
		files = append(files, known.Names[i])
	}
	var got []string
	for _, i := range found.Indices() {
		got = append(got, a.Names[i])
	}
	if !slices.Equal(got, files) || !slices.Contains(found.Indices(), 3) || found.Names[0] != "hen" {
		t.Errorf("found %v, want %v", got, files)
	}
	if _, err := Find(model.AnswersFromClasses("m", []int{1}), Options{}); err == nil {
		t.Error("issues are found in answers without labels")
	}
}
