package learn

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Epoch is what an epoch was like, measured on its batches while the weights changed, on the images that the network
// was given: masked, augmented or attacked ones.
type Epoch struct {
	Loss     float64 `display:"loss"` // mean cross entropy, with what [Variational] and [AugMix] add
	Accuracy float64 `display:"accuracy,percent"`
}

// Train trains a model by a recipe: on images, [N, H, W, C] float32 in 0..1, with a label for each. It returns the same
// network with the trained weights, a model of its own, and what each epoch was like; m itself does not change.
// The initial weights are those that m has: random ones from a builder such as [SmallCNN], or trained ones.
//
// Interrupted, it returns the network as it is after the last step and the epochs that were whole beside the error; and
// where the loss is no number any more, as it was before that step.
func (r Recipe) Train(m *model.Model, images *tensors.Tensor, labels []int) (*model.Model, []Epoch, error) {
	run, err := r.Run(m, images, labels)
	if err != nil {
		return nil, nil, err
	}
	trained, err := run.Do()
	if trained == nil {
		return nil, nil, err
	}
	return trained.Net(), trained.History.Epochs(), err
}

// Run is the run that [Recipe.Train] does, with one network called "net", for more to be set: hooks, averages, a
// checkpoint.
func (r Recipe) Run(m *model.Model, images *tensors.Tensor, labels []int) (*Run, error) {
	if err := trainable(m); err != nil {
		return nil, err
	}
	if _, err := m.TargetClasses(images, []int{0}); err != nil { // checks the images
		return nil, err
	}
	if n := images.Shape().Dimensions[0]; len(labels) != n {
		return nil, fmt.Errorf("learn: %d labels for %d images", len(labels), n)
	}
	examples, err := FromTensors(images, labels)
	if err != nil {
		return nil, err
	}
	return r.RunOn(m, examples)
}

func trainable(m *model.Model) error {
	if m == nil {
		return fmt.Errorf("learn: there is no model to train")
	}
	if len(m.Weights()) == 0 {
		return fmt.Errorf(
			"learn: %s has no weights to train: it is made by SmallCNN, Load, FromONNX, FromWeights or FromTensors", m.Name())
	}
	return nil
}

// RunOn is [Recipe.Run] on any source of images and labels, such as [FromDataset], which need not fit in memory.
func (r Recipe) RunOn(m *model.Model, data Source) (*Run, error) {
	if err := trainable(m); err != nil {
		return nil, err
	}
	known, ok := data.(interface{ Labels() []int })
	if !ok || len(known.Labels()) != data.Len() || data.Len() == 0 {
		return nil, fmt.Errorf("learn: a recipe learns from images with a label each, which the data has not")
	}
	n := data.Len()
	for i, label := range known.Labels() {
		if label < 0 || label >= m.NumClasses() {
			return nil, fmt.Errorf("learn: image %d has the label %d: %s has the classes 0 to %d", i, label, m.Name(),
				m.NumClasses()-1)
		}
	}
	if err := r.check(n); err != nil {
		return nil, err
	}
	if err := r.AugMix.check(r, m.Spec().Channels); err != nil {
		return nil, err
	}
	if r.WeightDecay > 0 {
		for name := range m.Weights() {
			if _, is := m.Spread(name); is {
				return nil, fmt.Errorf(
					"learn: weights of %s are distributions, which have a prior in the place of weight decay: set WeightDecay to 0",
					m.Name())
			}
		}
	}
	run := &Run{
		Nets:     map[string]*model.Model{"net": m},
		Data:     data,
		Sampler:  Shuffled(r.BatchSize),
		Step:     func(s *Step) Loss { return r.step(s, m, n) },
		Schedule: r.Schedule,
		Epochs:   r.Epochs,
		Seed:     r.Seed,
	}
	if r.AugMix != nil {
		run.Data = r.AugMix.Of(data, r.Seed)
	}
	if r.Trainable != nil {
		run.Trainable = func(_, weight string) bool { return r.Trainable(weight) }
	}
	run.Optimizer = SGD{LearningRate: r.LearningRate, Momentum: r.Momentum, Nesterov: r.Nesterov,
		WeightDecay: r.WeightDecay}
	if r.Adam {
		run.Optimizer = AdamW{LearningRate: r.LearningRate, WeightDecay: r.WeightDecay, Epsilon: 1e-7}
	}
	return run, nil
}

// step is the step of a recipe: what is done to the images, one after the other, and the loss.
func (r Recipe) step(s *Step, m *model.Model, images int) Loss {
	x := []*graph.Node{s.Images()}
	if r.AugMix != nil {
		x = r.AugMix.views(s)
	}
	views := len(x)
	all := graph.Concatenate(x, 0)
	if r.InputDropout > 0 {
		all = dropPixels(s.Batch, m, all, r.InputDropout)
	}
	if r.Augment != nil {
		draws := &replay{draw: s.Uniform}
		parts := graph.Split(all, 0, views)
		for i, part := range parts {
			draws.again()
			one := *s.Batch
			one.columns = map[string]*graph.Node{Images: part}
			Changed(func(images *graph.Node, _ func(dims ...int) *graph.Node) *graph.Node {
				return r.Augment(images, draws.uniform)
			}).Augment(&one)
			parts[i] = one.Images()
		}
		all = graph.Concatenate(parts, 0)
	}
	if r.Adversarial.Epsilon > 0 {
		how := s.How("net")
		all = r.Adversarial.Attack(s.Batch, all, s.Labels(),
			func(x *graph.Node) *graph.Node { return s.CallAs("net", x, how).Logits })
	}
	answers := graph.Split(s.Call("net", all).Logits, 0, views)
	loss := Loss{Each: LabelSmoothing(answers[0], s.Labels(), r.LabelSmoothing),
		Metrics: map[string]*graph.Node{"accuracy": Correct(answers[0], s.Labels())}}
	if kl := Divergence(m, s.Weights("net")); kl != nil {
		loss.Plus = graph.DivScalar(kl, float64(images))
	}
	if views > 1 {
		consistency := graph.MulScalar(JensenShannon(answers...), r.AugMix.weight())
		if loss.Plus != nil {
			consistency = graph.Add(loss.Plus, consistency)
		}
		loss.Plus = consistency
	}
	return loss
}

// dropPixels puts the mean of the model's normalisation, or black, in the place of a share of the pixels.
func dropPixels(b *Batch, m *model.Model, x *graph.Node, share float64) *graph.Node {
	g, d := x.Graph(), x.Shape().Dimensions
	mean := m.Spec().Mean
	if len(mean) == 0 {
		mean = make([]float64, d[3])
	}
	with := graph.Reshape(graph.ConstAsDType(g, x.DType(), mean), 1, 1, 1, d[3])
	gone := graph.LessThan(b.Uniform(d[0], d[1], d[2], 1), graph.Scalar(g, dtypes.Float32, share))
	return graph.Where(graph.BroadcastToDims(gone, d...), graph.BroadcastToDims(with, d...), x)
}
