package universal

import (
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Relabelled is a dataset of perturbed images, whose labels are the perturbations' targets. Since targets have nothing
// to do with what is on the images, what a network that is trained on it knows of clean ones it has learnt from the
// perturbations alone. Ilyas et al., "Adversarial examples are not bugs, they are features", NeurIPS 2019, section 3.2.
type Relabelled struct {
	ds     model.Dataset
	p      *Perturbations
	which  []int
	deltas []float32
}

// Relabel puts perturbations onto a dataset's images: those of [BaseSets] onto their own, of those of [Attack] one onto
// each image, drawn uniformly. Images are perturbed when they are asked for.
func (p *Perturbations) Relabel(ds model.Dataset, seed uint64) (*Relabelled, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if err := model.CheckDataset(ds); err != nil {
		return nil, err
	}
	if err := p.fitImages(ds.Len()); err != nil {
		return nil, err
	}
	deltas, err := tensors.CopyFlatData[float32](p.Deltas)
	if err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	r := &Relabelled{ds: ds, p: p, which: make([]int, ds.Len()), deltas: deltas}
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := range r.which {
		if p.Size > 0 {
			r.which[i] = i / p.Size
		} else {
			r.which[i] = rng.IntN(p.len())
		}
	}
	return r, nil
}

// Len is the number of images.
func (r *Relabelled) Len() int { return len(r.which) }

// Labels are the targets, one for each image.
func (r *Relabelled) Labels() []int {
	labels := make([]int, len(r.which))
	for i, k := range r.which {
		labels[i] = r.p.Targets[k]
	}
	return labels
}

// Classes are the names of the classes; nil if they have none.
func (r *Relabelled) Classes() []string { return slices.Clone(r.p.Classes) }

// Images are the perturbed images with these numbers, [len(indices), H, W, C] float32, cut to 0..1.
func (r *Relabelled) Images(indices ...int) (*tensors.Tensor, error) {
	for _, i := range indices {
		if i < 0 || i >= len(r.which) {
			return nil, fmt.Errorf("universal: there is no image %d of %d", i, len(r.which))
		}
	}
	of := &images{ds: r.ds, shape: [3]int(r.p.Deltas.Shape().Dimensions[1:]), model: "a perturbation"}
	clean, err := of.read(indices...)
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](clean)
	if err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	row := len(r.deltas) / r.p.len()
	for k, i := range indices {
		pixels, delta := flat[k*row:(k+1)*row], r.deltas[r.which[i]*row:]
		for j := range pixels {
			pixels[j] = min(max(pixels[j]+delta[j], 0), 1)
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, clean.Shape().Dimensions...), nil
}

// All are all images: see [Relabelled.Images].
func (r *Relabelled) All() (*tensors.Tensor, error) {
	all := make([]int, len(r.which))
	for i := range all {
		all[i] = i
	}
	return r.Images(all...)
}

// Success is how many of the images the model takes for their label, of those that it does not take for it without the
// perturbation: [Perturbations.Success], with one perturbation for each image, so that images are independent.
func (r *Relabelled) Success(m *model.Model) (stats.Accuracy, error) {
	var rate stats.Accuracy
	if r == nil || m == nil {
		return rate, errors.New("universal: the success of perturbed images takes images and a model: one of them is nil")
	}
	clean, err := m.PredictOf(r.ds)
	if err != nil {
		return rate, err
	}
	predicted, err := m.PredictOf(r)
	if err != nil {
		return rate, err
	}
	for i, label := range r.Labels() {
		if clean[i] == label {
			continue
		}
		rate.Total++
		if predicted[i] == label {
			rate.Correct++
		}
	}
	return rate, nil
}

// Pictures are the first images, at most so many, with their labels: for showing the dataset.
func (r *Relabelled) Pictures(most int) ([]image.Image, []string, error) {
	var first []int
	var titles []string
	for i := range min(most, len(r.which)) {
		first, titles = append(first, i), append(titles, r.p.className(r.p.Targets[r.which[i]]))
	}
	t, err := r.Images(first...)
	if err != nil {
		return nil, nil, err
	}
	pictures, err := display.Images(t)
	return pictures, titles, err
}

func (r *Relabelled) String() string {
	return fmt.Sprintf("%d perturbed images, labelled by the %d perturbations' targets", len(r.which), r.p.len())
}
