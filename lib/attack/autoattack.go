package attack

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// AutoAttack tells how robust a network is: an image counts as robust if it is recognised and four attacks, none of
// which has a setting to tune, find nothing near it that is not. Croce and Hein, "Reliable evaluation of adversarial
// robustness with an ensemble of diverse parameter-free attacks", ICML 2020. The attacks are those of the standard
// version of fra31/auto-attack, in this order, each on the images that still stand: APGD on the cross entropy, APGD on
// the targeted difference of logits ratio and FAB with targets, for each of the likeliest other classes, and Square.
//
// What it tells is an upper bound of the true robust accuracy. A network whose gradients are of no use (a step
// function, noise) may stand it and not be robust: where Square finds what the others do not, look for an attack of its
// own.
type AutoAttack struct {
	Norm    Norm
	Eps     float64 // how far an image may be changed; it has to be more than 0
	Steps   int     // of APGD and of FAB; 0 means 100
	Targets int     // how many other classes are tried, at most all there are; 0 means 9
	Queries int     // of Square; 0 means 5,000
	Starts  int     // from how many random points APGD on the cross entropy starts; 0 means 1, and the paper has 5
	Seed    uint64
}

// Attempt is what one attack of several did to the images that stood before it.
type Attempt struct {
	Attack string         `display:"attack"`
	Tried  int            `display:"tried"`  // images
	Fell   int            `display:"fell"`   // of these
	Robust stats.Accuracy `display:"robust"` // what share of all images stands after it
}

// Evaluation is how a model stands [AutoAttack].
type Evaluation struct {
	Model    string
	Norm     Norm
	Eps      float64
	Clean    stats.Accuracy // on the images as they are
	Robust   stats.Accuracy // images that are recognised and stand all attacks
	Attempts []Attempt      // in the order of the attacks
	// Images are the wrong ones that were found, [N, H, W, C] float32 in 0..1; where none was, the image as it is.
	Images *tensors.Tensor
	// By is the number of the attempt that the image fell to; -1 where it stands, and -2 where the model is wrong of
	// the image as it is.
	By []int

	originals *tensors.Tensor
}

// What [Evaluation].By says of images that no attack has changed.
const (
	Robust      = -1
	WrongBefore = -2
)

func (a AutoAttack) checked() (AutoAttack, error) {
	for _, d := range []struct {
		setting  *int
		standard int
		name     string
	}{{&a.Steps, 100, "Steps"}, {&a.Targets, 9, "Targets"}, {&a.Queries, 5000, "Queries"}, {&a.Starts, 1, "Starts"}} {
		if *d.setting == 0 {
			*d.setting = d.standard
		}
		if *d.setting < 0 {
			return a, fmt.Errorf("attack: AutoAttack with %s %d: it is at least 1, or 0 for %d", d.name, *d.setting, d.standard)
		}
	}
	return a, a.Norm.Check("AutoAttack", a.Eps)
}

