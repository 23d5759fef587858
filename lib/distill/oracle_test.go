package distill

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// golden are the figures of bench/oracles/distill.py, by the authors' program.
func golden[T any](t *testing.T, name string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/distill.npz", name)
}

func one(t *testing.T, name string) float64 { return golden[float64](t, name)[0] }

const n, k = 50, 6

func goldenLabels(t *testing.T) []int {
	var labels []int
	for _, l := range golden[int64](t, "labels") {
		labels = append(labels, int(l))
	}
	return labels
}

// Values and gradients of every loss are the authors', to 1e-9 in double precision.
func TestLosses(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	var student []float64
	for _, v := range golden[float32](t, "student") {
		student = append(student, float64(v))
	}
	ones, fours := make([]float64, n), make([]float64, n)
	for i := range n {
		ones[i], fours[i] = 1, 4
	}
	for name, loss := range map[string]Loss{"soft": SoftCrossEntropy, "kl": KL, "brier": Brier} {
		exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
			each := loss(in[0], in[1], in[2])
			total := graph.ReduceAllMean(each)
			return []*graph.Node{total, graph.Gradient(total, in[1])[0], graph.Gradient(total, in[0])[0]}
		})
		if err != nil {
			t.Fatal(err)
		}
		for how, temperatures := range map[string][]float64{"one": ones, "four": fours,
			"mixed": golden[float64](t, "temperatures")} {
			out, err := exec.Call(matrix(golden[float64](t, "ensemble"), n, k), matrix(student, n, k),
				matrix(temperatures, n, 1))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := flat[float64](t, out[0])[0], one(t, name+"_"+how); !approx.Equal(got, want, 1e-9) {
				t.Errorf("%s, %s: %v, want %v", name, how, got, want)
			}
			if err := approx.All(flat[float64](t, out[1]), golden[float64](t, name+"_"+how+"_gradient"), 1e-9); err != nil {
				t.Errorf("%s, %s: the gradient: %v", name, how, err)
			}
			if err := approx.All(flat[float64](t, out[2]), make([]float64, n*k), 0); err != nil {
				t.Errorf("%s, %s: the teacher's gradient: %v", name, how, err)
			}
		}
	}
}

