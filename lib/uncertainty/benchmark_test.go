package uncertainty

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

const side = 12 // of the images of these tests

// noise is a dataset of n grey images of three classes.
func noise(t *testing.T, n int) *data.Dataset {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	flat, labels := make([]float32, n*side*side), make([]int, n)
	for i := range flat {
		flat[i] = rng.Float32()
	}
	for i := range labels {
		labels[i] = rng.IntN(3)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(flat, n, side, side, 1), labels, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// small is a network with random weights, which are not the same for two seeds.
func small(t *testing.T, seed uint64) *model.Model {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	m, err := learn.SmallCNN(model.Spec{Height: side, Width: side, Channels: 1}, 3, seed, 4)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func shiftsOf(t *testing.T, ds *data.Dataset) Shifts {
	t.Helper()
	turned, err := Rotations(ds, 30, 90, 180)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := Translations(ds, 1, 6)
	if err != nil {
		t.Fatal(err)
	}
	return append(turned, moved...)
}

func TestShiftsAreThePapersByTheirIntensity(t *testing.T) {
	ds := noise(t, 3)
	turned, err := Rotations(ds)
	if err != nil {
		t.Fatal(err)
	}
	var intensities []int
	for i, s := range turned {
		intensities = append(intensities, s.Intensity)
		if s.Amount != float64(15*(i+1)) {
			t.Errorf("rotation %d is by %g degrees", i, s.Amount)
		}
	}
	if want := []int{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}; !slices.Equal(intensities, want) {
		t.Errorf("rotations have the intensities %v, want %v", intensities, want)
	}
	moved, err := Translations(ds, 1, 3, 4, 6, 8, 9, 11)
	if err != nil {
		t.Fatal(err)
	}
	intensities = nil
	for _, s := range moved {
		intensities = append(intensities, s.Intensity)
	}
	// Of half the width, 6 pixels: 1/6, 3/6, 4/6, all, and back.
	if want := []int{1, 2, 3, 4, 3, 2, 1}; !slices.Equal(intensities, want) {
		t.Errorf("translations have the intensities %v, want %v", intensities, want)
	}
	images, err := ds.All()
	if err != nil {
		t.Fatal(err)
	}
	want, err := perturb.Roll(images, 4)
	if err != nil {
		t.Fatal(err)
	}
	got, err := moved[2].Data.Images(0, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(flatOf(t, got), flatOf(t, want), 0); err != nil {
		t.Errorf("%s: %v", moved[2].Name, err)
	}
	corrupted, err := Corruptions(ds, []int{2, 5}, 1, perturb.Corruptions()[:2]...)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range corrupted {
		names = append(names, s.Name)
		if !strings.HasSuffix(s.Name, map[int]string{2: " 2", 5: " 5"}[s.Intensity]) {
			t.Errorf("%s has the intensity %d", s.Name, s.Intensity)
		}
	}
	if len(names) != 4 {
		t.Errorf("two corruptions at two severities are %q", names)
	}
	grid, err := turned.Grid()
	if err != nil {
		t.Fatal(err)
	}
	if tiles := slices.Concat(grid.Rows...); len(tiles) < 12 {
		t.Errorf("twelve rotations are shown by %d pictures", len(tiles))
	}
}

func flatOf(t *testing.T, x *tensors.Tensor) []float64 {
	t.Helper()
	flat, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, len(flat))
	for i, v := range flat {
		out[i] = float64(v)
	}
	return out
}

// The slow way: each model is asked about each shift by itself.
func TestBenchmarkIsTheMeasureOfEachModelAveraged(t *testing.T) {
	ds := noise(t, askedAtOnce+9) // more than are asked at once
	shifts := shiftsOf(t, ds)
	a, b, c := small(t, 1), small(t, 2), small(t, 3)
	last, err := learn.LastLayer{}.Of(c)
	if err != nil {
		t.Fatal(err)
	}
	var methods Methods
	methods.Add("single", a)
	methods.Add("single", b)
	methods.Add("both", a, b)
	methods.AddOn(c, "last layer", last)
	methods.Add("whole", c)
	u, err := Benchmark{Name: "noise", Data: ds, Shifts: shifts}.Of(methods...)
	if err != nil {
		t.Fatal(err)
	}
	direct := func(m *model.Model, of Measure, at model.Labeled) float64 {
		t.Helper()
		p, err := Of(m, at)
		if err != nil {
			t.Fatal(err)
		}
		v, err := of.Of(p)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	values := func(of Measure, method string, intensities ...int) []float64 {
		t.Helper()
		v, err := u.Of(of, method, intensities...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	// 30° and 1 pixel are of intensity 1, 180° and 6 pixels of 4.
	for _, of := range []Measure{AccuracyShare, BrierScore, ECE, ECEIfCalibrated} {
		strong := func(m *model.Model) float64 {
			return (direct(m, of, shifts[2].Data) + direct(m, of, shifts[4].Data)) / 2
		}
		if err := approx.All(values(of, "single"), []float64{direct(a, of, ds), direct(b, of, ds)}, 1e-9); err != nil {
			t.Errorf("%s without a shift: %v", of.Name, err)
		}
		want := []float64{strong(a), strong(b)}
		if err := approx.All(values(of, "single", 4), want, 1e-9); err != nil {
			t.Errorf("%s at intensity 4: %v", of.Name, err)
		}
		if err := approx.All(values(of, "both", 4), []float64{(want[0] + want[1]) / 2}, 1e-9); err != nil {
			t.Errorf("%s of two in one unit: %v", of.Name, err)
		}
		// Single precision, by another order of sums; an ECE jumps where a confidence changes its bin.
		if of.Name == BrierScore.Name {
			if err := approx.All(values(of, "last layer", 1, 2), values(of, "whole", 1, 2), 1e-5); err != nil {
				t.Errorf("%s of the last layer alone: %v", of.Name, err)
			}
		}
	}
	claims, err := u.Compared([]Measure{BrierScore}, []int{4}, "single", "single")
	if err != nil {
		t.Fatal(err)
	}
	if c := claims[0]; c.Name != "noise: Brier score under shifts: single and single" || c.Unit != "seeds" || c.N != 2 ||
		c.Difference != 0 {
		t.Errorf("a method beside itself: %+v", c)
	}
	rise, err := u.Rise(BrierScore, 4)
	if err != nil {
		t.Fatal(err)
	}
	before, after := values(BrierScore, "single"), values(BrierScore, "single", 4)
	if c := rise[0]; len(rise) != 1 || !approx.Equal(c.Difference, (after[0]+after[1]-before[0]-before[1])/2, 1e-12) {
		t.Errorf("the rise of a Brier score from %v to %v: %+v", before, after, rise)
	}
	calibrated, err := u.Calibrated("single", 1)
	if err != nil {
		t.Fatal(err)
	}
	chance := values(ECEIfCalibrated, "single", 1)
	if c := calibrated[0]; !approx.Equal(c.ControlValue, (chance[0]+chance[1])/2, 1e-12) || c.Value == c.ControlValue {
		t.Errorf("beside %v: %+v", chance, c)
	}
	lines, err := u.Lines(BrierScore, "rotation, degrees")
	if err != nil {
		t.Fatal(err)
	}
	if s := lines.Series[0]; !slices.Equal(s.X, []float64{0, 30, 90, 180}) ||
		!approx.Equal(s.Y[0], (before[0]+before[1])/2, 1e-12) {
		t.Errorf("the line of %s is %v, %v", s.Name, s.X, s.Y)
	}
	boxes, err := u.Plot()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(boxes.Names, []string{"0", "1", "2", "4"}) || len(boxes.Series[0].Values[3]) != 4 ||
		len(boxes.Series[1].Values[2]) != 1 {
		t.Errorf("boxes at %v of %+v", boxes.Names, boxes.Series)
	}
	if rows := u.Table().Rows; len(rows) != 4*6 || !approx.Equal(rows[0][5].(float64), (before[0]+before[1])/2, 1e-12) {
		t.Errorf("a table of %d rows for four methods under none and five shifts, the first %v", len(rows), rows[0])
	}
	summary, err := u.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if text := summary.String(); !strings.Contains(text, "last layer") ||
		!strings.Contains(text, "Brier score, intensity 4") {
		t.Errorf("it is shown as\n%s", text)
	}
}

func TestEnsemblesAreFourMethods(t *testing.T) {
	ds := noise(t, 40)
	a, b := small(t, 1), small(t, 2)
	had := Methods{}
	got, err := had.WithEnsemble(ds, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = got.WithEnsemble(ds, b, a); err != nil {
		t.Fatal(err)
	}
	if want := []string{"vanilla", "temperature", "ensemble", "its members"}; !slices.Equal(got.Names(), want) ||
		len(had) != 0 {
		t.Fatalf("the methods are %q, want %q, and there were %d", got.Names(), want, len(had))
	}
	if m := got[0]; len(m.Units) != 2 || m.Units[0][0] != a || m.Units[1][0] != b {
		t.Errorf("vanilla has %v", m.Units)
	}
	if m := got[3]; len(m.Units) != 2 || len(m.Units[0]) != 2 {
		t.Errorf("the members are %v", m.Units)
	}
	got.AddOn(a, "head", b)
	if rows := got.Table().Rows; len(rows) != 5 || rows[3][1] != 2 || rows[3][2] != 4 || rows[0][3] != "images" ||
		rows[4][3] != "features of "+a.Name() {
		t.Errorf("they show themselves as %v", rows)
	}
	logits, err := a.LogitsOf(ds)
	if err != nil {
		t.Fatal(err)
	}
	temperature, err := FitTemperature(logits, ds.Labels())
	if err != nil {
		t.Fatal(err)
	}
	scaled, err := got[1].Units[0][0].LogitsOf(ds)
	if err != nil {
		t.Fatal(err)
	}
	want := flatOf(t, logits)
	for i := range want {
		want[i] /= temperature
	}
	if err := approx.All(flatOf(t, scaled), want, 1e-6); err != nil {
		t.Errorf("at the temperature %g: %v", temperature, err)
	}
	if _, err := had.WithEnsemble(ds, a); err == nil {
		t.Error("one network is an ensemble")
	}
}

func TestBenchmarksRefuseByName(t *testing.T) {
	ds := noise(t, 6)
	m := small(t, 1)
	one := Methods{{Name: "one", Units: [][]*model.Model{{m}}}}
	unlabelled, err := data.FromTensor(flat4(2), []int{0, -1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		b       Benchmark
		methods Methods
		says    string
	}{
		"no methods": {Benchmark{Data: ds}, nil, "no methods"},
		"no data":    {Benchmark{}, one, "nil"},
		"no models":  {Benchmark{Data: ds}, Methods{{Name: "none"}}, `"none" has no models`},
		"an empty unit": {Benchmark{Data: ds}, Methods{{Name: "none", Units: [][]*model.Model{{}}}},
			`"none" has no model`},
		"a nil model":       {Benchmark{Data: ds}, Methods{{Name: "none", Units: [][]*model.Model{{nil}}}}, "nil"},
		"one name twice":    {Benchmark{Data: ds}, slices.Concat(one, one), `"one"`},
		"no intensity":      {Benchmark{Data: ds, Shifts: Shifts{{Name: "x", Data: ds}}}, one, `"x" has 0`},
		"shifts of a name":  {Benchmark{Data: ds, Shifts: Shifts{{Name: "none", Data: ds, Intensity: 1}}}, one, `"none"`},
		"a shift of none":   {Benchmark{Data: ds, Shifts: Shifts{{Name: "x", Intensity: 1}}}, one, `"x"`},
		"no function":       {Benchmark{Data: ds, Measures: []Measure{{Name: "x"}}}, one, `"x"`},
		"unlabelled images": {Benchmark{Data: unlabelled}, one, "no label"},
	} {
		if u, err := c.b.Of(c.methods...); err == nil || u != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %s", name, err, c.says)
		}
	}
	u, err := Benchmark{Data: ds}.Of(one...)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"an unknown method":    second(u.Of(ECE, "on")),
		"an unknown measure":   second(u.Of(Measure{Name: "x"}, "one")),
		"an unknown intensity": second(u.Of(ECE, "one", 3)),
		"one unit":             second(u.Rise(ECE)),
		"unknown shifts":       second(u.Lines(ECE, "rotation, degrees")),
		"nothing":              second((*UnderShift)(nil).Of(ECE, "one")),
		"nothing's boxes":      second((*UnderShift)(nil).Plot()),
		"nothing's lines":      second((*UnderShift)(nil).Lines(ECE, "x")),
		"nothing's summary":    second((&UnderShift{}).Summary()),
		"a rotation by 0":      second(Rotations(ds, 0)),
		"by NaN":               second(Rotations(ds, math.NaN())),
		"a translation by all": second(Translations(ds, side)),
		"of few pixels":        second(Translations(ds)),
		"severity 6":           second(Corruptions(ds, []int{6}, 1)),
		"no severity":          second(Corruptions(ds, nil, 1)),
		"no images":            second(Rotations(nil)),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func flat4(n int) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(make([]float32, n*side*side), n, side, side, 1)
}

// stopping is a dataset whose images, once they are asked for, interrupt the program.
type stopping struct {
	model.Labeled
	stop func()
}

func (s stopping) Images(numbers ...int) (*tensors.Tensor, error) {
	s.stop()
	return s.Labeled.Images(numbers...)
}

func TestInterruptedBenchmarksKeepTheShiftsThatAreDone(t *testing.T) {
	ds := noise(t, 10)
	shifts := shiftsOf(t, ds)
	ctx, cancel := context.WithCancel(context.Background())
	defer interrupt.Use(ctx)()
	shifts[1].Data = stopping{ds, cancel}
	u, err := Benchmark{Data: ds, Shifts: shifts}.Of(Method{Name: "one", Units: [][]*model.Model{{small(t, 1)}}})
	if !interrupt.Is(err) || u == nil {
		t.Fatalf("interrupted it returns %v and %v", u, err)
	}
	if rows := u.Table().Rows; len(rows) != 2 || rows[1][2] != "30°" {
		t.Errorf("what is done is %v", rows)
	}
}

func TestByConfidenceIsAccuracyAtConfidence(t *testing.T) {
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions([]float32{0.95, 0.05, 0.7, 0.3, 0.4, 0.6}, 3, 2),
		[]int{0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	b := ByConfidence{Thresholds: []float64{0, 0.65, 0.9, 1}}
	b.Add("net", p)
	accuracy, err := b.Plot()
	if err != nil {
		t.Fatal(err)
	}
	// All three, of which one is wrong; two; one; none, where the line ends.
	if s := accuracy.Series[0]; !slices.Equal(s.X, []float64{0, 0.65, 0.9}) ||
		!slices.Equal(s.Y, []float64{2. / 3, 0.5, 1}) {
		t.Errorf("accuracies by confidence: %v, %v", s.X, s.Y)
	}
	counts, err := b.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if s := counts.Series[0]; !slices.Equal(s.Y, []float64{3, 2, 1, 0}) {
		t.Errorf("images by confidence: %v", s.Y)
	}
	table, err := b.Table()
	if err != nil || len(table.Rows) != 4 {
		t.Errorf("a table of %d rows, %v", len(table.Rows), err)
	}
	if lines, err := (&ByConfidence{said: []*Predictions{p}, names: []string{"net"}}).Counts(); err != nil ||
		len(lines.Series[0].X) != 10 {
		t.Errorf("by default there are the thresholds %v, %v", lines.Series, err)
	}
	b.Add("nothing", nil)
	for name, err := range map[string]error{
		"nil predictions": second(b.Plot()), "nothing": second((&ByConfidence{}).Table()),
		"nil": second((*ByConfidence)(nil).Counts()),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
