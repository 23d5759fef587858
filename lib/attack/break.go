package attack

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Break raises a loss near each image, [N, H, W, C] float32 in 0..1, until the network takes it for another class than
// its label: an attack that knows how a network is made. loss is that of each image, [B], of what the model says and of
// what is given of each image, tensors [N, ...] such as classes (see model.ClassTensor) and masks; what is to fall is
// to be negated. The attacked images are the first wrong ones, and the images as they are where there are none; Values
// are their margins, as in [APGD.Robustness].
//
// The program is compiled anew in each call. Interrupted, Break returns the figures so far beside the error, in which
// the images that it has not come to stand.
func (a APGD) Break(m *model.Model, images *tensors.Tensor, labels []int, given []*tensors.Tensor,
	loss func(out model.Outputs, given []*graph.Node) *graph.Node) (*Robustness, error) {
	a, err := a.checked()
	if err != nil {
		return nil, err
	}
	if loss == nil {
		return nil, fmt.Errorf("attack: there is no loss to raise: it is nil")
	}
	of, _, err := attackable(m, images, labels)
	if err != nil {
		return nil, err
	}
	n := len(labels)
	for i, t := range given {
		if t == nil || t.Rank() == 0 || t.Shape().Dimensions[0] != n {
			return nil, fmt.Errorf("attack: what is given of the images has a row for each of %d, and value %d has not", n, i)
		}
	}
	start, err := a.start(images)
	if err != nil {
		return nil, err
	}
	predicted, err := m.Predict(images)
	if err != nil {
		return nil, err
	}
	caught, stopped := a.raise(of, nil, "APGD on a loss", start, images, labels, given, loss)
	if stopped != nil && !interrupt.Is(stopped) {
		return nil, stopped
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	size := len(flat) / n
	fell := map[int]bool{}
	for _, p := range caught {
		copy(flat[p.number*size:(p.number+1)*size], p.pixels)
		fell[p.number] = true
	}
	r := &Robustness{Clean: stats.Accuracy{Total: n}, Robust: stats.Accuracy{Total: n}}
	for i := range n {
		if predicted[i] == labels[i] {
			r.Clean.Correct++
			if !fell[i] {
				r.Robust.Correct++
			}
		}
	}
	r.Attacked = &AdversarialExamples{Images: tensors.FromFlatDataAndDimensions(flat, images.Shape().Dimensions...)}
	if stopped != nil {
		return r, stopped
	}
	said, err := of.Logits(r.Attacked.Images)
	if err != nil {
		return nil, err
	}
	logits, err := float32s(said)
	if err != nil {
		return nil, err
	}
	k := len(logits) / n
	for i, label := range labels {
		other := -1
		for c := range k {
			if c != label && (other < 0 || logits[i*k+c] > logits[i*k+other]) {
				other = c
			}
		}
		r.Attacked.Values = append(r.Attacked.Values, float64(logits[i*k+other])-float64(logits[i*k+label]))
	}
	return r, nil
}
