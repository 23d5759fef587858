package priors

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// A learner by itself learns as a run on what its prior leaves does, and takes whole images then.
func TestALearnerByItself(t *testing.T) {
	images, labels := patches(40, 1)
	l := learners(t)[0] // which sees red alone
	l.Name = "reds"
	net, err := l.Learn(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	red, err := Apply(onlyRed{}, images)
	if err != nil {
		t.Fatal(err)
	}
	run := l.Run
	if run.Data, err = learn.FromTensors(red, labels); err != nil {
		t.Fatal(err)
	}
	run.Nets = map[string]*model.Model{"net": l.Net}
	run.Step = func(s *learn.Step) learn.Loss { return s.Classification(s.Call("net", s.Images()).Logits) }
	byHand, err := run.Do()
	if err != nil {
		t.Fatal(err)
	}
	want, err := byHand.Net().Logits(red)
	if err != nil {
		t.Fatal(err)
	}
	got, err := net.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want),
		1e-5); err != nil {
		t.Error(err)
	}
	before, err := l.Net.Logits(red)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(tensors.MustCopyFlatData[float32](before), tensors.MustCopyFlatData[float32](want)) ||
		net.Name() != "reds" {
		t.Errorf("%q has not learnt", net.Name())
	}
	if _, err := l.Learn(images, nil); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Errorf("without labels: %v", err)
	}
	if _, err := l.Learn(images, labels[:3]); err == nil {
		t.Error("3 labels of 40 images are taken")
	}
	if _, err := (Learner{Name: "nothing"}).Learn(images, labels); err == nil ||
		!strings.Contains(err.Error(), "no network") {
		t.Errorf("without a network: %v", err)
	}
}

// What a learner knew before its loss was no number any more stays.
func TestALearnerWhoseLossIsNoNumber(t *testing.T) {
	images, labels := patches(40, 1)
	l := learners(t)[0]
	l.Run.Optimizer, l.Run.Epochs = learn.SGD{LearningRate: 1e38}, 20
	net, err := l.Learn(images, labels)
	var none *learn.NotFinite
	if !errors.As(err, &none) || net == nil {
		t.Fatalf("%v, %v", net, err)
	}
	for _, v := range weightsOf(net) {
		if v-v != 0 {
			t.Fatalf("it has the weight %v", v)
		}
	}
}
