package sweep

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// jobs are those of a plan, with the labels of its data.
func jobs(t testing.TB, p Plan) map[Key]Job {
	t.Helper()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	p, pictures := resolved(t, p)
	all := map[Key]Job{}
	for j := range p.Jobs() {
		j.Labelled = pictures[j.Seen.Name].Labelled()
		all[j.Key] = j
	}
	return all
}

// measured are a cell's measures, by their names.
func measured(t testing.TB, o *Outcome, j Job) map[string]Measure {
	t.Helper()
	labels := picturesOf(ok[*data.Dataset](t)(j.Seen.open())).Labels
	all := map[string]Measure{}
	for _, m := range ok[[]Measure](t)(o.Measures(j.Method, j.Under.Among, labels)) {
		all[m.Name] = m
	}
	return all
}

func TestACellIsWhatTheLibrarySays(t *testing.T) {
	p := small(t)
	p.Conditions = p.Conditions[:1]
	for _, c := range []string{"contrast", "gaussian_noise"} {
		for severity := 1; severity <= 5; severity += 2 {
			p.Conditions = append(p.Conditions, Condition{Data: "photos", Corruption: c, Severity: severity, Seed: 3})
		}
	}
	all := jobs(t, p)
	m := ok[*model.Model](t)(model.Load(p.Models[0].File, model.Unnormalized))
	ds := ok[*data.Dataset](t)(m.Prepared(ok[*data.Dataset](t)(data.Open(p.Data[0].Path))))
	answers := ok[*model.Answers](t)(m.Answers(ds))
	var runner Runner
	j := all[Key{"net", "photos", Predictions}]
	o := ok[*Outcome](t)(runner.Run(j))
	got := measured(t, o, j)
	top1 := ok[interface{ Share() float64 }](t)(answers.Accuracy())
	top5 := ok[interface{ Share() float64 }](t)(answers.TopAccuracy(5))
	if g := got["accuracy"]; g.Total != 21 || g.Value != top1.Share() || g.Correct == 0 || g.Correct == 21 {
		t.Errorf("%+v, and directly %v", g, top1)
	}
	if g := got["top-5 accuracy"]; g.Total != 21 || g.Value != top5.Share() || g.Correct == 21 {
		t.Errorf("%+v, and directly %v", g, top5)
	}
	predictions := ok[*uncertainty.Predictions](t)(uncertainty.FromAnswers(answers))
	ece := ok[float64](t)(predictions.ExpectedCalibrationError(uncertainty.EqualWidth(15)))
	// The shares are float32, of which the sums differ in the order of their terms.
	if g := got["ECE"]; !approx.Equal(g.Value, ece, 1e-6) || !(ece > 0.01) {
		t.Errorf("ECE %v, and directly %v", g.Value, ece)
	}
	var confidence float64
	shares := ok[[]float32](t)(tensors.CopyFlatData[float32](ok[*tensors.Tensor](t)(answers.Probabilities())))
	for row := range slices.Chunk(shares, 7) {
		confidence += float64(slices.Max(row)) / 21
	}
	if g := got["confidence"]; !approx.Equal(g.Value, confidence, 1e-6) {
		t.Errorf("confidence %v, and directly %v", g.Value, confidence)
	}
	for _, name := range []string{"contrast", "gaussian_noise"} {
		c := ok[perturb.Corruption](t)(perturb.CorruptionNamed(name))
		direct := ok[*shift.Sweep](t)(shift.SweepDataset(m, ds, 3, c))
		for severity := 1; severity <= 5; severity += 2 {
			j := all[Key{"net", "photos, " + name + " " + string(rune('0'+severity)), Predictions}]
			got := measured(t, ok[*Outcome](t)(runner.Run(j)), j)["accuracy"]
			if got.Value != direct.Accuracy[0][severity].Share() || got.Total != 21 {
				t.Errorf("%s: %+v, and directly %v", j.Key, got, direct.Accuracy[0][severity])
			}
		}
	}
	// The same to the byte, in another runner and after other cells.
	first := ok[[]byte](t)(o.Encode())
	for _, r := range []*Runner{&runner, {Keep: 1}} {
		if again := ok[[]byte](t)(ok[*Outcome](t)(r.Run(j)).Encode()); !bytes.Equal(again, first) {
			t.Error("the same cell gives other bytes")
		}
	}
}

