package priors

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// onlyRed and onlyBlue are priors that leave one channel.
type onlyRed struct{}

func (onlyRed) String() string { return "red" }

func (onlyRed) Of(x *graph.Node) *graph.Node {
	return graph.Mul(x, graph.Reshape(graph.Const(x.Graph(), []float32{1, 0, 0}), 1, 1, 1, 3))
}

// patches are small images of two classes, which a bright corner tells apart in red and another one in blue, each
// without the other in a share of them.
func patches(n int, seed uint64) (*tensors.Tensor, []int) {
	rng := rand.New(rand.NewPCG(seed, 0))
	flat, labels := make([]float32, n*4*4*3), make([]int, n)
	for i := range n {
		labels[i] = rng.IntN(2)
		image := flat[i*48 : (i+1)*48]
		for at := range image {
			image[at] = 0.5 * rng.Float32()
		}
		if rng.Float64() < 0.7 {
			image[3*5*labels[i]] = 1 // red, the first or the sixth pixel
		}
		if rng.Float64() < 0.7 {
			image[3*(15-5*labels[i])+2] = 1 // blue
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, 4, 4, 3), labels
}

func learners(t *testing.T) []Learner {
	t.Helper()
	spec := model.Spec{Name: "small", Height: 4, Width: 4, Channels: 3}
	var all []Learner
	for i, p := range []Prior{onlyRed{}, nil} {
		m, err := learn.MLP(spec, 2, uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Learner{Net: m, Prior: p, Run: learn.Run{
			Sampler: learn.Shuffled(4), Epochs: 3, Seed: 9, Augment: []learn.Augmentation{learn.Flip{}},
			Optimizer: learn.SGD{LearningRate: 0.1, Momentum: 0.9}, Schedule: learn.Cosine,
		}})
	}
	return all
}

func weightsOf(m *model.Model) (all []float32) {
	weights := m.Weights()
	var names []string
	for name := range weights {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, tensors.MustCopyFlatData[float32](weights[name])...)
	}
	return all
}

// More eras compile nothing more, and true labels of the unlabelled images change nothing that is learnt.
func TestErasAreCompiledOnce(t *testing.T) {
	images, labels := patches(12, 1)
	more, truth := patches(50, 2)
	do := func(c CoTraining, truth []int) (*CoTrained, int) {
		t.Helper()
		before := model.Compilations()
		made, err := c.Do(images, labels, more, truth)
		if err != nil {
			t.Fatal(err)
		}
		return made, model.Compilations() - before
	}
	for _, augmented := range []bool{false, true} {
		c := CoTraining{Learners: learners(t), Eras: 1, Fraction: 0.2, Augmented: augmented}
		do(c, nil)
		_, one := do(c, nil)
		c.Eras = 4
		made, four := do(c, truth)
		if four != one || one == 0 {
			t.Errorf("one era compiles %d programs, and four %d", one, four)
		}
		if len(made.Eras) != 5 || made.Eras[3].Share != 0.8 || made.Eras[3].PerClass != 20 || made.Eras[4].Learnt != nil {
			t.Errorf("%d eras, the fourth takes %g: %d of a class", len(made.Eras), made.Eras[3].Share, made.Eras[3].PerClass)
		}
		blind, _ := do(c, nil)
		for i := range made.Nets {
			if !slices.Equal(weightsOf(made.Nets[i]), weightsOf(blind.Nets[i])) {
				t.Errorf("%s learns from the true labels", made.Names[i])
			}
			if slices.Equal(weightsOf(made.Nets[i]), weightsOf(c.Learners[i].Net)) {
				t.Errorf("%s learns nothing", made.Names[i])
			}
		}
		if blind.Eras[0].All != nil || made.Eras[0].All[0].Total != 50 ||
			made.Eras[0].MergedRight.Total != len(made.Eras[0].Merged) {
			t.Errorf("accuracies: %+v and %+v", blind.Eras[0].All, made.Eras[0])
		}
		table, err := made.Table()
		if err != nil || len(table.Rows) != 5 {
			t.Errorf("the table has %d rows: %v", len(table.Rows), err)
		}
	}
}

