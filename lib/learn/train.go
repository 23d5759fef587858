package learn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
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
// Interrupted, it returns the network as it is after the last step and the epochs that were whole beside the error.
func (r Recipe) Train(m *model.Model, images *tensors.Tensor, labels []int) (*model.Model, []Epoch, error) {
	if m == nil {
		return nil, nil, fmt.Errorf("learn: there is no model to train")
	}
	if len(m.Weights()) == 0 {
		return nil, nil, fmt.Errorf("learn: %s has no weights to train: it is made by SmallCNN, Load, FromONNX, FromWeights or FromTensors", m.Name())
	}
	if _, err := m.TargetClasses(images, []int{0}); err != nil { // checks the images
		return nil, nil, err
	}
	n := images.Shape().Dimensions[0]
	if len(labels) != n {
		return nil, nil, fmt.Errorf("learn: %d labels for %d images", len(labels), n)
	}
	for i, label := range labels {
		if label < 0 || label >= m.NumClasses() {
			return nil, nil, fmt.Errorf("learn: image %d has the label %d: %s has the classes 0 to %d", i, label, m.Name(), m.NumClasses()-1)
		}
	}
	if err := r.check(n); err != nil {
		return nil, nil, err
	}
	if err := r.AugMix.check(r, images.Shape().Dimensions[3]); err != nil {
		return nil, nil, err
	}
	trainer, names, err := r.trainer(m, n)
	if err != nil {
		return nil, nil, err
	}
	store := trainer.Store()
	rate := rateVariable(store.RootScope())
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	shuffle := rand.New(rand.NewPCG(r.Seed, 1))
	var history []Epoch
	bar := progress.New(m.Name()+": training", r.Epochs*(n/r.BatchSize)*r.BatchSize)
	defer bar.Close()

	steps := n / r.BatchSize
	var stopped error
epochs:
	for epoch := range r.Epochs {
		shuffle.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		var sum Epoch
		for step := range steps {
			if stopped = interrupt.Err(); stopped != nil {
				stopped = interrupt.After(stopped, "learn: training "+m.Name(), epoch*steps+step, r.Epochs*steps, "steps")
				break epochs
			}
			factor := 1.0
			if r.Schedule != nil {
				factor = r.Schedule(float64(epoch*steps+step) / float64(r.Epochs*steps))
			}
			if err := rate.SetValue(tensors.FromScalar(float32(r.LearningRate * factor))); err != nil {
				return nil, nil, fmt.Errorf("learn: %w", err)
			}
			numbers := order[step*r.BatchSize : (step+1)*r.BatchSize]
			batch, err := gather(images, labels, numbers)
			if err != nil {
				return nil, nil, err
			}
			if r.AugMix != nil {
				if batch.Inputs, err = r.AugMix.views(batch.Inputs[0], numbers, r.Seed, epoch); interrupt.Is(err) {
					stopped = interrupt.After(err, "learn: training "+m.Name(), epoch*steps+step, r.Epochs*steps, "steps")
					break epochs
				} else if err != nil {
					return nil, nil, err
				}
			}
			if r.Adversarial.Epsilon > 0 { // the attack wants to know the labels
				again, err := batch.Labels[0].LocalClone()
				if err != nil {
					return nil, nil, fmt.Errorf("learn: %w", err)
				}
				batch.Inputs = append(batch.Inputs, again)
			}
			metrics, err := trainer.TrainStep(batch)
			if err != nil {
				return nil, nil, fmt.Errorf("learn: %s: %w", m.Name(), err)
			}
			l := float64(tensors.ToScalar[float32](metrics[0]))
			if math.IsNaN(l) || math.IsInf(l, 0) {
				return nil, nil, fmt.Errorf("learn: the loss of %s is %v in epoch %d, step %d: make the learning rate, %v, smaller", m.Name(), l, epoch+1, step+1, r.LearningRate)
			}
			sum.Loss += l
			sum.Accuracy += float64(tensors.ToScalar[float32](metrics[len(metrics)-1]))
			bar.Add(r.BatchSize)
		}
		history = append(history, Epoch{sum.Loss / float64(steps), sum.Accuracy / float64(steps)})
	}
	weights := map[string]*tensors.Tensor{}
	for _, name := range names {
		v := store.RootScope().GetVariable(variableName(name))
		if v == nil || !v.HasValue() {
			continue // interrupted before the first step
		}
		value, err := v.Value()
		if err != nil {
			return nil, nil, fmt.Errorf("learn: %w", err)
		}
		if weights[name], err = value.LocalClone(); err != nil {
			return nil, nil, fmt.Errorf("learn: %w", err)
		}
	}
	trained, err := m.WithWeights(weights)
	if err != nil {
		return nil, nil, err
	}
	return trained, history, stopped
}

