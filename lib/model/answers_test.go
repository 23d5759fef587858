package model

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/stats"
)

// pixelData are images whose first pixels a network of outputsOf gives back, with names and labels.
type pixelData struct {
	rows   [][]float32
	labels []int
	loaded int // the most images of a batch
}

func (d *pixelData) Len() int          { return len(d.rows) }
func (d *pixelData) Labels() []int     { return d.labels }
func (d *pixelData) Name(i int) string { return string(rune('a'+i)) + ".png" }
func (d *pixelData) Images(indices ...int) (*tensors.Tensor, error) {
	d.loaded = max(d.loaded, len(indices))
	flat := make([]float32, 0, 4*len(indices))
	for _, i := range indices {
		flat = append(flat, append(slices.Clone(d.rows[i]), 0, 0, 0, 0)[:4]...)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(indices), 2, 2, 1), nil
}

func TestAnswers(t *testing.T) {
	d := &pixelData{rows: [][]float32{{3, 1, 2}, {0, 5, 1}, {1, 2, 9}, {4, 0, 1}, {0, 1, 0}},
		labels: []int{0, 2, 2, -1, 1}}
	m := outputsOf(t, 3, Softmax)
	m.BatchSize = 2
	before := Compilations()
	a, err := m.Answers(d)
	if err != nil {
		t.Fatal(err)
	}
	if d.loaded > 2 {
		t.Errorf("%d images were in memory at once, of a batch of 2", d.loaded)
	}
	// What else there is to know is known already.
	accuracy, err := a.Accuracy()
	if err != nil || accuracy != (stats.Accuracy{Correct: 3, Total: 4}) {
		t.Errorf("accuracy %v, %v", accuracy, err)
	}
	if top, err := a.TopAccuracy(2); err != nil || top != (stats.Accuracy{Correct: 4, Total: 4}) {
		t.Errorf("top-2 accuracy %v, %v", top, err)
	}
	predicted, err := a.Predicted()
	if err != nil || !slices.Equal(predicted, []int{0, 1, 2, 0, 1}) {
		t.Errorf("predicted %v, %v", predicted, err)
	}
	top, err := a.Top(2)
	if err != nil || top[0][1].Class != 2 || !approx.Equal(top[0][0].Probability,
		math.Exp(3)/(math.Exp(3)+math.Exp(1)+math.Exp(2)), 1e-6) {
		t.Errorf("top-2 %v, %v", top, err)
	}
	if n := Compilations() - before; n != 1 {
		t.Errorf("%d programs for one question", n)
	}
	if interval := accuracy.Interval(); !(interval.Low < 0.75 && interval.High > 0.75) ||
		!strings.Contains(accuracy.String(), "75.0% (") {
		t.Errorf("%s", accuracy)
	}
	known, err := a.Labeled()
	if err != nil || known.Len() != 4 || !slices.Equal(known.Names, []string{"a.png", "b.png", "c.png", "e.png"}) ||
		!slices.Equal(known.Labels, []int{0, 2, 2, 1}) {
		t.Errorf("the labelled ones are %v, %v", known, err)
	}
	table, err := a.Table()
	if err != nil || !slices.Equal(table.Header, []string{"index", "file", "label", "predicted", "probability"}) ||
		len(table.Rows) != 5 {
		t.Errorf("the table is %v, %v", table, err)
	}
}

func saved(t *testing.T, a *Answers) string {
	t.Helper()
	arrays, metadata, err := a.Arrays()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := safetensors.Write(&file, arrays, metadata); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "answers.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Answers are read as they were saved, of each kind.
func TestAnswersAreReadAsTheyWereSaved(t *testing.T) {
	d := &pixelData{rows: [][]float32{{3, 1, 2}, {0, 5, 1}, {-1, 2, 9}}, labels: []int{0, -1, 2}}
	for name, make := range map[string]func() (*Answers, error){
		"softmax":       func() (*Answers, error) { return outputsOf(t, 3, Softmax).Answers(d) },
		"three sigmoid": func() (*Answers, error) { return outputsOf(t, 3, Sigmoid).Answers(d) },
		"one sigmoid": func() (*Answers, error) {
			return outputsOf(t, 1, Sigmoid).Answers(&pixelData{rows: d.rows, labels: []int{1, -1, 0}})
		},
		"probabilities": func() (*Answers, error) {
			return AnswersFromProbabilities("p", tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5, 0.25, 0.75}, 2, 2),
				[]int{0, 1})
		},
		"classes": func() (*Answers, error) { return AnswersFromRanked("c", [][]int{{1, 0}, {2, 1}}), nil },
	} {
		a, err := make()
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadAnswers(saved(t, a))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		one, err1 := a.Table()
		two, err2 := b.Table()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if a.Model != b.Model || a.NumClasses() != b.NumClasses() || a.Activation != b.Activation ||
			len(one.Rows) != len(two.Rows) || !slices.Equal(a.Labels, b.Labels) {
			t.Errorf("%s: %v becomes %v", name, a, b)
		}
		for i := range one.Rows {
			if !slices.Equal(one.Rows[i], two.Rows[i]) {
				t.Errorf("%s: row %v becomes %v", name, one.Rows[i], two.Rows[i])
			}
		}
	}
}

func TestAnswersSayWhatTheyDoNotKnow(t *testing.T) {
	unlabelled := &pixelData{rows: [][]float32{{3, 1, 2}}, labels: []int{-1}}
	a, err := outputsOf(t, 3, Sigmoid).Answers(unlabelled)
	if err != nil {
		t.Fatal(err)
	}
	classes := AnswersFromClasses("c", []int{1})
	half := tensors.FromFlatDataAndDimensions([]float32{0.5, 0.6}, 1, 2)
	for want, do := range map[string]func() error{
		"has a label":                   func() error { _, err := a.Accuracy(); return err },
		"exclude each other":            func() error { _, err := a.SoftmaxLogits("energy"); return err },
		"logits of c are not known":     func() error { _, err := classes.Logits(); return err },
		"only its classes":              func() error { _, err := classes.Confidence(); return err },
		"top-4 of 3":                    func() error { _, err := a.Top(4); return err },
		"sum to 1.100":                  func() error { _, err := AnswersFromProbabilities("p", half, nil); return err },
		"has the label 2":               func() error { _, err := AnswersFromLogits("p", half, []int{2}); return err },
		"does not hold answers":         func() error { _, err := ReadAnswers(saved2(t)); return err },
		"there is no image 1":           func() error { _, err := a.Subset([]int{1}); return err },
		"saved as .safetensors or .npz": func() error { _, err := ReadAnswers("x.csv"); return err },
		"no such file":                  func() error { _, err := ReadAnswers("x.npz"); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}

// saved2 is a file of the format that holds something else.
func saved2(t *testing.T) string {
	t.Helper()
	var file bytes.Buffer
	if err := safetensors.Write(&file, map[string]*tensors.Tensor{"w": tensors.FromFlatDataAndDimensions([]float32{1}, 1)},
		nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