// Each learner learns from what the rules say of the networks' answers before the era: the merged labels, or in pure
// co-training the other's; and goes on from its weights as a run of its own does.
func TestALearnerLearnsFromTheMergedLabels(t *testing.T) {
	images, labels := patches(12, 1)
	more, _ := patches(50, 2)
	for _, pure := range []bool{false, true} {
		c := CoTraining{Learners: learners(t), Eras: 1, Fraction: 0.3, Pure: pure, Pretrained: true}
		made, err := c.Do(images, labels, more, nil)
		if err != nil {
			t.Fatal(err)
		}
		var sets [][]PseudoLabel
		for _, l := range c.Learners {
			left, err := Apply(l.Prior, more)
			if err != nil {
				t.Fatal(err)
			}
			a, err := l.Net.AnswersTo(left, nil)
			if err != nil {
				t.Fatal(err)
			}
			set, err := Surest(a, 8) // 0.3·50/2 is 7.5
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, set)
		}
		want := [][]PseudoLabel{Merge(2, sets...), Merge(2, sets...)}
		if pure {
			want = [][]PseudoLabel{Merge(2, sets[1]), Merge(2, sets[0])}
		}
		for i, l := range c.Learners {
			if !slices.Equal(made.Eras[0].Learnt[i], want[i]) || len(want[i]) == 0 {
				t.Errorf("pure %v: learner %d learns from %v, want %v", pure, i, made.Eras[0].Learnt[i], want[i])
			}
			seenLabelled, err := Apply(l.Prior, images)
			if err != nil {
				t.Fatal(err)
			}
			seenMore, err := Apply(l.Prior, more)
			if err != nil {
				t.Fatal(err)
			}
			var pixels []float32
			pixels = append(pixels, tensors.MustCopyFlatData[float32](seenLabelled)...)
			flat, classes := tensors.MustCopyFlatData[float32](seenMore), slices.Clone(labels)
			for _, g := range want[i] {
				pixels, classes = append(pixels, flat[g.Image*48:(g.Image+1)*48]...), append(classes, g.Class)
			}
			run := l.Run
			run.Nets = map[string]*model.Model{"net": l.Net}
			if run.Data, err = learn.FromTensors(tensors.FromFlatDataAndDimensions(pixels, len(classes), 4, 4, 3),
				classes); err != nil {
				t.Fatal(err)
			}
			run.Step = func(s *learn.Step) learn.Loss { return s.Classification(s.Call("net", s.Images()).Logits) }
			trained, err := run.Do()
			if err != nil {
				t.Fatal(err)
			}
			if err := approx.All(weightsOf(made.Seeing[i]), weightsOf(trained.Net()), 0); err != nil {
				t.Errorf("pure %v: learner %d: %v", pure, i, err)
			}
		}
	}
}

// fails is a hook whose run ends in an error, after so many steps of all rounds together.
type fails struct {
	after int
	steps *int
}

func (f fails) Due(_, _, _ int) bool { *f.steps++; return *f.steps > f.after }
func (f fails) Do(*learn.RunState) error {
	return errors.New("the disk is full")
}

// An error in a late era costs nothing of the eras before it, nor does one in the final network; before anything is
// learnt there is nothing.
func TestWhatAnErrorLeaves(t *testing.T) {
	images, labels := patches(12, 1)
	more, truth := patches(50, 2)
	both := learners(t)
	steps := 0
	c := CoTraining{Learners: both[:1], Eras: 3, Fraction: 0.3}
	whole, err := c.Do(images, labels, more, truth)
	if err != nil {
		t.Fatal(err)
	}
	first := 9 + whole.Eras[0].Trained[0].Steps // before the eras, and in the first one
	c.Learners[0].Run.Every = []learn.Hook{fails{first, &steps}}
	made, err := c.Do(images, labels, more, truth)
	if err == nil || !strings.Contains(err.Error(), "the disk is full") || made == nil || len(made.Eras) != 1 ||
		len(made.Nets) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	if slices.Equal(weightsOf(made.Seeing[0]), weightsOf(both[0].Net)) {
		t.Error("the network is as it was at first")
	}
	c.Learners[0].Run.Every = nil
	steps, both[1].Run.Every = 0, []learn.Hook{fails{0, &steps}}
	c.Final = &both[1]
	if made, err = c.Do(images, labels, more, truth); err == nil || made == nil || len(made.Eras) != 4 {
		t.Errorf("after the last era: %+v, %v", made, err)
	}
	c.Learners[0].Run.Sampler = learn.Shuffled(99)
	if made, err = c.Do(images, labels, more, truth); err == nil || made != nil {
		t.Errorf("with batches of 99: %+v, %v", made, err)
	}
}