// trainer sets GoMLX's trainer up for a model, with a variable for each weight that changes. names are those of the
// weights that do.
func (r Recipe) trainer(m *model.Model, images int) (*train.Trainer, []string, error) {
	backend, err := backend.Get()
	if err != nil {
		return nil, nil, err
	}
	store := gomlx.NewStore()
	if err := store.SetRNGStateFromSeed(int64(r.Seed)); err != nil {
		return nil, nil, fmt.Errorf("learn: %w", err)
	}
	weights := m.Weights()
	if r.WeightDecay > 0 {
		for name := range weights {
			if _, is := m.Spread(name); is {
				return nil, nil, fmt.Errorf("learn: weights of %s are distributions, which have a prior in the place of weight decay: set WeightDecay to 0", m.Name())
			}
		}
	}
	var names []string
	change := func(name string) bool { return r.Trainable == nil || r.Trainable(name) }
	for name, w := range weights {
		if w.DType() != dtypes.Float32 {
			continue
		}
		if change(name) && (!m.IsStatistic(name) || change(m.ScaleOf(name))) {
			names = append(names, name)
		}
	}
	slices.Sort(names) // one order, one program
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("learn: Trainable is true for none of the %d weights of %s: Weights lists their names", len(weights), m.Name())
	}
	for _, name := range names {
		clone, err := weights[name].LocalClone() // training writes over its variables
		if err != nil {
			return nil, nil, fmt.Errorf("learn: %w", err)
		}
		v := store.RootScope().VariableWithValue(variableName(name), clone)
		v.SetTrainable(!m.IsStatistic(name))
	}
	fn := func(scope *gomlx.Scope, in []*graph.Node) *graph.Node {
		x, views := in[0], 1
		if r.AugMix != nil {
			x, views = graph.Concatenate(in, 0), len(in)
		}
		g := x.Graph()
		if r.InputDropout > 0 {
			x = r.dropPixels(scope, m, x)
		}
		if r.Augment != nil {
			draws := &replay{draw: func(dims ...int) *graph.Node {
				return store.RandomUniform(g, shapes.Make(dtypes.Float32, dims...))
			}}
			parts := graph.Split(x, 0, views)
			for i, part := range parts {
				draws.again()
				parts[i] = r.Augment(part, draws.uniform)
				if d := part.Shape().Dimensions; parts[i] == nil || !slices.Equal(parts[i].Shape().Dimensions, d) {
					panic(fmt.Errorf("learn: Augment must return images of the shape that it gets, %v", d))
				}
			}
			x = graph.Concatenate(parts, 0)
		}
		nodes := map[string]*graph.Node{}
		for _, name := range names {
			nodes[name] = scope.GetVariable(variableName(name)).NodeValue(g)
		}
		how := model.How{Weights: nodes, BatchStats: func(name string) bool { return nodes[name+".running_mean"] != nil }}
		if r.Adversarial.Epsilon > 0 {
			x = r.Adversarial.attack(store, x, in[1], func(x *graph.Node) *graph.Node { return m.CallAs(x, how).Logits })
		}
		how.Noise = storeNoise{store, g}
		out := m.CallAs(x, how)
		if kl := divergence(m, nodes); kl != nil {
			train.AddRegularizationLoss(graph.DivScalar(kl, float64(images)))
		}
		for name, now := range out.Updates {
			scope.GetVariable(variableName(name)).SetNodeValue(now)
		}
		if views == 1 {
			return out.Logits
		}
		answers := graph.Split(out.Logits, 0, views)
		train.AddRegularizationLoss(graph.MulScalar(JensenShannon(answers...), r.AugMix.weight()))
		return answers[0]
	}
	accuracy := metric.NewBaseMetric("accuracy", "acc", "accuracy", metric.SparseCategoricalAccuracyGraph, nil)
	var optimize optimizer.Interface = sgd{momentum: r.Momentum, decay: r.WeightDecay, nesterov: r.Nesterov}
	if r.Adam {
		optimize = optimizer.Adam().WeightDecay(r.WeightDecay).Done()
	}
	return train.NewTrainer(backend, store, fn, smoothed(r.LabelSmoothing), optimize, []metric.Interface{accuracy}, nil), names, nil
}

// storeNoise is noise from the random state that a trainer keeps.
type storeNoise struct {
	store *gomlx.Store
	g     *graph.Graph
}

func (n storeNoise) Uniform(shape shapes.Shape) *graph.Node { return n.store.RandomUniform(n.g, shape) }
func (n storeNoise) Normal(shape shapes.Shape) *graph.Node  { return n.store.RandomNormal(n.g, shape) }

// variableName is a weight's name without what has a meaning in GoMLX's scopes.
func variableName(weight string) string { return strings.ReplaceAll(weight, "/", "|") }

// dropPixels puts the mean of the model's normalisation, or black, in the place of a share of the pixels.
func (r Recipe) dropPixels(scope *gomlx.Scope, m *model.Model, x *graph.Node) *graph.Node {
	g, d := x.Graph(), x.Shape().Dimensions
	mean := m.Spec().Mean
	if len(mean) == 0 {
		mean = make([]float64, d[3])
	}
	with := graph.Reshape(graph.ConstAsDType(g, x.DType(), mean), 1, 1, 1, d[3])
	uniform := scope.Store().RandomUniform(g, shapes.Make(dtypes.Float32, d[0], d[1], d[2], 1))
	gone := graph.LessThan(uniform, graph.Scalar(g, dtypes.Float32, r.InputDropout))
	return graph.Where(graph.BroadcastToDims(gone, d...), graph.BroadcastToDims(with, d...), x)
}

// gather copies the images and labels with these numbers into a batch.
func gather(images *tensors.Tensor, labels []int, at []int) (train.Batch, error) {
	d := append([]int(nil), images.Shape().Dimensions...)
	n := d[0]
	d[0] = len(at)
	x := tensors.FromShape(shapes.Make(dtypes.Float32, d...))
	classes := make([]int32, len(at))
	err := images.ConstBytes(func(from []byte) {
		width := len(from) / n
		if inner := x.MutableBytes(func(to []byte) {
			for i, k := range at {
				copy(to[i*width:(i+1)*width], from[k*width:(k+1)*width])
				classes[i] = int32(labels[k])
			}
		}); inner != nil {
			panic(inner)
		}
	})
	if err != nil {
		return train.Batch{}, fmt.Errorf("learn: %w", err)
	}
	y := tensors.FromFlatDataAndDimensions(classes, len(at), 1)
	return train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}, nil
}