// Among some of the classes the model chooses among these alone, and pictures of others do not count.
func TestACellAmongSomeClasses(t *testing.T) {
	some := []int{1, 4, 6}
	amongs["some"] = func() []int { return some }
	defer delete(amongs, "some")
	p := small(t)
	p.Conditions = []Condition{{Data: "photos"}, {Data: "photos", Among: "some"}}
	all := jobs(t, p)
	m := ok[*model.Model](t)(model.Load(p.Models[0].File, model.Unnormalized))
	ds := ok[*data.Dataset](t)(m.Prepared(ok[*data.Dataset](t)(data.Open(p.Data[0].Path))))
	tb := ok[*shift.Testbed](t)(shift.NewTestbed(filepath.Join(t.TempDir(), "testbed.db")))
	defer tb.Close()
	r := ok[*shift.Results](t)(tb.Run([]*model.Model{m}, shift.Condition{Name: "some", Data: ds, Classes: some}))
	want, _ := r.Cell(m.Name(), "some")
	j := all[Key{"net", "photos, among some", Predictions}]
	o := ok[*Outcome](t)((&Runner{}).Run(j))
	got := measured(t, o, j)
	if a := got["accuracy"]; a.Correct != want.Accuracy.Correct || a.Total != want.Accuracy.Total || a.Total != 9 {
		t.Errorf("%+v, and directly %+v", a, want.Accuracy)
	}
	if got["top-5 accuracy"].Value != 1 || !(got["confidence"].Value > 1./3) {
		t.Errorf("of three classes: %+v", got)
	}
	for i, row := range o.Arrays["probabilities"].Value().([][]float32) {
		if sum := row[0] + row[1] + row[2]; !approx.Equal(float64(sum), 1, 1e-6) {
			t.Errorf("picture %d: the shares of the three are %v", i, row)
		}
	}
}

func TestFaithfulnessOfACell(t *testing.T) {
	p := small(t)
	p.Conditions, p.Methods = p.Conditions[:1], []string{Faithfulness + "Grad-CAM"}
	p.Data[0].Path = folder(t, 2, 3, seven...) // 21 pictures: two batches
	j := jobs(t, p)[Key{"net", "photos", Faithfulness + "Grad-CAM"}]
	o := ok[*Outcome](t)((&Runner{}).Run(j))
	m := ok[*model.Model](t)(model.Load(p.Models[0].File, model.Unnormalized))
	ds := ok[*data.Dataset](t)(m.Prepared(ok[*data.Dataset](t)(data.Open(p.Data[0].Path))))
	images := ok[*tensors.Tensor](t)(ds.All())
	direct := ok[*faithful.Comparison](t)(faithful.Tests{}.Compare(m, images, nil, attrib.GradCAM{}))
	for name, curve := range map[string]*faithful.Curve{"insertion": direct.Insertion[0], "deletion": direct.Deletion[0]} {
		areas := o.Arrays[name].Value().([]float32)
		if len(areas) != 21 {
			t.Fatalf("%d areas", len(areas))
		}
		mean := 0.0
		for i, area := range areas { // computed in batches of other sizes
			if !approx.Equal(float64(area), curve.Areas[i], 1e-5) {
				t.Errorf("%s of picture %d is %v, and directly %v", name, i, area, curve.Areas[i])
			}
			mean += curve.Areas[i] / 21
		}
		if got := measured(t, o, j)[name]; !approx.Equal(got.Value, mean, 1e-5) || got.Total != 0 {
			t.Errorf("%+v, and directly %v", got, mean)
		}
	}
}

