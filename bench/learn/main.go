// Learn times steps of training for bench/learn/compare.py.
//
//	learn NETWORK KIND BATCH STEPS
//
// The networks are resnet20 (CIFAR's, with batch normalisation), resnet20gn (with 16 groups), smallcnn, unet and vit,
// on random images of 32x32x3, resnet18cifar (ResNet-18 with CIFAR's beginning) on the same, mnist8 and mnist16 (small
// CNNs whose first layer has so many channels) on 28x28x1, and efficientnet-lite0 and squeezenet of their own size; the
// kinds plain, pgd10 (adversarial training, 10 steps of length 2/255 in a ball of 8/255, by the Euclidean norm), dp
// (DP-SGD, clipped to 1, noise 1), dp32 (in microbatches of 32), moco, byol and swav (without labels, on two views that
// are cut, turned and recoloured) and, where nothing is trained, forward and gradient (by the images). The kind
// discovery is a step of task discovery: a smallcnn is trained through ten steps, each of a batch, of two networks mlp
// (of 64) or patchcnn (of 8 and 16 channels), which are compared on two batches more. It prints the milliseconds of
// each step but the first, the seconds of the first, which compiles, those of the processors of the others, and the
// most memory of the process in MB, before it trained and in all.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/networks"
	"github.com/loupeml/loupe/lib/selfsup"
	"github.com/loupeml/loupe/lib/tasks"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("learn NETWORK KIND BATCH STEPS")
	}
	batch, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	steps, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	spec := model.Spec{Height: 32, Width: 32, Channels: 3}
	if args[1] == "discovery" {
		return discovery(spec, args[0], batch, steps)
	}
	const classes = 10
	m, err := map[string]func() (*model.Model, error){
		"resnet20": func() (*model.Model, error) { return networks.CIFARResNet{}.Make(spec, classes, 1) },
		"resnet20gn": func() (*model.Model, error) {
			return networks.CIFARResNet{Norm: networks.Norm{Groups: 16}}.Make(spec, classes, 1)
		},
		"resnet18cifar": func() (*model.Model, error) { return networks.ResNet{CIFAR: true}.Make(spec, classes, 1) },
		"smallcnn":      func() (*model.Model, error) { return learn.SmallCNN(spec, classes, 1) },
		"mnist8": func() (*model.Model, error) {
			return learn.SmallCNN(model.Spec{Height: 28, Width: 28, Channels: 1}, classes, 1, 8, 16)
		},
		"mnist16": func() (*model.Model, error) {
			return learn.SmallCNN(model.Spec{Height: 28, Width: 28, Channels: 1}, classes, 1)
		},
		"efficientnet-lite0": func() (*model.Model, error) { return model.Load("efficientnet-lite0") },
		"squeezenet":         func() (*model.Model, error) { return model.Load("squeezenet") },
		"unet": func() (*model.Model, error) {
			return networks.UNet{Width: 16, Downs: 3}.Make(spec,
				classes, 1)
		},
		"vit": func() (*model.Model, error) {
			return networks.ViT{Patch: 4, Width: 192, Depth: 6, Heads: 3}.Make(spec, classes, 1)
		},
	}[args[0]]()
	if err != nil {
		return err
	}
	n, size := 4*batch, m.Spec()
	values, labels := noise(n*size.Height*size.Width*size.Channels), make([]int, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range labels {
		labels[i] = r.IntN(classes)
	}
	if args[1] == "forward" || args[1] == "gradient" {
		images := tensors.FromFlatDataAndDimensions(values[:len(values)/4], batch, size.Height, size.Width, size.Channels)
		return asked(m, images, labels[:batch], args[1] == "gradient", steps)
	}
	data, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(values, n, size.Height, size.Width, size.Channels),
		labels)
	if err != nil {
		return err
	}
	clock := &clock{}
	training := learn.Run{
		Nets: map[string]*model.Model{"net": m}, Data: data, Sampler: learn.Shuffled(batch), Steps: steps,
		Optimizer: learn.SGD{LearningRate: 1e-3}, Every: []learn.Hook{clock},
	}
	training.Step = func(s *learn.Step) learn.Loss {
		x := s.Images()
		if args[1] == "pgd10" {
			how := s.How("net")
			x = learn.Adversarial{Epsilon: 8. / 255, Steps: 10, StepSize: 2. / 255}.Attack(s.Batch, x, s.Labels(),
				func(x *graph.Node) *graph.Node { return s.CallAs("net", x, how).Logits })
		}
		logits := s.Call("net", x).Logits
		if logits.Rank() == 4 { // every pixel has the image's class
			logits = graph.ReduceMean(logits, 1, 2)
		}
		return s.Classification(logits)
	}
	if of := unlabelled[args[1]]; of != nil {
		training.Nets, training.Step = map[string]*model.Model{selfsup.Backbone: m}, nil
		training.Augment = []learn.Augmentation{learn.ResizedCrop{Area: [][2]float64{{0.2, 1}}}, learn.Flip{},
			learn.ColorJitter{Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Probability: []float64{0.8}},
			learn.Grayscale{Probability: []float64{0.2}}}
		training.Optimizer = learn.SGD{LearningRate: 1e-3, Momentum: 0.9}
		if training, err = of(training); err != nil {
			return err
		}
	}
	switch micro, private := strings.CutPrefix(args[1], "dp"); {
	case private:
		private := learn.DP{Clip: 1, Noise: 1}
		if micro != "" {
			if private.Microbatch, err = strconv.Atoi(micro); err != nil {
				return err
			}
		}
		training.Gradient = private
	case args[1] != "plain" && args[1] != "pgd10" && unlabelled[args[1]] == nil:
		return fmt.Errorf("no kind is called %q", args[1])
	}
	before := usage.Resident()
	clock.last = time.Now()
	if _, err := training.Do(); err != nil {
		return err
	}
	return clock.print(before, steps)
}