func matrix(values []float64, dims ...int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func flat[T float32 | float64](t *testing.T, x *tensors.Tensor) []T {
	t.Helper()
	values, err := tensors.CopyFlatData[T](x)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// offset is a network whose images, [1, 1, 6], are logits to which a bias is added, which begins at 0.
func offset(t *testing.T, name string) *model.Model {
	t.Helper()
	m, err := model.FromTensors(map[string]*tensors.Tensor{"bias": tensors.FromFlatDataAndDimensions(make([]float32, k),
		k)},
		model.Spec{Name: name, Height: 1, Width: 1, Channels: k}, func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.Add(graph.Reshape(x, -1, k), graph.ExpandAxes(b.Weight("bias"), 0))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// taught are the oracle's examples: the student's logits as images, and the ensemble's as what the teacher says.
func taught(t *testing.T, labels []int) *TeacherOutputs {
	t.Helper()
	data, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(golden[float32](t, "student"), n, 1, 1, k), labels)
	if err != nil {
		t.Fatal(err)
	}
	var logits []float32
	for _, v := range golden[float64](t, "ensemble") {
		logits = append(logits, float32(v))
	}
	if data, err = data.With(answers, tensors.FromFlatDataAndDimensions(logits, n, k)); err != nil {
		t.Fatal(err)
	}
	return &TeacherOutputs{data, offset(t, "teacher")}
}

// A run's loss is the authors', to 1e-6 of its value in single precision, and its first step goes along their gradient.
func TestDistillationIsTheAuthors(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	labels := goldenLabels(t)
	step := func(d Distillation, labels []int) (*learn.Trained, []float32) {
		t.Helper()
		run, err := d.Of(learn.Run{
			Nets: map[string]*model.Model{Student: offset(t, "student")}, Data: taught(t, labels),
			Sampler: learn.Shuffled(n), Steps: 1, Optimizer: learn.SGD{LearningRate: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		trained, err := run.Do()
		if err != nil {
			t.Fatal(err)
		}
		return trained, flat[float32](t, trained.Nets[Student].Weights()["bias"])
	}
	for _, alpha := range []float64{0, 0.3, 1} {
		trained, bias := step(Distillation{Temperature: 4, Alpha: alpha}, labels)
		if got, want := trained.History.Loss[0], one(t, fmt.Sprintf("alpha_%.1f", alpha)); !approx.Equal(got, want,
			1e-6*want) {
			t.Errorf("with a share of %v the loss is %v, want %v", alpha, got, want)
		}
		if agreement := trained.History.Metrics["agreement"][0]; !approx.Equal(100*agreement, one(t, "test_ts_agree"), 1e-4) {
			t.Errorf("the agreement is %v", agreement)
		}
		if accuracy := trained.History.Metrics["accuracy"][0]; !approx.Equal(100*accuracy, one(t, "test_acc"), 1e-4) {
			t.Errorf("the accuracy is %v", accuracy)
		}
		if alpha > 0 {
			continue
		}
		want := make([]float64, k)
		for i, g := range golden[float64](t, "soft_four_gradient") {
			want[i%k] -= g
		}
		if err := approx.All(bias, want, 1e-6); err != nil {
			t.Errorf("the step: %v", err)
		}
	}
	trained, _ := step(Distillation{Temperature: 4, Loss: UnscaledCrossEntropy}, nil)
	if got, want := trained.History.Loss[0], one(t, "soft_four")/16; !approx.Equal(got, want, 1e-6*want) {
		t.Errorf("without T² the loss is %v, want %v", got, want)
	}
	if trained.History.Metrics["accuracy"] != nil {
		t.Error("without labels there is an accuracy")
	}
	// The labels' part of an example without a label is 0, and its temperature its own.
	temperatures := golden[float64](t, "temperatures")
	for i := range labels {
		if temperatures[i] == 2.5 {
			labels[i] = -1
		}
	}
	some, _ := step(Distillation{Temperature: 4, Unlabelled: 2.5}, labels)
	all, _ := step(Distillation{Temperature: 4, Unlabelled: 2.5}, nil)
	same, _ := step(Distillation{Temperature: 2.5}, nil)
	if a, b := all.History.Loss[0], same.History.Loss[0]; a != b {
		t.Errorf("examples without labels have the loss %v at their temperature, want %v", a, b)
	}
	four, _ := step(Distillation{Temperature: 4}, nil)
	if got := some.History.Loss[0]; !(got < four.History.Loss[0]-1 && got > all.History.Loss[0]+1) {
		t.Errorf("with a temperature for some the loss is %v, and %v and %v with one for all", got, all.History.Loss[0],
			four.History.Loss[0])
	}
	hard, _ := step(Distillation{Temperature: 4, Alpha: 1}, labels)
	if want := one(t, "alpha_1.0"); !(hard.History.Loss[0] < want-0.5 && hard.History.Loss[0] > 0) {
		t.Errorf("of fewer labels the loss is %v, of all %v", hard.History.Loss[0], want)
	}
}

func goldenAnswers(t *testing.T) (ensemble, first, student *model.Answers) {
	t.Helper()
	labels := goldenLabels(t)
	say := func(name string, logits []float32) *model.Answers {
		a, err := model.AnswersFromLogits(name, tensors.FromFlatDataAndDimensions(logits, n, k), labels)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var mean, member []float32
	for i, v := range golden[float64](t, "ensemble") {
		mean = append(mean, float32(v))
		member = append(member, golden[float32](t, "members")[i/k*3*k+i%k])
	}
	return say("ensemble", mean), say("first", member), say("student", golden[float32](t, "student"))
}

// Agreement, KL, NLL and ECE are PyTorch's and netcal's over all images, and as the authors log them by batches of 16.
func TestFidelity(t *testing.T) {
	ensemble, first, student := goldenAnswers(t)
	c, err := Compare(ensemble, student, first)
	if err != nil {
		t.Fatal(err)
	}
	f := c.Models[0]
	for _, of := range []struct {
		what      string
		got, want float64
	}{
		{"agreement", 100 * f.Agreement.Share(), one(t, "test_ts_agree")},
		{"accuracy", 100 * f.Accuracy.Share(), one(t, "test_acc")},
		{"KL", f.KL, one(t, "kl")}, {"NLL", f.NLL, one(t, "nll")}, {"ECE", f.ECE, one(t, "ece10")},
		{"ECE as they log it", f.ECE, one(t, "test_ece")},
		{"the teacher's KL", c.Teacher.KL, 0}, {"the teacher's agreement", c.Teacher.Agreement.Share(), 1},
	} {
		if !approx.Equal(of.got, of.want, 1e-6) {
			t.Errorf("%s is %v, want %v", of.what, of.got, of.want)
		}
	}
	nll, err := ReleasedNLL(student, 16)
	if want := one(t, "test_nll"); err != nil || !approx.Equal(nll, want, 1e-6) || approx.Equal(nll, f.NLL, 0.1) {
		t.Errorf("their NLL is %v, want %v, and not the right one %v: %v", nll, want, f.NLL, err)
	}
	for _, of := range []struct {
		teacher *model.Answers
		want    string
	}{{ensemble, "test_ts_kl"}, {first, "test_ts_kl_one"}} {
		if kl, err := ReleasedKL(of.teacher, student, 16); err != nil || !approx.Equal(kl, one(t, of.want), 1e-6) {
			t.Errorf("%s is %v, want %v: %v", of.want, kl, one(t, of.want), err)
		}
	}
	if c, err = Compare(first, student); err != nil ||
		!approx.Equal(100*c.Models[0].Agreement.Share(), one(t, "test_ts_agree_one"), 1e-6) {
		t.Errorf("the agreement with one member is %v: %v", c.Models[0].Agreement, err)
	}
}

func block(t *testing.T, i int, whose string) *tensors.Tensor {
	t.Helper()
	d := [][]int{{n, 6, 6, 4}, {n, 3, 3, 8}}[i]
	return tensors.FromFlatDataAndDimensions(golden[float32](t, fmt.Sprintf("block%d_%s", i, whose)), d...)
}

// The alignment is the authors', to 1e-9, by features and by Gram matrices, and as their program calls it.
func TestCKA(t *testing.T) {
	pool := func(x *tensors.Tensor) *tensors.Tensor {
		d, values := x.Shape().Dimensions, flat[float32](t, x)
		means := make([]float32, d[0]*d[3])
		for i := range d[0] {
			for c := range d[3] {
				sum := 0.0
				for p := range d[1] * d[2] {
					sum += float64(values[(i*d[1]*d[2]+p)*d[3]+c])
				}
				means[i*d[3]+c] = float32(sum / float64(d[1]*d[2]))
			}
		}
		return tensors.FromFlatDataAndDimensions(means, d[0], d[3])
	}
	for i := range 2 {
		x, y := block(t, i, "teacher"), block(t, i, "student")
		for _, of := range []struct {
			name   string
			cka    func(x, y *tensors.Tensor) (float64, error)
			x, y   *tensors.Tensor
			within float64
		}{
			// The means are rounded to single precision here.
			{"linear_flat", LinearCKA, x, y, 1e-9}, {"linear_mean", LinearCKA, pool(x), pool(y), 1e-6},
			{"kernel_mean", KernelCKA, pool(x), pool(y), 1e-6},
		} {
			if got, err := of.cka(of.x, of.y); err != nil || !approx.Equal(got, one(t, fmt.Sprint(of.name, i)), of.within) {
				t.Errorf("%s of block %d is %v, want %v: %v", of.name, i, got, one(t, fmt.Sprint(of.name, i)), err)
			}
		}
		if got, err := ReleasedCKA(x, y); err != nil || !approx.Equal(got, golden[float64](t, "released_cka")[i], 1e-9) {
			t.Errorf("what they call CKA of block %d is %v, want %v: %v", i, got, golden[float64](t, "released_cka")[i], err)
		}
	}
}

// twoConvolutions is the network of the oracle, with the weights of one of its own.
func twoConvolutions(t *testing.T, whose string) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{}
	for name, dims := range map[string][]int{
		"conv1.weight": {3, 3, 3, 4}, "conv2.weight": {3, 3, 4, 5}, "fc.weight": {3, 5}, "fc.bias": {3},
		"bn1.weight": {4}, "bn1.bias": {4}, "bn1.running_mean": {4}, "bn1.running_var": {4},
		"bn2.weight": {5}, "bn2.bias": {5}, "bn2.running_mean": {5}, "bn2.running_var": {5},
	} {
		weights[name] = tensors.FromFlatDataAndDimensions(golden[float32](t, whose+"/"+name), dims...)
	}
	m, err := model.FromTensors(weights, model.Spec{Name: whose, Height: 6, Width: 6, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			for _, i := range []string{"1", "2"} {
				x = b.ReLU("relu"+i, b.BatchNorm("bn"+i, b.Conv2D("conv"+i, x, 1, 1), 1e-5))
			}
			return b.Linear("fc", b.Features(graph.ReduceMean(x, 1, 2)))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func goldenImages(t *testing.T) *learn.Tensors {
	t.Helper()
	data, err := learn.FromTensors(tensors.FromFlatDataAndDimensions(golden[float32](t, "images"), 20, 6, 6, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A student near its teacher has the authors' weights, and the statistics of PyTorch's training mode: to 1e-6.
func TestNearTheTeacher(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	teacher, student, data := twoConvolutions(t, "teacher"), twoConvolutions(t, "student"), goldenImages(t)
	for _, r := range []float64{0, 0.1, 1} {
		near, err := Interpolate(teacher, student, r, data, 8)
		if err != nil {
			t.Fatal(err)
		}
		whose := fmt.Sprintf("near%.1f", r)
		for name, w := range near.Weights() {
			if err := approx.All(flat[float32](t, w), golden[float32](t, whose+"/"+name), 1e-6); err != nil {
				t.Errorf("r = %v: %s: %v", r, name, err)
			}
		}
		logits, err := near.Logits(tensors.FromFlatDataAndDimensions(golden[float32](t, "images"), 20, 6, 6, 3))
		if err != nil {
			t.Fatal(err)
		}
		if err := approx.All(flat[float32](t, logits), golden[float32](t, whose+"_logits"), 1e-5); err != nil {
			t.Errorf("r = %v: the logits: %v", r, err)
		}
	}
	if err := approx.All(flat[float32](t, student.Weights()["bn1.running_mean"]),
		golden[float32](t, "student/bn1.running_mean"), 0); err != nil {
		t.Errorf("the student itself has changed: %v", err)
	}
}
