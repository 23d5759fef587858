package learn

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// bars are noisy 8x8 images with a bright row (class 0), column (1) or neither (2).
func bars(n int, seed uint64) (*tensors.Tensor, []int) {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat := make([]float32, n*64)
	labels := make([]int, n)
	for i := range labels {
		image := flat[i*64 : (i+1)*64]
		for j := range image {
			image[j] = rng.Float32() * 0.6
		}
		labels[i] = rng.IntN(3)
		at := rng.IntN(8)
		for j := range 8 {
			switch labels[i] {
			case 0:
				image[at*8+j] += 0.4
			case 1:
				image[j*8+at] += 0.4
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 8, 8, 1), labels
}

func network(t *testing.T, seed uint64) *model.Model {
	t.Helper()
	m, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1, Mean: []float64{0.4}, Std: []float64{0.25}},
		3, seed, 8)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// labeled is a batch of images with labels as a dataset.
type labeled struct {
	images *tensors.Tensor
	labels []int
}

func accuracy(t *testing.T, m *model.Model, d labeled) float64 {
	t.Helper()
	classes, err := m.Predict(d.images)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, c := range classes {
		if c == d.labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(classes))
}

func weightsOf(t *testing.T, m *model.Model) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for name, w := range m.Weights() {
		all[name] = tensors.MustCopyFlatData[float32](w)
	}
	return all
}

func TestTrainingLearnsWhatCanBeLearnt(t *testing.T) {
	images, labels := bars(2000, 1)
	test, truth := bars(500, 2)
	m := network(t, 3)
	before := weightsOf(t, m)
	r := Default
	r.BatchSize = 50
	trained, history, err := r.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, trained, labeled{test, truth}); !(a >= 0.95) {
		t.Errorf("accuracy %v on images of the same kind", a)
	}
	if len(history) != 5 || !(history[4].Loss <= history[0].Loss/2) || !(history[4].Accuracy >= 0.95) {
		t.Errorf("the epochs were %v", history)
	}
	for name, w := range weightsOf(t, m) {
		if !slices.Equal(w, before[name]) {
			t.Errorf("training changed %s of the model that it started from", name)
		}
	}
	// With shuffled labels there is nothing to learn about other images.
	rand.New(rand.NewPCG(5, 5)).Shuffle(len(labels), func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
	r.Epochs = 2
	trained, _, err = r.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if a := accuracy(t, trained, labeled{test, truth}); !(a <= 0.5) {
		t.Errorf("accuracy %v after training on shuffled labels", a)
	}
}

func TestTrainingIsDeterministic(t *testing.T) {
	images, labels := bars(300, 1)
	r := Default
	r.Epochs, r.BatchSize, r.InputDropout = 2, 32, 0.2
	var all []map[string][]float32
	for _, seed := range []uint64{1, 1, 2} {
		r.Seed = seed
		trained, _, err := r.Train(network(t, 4), images, labels)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, weightsOf(t, trained))
	}
	for name, w := range all[0] {
		if !slices.Equal(w, all[1][name]) {
			t.Errorf("%s differs between two runs with one seed", name)
		}
	}
	if slices.Equal(all[0]["conv1.weight"], all[2]["conv1.weight"]) {
		t.Error("another seed gives the same weights")
	}
}

func TestOnlyTheHeadIsTrained(t *testing.T) {
	images, labels := bars(200, 1)
	m := network(t, 4)
	r := Default
	r.Epochs, r.BatchSize, r.Trainable = 1, 50, Only("linear.")
	trained, _, err := r.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	before := weightsOf(t, m)
	for name, w := range weightsOf(t, trained) {
		if same := slices.Equal(w, before[name]); same == strings.HasPrefix(name, "linear.") {
			t.Errorf("%s is unchanged: %v", name, same)
		}
	}
}

