package distill

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

func said1(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q is not said: %v", want, err)
	}
}

const side = 4

// linear is a linear classifier of images of 4x4 pixels, with weights that a seed draws.
func linear(t *testing.T, seed uint64, classes ...string) *model.Model {
	t.Helper()
	count := max(len(classes), 3)
	m, err := learn.MLP(model.Spec{Name: fmt.Sprint("network ", seed), Height: side, Width: side, Channels: 1,
		Classes: classes}, count, seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pictures(t *testing.T, count int) *tensors.Tensor {
	t.Helper()
	return oracle.Pixels(count, side, side, 1)
}

func source(t *testing.T, count int, labels []int) *learn.Tensors {
	t.Helper()
	s, err := learn.FromTensors(pictures(t, count), labels)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cycle(count, classes int) []int {
	labels := make([]int, count)
	for i := range labels {
		labels[i] = i * i % classes
	}
	return labels
}

func lesson(student, teacher *model.Model, from learn.Source) learn.Run {
	nets := map[string]*model.Model{Student: student}
	if teacher != nil {
		nets[Teacher] = teacher
	}
	return learn.Run{Nets: nets, Data: from, Sampler: learn.Shuffled(8), Steps: 6,
		Optimizer: learn.SGD{LearningRate: 0.1, Momentum: 0.9}}
}

func TestWhatCannotBeDistilled(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	student, teacher := linear(t, 1, "a", "b", "c"), linear(t, 2, "a", "b", "c")
	labels := cycle(16, 3)
	unlabelled := []int{0, -1, 2, -1, 0, -1, 2, -1, 0, -1, 2, -1, 0, -1, 2, -1}
	cached, err := Cache(teacher, source(t, 16, labels))
	if err != nil {
		t.Fatal(err)
	}
	sigmoid, err := model.FromFunc(model.Spec{Name: "labels", Height: side, Width: side, Channels: 1,
		Activation: model.Sigmoid}, func(x *graph.Node) *graph.Node {
		return graph.Reshape(graph.Slice(x, graph.AxisRange(), graph.AxisRange(0, 1), graph.AxisRange(0, 3)), -1, 3)
	})
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(r *learn.Run)) learn.Run {
		r := lesson(student, teacher, source(t, 16, labels))
		change(&r)
		return r
	}
	for _, c := range []struct {
		d    Distillation
		r    learn.Run
		want string
	}{
		{Distillation{}, changed(func(*learn.Run) {}), "the temperature is 0: it is a positive number"},
		{Distillation{Temperature: -1}, changed(func(*learn.Run) {}), "the temperature is -1"},
		{Distillation{Temperature: math.NaN()}, changed(func(*learn.Run) {}), "the temperature is NaN"},
		{Distillation{Temperature: math.Inf(1)}, changed(func(*learn.Run) {}), "the temperature is +Inf"},
		{Distillation{Temperature: 1, Unlabelled: -2}, changed(func(*learn.Run) {}), "without a label is -2"},
		{Distillation{Temperature: 1, Alpha: 1.1}, changed(func(*learn.Run) {}),
			"in the loss is 1.1: it lies between 0 and 1"},
		{Distillation{Temperature: 1, Alpha: math.NaN()}, changed(func(*learn.Run) {}), "in the loss is NaN"},
		{Default, changed(func(r *learn.Run) { r.Data = nil }), "a run without Data"},
		{Default, changed(func(r *learn.Run) { delete(r.Nets, Student) }), `no network "student"`},
		{Default, changed(func(r *learn.Run) { delete(r.Nets, Teacher) }), `no network "teacher"`},
		{Default, changed(func(r *learn.Run) { r.Nets["pupil"] = student }), `and not "pupil"`},
		{Default, changed(func(r *learn.Run) { r.Nets[Teacher] = linear(t, 2, "a", "b", "c", "d") }),
			"the teacher has 4 classes, and the student 3"},
		{Default, changed(func(r *learn.Run) { r.Nets[Teacher] = linear(t, 2, "a", "c", "b") }),
			`class 1 is "c" of the teacher and "b" of the student`},
		{Default, changed(func(r *learn.Run) { r.Nets[Teacher] = linear(t, 2, "a", "b", "z") }), `z`},
		{Default, changed(func(r *learn.Run) { r.Nets[Teacher] = sigmoid }), "a distance of distributions"},
		{Default, changed(func(r *learn.Run) { r.Data = cached }), "says, and the run a \"teacher\" besides"},
		{Default, changed(func(r *learn.Run) {
			r.Data = cached
			delete(r.Nets, Teacher)
			r.Augment = []learn.Augmentation{learn.Flip{}}
		}), "a run with Augment takes the teacher itself"},
		{Default, changed(func(r *learn.Run) { r.Data = source(t, 16, append([]int{3}, labels[1:]...)) }),
			"image 0 has the label 3: the classes are 0 to 2"},
		{Distillation{Temperature: 1, Alpha: 0.5}, changed(func(r *learn.Run) { r.Data = source(t, 16, nil) }),
			"and the data has none"},
		{Distillation{Temperature: 1, Alpha: 0.5},
			changed(func(r *learn.Run) { r.Augment = []learn.Augmentation{Mixup{Beta: 1}} }), "Alpha is 0 with Mixup, not 0.5"},
		{Default, changed(func(r *learn.Run) { r.Augment = []learn.Augmentation{Mixup{}} }), "Mixup's Beta is 0"},
		{Default, changed(func(r *learn.Run) { r.Augment = []learn.Augmentation{Mixup{Beta: 1, Portion: 2}} }),
			"Mixup's Portion is 2"},
		{Default, changed(func(r *learn.Run) {
			r.Augment = []learn.Augmentation{Mixup{Beta: 1}}
			r.Gradient = learn.DP{Clip: 1}
		}), "voids the privacy"},
		{Default, changed(func(r *learn.Run) {
			r.Augment = []learn.Augmentation{Mixup{Beta: 1}}
			r.Sampler = learn.Poisson(0.5)
		}), "batches of one size"},
		{Default, changed(func(r *learn.Run) {
			r.Augment = []learn.Augmentation{Mixup{Beta: 1}}
			r.Gradient = learn.Mean{Microbatch: 3}
		}), "batches of one size"},
		{Default, changed(func(r *learn.Run) { r.Step = func(s *learn.Step) learn.Loss { return learn.Loss{} } }),
			"has a Step already"},
	} {
		_, err := c.d.Of(c.r)
		said1(t, err, c.want)
	}
	for _, c := range []struct {
		r    learn.Run
		want string
	}{
		{changed(func(r *learn.Run) { r.Data = source(t, 16, nil) }), "and the data has none"},
		{changed(func(r *learn.Run) { r.Sampler = nil }), "a run without a Sampler"},
		{changed(func(r *learn.Run) {
			r.Data, r.Sampler = source(t, 16, unlabelled), learn.Poisson(0.5)
		}), "would draw smaller batches"},
	} {
		_, err := WithoutTeacher(c.r)
		said1(t, err, c.want)
	}
	nan := tensors.FromFlatDataAndDimensions([]float32{1, 2, float32(math.NaN()), 0, 0, 0}, 2, 3)
	broken, err := model.AnswersFromLogits("broken", nan, nil)
	if err != nil {
		t.Fatal(err)
	}
	fine, err := model.AnswersFromLogits("fine", tensors.FromFlatDataAndDimensions(make([]float32, 6), 2, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compare(fine, broken)
	said1(t, err, "image 0: the logit of class 2 is NaN in broken")
	_, err = Compare(fine)
	said1(t, err, "no model to compare")
	_, err = Compare(fine, nil)
	said1(t, err, "they are nil")
	labelled, err := model.AnswersFromLogits("labelled", tensors.FromFlatDataAndDimensions(make([]float32, 6), 2, 3),
		[]int{0, -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Compare(fine, labelled)
	said1(t, err, "the labels of fine and labelled differ")
	_, err = ReleasedNLL(labelled, 2)
	said1(t, err, "image 1 has no label")
	_, err = ReleasedNLL(fine, 2)
	said1(t, err, "have no labels")
	_, err = ReleasedKL(fine, fine, 0)
	said1(t, err, "batches of 0 images")
	c, err := Compare(fine, fine)
	if err != nil || c.Models[0].Accuracy.Total != 0 || !math.IsNaN(c.Models[0].NLL) || !math.IsNaN(c.Models[0].ECE) ||
		c.Models[0].KL != 0 {
		t.Errorf("without labels it is %+v, %v", c, err)
	}
	if _, err := WithUnlabelled(pictures(t, 4), []int{0}); err == nil {
		t.Error("there are labels for fewer images")
	}
	_, err = WithUnlabelled(pictures(t, 4), make([]int, 4), oracle.Pixels(2, side, side, 3))
	said1(t, err, "without labels do not go with")
}

func TestWhatCannotBeNear(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	a := linear(t, 1)
	for _, r := range []float64{-0.1, 1.1, math.NaN()} {
		_, err := Interpolate(a, linear(t, 2), r, nil, 0)
		said1(t, err, "it lies between 0 and 1")
	}
	deep, err := learn.MLP(model.Spec{Name: "deep", Height: side, Width: side, Channels: 1}, 3, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Interpolate(a, deep, 0.5, nil, 0)
	said1(t, err, "near the teacher is for one architecture")
	wide, err := learn.MLP(model.Spec{Name: "wide", Height: side, Width: side, Channels: 1}, 3, 1, 6)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Interpolate(deep, wide, 0.5, nil, 0)
	said1(t, err, `the weight "hidden1.bias" is`)
	other, err := learn.MLP(model.Spec{Name: "other", Height: side, Width: side, Channels: 1, Mean: []float64{0.5},
		Std: []float64{1}}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Interpolate(a, other, 0.5, nil, 0)
	said1(t, err, "normalise them in another way")
	normalised := twoConvolutions(t, "teacher")
	_, err = Interpolate(normalised, normalised, 0.5, nil, 8)
	said1(t, err, "whose statistics have to be refreshed")
	_, err = Refresh(a, source(t, 4, nil), 2)
	said1(t, err, "no running statistics to refresh")
	_, err = Refresh(normalised, goldenImages(t), 19)
	said1(t, err, "batches of 19 of 20 images")
	near, err := Interpolate(a, linear(t, 2), 0.25, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	x, y := flat[float32](t, a.Weights()["linear.weight"]), flat[float32](t, linear(t, 2).Weights()["linear.weight"])
	for i, w := range flat[float32](t, near.Weights()["linear.weight"]) {
		if !approx.Equal(w, 0.25*y[i]+0.75*x[i], 1e-7) {
			t.Fatalf("weight %d is %v between %v and %v", i, w, x[i], y[i])
		}
	}
}

// A student of answers that were kept is the student of the teacher itself, from memory and from a stream, and of an
// ensemble too; what its members say by themselves is another thing.
func TestTeachersLiveAndKept(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	first, second := linear(t, 2), linear(t, 3)
	ensemble, err := model.Ensemble("both", first, second)
	if err != nil {
		t.Fatal(err)
	}
	labels := cycle(16, 3)
	ds, err := data.FromTensor(pictures(t, 16), labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := learn.FromDataset(ds, labels)
	if err != nil {
		t.Fatal(err)
	}
	bias := func(teacher *model.Model, from learn.Source) []float32 {
		t.Helper()
		run, err := Default.Of(lesson(linear(t, 1), teacher, from))
		if err != nil {
			t.Fatal(err)
		}
		trained, err := run.Do()
		if err != nil {
			t.Fatal(err)
		}
		return flat[float32](t, trained.Nets[Student].Weights()["linear.weight"])
	}
	live := map[*model.Model][]float32{}
	for _, teacher := range []*model.Model{first, ensemble} {
		live[teacher] = bias(teacher, source(t, 16, labels))
		for _, from := range []learn.Source{source(t, 16, labels), stream} {
			kept, err := Cache(teacher, from)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(kept.Labels(), labels) || kept.Len() != 16 || !strings.Contains(kept.String(), teacher.Name()) {
				t.Errorf("%s: %v", kept, kept.Labels())
			}
			if err := approx.All(bias(nil, kept), live[teacher], 1e-5); err != nil {
				t.Errorf("%s, %T: %v", teacher.Name(), from, err)
			}
		}
	}
	if approx.All(live[first], live[ensemble], 1e-3) == nil {
		t.Error("one teacher teaches what two do")
	}
	start := flat[float32](t, linear(t, 1).Weights()["linear.weight"])
	if approx.All(live[first], start, 1e-3) == nil {
		t.Error("the student has not learnt")
	}
}

// Bytes are what their images in 0..1 are.
func TestTeachersSeeBytes(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	bytes, unit := make([]uint8, 5*side*side), make([]float32, 5*side*side)
	for i := range bytes {
		bytes[i] = uint8(37 * i)
		unit[i] = float32(bytes[i]) / 255
	}
	from, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(bytes, 5, side, side, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	teacher := linear(t, 2)
	kept, err := Cache(teacher, from)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := kept.Read(firsts(5), 0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := teacher.Logits(tensors.FromFlatDataAndDimensions(unit, 5, side, side, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(flat[float32](t, columns[len(columns)-1]), flat[float32](t, want), 1e-6); err != nil {
		t.Error(err)
	}
}

// Mixtures are λ of an image and 1-λ of another, λ is drawn as it should be, and every image is another's partner once.
func TestMixup(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	const batch, steps = 6, 400
	for _, mix := range []Mixup{{Beta: 0.4}, {Beta: 1, Portion: 0.6}} {
		mixed := batch
		if mix.Portion > 0 {
			mixed = 4
		}
		// The images are unit vectors, so that a mixture shows what it is made of.
		unit := make([]float32, batch*batch)
		for i := range batch {
			unit[i*batch+i] = 1
		}
		from, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(unit, batch, 1, 1, batch), nil)
		if err != nil {
			t.Fatal(err)
		}
		student, err := learn.MLP(model.Spec{Name: "student", Height: 1, Width: 1, Channels: batch}, 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		seen := tensors.FromFlatDataAndDimensions(make([]float32, steps*batch*batch), steps, batch, batch)
		run := learn.Run{
			Nets: map[string]*model.Model{Student: student}, Data: from, Sampler: learn.Shuffled(batch), Steps: steps,
			Optimizer: learn.SGD{LearningRate: 0.01},
			Augment:   []learn.Augmentation{mix},
			Step: func(s *learn.Step) learn.Loss {
				kept := s.State("seen", seen)
				now := graph.Reshape(s.Images(), 1, batch, batch)
				kept.Set(graph.Concatenate([]*graph.Node{graph.Slice(kept.Value(), graph.AxisRange(1)), now}, 0))
				out := s.Call(Student, s.Images())
				return learn.Loss{Each: graph.ReduceSum(graph.Square(out.Logits), -1)}
			},
		}
		trained, err := run.Do()
		if err != nil {
			t.Fatal(err)
		}
		all := flat[float32](t, trained.State["seen"])
		var lambdas []float64
		for s := range steps {
			var lambda float64
			given := make([]float64, batch) // how much of each image there is in all
			for i := range batch {
				row := all[(s*batch+i)*batch : (s*batch+i+1)*batch]
				sum, ones := 0.0, 0
				for c, v := range row {
					sum += float64(v)
					given[c] += float64(v)
					if v == 1 {
						ones++
					}
				}
				if !approx.Equal(sum, 1, 1e-6) {
					t.Fatalf("a mixture has the sum %v: %v", sum, row)
				}
				if i >= mixed && ones != 1 {
					t.Fatalf("image %d of the step is mixed: %v", i, row)
				}
			}
			if err := approx.All(given, []float64{1, 1, 1, 1, 1, 1}, 1e-5); err != nil {
				t.Fatalf("step %d: a partner is missing: %v", s, err)
			}
			// λ stands, or 1-λ, wherever an image meets another.
			for _, v := range all[s*batch*batch : (s*batch+mixed)*batch] {
				if v > 0 && v < 1 {
					lambda = float64(v)
					break
				}
			}
			for _, v := range all[s*batch*batch : (s*batch+mixed)*batch] {
				if v > 0 && v < 1 && !approx.Equal(v, lambda, 1e-6) && !approx.Equal(v, 1-lambda, 1e-6) {
					t.Fatalf("step %d has %v beside %v", s, v, lambda)
				}
			}
			if lambda > 0 {
				lambdas = append(lambdas, min(lambda, 1-lambda))
			}
		}
		if len(lambdas) < steps*8/10 {
			t.Fatalf("%d of %d steps are mixed", len(lambdas), steps)
		}
		// The smaller of λ and 1-λ has twice the Beta's distribution function: Kolmogorov's distance, at a level of 1e-4.
		slices.Sort(lambdas)
		beta, worst := distuv.Beta{Alpha: mix.Beta, Beta: mix.Beta}, 0.0
		for i, v := range lambdas {
			f := 2 * beta.CDF(v)
			worst = max(worst, math.Abs(f-float64(i)/float64(len(lambdas))), math.Abs(f-float64(i+1)/float64(len(lambdas))))
		}
		if bound := 2.23 / math.Sqrt(float64(len(lambdas))); worst > bound {
			t.Errorf("λ of Beta(%v) is %v from its distribution, more than %v", mix.Beta, worst, bound)
		}
	}
}

// fails is a hook whose run ends in an error, after so many steps of all runs together.
type fails struct {
	after int
	steps *int
}

func (f fails) Due(_, _, _ int) bool { *f.steps++; return *f.steps > f.after }
func (f fails) Do(*learn.RunState) error {
	return errors.New("the disk is full")
}

// A student stands beside one without a teacher: it comes nearer to the teacher, from the same start in as many steps.
func TestStudy(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	// The teacher is sure of what the labels do not say.
	teacher := linear(t, 2, "a", "b", "c")
	images := pictures(t, 64)
	known := cycle(32, 3)
	labels := append(slices.Clone(known), make([]int, 32)...)
	for i := range 32 {
		labels[32+i] = -1
	}
	test, err := data.FromTensor(images, cycle(64, 3), []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	run := lesson(linear(t, 1, "a", "b", "c"), teacher, source(t, 64, labels))
	run.Epochs, run.Steps, run.Checkpoint = 5, 0, filepath.Join(t.TempDir(), "run.safetensors")
	study, err := Default.Study(run, test)
	if err != nil {
		t.Fatal(err)
	}
	if study.Student.Steps != 40 || study.WithoutTeacher.Steps != 40 {
		t.Errorf("%d steps with a teacher, %d without", study.Student.Steps, study.WithoutTeacher.Steps)
	}
	if with, without := study.Models[0], study.Models[1]; with.KL > without.KL/2 ||
		with.Agreement.Correct <= without.Agreement.Correct {
		t.Errorf("with a teacher %+v, without %+v", with, without)
	}
	if study.WithoutTeacher.History.Metrics["accuracy"] == nil || study.Student.History.Metrics["accuracy"] != nil {
		t.Error("the accuracy is that of the labelled alone")
	}
	layers, err := study.Align(images)
	if err != nil || len(layers.Series) != 2 || layers.Series[1].Name != "without a teacher" || len(layers.Names) == 0 {
		t.Fatalf("%+v, %v", layers, err)
	}
	for i, m := range []*model.Model{study.Student.Nets[Student], study.WithoutTeacher.Nets[Student]} {
		want, err := Align(teacher, m, images)
		if err != nil || len(want) != len(layers.Names) {
			t.Fatal(want, err)
		}
		for j, l := range want {
			if layers.Names[j] != l.Layer || !approx.Equal(layers.Series[i].Y[j], l.CKA, 1e-9) {
				t.Errorf("%s of network %d is %v alike in the plot, want %v", l.Layer, i, layers.Series[i].Y[j], l.CKA)
			}
		}
	}
	_, err = (&Study{Student: study.Student}).Align(images)
	said1(t, err, "not done to its end")
	// An error in the second training costs nothing of the first.
	steps, broken := 0, run
	broken.Checkpoint, broken.Every = "", []learn.Hook{fails{40, &steps}}
	half, err := Default.Study(broken, test)
	said1(t, err, "the disk is full")
	if half == nil || half.Student == nil || half.Student.Steps != 40 || half.Comparison != nil ||
		half.Bundle().Data[mime.Text] == "" {
		t.Errorf("of a study that an error has ended there is %+v", half)
	}
	steps, broken.Every = 0, []learn.Hook{fails{0, &steps}}
	broken.Sampler = learn.Shuffled(99)
	if half, err = Default.Study(broken, test); err == nil || half != nil {
		t.Errorf("of a study that cannot be there is %+v, %v", half, err)
	}
	text := study.Bundle().Data[mime.Text]
	for _, want := range []string{"network 2", "student", "student without a teacher", "agrees"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not shown:\n%s", want, text)
		}
	}
	// A run that is done goes on from its checkpoint, to the same figures.
	again, err := Default.Study(run, test)
	if err != nil || again.Models[0].KL != study.Models[0].KL || again.Models[1].KL != study.Models[1].KL {
		t.Errorf("from the checkpoints: %v, %v", again, err)
	}
	// A student with a teacher is the same whether others learn beside it or not.
	kept, err := Cache(teacher, source(t, 64, labels))
	if err != nil {
		t.Fatal(err)
	}
	run.Nets, run.Data, run.Checkpoint = map[string]*model.Model{Student: run.Nets[Student]}, kept, ""
	other, err := Default.Study(run, test)
	if err != nil || !approx.Equal(other.Models[0].KL, study.Models[0].KL, 1e-4) ||
		!approx.Equal(other.Models[1].KL, study.Models[1].KL, 1e-6) {
		t.Errorf("with what the teacher said before: %v, %v", other, err)
	}
}

// Layers are compared by name: a network with itself is 1, and the means over places are those of the activations.
func TestAlign(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	teacher, student := twoConvolutions(t, "teacher"), twoConvolutions(t, "student")
	images := tensors.FromFlatDataAndDimensions(golden[float32](t, "images"), 20, 6, 6, 3)
	own, err := Align(teacher, teacher, images)
	if err != nil || len(own) < 6 {
		t.Fatal(own, err)
	}
	for _, l := range own {
		if !approx.Equal(l.CKA, 1, 1e-9) {
			t.Errorf("%s is %v like itself", l.Layer, l.CKA)
		}
	}
	some, err := Align(teacher, student, images, "relu1", "fc")
	if err != nil || len(some) != 2 {
		t.Fatal(some, err)
	}
	var means [2]*tensors.Tensor
	for i, m := range []*model.Model{teacher, student} {
		out, err := m.Activations("relu1", images)
		if err != nil {
			t.Fatal(err)
		}
		all := flat[float32](t, out)
		sums := make([]float32, 20*4)
		for j, v := range all {
			sums[j/(36*4)*4+j%4] += v / 36
		}
		means[i] = tensors.FromFlatDataAndDimensions(sums, 20, 4)
	}
	want, err := LinearCKA(means[0], means[1])
	if err != nil || !approx.Equal(some[0].CKA, want, 1e-5) {
		t.Errorf("relu1 is %v alike, want %v: %v", some[0].CKA, want, err)
	}
	_, err = Align(teacher, student, images, "relu3")
	said1(t, err, "relu")
	_, err = LinearCKA(means[0], tensors.FromFlatDataAndDimensions(make([]float32, 20), 20, 1))
	said1(t, err, "does not vary")
	_, err = KernelCKA(means[0], tensors.FromFlatDataAndDimensions(make([]float32, 20), 20, 1))
	said1(t, err, "does not vary")
	_, err = LinearCKA(means[0], tensors.FromFlatDataAndDimensions(make([]float32, 4), 4, 1))
	said1(t, err, "of 20 and of 4 images")
	if lines := some.Plot(); len(lines.Series[0].Y) != 2 || lines.Names[1] != "fc" {
		t.Errorf("%+v", lines)
	}
}

// What an interrupt leaves is a part of the whole.
func TestInterrupts(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	normalised := twoConvolutions(t, "teacher")
	steps := map[string]int{}
	for _, batches := range []int{1, 2, 3} {
		part, err := Refresh(normalised, source8(t, 8*batches), 8)
		if err != nil {
			t.Fatal(err)
		}
		steps[fmt.Sprint(flat[float32](t, part.Weights()["bn1.running_mean"]))] = 8 * batches
	}
	testenv.Interrupt(t, func() (*model.Model, error) { return Refresh(normalised, source8(t, 24), 8) },
		func(part *model.Model) int {
			if part == nil {
				return 0
			}
			done, ok := steps[fmt.Sprint(flat[float32](t, part.Weights()["bn1.running_mean"]))]
			if !ok {
				t.Error("the statistics are those of no number of batches")
			}
			return done
		})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	release := interrupt.Use(ctx)
	defer release()
	if kept, err := Cache(linear(t, 2), source(t, 16, nil)); !interrupt.Is(err) || kept != nil {
		t.Errorf("interrupted at once: %v, %v", kept, err)
	}
}

func source8(t *testing.T, count int) *learn.Tensors {
	t.Helper()
	s, err := learn.FromTensors(oracle.Pixels(count, 6, 6, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Labels are kept of the first images, in the model's numbering; seeds are counted by kind.
func TestSeeds(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	teacher := linear(t, 2, "a", "b", "c")
	ds, err := data.FromTensor(pictures(t, 16), cycle(16, 3), []string{"c", "b", "a"})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := KeepLabels(teacher, ds, 5)
	if err != nil {
		t.Fatal(err)
	}
	for i, label := range kept.Labels() {
		if want := 2 - cycle(16, 3)[i]; i < 5 && label != want || i >= 5 && label != -1 {
			t.Errorf("image %d has the label %d", i, label)
		}
	}
	_, err = KeepLabels(teacher, ds, 17)
	said1(t, err, "17 of 16 images")
	more, err := WithUnlabelled(pictures(t, 3), []int{0, 1, 2}, pictures(t, 2), pictures(t, 1))
	if err != nil || !slices.Equal(more.Labels(), []int{0, 1, 2, -1, -1, -1}) {
		t.Fatal(more, err)
	}
	rows, err := more.Read([]int{3, 5, 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, all := flat[float32](t, rows[0]), flat[float32](t, pictures(t, 3)); !slices.Equal(got[:32],
		append(slices.Clone(all[:16]), all[:16]...)) || !slices.Equal(got[32:], all[16:32]) {
		t.Errorf("other images are added: %v", got)
	}
	var s Seeds
	for seed := range uint64(3) {
		for kind, student := range map[string]*model.Model{"itself": teacher, "other": linear(t, 10+seed, "a", "b", "c")} {
			if err := s.Add(kind, teacher, student, ds); err != nil {
				t.Fatal(err)
			}
		}
	}
	own, err := s.Values("itself", AgreementPercent)
	if err != nil || !slices.Equal(own, []float64{100, 100, 100}) {
		t.Error(own, err)
	}
	others, err := s.Values("other", KLNats)
	if err != nil || len(others) != 3 || slices.Min(others) < 0.01 || others[0] == others[1] {
		t.Error(others, err)
	}
	c, err := s.Claim("KL, nats", KLNats, "other", "itself")
	if err != nil || c.Seeds != 3 || c.Control != "itself" || !approx.Equal(c.Difference, stat.Mean(others, nil), 1e-12) {
		t.Errorf("%+v, %v", c, err)
	}
	line, err := s.Series("line", KLNats, []float64{0, 7}, "itself", "other")
	if err != nil || !approx.Equal(line.Y[1], stat.Mean(others, nil), 1e-12) || line.X[1] != 7 ||
		line.Low[1] >= line.Y[1] {
		t.Errorf("%+v, %v", line, err)
	}
	for on, name := range map[string]string{"": "KL from the teacher, nats: other and itself",
		"these": "KL from the teacher, nats on these: other and itself"} {
		s.On = on
		all, err := s.Claims([]Measure{AgreementPercent, KLNats}, "itself", "other", "itself")
		if err != nil || len(all) != 4 || all[1].Name != name || all[1].Value != c.Value ||
			all[1].Difference != c.Difference || all[3].Difference != 0 {
			t.Errorf("on %q: %+v, %v", on, all, err)
		}
	}
	_, err = s.Claims(nil, "itself", "other")
	said1(t, err, "claims of 0 measures")
	_, err = s.Claims([]Measure{KLNats}, "itself", "othr")
	said1(t, err, "did you mean other?")
	for i, student := range []*model.Model{teacher, linear(t, 12, "a", "b", "c"), linear(t, 11, "a", "b", "c"),
		linear(t, 10, "a", "b", "c")} {
		for _, of := range []uint64{0, 1} { // two students of each kind, which are no copies
			if of == 1 {
				student = linear(t, 20+uint64(i), "a", "b", "c")
			}
			if err := s.Add([]string{"one, 0 more", "one, 7 more", "two, 0 more", "two, 7 more"}[i], teacher, student,
				ds); err != nil {
				t.Fatal(err)
			}
		}
	}
	plot, err := s.Lines(KLNats, "images", "%s, %d more", []int{0, 7}, "one", "two")
	if err != nil || len(plot.Series) != 2 || plot.Title != KLNats.Name || plot.X != "images" {
		t.Fatalf("%+v, %v", plot, err)
	}
	values, err := s.Values("two, 7 more", KLNats)
	if two := plot.Series[1]; err != nil || two.Name != "two" || !slices.Equal(two.X, []float64{0, 7}) ||
		!approx.Equal(two.Y[1], stat.Mean(values, nil), 1e-12) {
		t.Errorf("%+v, %v", two, err)
	}
	_, err = s.Lines(KLNats, "images", "%s, %d more", []int{0, 8}, "one")
	said1(t, err, "one, 8 more")
	_, err = s.Lines(KLNats, "images", "%s, %d more", nil, "one")
	said1(t, err, "over 0 numbers")
	_, err = s.Values("othr", KLNats)
	said1(t, err, "did you mean other?")
	_, err = s.Series("line", KLNats, []float64{0}, "itself", "other")
	said1(t, err, "1 places for 2 kinds")
	var first Seeds
	if err := first.Add("itself", teacher, teacher, ds); err != nil ||
		strings.Contains(first.Bundle().Data[mime.Text], "NaN") {
		t.Errorf("of one seed it shows %s, %v", first.Bundle().Data[mime.Text], err)
	}
	if text := s.Bundle().Data[mime.Text]; !strings.Contains(text, "itself") || !strings.Contains(text, "100") {
		t.Error(text)
	}
}
