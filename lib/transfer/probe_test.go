package transfer

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
)

// A probe answers as the logistic regression on the features does, by the names of the classes that it was fitted to.
func TestProbe(t *testing.T) {
	m := network(t, 1)
	x := make([]float32, 60*28*28)
	labels := make([]int, 60)
	for i := range labels {
		labels[i] = i % 3
		for j := range 28 * 28 {
			x[i*28*28+j] = float32((j/28/(3+labels[i])+i)%2) * (0.5 + float32(i)/120)
		}
	}
	images := tensors.FromFlatDataAndDimensions(x, 60, 28, 28, 1)
	train, err := data.FromTensor(images, labels, []string{"wide", "wider", "widest"})
	if err != nil {
		t.Fatal(err)
	}
	l := learn.LogisticRegression{Lambda: 0.1}
	p, err := Probe("stripes", m, train, l)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "stripes" || !slices.Equal(p.Classes(), train.Classes()) {
		t.Errorf("the probe is %v", p)
	}
	features, err := m.Features(images)
	if err != nil {
		t.Fatal(err)
	}
	fit, err := l.Fit(features, labels, 3)
	if err != nil {
		t.Fatal(err)
	}
	want, err := learn.HeadPredictions(fit.Head, features)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Predict(images)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the probe says %v, want %v (%v)", got, want, err)
	}
	right := 0
	for i, class := range got {
		if class == labels[i] {
			right++
		}
	}
	if right < 50 {
		t.Errorf("the probe is right on %d of the 60 images that it was fitted to", right)
	}
	unknown, err := data.FromTensor(images, append([]int{-1}, labels[1:]...), nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, of := range map[string]*data.Dataset{"there is no dataset": nil, "no images": train.Take(0),
		"image 0 has no label": unknown, "a classifier of 1 classes": train.OfClass(0)} {
		if want == "a classifier of 1 classes" {
			if of, err = data.FromTensor(images, make([]int, 60), nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Probe("none", m, of, l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// Crops of an image in one colour have this colour, each image is a class of its own, and a seed draws the same crops.
func TestExemplars(t *testing.T) {
	flat := make([]float32, 3*8*8)
	for i := range flat {
		flat[i] = float32(i/64+1) / 4
	}
	flat[0] = 1 // so that crops of the first image differ
	images := tensors.FromFlatDataAndDimensions(flat, 3, 8, 8, 1)
	var drawn [][]float32
	for range 2 {
		ds, err := Exemplars(images, 4, 5)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ds.Labels(), []int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}) || ds.Classes() != nil {
			t.Errorf("the labels are %v, the classes %q", ds.Labels(), ds.Classes())
		}
		all, err := ds.All()
		if err != nil {
			t.Fatal(err)
		}
		values := tensors.MustCopyFlatData[float32](all)
		for i, v := range values[4*64:] {
			if want := float32(i/(4*64)+2) / 4; !(v > want-1e-5 && v < want+1e-5) {
				t.Fatalf("pixel %d is %g, want %g", i, v, want)
			}
		}
		drawn = append(drawn, values)
	}
	if !slices.Equal(drawn[0], drawn[1]) {
		t.Error("the same seed draws other crops")
	}
	if _, err := Exemplars(images, 0, 1); err == nil || !strings.Contains(err.Error(), "0 crops") {
		t.Errorf("the error is %v", err)
	}
	if _, err := Exemplars(nil, 1, 1); err == nil {
		t.Error("there are exemplars of nothing")
	}
}
