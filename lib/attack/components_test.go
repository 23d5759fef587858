package attack

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// Each attack alone finds most of what is to be found near a linear classifier of three classes, stays in the ball and
// in 0..1, and does not depend on what is beside an image or on how rounds are parted.
func TestEachAttackAlone(t *testing.T) {
	const n = 40
	m, w, images, pixels := linear(t, n)
	m.BatchSize = 16
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	numbers, logits := make([]int, n), make([][]float64, n)
	for i := range n {
		numbers[i] = i
		for k := range 3 {
			var z float64
			for p, v := range w[k] {
				z += v * float64(pixels[i*25+p])
			}
			logits[i] = append(logits[i], z)
		}
	}
	var nearest []int
	for _, o := range others(logits, labels, 1) {
		nearest = append(nearest, o[0])
	}
	for _, c := range []struct {
		norm Norm
		eps  float64
	}{{L2, 0.25}, {LInf, 0.06}} {
		whole, err := AutoAttack{Norm: c.norm, Eps: c.eps, Steps: 20, Queries: 100}.Run(m, images, labels)
		if err != nil {
			t.Fatal(err)
		}
		fell := n - whole.Robust.Correct
		if fell < n/2 || fell == n {
			t.Fatalf("%v: %d of %d images fall, which shows little", c.norm, fell, n)
		}
		apgd := APGD{Norm: c.norm, Eps: c.eps, Steps: 20}
		for name, attack := range map[string]struct {
			hunt  func(images *tensors.Tensor, numbers, labels, others []int) ([]prey, error)
			least float64 // of those that fall
		}{
			"cross entropy": {func(x *tensors.Tensor, numbers, labels, _ []int) ([]prey, error) {
				return apgd.hunt(m, "", crossEntropy, x, numbers, labels, nil)
			}, 0.7},
			"DLR": {func(x *tensors.Tensor, numbers, labels, _ []int) ([]prey, error) {
				return apgd.hunt(m, "", differenceOfLogitsRatio, x, numbers, labels, nil)
			}, 0.7},
			"FAB": {func(x *tensors.Tensor, _, labels, others []int) ([]prey, error) {
				return fab{c.norm, c.eps, 20}.hunt(m, "", x, labels, others)
			}, 0.7},
			"Square": {func(x *tensors.Tensor, numbers, labels, _ []int) ([]prey, error) {
				return square{c.norm, c.eps, 300, 1}.hunt(m, "", x, numbers, labels)
			}, 0.5},
		} {
			var first []prey
			for parts, release := range []func(){paced.Fix(1000), paced.Fix(3)} {
				caught, err := attack.hunt(images, numbers, labels, nearest)
				release()
				if err != nil {
					t.Fatal(err)
				}
				slices.SortFunc(caught, func(a, b prey) int { return a.number - b.number })
				if parts == 0 {
					first = caught
				} else if !slices.EqualFunc(first, caught, func(a, b prey) bool {
					return a.number == b.number &&
						slices.Equal(a.pixels, b.pixels)
				}) {
					t.Errorf("%v, %s: other images are found where calls have 3 rounds", c.norm, name)
				}
				if float64(len(caught)) < attack.least*float64(fell) || len(caught) > fell {
					t.Errorf("%v, %s finds %d images, and there are %d", c.norm, name, len(caught), fell)
				}
			}
			for _, p := range first {
				if far := c.norm.distance(p.pixels, pixels[p.number*25:(p.number+1)*25]); !(far <= c.eps*1.0001) {
					t.Errorf("%v, %s goes %g from image %d", c.norm, name, far, p.number)
				}
			}
			if len(first) == 0 {
				continue
			}
			// One of them alone.
			i := first[len(first)/2].number
			one := tensors.FromFlatDataAndDimensions(slices.Clone(pixels[i*25:(i+1)*25]), 1, 5, 5, 1)
			alone, err := attack.hunt(one, []int{i}, labels[i:i+1], nearest[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			if len(alone) != 1 || c.norm.distance(alone[0].pixels, first[len(first)/2].pixels) > 1e-5 {
				t.Errorf("%v, %s finds another image where image %d is alone", c.norm, name, i)
			}
		}
	}
}

// PGD reaches the worst image of a linear classifier of two classes, from a random start too, and so does APGD on a
// loss of one's own; a network with one output is one of two classes.
func TestAttacksOfTwoClasses(t *testing.T) {
	const side, eps = 4, 0.1
	var weights [side * side]float32
	var dual, square float64
	for i := range weights {
		weights[i] = float32(math.Sin(float64(2*i + 1)))
		dual += math.Abs(float64(weights[i]))
		square += float64(weights[i]) * float64(weights[i])
	}
	single, err := model.FromFunc(model.Spec{Name: "single", Height: side, Width: side, Channels: 1,
		Activation: model.Sigmoid}, func(x *graph.Node) *graph.Node {
		w := graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(weights[:], 1, side, side, 1))
		return graph.Reshape(graph.ReduceSum(graph.Mul(graph.AddScalar(x, -0.5), w), 1, 2, 3), -1, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	// Images whose output is a share of what the ball can take away: below 1 they fall.
	shares := []float64{0.3, 0.9, 1.1, 2, -0.3, -0.9, -1.1, -2, 0.5}
	var pixels []float32
	var labels []int
	for _, share := range shares {
		for _, w := range weights {
			pixels = append(pixels, float32(0.5+share*eps*float64(sign(w))))
		}
		label := 0
		if share > 0 {
			label = 1
		}
		labels = append(labels, label)
	}
	labels[8] = 0 // this one is wrong
	images := tensors.FromFlatDataAndDimensions(pixels, len(shares), side, side, 1)
	const clean, robust = 8, 4
	for _, p := range []PGD{{Norm: LInf, Eps: eps}, {Norm: LInf, Eps: eps, RandomStart: true, Steps: 10, Size: eps},
		{Norm: L2, Eps: eps * dual / math.Sqrt(square), RandomStart: true, Steps: 10, Size: 10}} {
		r, err := p.Robustness(single, images, labels)
		if err != nil {
			t.Fatal(err)
		}
		if r.Clean.Correct != clean || r.Robust.Correct != robust {
			t.Errorf("%+v: %v are recognised and %v robust, want %d and %d", p, r.Clean, r.Robust, clean, robust)
		}
		if want := dual * eps * (1 - 0.3); math.Abs(r.Attacked.Values[0]-want) > 1e-3 {
			t.Errorf("%+v: the margin is %g, the largest %g", p, r.Attacked.Values[0], want)
		}
	}
	e, err := AutoAttack{Norm: LInf, Eps: eps, Steps: 10, Queries: 20}.Run(single, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if e.Clean.Correct != clean || e.Robust.Correct != robust ||
		!slices.Equal(e.By, []int{0, 0, Robust, Robust, 0, 0, Robust, Robust, WrongBefore}) {
		t.Errorf("AutoAttack: %v, %v", e, e.By)
	}
	if names := []string{e.Attempts[0].Attack, e.Attempts[1].Attack}; !slices.Equal(names,
		[]string{"APGD-CE", "APGD-T on margins"}) {
		t.Errorf("the attempts are %v", names)
	}
	if _, err := (AutoAttack{Norm: L2, Eps: eps}).Run(single, images, labels); err == nil ||
		!strings.Contains(err.Error(), "4 x 4 pixels are too small") {
		t.Errorf("in L2, of images of 4 x 4: %v", err)
	}
	// A loss of one's own: the class's logit, to fall, times what is given.
	given := []*tensors.Tensor{tensors.FromFlatDataAndDimensions([]float32{1, -1, 1, 1, -1, -1, 1, 1, 1}, len(shares))}
	r, err := APGD{Norm: LInf, Eps: eps, Steps: 10}.Break(single, images, labels, given,
		func(out model.Outputs, given []*graph.Node) *graph.Node {
			return graph.Neg(graph.Mul(graph.Squeeze(graph.Slice(out.Logits, graph.AxisRange(), graph.AxisRange(1)), -1),
				given[0]))
		})
	if err != nil {
		t.Fatal(err)
	}
	// Image 1 is raised the wrong way, and of the images of class 0 those that are raised the right way fall.
	if r.Robust.Correct != robust+1 || len(r.Attacked.Values) != len(shares) || r.Attacked.Values[1] >= 0 ||
		r.Attacked.Values[0] <= 0 {
		t.Errorf("with a loss of one's own %v stand; margins %v", r.Robust, r.Attacked.Values)
	}
}

func sign(v float32) float32 { return float32(math.Copysign(1, float64(v))) }

// An interrupted AutoAttack has figures in which what it has not come to stands; settings and networks that cannot be
// are refused by name.
func TestInterruptedAndRefusedAutoAttack(t *testing.T) {
	m, _, images, _ := linear(t, 20)
	m.BatchSize = 8
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	a := AutoAttack{Norm: LInf, Eps: 0.06, Steps: 10, Queries: 20}
	whole, err := a.Run(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	defer paced.Fix(2)()
	parts := 0
	for _, questions := range []int{1, 12, 16, 24, 40} {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		e, err := a.Run(m, images, labels)
		release()
		if !errors.Is(err, context.Canceled) {
			continue
		}
		if e == nil {
			continue
		}
		parts++
		if e.Robust.Correct < whole.Robust.Correct || e.Clean != whole.Clean || len(e.Attempts) == 0 {
			t.Errorf("after %d questions: %v, and in the end %v", questions, e, whole)
		}
	}
	if parts < 2 {
		t.Errorf("only %d of the interrupts have a part", parts)
	}
	many, err := model.FromFunc(model.Spec{Name: "many labels", Height: 5, Width: 5, Channels: 1,
		Activation: model.Sigmoid}, func(x *graph.Node) *graph.Node {
		return graph.ReduceSum(graph.Concatenate([]*graph.Node{x, x}, -1), 1, 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	endless, err := model.FromFunc(model.Spec{Name: "endless", Height: 5, Width: 5, Channels: 1},
		func(x *graph.Node) *graph.Node {
			return graph.Log(graph.MulScalar(graph.ReduceSum(graph.Concatenate([]*graph.Node{x, x}, -1), 1, 2), -1))
		})
	if err != nil {
		t.Fatal(err)
	}
	for want, do := range map[string]func() error{
		"radius":              func() error { _, err := AutoAttack{}.Run(m, images, labels); return err },
		"Queries -1":          func() error { _, err := AutoAttack{Eps: 1, Queries: -1}.Run(m, images, labels); return err },
		"no norm 7":           func() error { _, err := AutoAttack{Eps: 1, Norm: 7}.Run(m, images, labels); return err },
		"there are 19 labels": func() error { _, err := a.Run(m, images, labels[:19]); return err },
		"class -1":            func() error { _, err := a.Run(m, images, append(slices.Clone(labels[:19]), -1)); return err },
		"it is nil":           func() error { _, err := a.Run(nil, images, labels); return err },
		"exclude each other":  func() error { _, err := a.Run(many, images, make([]int, 20)); return err },
		"finite":              func() error { _, err := a.Run(endless, images, make([]int, 20)); return err },
		"PGD needs a radius":  func() error { _, err := PGD{}.Robustness(m, images, labels); return err },
		"no loss to raise":    func() error { _, err := APGD{Eps: 1}.Break(m, images, labels, nil, nil); return err },
		"a row for each of 20": func() error {
			_, err := APGD{Eps: 1}.Break(m, images, labels, []*tensors.Tensor{nil},
				func(out model.Outputs, _ []*graph.Node) *graph.Node { return nil })
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}