// Batch normalisation trains by the batch's statistics and keeps a tenth of them.
func TestBatchNormalisationIsTrained(t *testing.T) {
	weights := map[string]*tensors.Tensor{
		"bn.weight": tensors.FromValue([]float32{1}), "bn.bias": tensors.FromValue([]float32{0}),
		"bn.running_mean": tensors.FromValue([]float32{0}), "bn.running_var": tensors.FromValue([]float32{1}),
		"linear.weight": tensors.FromFlatDataAndDimensions(make([]float32, 3*64), 3, 64),
	}
	m, err := model.FromTensors(weights, model.Spec{Height: 8, Width: 8, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.BatchNorm("bn", x, 1e-5)
			return b.Linear("linear", graph.Reshape(x, x.Shape().Dimensions[0], 64))
		})
	if err != nil {
		t.Fatal(err)
	}
	images, labels := bars(100, 1)
	r := Default
	r.Epochs, r.BatchSize = 1, 100
	trained, _, err := r.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	mean, std, err := Statistics(images)
	if err != nil {
		t.Fatal(err)
	}
	got := weightsOf(t, trained)
	wantVar := 0.9 + 0.1*std[0]*std[0]*6400/6399
	if !approx.Equal(got["bn.running_mean"][0], 0.1*mean[0], 1e-6) ||
		!approx.Equal(got["bn.running_var"][0], wantVar, 1e-6) {
		t.Errorf("running statistics %v and %v, want %v and %v", got["bn.running_mean"], got["bn.running_var"],
			0.1*mean[0], wantVar)
	}
	r.Trainable = Only("linear.")
	if trained, _, err = r.Train(m, images, labels); err != nil {
		t.Fatal(err)
	}
	if got := weightsOf(t, trained); got["bn.running_mean"][0] != 0 || got["bn.running_var"][0] != 1 ||
		got["linear.weight"][0] == 0 {
		t.Errorf("a frozen normalisation changed to %v, %v", got["bn.running_mean"], got["bn.running_var"])
	}
}