// Run attacks each image, [N, H, W, C] float32 in 0..1, whose label, in 0..K-1, the model knows. Of a network with one
// output and a sigmoid the two classes are taken; one whose classes do not exclude each other is refused, and so is one
// whose outputs are not finite. With fewer than four classes the targeted ratio does not exist, and APGD raises the
// margin z_t - z_y in its place, which the attempt's name says.
//
// An image has fallen when the model's prediction of the image that was found is another class, it is within the radius
// and in 0..1: all three are checked once more at the end of each attack. The attacks of an image depend on the seed
// and on its number only. Interrupted, Run returns the figures so far beside the error, an upper bound like all, but a
// weaker one; nil before the first attack has begun.
func (a AutoAttack) Run(m *model.Model, images *tensors.Tensor, labels []int) (*Evaluation, error) {
	a, err := a.checked()
	if err != nil {
		return nil, err
	}
	of, logits, err := attackable(m, images, labels)
	if err != nil {
		return nil, err
	}
	if d := images.Shape().Dimensions; a.Norm == L2 && min(d[1], d[2]) < 5 {
		return nil, fmt.Errorf(
			"attack: in L2 Square begins with 5 x 5 patterns, for which images of %d x %d pixels are too small", d[1], d[2])
	}
	n := len(labels)
	e := &Evaluation{Model: m.Name(), Norm: a.Norm, Eps: a.Eps, By: make([]int, n), originals: images}
	e.Clean.Total, e.Robust.Total = n, n
	predicted, err := m.Predict(images)
	if err != nil {
		return nil, err
	}
	var standing []int
	for i := range n {
		if e.By[i] = WrongBefore; predicted[i] == labels[i] {
			e.By[i] = Robust
			standing = append(standing, i)
		}
	}
	e.Clean.Correct, e.Robust.Correct = len(standing), len(standing)
	if e.Images, err = images.LocalClone(); err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	likeliest := others(logits, labels, min(a.Targets, len(logits[0])-1))
	for _, one := range a.attacks(of, len(logits[0])) {
		if len(standing) == 0 {
			break
		}
		done := Attempt{Attack: one.name, Tried: len(standing)}
		var stopped error
		for round := range one.rounds(likeliest) {
			if len(standing) == 0 || stopped != nil {
				break
			}
			some, err := rows.Pick(images, standing)
			if err != nil {
				return nil, fmt.Errorf("attack: %w", err)
			}
			of := hunted{images: some, numbers: standing, round: round}
			for _, i := range standing {
				of.labels = append(of.labels, labels[i])
				if round < len(likeliest[i]) {
					of.others = append(of.others, likeliest[i][round])
				}
			}
			caught, err := one.hunt(of)
			if err != nil && !interrupt.Is(err) {
				return nil, err
			}
			stopped = err
			fell, err := e.take(m, caught, standing, labels)
			if err != nil && stopped == nil {
				return nil, err
			}
			done.Fell += len(fell)
			standing = slices.DeleteFunc(standing, func(i int) bool { return fell[i] })
		}
		e.Robust.Correct = len(standing)
		done.Robust = e.Robust
		e.Attempts = append(e.Attempts, done)
		if stopped != nil {
			return e, stopped
		}
	}
	return e, nil
}

// attackable is the model with a logit for each class, two at least, and what it says of the images.
func attackable(m *model.Model, images *tensors.Tensor, labels []int) (*model.Model, [][]float64, error) {
	if m == nil {
		return nil, nil, errors.New("attack: there is no model to attack: it is nil")
	}
	if images == nil || images.Rank() != 4 || len(labels) != images.Shape().Dimensions[0] || len(labels) == 0 {
		return nil, nil, fmt.Errorf("attack: robustness needs images with a label each, and there are %d labels", len(labels))
	}
	if _, err := m.TargetClasses(images, labels); err != nil {
		return nil, nil, err
	}
	of := m
	if m.Activation() == model.Sigmoid {
		shape, err := m.Logits(images)
		if err != nil {
			return nil, nil, err
		}
		if shape.Shape().Dimensions[1] != 1 {
			return nil, nil, m.NeedsSoftmax("attack: AutoAttack")
		}
		if of, err = twoLogits(m); err != nil {
			return nil, nil, err
		}
	}
	said, err := of.Logits(images)
	if err != nil {
		return nil, nil, err
	}
	flat, err := float32s(said)
	if err != nil {
		return nil, nil, err
	}
	k := said.Shape().Dimensions[1]
	if k < 2 {
		return nil, nil, fmt.Errorf("attack: %s has one class, which nothing can be taken for", m.Name())
	}
	logits := make([][]float64, len(labels))
	for i := range logits {
		for _, v := range flat[i*k : (i+1)*k] {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, nil, fmt.Errorf("attack: %s says %v of image %d: its logits are to be finite", m.Name(), v, i)
			} else {
				logits[i] = append(logits[i], f)
			}
		}
	}
	return of, logits, nil
}

// twoLogits is a network with one output, whose sigmoid is the probability of class 1, with a logit for each class.
func twoLogits(m *model.Model) (*model.Model, error) {
	two, err := m.Extend("two logits of "+m.Name(), nil, nil, func(_ *model.Builder, out model.Outputs) *graph.Node {
		return graph.Concatenate([]*graph.Node{graph.ZerosLike(out.Logits), out.Logits}, -1)
	})
	if err != nil {
		return nil, err
	}
	two.BatchSize = m.BatchSize
	return two, nil
}

