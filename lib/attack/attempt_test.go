package attack

import (
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// What one more attack returns is asked about once more: an image that the model still recognises has not fallen, one
// of another class has, and one that is too far away is an error.
func TestOneMoreAttempt(t *testing.T) {
	const n = 60
	m, _, images, _ := linear(t, n)
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	labels[0] = (labels[0] + 1) % 3 // wrong as it is
	const eps, stood = 0.02, n - 1
	// An evaluation by no attack.
	e := &Evaluation{Norm: LInf, Eps: eps, originals: images, By: make([]int, n)}
	e.Robust.Total, e.Robust.Correct = n, stood
	for i := range e.By {
		e.By[i] = Robust
	}
	e.By[0] = WrongBefore
	if e.Images, err = images.LocalClone(); err != nil {
		t.Fatal(err)
	}
	// by is an attack that changes the first pixels of each image.
	by := func(change float32) func(images *tensors.Tensor, numbers []int) (*Robustness, error) {
		return func(images *tensors.Tensor, numbers []int) (*Robustness, error) {
			if len(numbers) != stood || images.Shape().Dimensions[0] != stood {
				t.Errorf("%d images, %d numbers, and %d stand", images.Shape().Dimensions[0], len(numbers), stood)
			}
			flat := tensors.MustCopyFlatData[float32](images)
			flat[0] += change
			return &Robustness{Attacked: &AdversarialExamples{Images: tensors.FromFlatDataAndDimensions(flat,
				images.Shape().Dimensions...)}}, nil
		}
	}
	if err := e.Attempt("nothing", m, labels, by(1e-6)); err != nil {
		t.Fatal(err)
	}
	if last := e.Attempts[len(e.Attempts)-1]; len(e.Attempts) != 1 || last.Attack != "nothing" || last.Tried != stood ||
		last.Fell != 0 || e.Robust.Correct != stood {
		t.Errorf("an attack that finds nothing: %+v, %v", last, e.Robust)
	}
	if err := e.Attempt("too far", m, labels, by(0.1)); err == nil || !strings.Contains(err.Error(), "further than 0.02") {
		t.Errorf("an attack that goes too far: %v", err)
	}
	err = e.Attempt("PGD", m, labels, func(images *tensors.Tensor, numbers []int) (*Robustness, error) {
		var own []int
		for _, i := range numbers {
			own = append(own, labels[i])
		}
		return PGD{Norm: LInf, Eps: eps}.Robustness(m, images, own)
	})
	if err != nil {
		t.Fatal(err)
	}
	last := e.Attempts[len(e.Attempts)-1]
	t.Log(e, e.Attempts)
	if last.Fell == 0 || e.Robust.Correct != stood-last.Fell || last.Robust != e.Robust {
		t.Errorf("PGD: %+v, %v", last, e.Robust)
	}
	predicted, err := m.Predict(e.Images)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range e.By {
		if wrong := predicted[i] != labels[i]; wrong != (at != Robust) {
			t.Errorf("image %d: by %d, and predicted as %d of class %d", i, at, predicted[i], labels[i])
		}
	}
	if err := e.Attempt("of others", m, labels[1:], nil); err == nil ||
		!strings.Contains(err.Error(), "a label for each") {
		t.Errorf("labels of other images: %v", err)
	}
}
