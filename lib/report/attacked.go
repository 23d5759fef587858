package report

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// A small attack: no pixel changes by more than one of 255 steps of brightness.
const (
	attackEps    = 1.0 / 255
	attackSteps  = 10
	attackWeight = 0.3 // it takes someone who attacks
)

// attacked is how many images a small attack turns, beside noise of the same size.
func attacked(r *run) error {
	if err := r.needLabels(); err != nil {
		return err
	}
	n, err := r.afford(3*attackSteps+4, 0.5, 8, 64)
	if err != nil {
		return err
	}
	ds, which, labels, err := r.labeled(n)
	if err != nil {
		return err
	}
	images, err := ds.All()
	if err != nil {
		return err
	}
	defer model.Free(images)
	by := attack.PGD{Norm: attack.LInf, Eps: attackEps, Steps: attackSteps}
	after, err := by.Robustness(r.m, images, labels)
	if err != nil {
		return err
	}
	noisy, err := shaken(images, attackEps, r.seed)
	if err != nil {
		return err
	}
	defer model.Free(noisy)
	answers, err := r.m.AnswersTo(noisy, labels)
	if err != nil {
		return err
	}
	underNoise, err := answers.Correct()
	if err != nil {
		return err
	}
	before, err := r.m.Predict(images)
	if err != nil {
		return err
	}
	taken, err := r.m.Predict(after.Attacked.Images)
	if err != nil {
		return err
	}
	stands := make([]bool, len(labels))
	for i, label := range labels {
		stands[i] = before[i] == label && taken[i] == label
	}
	pair, err := stats.PairedOf(stands, underNoise)
	if err != nil {
		return err
	}
	robust := after.Robust.Interval()
	r.measure("attacked_accuracy", after.Robust.Share(), robust.Low, robust.High)
	if after.Clean.Correct == 0 {
		return errors.New("of the sample the network recognises none, so there is nothing to turn")
	}
	noise, err := answers.Accuracy()
	if err != nil {
		return err
	}
	d, iv := pair.Difference(), pair.Interval()
	row := func(name string, a stats.Accuracy) []string {
		iv := a.Interval()
		return []string{name, percent(a.Share()), number(iv.Low) + " to " + percent(iv.High)}
	}
	evidence := []Evidence{{Header: []string{"the images", "right", "95% interval"}, Rows: [][]string{
		row("as they are", after.Clean), row("with noise of that size", noise), row("attacked", after.Robust)}}}
	turned, err := r.turned(after.Attacked.Images, labels, before, taken)
	if err != nil {
		return err
	}
	if len(turned.Pictures) > 0 {
		evidence = append(evidence, turned)
	}
	f := Finding{
		Value: 100 * d, Low: 100 * iv.Low, High: 100 * iv.High, Unit: "points", Evidence: evidence,
		Cell: fmt.Sprintf("sample := loupe.Prepare(net, %s)\nattack.PGD{Norm: attack.LInf, Eps: 1.0 / 255, Steps: "+
			"%d}.Robustness(net, loupe.Images(net, sample), net.KnownLabelsOf(sample))", which, attackSteps),
		Sure: fmt.Sprintf("%s, each attacked and each with random noise of the same size as a control; the interval is "+
			"of the difference, image by image. A stronger attack finds more.",
			plural.Grouped(len(labels), "image")),
	}
	both := fmt.Sprintf("where no pixel changes by more than 1/255 it is right about %s of the images under attack, "+
		"%s with random noise, and %s as they are",
		percent(after.Robust.Share()), percent(noise.Share()), percent(after.Clean.Share()))
	if iv.Low <= 0 {
		f.Sentence = fmt.Sprintf("Attack: a small one is not shown to do more than noise: %s.", both)
		r.nothing(f)
		return nil
	}
	f.Sentence = fmt.Sprintf("Attack: a small one turns it: %s (%s points, %s).", both, number(d), betweenPoints(iv))
	f.Weight = attackWeight * iv.Low
	r.found(f)
	return nil
}

// labeled is a sample of images that have a label, and their labels in the network's numbering.
func (r *run) labeled(n int) (ds *data.Dataset, code string, labels []int, err error) {
	ds, code = r.sample(n)
	if labels, err = r.m.LabelsOf(ds); err != nil {
		return nil, "", nil, err
	}
	if !slices.Contains(labels, -1) {
		return ds, code, labels, nil
	}
	var index []int
	for i, label := range r.e.Answers.Labels {
		if label >= 0 && len(index) < n {
			index = append(index, i)
		}
	}
	ds = r.photos.Subset(index)
	labels, err = r.m.LabelsOf(ds)
	return ds, subset(index), labels, err
}

// turned are some images that were right before the attack and are not after it, as they are attacked.
func (r *run) turned(attacked *tensors.Tensor, labels, before, taken []int) (Evidence, error) {
	var fell []int
	for i, label := range labels {
		if before[i] == label && taken[i] != label && len(fell) < 4 {
			fell = append(fell, i)
		}
	}
	e := Evidence{Title: "Some that the attack turned: what is seen is the attacked image"}
	all, err := tensors.CopyFlatData[float32](attacked)
	if err != nil || len(fell) == 0 {
		return e, err
	}
	d := attacked.Shape().Dimensions
	size := d[1] * d[2] * d[3]
	var picked []float32
	for _, i := range fell {
		picked = append(picked, all[i*size:(i+1)*size]...)
	}
	e.Pictures, err = r.drawn(tensors.FromFlatDataAndDimensions(picked, len(fell), d[1], d[2], d[3]),
		func(k int) []string {
			return []string{"label: " + r.m.ClassName(labels[fell[k]]), "attacked: " + r.m.ClassName(taken[fell[k]])}
		})
	return e, err
}

// shaken are images with each value moved up or down by eps, as chance decides, within 0..1: as far as the attack may
// go.
func shaken(images *tensors.Tensor, eps float64, seed uint64) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for i, v := range flat {
		by := float32(eps)
		if rng.Uint64()&1 == 0 {
			by = -by
		}
		flat[i] = min(max(v+by, 0), 1)
	}
	return tensors.FromFlatDataAndDimensions(flat, images.Shape().Dimensions...), nil
}
