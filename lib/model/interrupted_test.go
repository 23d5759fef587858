package model

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/stats"
)

// Interrupted anywhere, what goes through images returns the rows of those that are done as a whole run has them.
func TestInterrupted(t *testing.T) {
	m := tiny(t)
	m.BatchSize = 2
	d := &images{}
	for i := range 7 {
		d.colours = append(d.colours, [3]float32{float32(i) / 10, 0.35, 0})
		d.labels = append(d.labels, 1)
	}
	x := flat(d.colours...)
	tensor := func(do func() (*tensors.Tensor, error)) func() (any, error) {
		return func() (any, error) {
			rows, err := do()
			if rows == nil {
				return nil, err
			}
			flat := tensors.MustCopyFlatData[float32](rows)
			return slices.Collect(slices.Chunk(flat, len(flat)/rows.Shape().Dimensions[0])), err
		}
	}
	for name, do := range map[string]func() (any, error){
		"output":         tensor(func() (*tensors.Tensor, error) { return m.OutputOf(d) }),
		"logits":         tensor(func() (*tensors.Tensor, error) { return m.Logits(x) }),
		"probabilities":  tensor(func() (*tensors.Tensor, error) { return m.ProbabilitiesOf(d) }),
		"features":       tensor(func() (*tensors.Tensor, error) { return m.FeaturesOf(d) }),
		"activations":    tensor(func() (*tensors.Tensor, error) { return m.ActivationsOf("twice", d) }),
		"input gradient": tensor(func() (*tensors.Tensor, error) { return m.InputGradient(x, []int{2}) }),
		"predict": func() (any, error) {
			classes, err := m.PredictOf(d)
			return classes, err
		},
		"top k": func() (any, error) {
			top, err := m.TopKOf(d, 2)
			return top, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := do()
			if err != nil {
				t.Fatal(err)
			}
			testenv.Interrupt(t, do, func(part any) int {
				if part == nil {
					return 0
				}
				rows := reflect.ValueOf(part)
				if !reflect.DeepEqual(part, reflect.ValueOf(whole).Slice(0, rows.Len()).Interface()) && rows.Len() > 0 {
					t.Fatalf("there is %v of %v", part, whole)
				}
				return rows.Len()
			})
		})
	}
	// Three batches are done. Of the images 0 to 3 the class is 1, as their labels are, and of the others 0.
	release := interrupt.Use(testenv.CancelledAfter(3))
	accuracy, err := m.Accuracy(d)
	release()
	if !errors.Is(err, context.Canceled) || accuracy != (stats.Accuracy{Correct: 4, Total: 6}) {
		t.Errorf("the accuracy on 6 images is %v: %v", accuracy, err)
	}
	// The classes of some images would be taken for those of all.
	release = interrupt.Use(testenv.CancelledAfter(3))
	classes, err := m.TargetClasses(x, nil)
	release()
	if !errors.Is(err, context.Canceled) || classes != nil {
		t.Errorf("the classes to explain are %v: %v", classes, err)
	}
}