// noise are random numbers in 0..1.
func noise(n int) []float32 {
	values, r := make([]float32, n), rand.New(rand.NewPCG(1, 1))
	for i := range values {
		values[i] = r.Float32()
	}
	return values
}

// discovery times steps of an encoder, through those of two networks.
func discovery(spec model.Spec, network string, batch, steps int) error {
	inner := map[string]func(seed uint64) (*model.Model, error){
		"mlp":      func(seed uint64) (*model.Model, error) { return learn.MLP(spec, 2, seed, 64) },
		"patchcnn": func(seed uint64) (*model.Model, error) { return tasks.PatchCNN(spec, 2, seed, 8, 16) },
	}[network]
	if inner == nil {
		return fmt.Errorf("no network of a discovery is called %q", network)
	}
	d := tasks.Discovery{Steps: 10, BatchSize: batch, Test: 2 * batch, Rate: 0.1}
	encoder, err := learn.SmallCNN(spec, 10, 1)
	if err != nil {
		return err
	}
	first, err := inner(2)
	if err != nil {
		return err
	}
	second, err := inner(3)
	if err != nil {
		return err
	}
	n := d.Images()
	data, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(noise(n*spec.Height*spec.Width*spec.Channels), n,
		spec.Height, spec.Width, spec.Channels), nil)
	if err != nil {
		return err
	}
	clock := &clock{}
	training, err := d.Of(learn.Run{
		Nets: map[string]*model.Model{tasks.Encoder: encoder, tasks.First: first, tasks.Second: second}, Data: data,
		Sampler: learn.Shuffled(n),
		Steps:   steps, Optimizer: learn.SGD{LearningRate: 1e-3}, Every: []learn.Hook{clock},
	})
	if err != nil {
		return err
	}
	before := usage.Resident()
	clock.last = time.Now()
	if _, err := training.Do(); err != nil {
		return err
	}
	return clock.print(before, steps)
}

// unlabelled are the kinds that learn without labels, in sizes that images of 32x32 are learnt with. compare.py has the
// same.
var unlabelled = map[string]func(learn.Run) (learn.Run, error){
	"moco": selfsup.MoCo{Queue: 4096, Momentum: 0.99, Temperature: 0.1, Out: 128}.Of,
	"byol": selfsup.BYOL{Momentum: 0.99, Hidden: 1024, Out: 256}.Of,
	"swav": selfsup.SwAV{Prototypes: 512, Temperature: 0.1, Epsilon: 0.05, Iterations: 3, Hidden: 512, Out: 128}.Of,
}

// asked times what nothing is trained for.
func asked(m *model.Model, images *tensors.Tensor, labels []int, gradient bool, steps int) error {
	m.BatchSize = len(labels)
	c := &clock{}
	before := usage.Resident()
	c.last = time.Now()
	for range steps {
		ask := m.Logits
		if gradient {
			ask = func(images *tensors.Tensor) (*tensors.Tensor, error) { return m.InputGradient(images, labels) }
		}
		out, err := ask(images)
		if err != nil {
			return err
		}
		model.Free(out)
		if err := c.Do(nil); err != nil {
			return err
		}
	}
	return c.print(before, steps)
}

// clock is a hook after each step, which the run waits for.
type clock struct {
	last time.Time
	busy float64 // seconds of processors up to the end of the first step
	took []float64
}

func (c *clock) Due(_, _, _ int) bool { return true }

func (c *clock) Do(*learn.RunState) error {
	now := time.Now()
	c.took = append(c.took, float64(now.Sub(c.last).Microseconds())/1000)
	if c.last = now; len(c.took) == 1 {
		c.busy = usage.Processors()
	}
	return nil
}

// print prints what the clock has seen.
func (c *clock) print(before float64, steps int) error {
	out := map[string]any{"first": c.took[0] / 1000, "steps": c.took[1:], "before": before, "memory": usage.Memory(),
		"processors": (usage.Processors() - c.busy) * 1000 / float64(steps-1)}
	return json.NewEncoder(os.Stdout).Encode(out)
}