// The final network learns from the labels after the last era.
func TestFinalNetwork(t *testing.T) {
	images, labels := patches(12, 1)
	more, truth := patches(50, 2)
	both := learners(t)
	c := CoTraining{Learners: both[:1], Eras: 2, Fraction: 0.3, Final: &both[1]} // self-training
	made, err := c.Do(images, labels, more, truth)
	if err != nil {
		t.Fatal(err)
	}
	last := made.Eras[2]
	if made.Final == nil || made.FinalTrained.Steps != 3*((12+len(last.Merged))/4) ||
		slices.Equal(weightsOf(made.Final), weightsOf(both[1].Net)) {
		t.Errorf("the final network has done %d steps on 12 images and %d labels", made.FinalTrained.Steps, len(last.Merged))
	}
	line, err := made.Right("alone")
	if err != nil || line.Name != "alone" || !slices.Equal(line.X, []float64{1, 2, 3}) {
		t.Fatalf("%+v, %v", line, err)
	}
	for i, e := range made.Eras {
		correct := 0
		for _, g := range e.Merged {
			if truth[g.Image] == g.Class {
				correct++
			}
		}
		if !approx.Equal(line.Y[i], 100*float64(correct)/float64(len(e.Merged)), 1e-9) {
			t.Errorf("in era %d %v%% of the labels are right, and %d of %d are", i+1, line.Y[i], correct, len(e.Merged))
		}
	}
	unknown := *made
	unknown.Eras = []Era{{Merged: last.Merged}}
	if _, err := unknown.Right("unknown"); err == nil || !strings.Contains(err.Error(), "true labels are not known") {
		t.Errorf("without the true labels: %v", err)
	}
	if _, err := (&CoTrained{}).Right("none"); err == nil || !strings.Contains(err.Error(), "no era") {
		t.Errorf("without an era: %v", err)
	}
	logits, err := made.Nets[0].Logits(images) // which sees red alone, of whole images
	if err != nil {
		t.Fatal(err)
	}
	left, err := Apply(onlyRed{}, images)
	if err != nil {
		t.Fatal(err)
	}
	want, err := made.Seeing[0].Logits(left)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(tensors.MustCopyFlatData[float32](logits), tensors.MustCopyFlatData[float32](want),
		1e-6); err != nil {
		t.Error(err)
	}
}

// An era ends by the released program's rule: the median loss of 25 epochs rose, and training is nearly all right.
func TestWhenAnEraEnds(t *testing.T) {
	epochs := func(first, second, accuracy float64) (all []learn.Epoch) {
		for i := range 50 {
			e := learn.Epoch{Loss: first + 0.001*float64(i%25), Accuracy: accuracy}
			if i >= 25 {
				e.Loss = second + 0.001*float64(i%25)
			}
			all = append(all, e)
		}
		all[49].Loss = 100 // a median does not mind
		return all
	}
	for _, c := range []struct {
		epochs []learn.Epoch
		want   bool
	}{
		{epochs(1, 1.1, 1), true}, {epochs(1, 1.1, 0.996), true}, {epochs(1, 1.1, 0.99), false}, {epochs(1, 0.9, 1), false},
		{epochs(1, 1.1, 1)[:49], false},
	} {
		if done(c.epochs) != c.want {
			t.Errorf("%d epochs, accuracy %g: an end %v", len(c.epochs), c.epochs[len(c.epochs)-1].Accuracy, !c.want)
		}
	}
	in := true
	s := settled{&in}
	if !s.Due(25*7, 7, 1000) || s.Due(24*7, 7, 1000) {
		t.Error("the rule is asked for at other times than every 25 epochs")
	}
	if in = false; s.Due(25*7, 7, 1000) {
		t.Error("the rule ends what comes before the eras")
	}
}

func TestCoTrainingRefuses(t *testing.T) {
	images, labels := patches(12, 1)
	more, _ := patches(50, 2)
	three, err := learn.MLP(model.Spec{Height: 4, Width: 4, Channels: 3}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	all := learners(t)
	for words, change := range map[string]func(c *CoTraining){
		"there is no learner": func(c *CoTraining) { c.Learners = nil },
		"eras":                func(c *CoTraining) { c.Eras = -1 },
		"lies above 0":        func(c *CoTraining) { c.Fraction = 1.5 },
		"pure co-training":    func(c *CoTraining) { c.Pure, c.Learners = true, all[:1] },
		"3":                   func(c *CoTraining) { c.Learners[1].Net = three },
		"belong to co-training": func(c *CoTraining) {
			c.Learners[0].Run.Step = func(*learn.Step) learn.Loss {
				return learn.Loss{}
			}
		},
		"has no network":       func(c *CoTraining) { c.Learners[0].Net = nil },
		"which keeps one run":  func(c *CoTraining) { c.Learners[0].Run.Checkpoint = "x.safetensors" },
		"without an Optimizer": func(c *CoTraining) { c.Learners[0].Run.Optimizer = nil },
	} {
		c := CoTraining{Learners: learners(t), Eras: 1, Fraction: 0.3}
		change(&c)
		if _, err := c.Do(images, labels, more, nil); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	c := CoTraining{Learners: learners(t), Eras: 1}
	if _, err := c.Do(images, nil, more, nil); err == nil ||
		!strings.Contains(err.Error(), "labelled images have no labels") {
		t.Errorf("no labels: %v", err)
	}
	if _, err := c.Do(images, labels, tensors.FromFlatDataAndDimensions(make([]float32, 75), 1, 5, 5, 3),
		nil); err == nil || !strings.Contains(err.Error(), "of one size") {
		t.Errorf("other sizes: %v", err)
	}
}