// The images that a step sees have the mean in the place of the share of their pixels that was asked for.
func TestInputDropoutTakesItsShare(t *testing.T) {
	weights := map[string]*tensors.Tensor{"scale": tensors.FromValue([]float32{1})}
	m, err := model.FromTensors(weights, model.Spec{Height: 50, Width: 40, Channels: 2, Mean: []float64{0.25, 0.5},
		Std: []float64{1, 1}}, func(b *model.Builder, x *graph.Node) *graph.Node {
		// The loss of class 0 depends on how many values are 0 after normalisation, and so does the gradient.
		zero := graph.ReduceMean(graph.ConvertDType(graph.Equal(x, graph.ZerosLike(x)), dtypes.Float32), 1, 2, 3)
		return graph.Stack([]*graph.Node{graph.Mul(zero, b.Weight("scale")), graph.ZerosLike(zero)}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromScalarAndDimensions(float32(1), 16, 50, 40, 2)
	r := Recipe{Epochs: 1, BatchSize: 16, LearningRate: 1, InputDropout: 0.2}
	trained, history, err := r.Train(m, images, make([]int, 16))
	if err != nil {
		t.Fatal(err)
	}
	// loss = log(1 + e^-share); d loss/d scale = -share/(1+e^share)
	share := -math.Log(math.Exp(history[0].Loss) - 1)
	if !approx.Equal(share, 0.2, 0.01) {
		t.Errorf("%.3f of the pixels are dropped", share)
	}
	want := 1 + share/(1+math.Exp(share))
	if got := float64(weightsOf(t, trained)["scale"][0]); !approx.Equal(got, want, 1e-3) {
		t.Errorf("scale is %v, want %v", got, want)
	}
}

// Interrupted anywhere, training returns the network as it is after the last step: as after an epoch of so many images,
// where these are whole epochs.
func TestInterruptedTrainingReturnsTheWeightsSoFar(t *testing.T) {
	images, labels := bars(300, 1)
	m := network(t, 1)
	r := Default
	r.Epochs, r.BatchSize, r.Schedule = 2, 150, nil
	epochs := func(n int) (map[string][]float32, []Epoch) {
		shorter := r
		shorter.Epochs = n
		trained, history, err := shorter.Train(m, images, labels)
		if err != nil {
			t.Fatal(err)
		}
		return weightsOf(t, trained), history
	}
	_, history := epochs(2)
	weightsAfter := map[int]map[string][]float32{0: weightsOf(t, m)}
	weightsAfter[2], _ = epochs(1)
	testenv.Interrupt(t, func() (int, error) {
		trained, some, err := r.Train(m, images, labels)
		var stopped *interrupt.Stopped
		if !errors.As(err, &stopped) {
			return 4, err
		}
		steps := stopped.Done
		if !slices.Equal(some, history[:steps/2]) {
			t.Errorf("after %d steps of 2 an epoch, %d epochs are told of", steps, len(some))
		}
		weights := weightsOf(t, trained)
		if whole, ok := weightsAfter[steps]; ok && !reflect.DeepEqual(weights, whole) {
			t.Errorf("after %d steps the weights are others than after %d epochs", steps, steps/2)
		}
		if reflect.DeepEqual(weights, weightsAfter[steps/2*2]) != (steps%2 == 0) {
			t.Errorf("after %d steps the weights are those of %d", steps, steps/2*2)
		}
		return steps, err
	}, func(steps int) int { return steps })
}

// An MLP computes what its weights say, and learns; without hidden layers it is linear in the pixels.
func TestMLP(t *testing.T) {
	spec := model.Spec{Height: 8, Width: 8, Channels: 1, Mean: []float64{0.4}, Std: []float64{0.25}}
	images, labels := bars(900, 1)
	test, truth := bars(300, 2)
	r := Default
	r.Epochs, r.BatchSize = 10, 50
	for _, widths := range [][]int{nil, {64}, {48, 32}} {
		m, err := MLP(spec, 3, 5, widths...)
		if err != nil {
			t.Fatal(err)
		}
		trained, _, err := r.Train(m, images, labels)
		if err != nil {
			t.Fatal(err)
		}
		was, is := accuracy(t, m, labeled{test, truth}), accuracy(t, trained, labeled{test, truth})
		t.Logf("hidden layers %v: %.2f before training and %.2f after", widths, was, is)
		if !(is >= 0.5) || len(widths) > 0 && !(is >= 0.6) {
			t.Errorf("hidden layers %v: the accuracy is %.2f after training, chance is 0.33", widths, is)
		}
		logits, err := trained.Logits(test)
		if err != nil {
			t.Fatal(err)
		}
		got := tensors.MustCopyFlatData[float32](logits)
		weights, pixels := weightsOf(t, trained), tensors.MustCopyFlatData[float32](test)
		x := make([]float64, 64)
		for i := range x {
			x[i] = (float64(pixels[64*7+i]) - 0.4) / 0.25
		}
		for l := range len(widths) + 1 {
			name := "linear"
			if l < len(widths) {
				name = fmt.Sprintf("hidden%d", l+1)
			}
			w, y := weights[name+".weight"], make([]float64, len(weights[name+".bias"]))
			for k := range y {
				y[k] = float64(weights[name+".bias"][k])
				for i, v := range x {
					y[k] += float64(w[k*len(x)+i]) * v
				}
				if l < len(widths) {
					y[k] = max(y[k], 0)
				}
			}
			x = y
		}
		for k, want := range x {
			if !approx.Equal(got[3*7+k], want, 1e-3) {
				t.Errorf("hidden layers %v: logit %d is %g, want %g", widths, k, got[3*7+k], want)
			}
		}
	}
	for says, do := range map[string]func() error{
		"of 1 classes":       func() error { _, err := MLP(spec, 1, 0); return err },
		"layer 2 has 0":      func() error { _, err := MLP(spec, 3, 0, 5, 0); return err },
		"real Height, Width": func() error { _, err := MLP(model.Spec{}, 3, 0); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

// Trained adversarially, a network stands the attack of another package better than one that is not, and the same seed
// gives it again.
func TestAdversarialTrainingMakesRobust(t *testing.T) {
	images, labels := bars(1500, 1)
	test, truth := bars(300, 2)
	const eps = 0.3
	ascent := attack.APGD{Eps: eps, Steps: 20}
	r := DefaultViT // with SGD it ends at a network that says the same of all images
	r.Epochs, r.BatchSize, r.Seed = 20, 50, 3
	trained := func(a Adversarial) *model.Model {
		t.Helper()
		r := r
		r.Adversarial = a
		m, _, err := r.Train(network(t, 1), images, labels)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	robust := func(m *model.Model) *attack.Robustness {
		t.Helper()
		found, err := ascent.Robustness(m, test, truth)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	plain, stands := robust(trained(Adversarial{})), robust(trained(Adversarial{Epsilon: eps, Steps: 4}))
	t.Logf("trained plainly: clean %.2f, robust %.2f; adversarially: %.2f and %.2f", plain.Clean.Share(),
		plain.Robust.Share(), stands.Clean.Share(), stands.Robust.Share())
	if !(stands.Robust.Share() >= plain.Robust.Share()+0.1) || !(stands.Clean.Share() >= 0.8) {
		t.Errorf("adversarial training takes the robust accuracy from %.2f to %.2f, and the clean one to %.2f",
			plain.Robust.Share(), stands.Robust.Share(), stands.Clean.Share())
	}
	r.Epochs = 1
	random := Adversarial{Epsilon: eps, Steps: 2, RandomStart: true}
	a, b, c := weightsOf(t, trained(random)), weightsOf(t, trained(random)),
		weightsOf(t, trained(Adversarial{Epsilon: eps, Steps: 2}))
	if !slices.Equal(a["conv1.weight"], b["conv1.weight"]) || slices.Equal(a["conv1.weight"], c["conv1.weight"]) {
		t.Error("a random start does not depend on the seed alone, or changes nothing")
	}
}

func TestSchedules(t *testing.T) {
	for at, want := range map[float64]float64{0: 1, 0.5: 0.5, 1: 0} {
		if got := Cosine(at); !approx.Equal(got, want, 1e-12) {
			t.Errorf("Cosine(%v) = %v", at, got)
		}
	}
	steps := Steps(0.2, 0.3, 0.6, 0.8)
	for at, want := range map[float64]float64{0: 1, 0.29: 1, 0.3: 0.2, 0.7: 0.04, 0.9: 0.008} {
		if got := steps(at); !approx.Equal(got, want, 1e-12) {
			t.Errorf("Steps(%v) = %v", at, got)
		}
	}
}

func TestTrainingRefuses(t *testing.T) {
	images, labels := bars(60, 1)
	m := network(t, 1)
	bad, _ := bars(60, 1)
	tensors.MustMutableFlatData(bad, func(flat []float32) { flat[70] = float32(math.NaN()) })
	with := func(change func(r *Recipe)) func() error {
		return func() error {
			r := Default
			r.Epochs, r.BatchSize = 1, 30
			change(&r)
			_, _, err := r.Train(m, images, labels)
			return err
		}
	}
	plain, err := model.FromFunc(model.Spec{Height: 8, Width: 8, Channels: 1},
		func(x *graph.Node) *graph.Node { return graph.ReduceSum(x, 1, 2) })
	if err != nil {
		t.Fatal(err)
	}
	train := func(m *model.Model, images *tensors.Tensor, labels []int) func() error {
		return func() error { _, _, err := Default.Train(m, images, labels); return err }
	}
	for says, do := range map[string]func() error{
		"0 epochs":                with(func(r *Recipe) { r.Epochs = 0 }),
		"batches of 0":            with(func(r *Recipe) { r.BatchSize = 0 }),
		"batches of 61 from 60":   with(func(r *Recipe) { r.BatchSize = 61 }),
		"the learning rate is -1": with(func(r *Recipe) { r.LearningRate = -1 }),
		"make the learning rate":  with(func(r *Recipe) { r.LearningRate, r.Epochs = 1e30, 4 }),
		"the momentum is 1":       with(func(r *Recipe) { r.Momentum = 1 }),
		"needs a momentum":        with(func(r *Recipe) { r.Momentum = 0 }),
		"the weight decay is NaN": with(func(r *Recipe) { r.WeightDecay = math.NaN() }),
		"the input dropout is 1":  with(func(r *Recipe) { r.InputDropout = 1 }),
		"set Adversarial.Epsilon": with(func(r *Recipe) { r.Adversarial.Steps = 3 }),
		"adversarial training is": with(func(r *Recipe) { r.Adversarial.Epsilon = -1 }),
		"an attack of -1 steps":   with(func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 1, Steps: -1} }),
		"the attack's step size":  with(func(r *Recipe) { r.Adversarial = Adversarial{Epsilon: 1, StepSize: math.NaN()} }),
		"true for none":           with(func(r *Recipe) { r.Trainable = Only("head") }),
		"no model":                train(nil, images, labels),
		"3 labels for 60":         train(m, images, []int{1, 2, 0}),
		"label 7":                 train(m, images, append(slices.Clone(labels[:59]), 7)),
		"the pixel value NaN":     train(m, bad, labels),
		"no weights to train":     train(plain, images, make([]int, 60)),
		"leave nothing of 8 x 8": func() error {
			_, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1}, 3, 0, 1, 1, 1, 1)
			return err
		},
		"a classifier of 1 classes": func() error {
			_, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1}, 1,
				0)
			return err
		},
		"convolution 2 has 0": func() error {
			_, err := SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1}, 3, 0, 4,
				0)
			return err
		},
		"images have the shape [N, ": func() error {
			_, _,
				err := Statistics(tensors.FromShape(shapes.Make(dtypes.Float32, 3)))
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error that says %q, got %v", says, err)
		}
	}
}