// What a cell cannot be computed for is said in a sentence.
func TestCellsThatCannotBe(t *testing.T) {
	good := small(t)
	for want, spoil := range map[string]func(p *Plan){
		"net has 7 classes without names, photos names 8": func(p *Plan) {
			p.Data[0].Path = folder(t, 1, 1, "a", "b", "c", "d", "e", "f", "g", "h")
		},
		"is among ImageNet's classes, and": func(p *Plan) { p.Conditions[0].Among = "imagenet-a" },
		"faithfulness is of the model's own classes, and the condition is among some": func(p *Plan) {
			p.Conditions[0].Among, p.Methods = "imagenet-a", []string{Faithfulness + "Grad-CAM"}
		},
		"the model net does not load": func(p *Plan) {
			p.Models[0].File = filepath.Join(t.TempDir(), "net.onnx")
			write(t, p.Models[0].File, []byte("no network"))
		},
	} {
		p := Plan{Models: slices.Clone(good.Models), Data: slices.Clone(good.Data), Conditions: []Condition{{Data: "photos"}}}
		spoil(&p)
		for _, j := range jobs(t, p) {
			_, err := (&Runner{}).Run(j)
			wantError(t, err, want)
		}
	}
	// The data have changed since they were planned.
	p := small(t)
	all := jobs(t, p)
	write(t, filepath.Join(p.Data[0].Path, "0", "more.png"), []byte("x"))
	_, err := (&Runner{}).Run(all[Key{"net", "photos", Predictions}])
	wantError(t, err, "the data photos")
	_, err = (&Runner{}).Run(Job{Key: Key{Method: "x"}})
	wantError(t, err, `there is no method "x"`)
}

// sigmoid is a network of two classes and one output, which is the second one's where a picture is bright.
func sigmoid(t testing.TB) *model.Model {
	t.Helper()
	return ok[*model.Model](t)(model.FromFunc(
		model.Spec{Name: "bright", Height: 8, Width: 8, Channels: 3, Activation: model.Sigmoid},
		func(x *graph.Node) *graph.Node {
			return graph.InsertAxes(graph.MulScalar(graph.AddScalar(graph.ReduceMean(x, 1, 2, 3), -0.5), 4), -1)
		}))
}

// One output is the probability of the second of two classes.
func TestACellOfOneOutput(t *testing.T) {
	n, images := 6, make([]float32, 6*8*8*3)
	for i := range images {
		images[i] = float32(i/(8*8*3)) / 5
	}
	x := tensors.FromFlatDataAndDimensions(images, n, 8, 8, 3)
	m := sigmoid(t)
	labels := []int{0, 0, 1, 0, 1, 1}
	ds := ok[*data.Dataset](t)(data.FromTensor(x, labels, nil))
	arrays := ok[map[string]*tensors.Tensor](t)(predict(Trial{Model: m, Images: ds}))
	got := ok[[]Measure](t)(measurePredictions(arrays, labels))
	answers := ok[*model.Answers](t)(m.Answers(ds))
	top1 := ok[interface{ Share() float64 }](t)(answers.Accuracy())
	ece := ok[float64](t)(ok[*uncertainty.Predictions](t)(uncertainty.FromAnswers(answers)).
		ExpectedCalibrationError(uncertainty.EqualWidth(15)))
	if got[0].Value != top1.Share() || got[0].Correct != 4 || got[1].Correct != 6 ||
		!approx.Equal(got[3].Value, ece, 1e-6) {
		t.Errorf("%+v, and directly %v and %v", got, top1, ece)
	}
	for i, row := range arrays["probabilities"].Value().([][]float32) {
		if !approx.Equal(float64(row[0]+row[1]), 1, 1e-6) || row[0] < row[1] {
			t.Errorf("picture %d: %v", i, row)
		}
	}
}