// others are for each image the classes but its label, those with the largest logits first, as many as wanted.
func others(logits [][]float64, labels []int, many int) [][]int {
	out := make([][]int, len(logits))
	for i, row := range logits {
		var classes []int
		for k := range row {
			if k != labels[i] {
				classes = append(classes, k)
			}
		}
		slices.SortStableFunc(classes, func(a, b int) int {
			switch {
			case row[a] > row[b]:
				return -1
			case row[a] < row[b]:
				return 1
			}
			return 0
		})
		out[i] = classes[:many]
	}
	return out
}

// hunted is what an attack goes for: images by their numbers, their labels, and of each another class to be taken for.
type hunted struct {
	images                  *tensors.Tensor
	numbers, labels, others []int
	round                   int
}

// component is one of the attacks, which goes for the images in one round or several.
type component struct {
	name   string
	rounds func(likeliest [][]int) int
	hunt   func(of hunted) ([]prey, error)
}

func (a AutoAttack) attacks(m *model.Model, classes int) []component {
	times := func(n int) func([][]int) int { return func([][]int) int { return n } }
	targets := func(likeliest [][]int) int { return len(likeliest[0]) }
	apgd := func(start int) APGD {
		return APGD{Norm: a.Norm, Eps: a.Eps, Steps: a.Steps, Seed: a.Seed + uint64(start)}
	}
	targeted, name := targetedRatio, "APGD-T"
	if classes < 4 {
		targeted, name = targetedMargin, "APGD-T on margins"
	}
	return []component{
		{"APGD-CE", times(a.Starts), func(of hunted) ([]prey, error) {
			return apgd(of.round).hunt(m, "APGD-CE", crossEntropy, of.images, of.numbers, of.labels, nil)
		}},
		{name, targets, func(of hunted) ([]prey, error) {
			return apgd(of.round).hunt(m, name, targeted, of.images, of.numbers, of.labels, of.others)
		}},
		{"FAB-T", targets, func(of hunted) ([]prey, error) {
			return fab{a.Norm, a.Eps, a.Steps}.hunt(m, "FAB-T", of.images, of.labels, of.others)
		}},
		{"Square", times(1), func(of hunted) ([]prey, error) {
			return square{a.Norm, a.Eps, a.Queries, a.Seed}.hunt(m, "Square", of.images, of.numbers, of.labels)
		}},
	}
}

// take writes down what the attack that is no attempt yet has found of the images that stood, and returns the numbers
// of those that fell.
func (e *Evaluation) take(m *model.Model, caught []prey, standing, labels []int) (map[int]bool, error) {
	fell := map[int]bool{}
	if len(caught) == 0 {
		return fell, nil
	}
	d := slices.Clone(e.Images.Shape().Dimensions)
	size := d[1] * d[2] * d[3]
	var flat []float32
	for _, p := range caught {
		flat = append(flat, p.pixels...)
	}
	d[0] = len(caught)
	predicted, err := m.Predict(tensors.FromFlatDataAndDimensions(flat, d...))
	if interrupt.Is(err) {
		predicted = nil // what the attack saw itself has to do
	} else if err != nil {
		return nil, err
	}
	originals, err := tensors.CopyFlatData[float32](e.originals)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	failed := e.Images.MutableFlatData(func(all any) {
		images := all.([]float32)
		for j, p := range caught {
			i := standing[p.number]
			if far := e.Norm.distance(p.pixels, originals[i*size:(i+1)*size]); !(far <= e.Eps*(1+1e-4)+1e-6) {
				err = fmt.Errorf("attack: an attack went %g from image %d, further than %g: this is a mistake of the program's",
					far, i, e.Eps)
				return
			}
			if predicted != nil && predicted[j] == labels[i] { // by a rounding, in a batch of another size
				continue
			}
			copy(images[i*size:(i+1)*size], p.pixels)
			e.By[i], fell[i] = len(e.Attempts), true
		}
	})
	return fell, errors.Join(err, failed)
}

// distance is the norm of the difference of two images; infinite where one is outside of 0..1.
func (n Norm) distance(a, b []float32) float64 {
	var far float64
	for i := range a {
		if !(a[i] >= 0 && a[i] <= 1) {
			return math.Inf(1)
		}
		by := math.Abs(float64(a[i]) - float64(b[i]))
		if n == LInf {
			far = max(far, by)
		} else {
			far += by * by
		}
	}
	if n == L2 {
		far = math.Sqrt(far)
	}
	return far
}