// Of an ONNX file's network the layers' weights are trained, and the statistics of its batch normalisations are not.
func TestAnONNXFileIsTrained(t *testing.T) {
	archive, err := zip.OpenReader("../model/testdata/forms.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	raw, err := fs.ReadFile(archive, "batchnorm8.onnx")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "batchnorm8.onnx")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := model.FromONNX(path, model.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	pixels, labels := make([]float32, 40*9*11*3), make([]int, 40)
	for i := range pixels {
		labels[i/297] = i / 297 % 5
		pixels[i] = float32(i*7919%1000)/2000 + float32(labels[i/297])/10
	}
	images := tensors.FromFlatDataAndDimensions(pixels, 40, 9, 11, 3)
	recipe := Default
	recipe.Epochs, recipe.BatchSize, recipe.LearningRate = 8, 8, 1e-4
	trained, history, err := recipe.Train(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if !(history[len(history)-1].Loss < history[0].Loss) {
		t.Errorf("the losses are %v", history)
	}
	before, changed := m.Weights(), 0
	for name, w := range trained.Weights() {
		switch same := w.Equal(before[name]); {
		case m.IsStatistic(name) && !same:
			t.Errorf("the statistic %s has changed", name)
		case !same:
			changed++
		}
	}
	if changed < 4 {
		t.Errorf("%d weights have changed", changed)
	}
}
