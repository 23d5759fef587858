package shift

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sbinet/npyio"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

type goldenFit struct {
	N                    int
	Slope, Intercept, R2 float64
	Grid                 []float64
	Band                 [][2]float64
}

// golden is what bench/oracles/fits.py computes of the published results with SciPy and pandas.
type golden struct {
	Fits      map[string]goldenFit
	Points    map[string][2]float64
	Drops     []float64                     `json:"drops matched-frequency"`
	Effective map[string]map[string]float64 // by the y axis and the model
	A         struct {
		Pivot        float64
		Below, Above goldenFit
	} `json:"imagenet-a"`
	Timm map[string]struct {
		goldenFit
		Types  map[string][5]float64 // models, networks, mean, least and largest effective robustness
		Joined int
	}
	TimmA struct {
		Below, Above goldenFit
		Types        map[string][5]float64
	} `json:"timm imagenet-a in pieces"`
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/fits.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (want goldenFit) check(t *testing.T, name string, fit stats.AccuracyFit, tolerance float64) {
	t.Helper()
	f, ok := fit.(*stats.FitLine)
	if !ok {
		t.Fatalf("%s is fitted by a %T", name, fit)
	}
	if len(f.Models) != want.N {
		t.Errorf("%s: the line rests on %d models, SciPy's on %d", name, len(f.Models), want.N)
	}
	if off := max(math.Abs(f.Slope-want.Slope), math.Abs(f.Intercept-want.Intercept),
		math.Abs(f.R2-want.R2)); !approx.Equal(off, 0, tolerance) {
		t.Errorf("%s: %g + %g x, R² %g, SciPy says %g + %g x, R² %g", name, f.Intercept, f.Slope, f.R2, want.Intercept,
			want.Slope, want.R2)
	}
	if want.Grid == nil {
		return
	}
	band, err := f.Band(want.Grid, 10000, 0.05, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range want.Band {
		if off := max(math.Abs(band[i].Low-b[0]), math.Abs(band[i].High-b[1])); !approx.Equal(off, 0, 0.05*(b[1]-b[0])) {
			// other draws
			t.Errorf("%s: the band at %g is %v, NumPy's %v", name, want.Grid[i], band[i], b)
		}
	}
}

var scales = []stats.AxisScale{stats.Linear, stats.Probit, stats.Logit}

func ok[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func readCIFAR101(t *testing.T) *Results {
	t.Helper()
	base := testenv.SharedData(t, "cifar10.1")
	r := NewResults()
	for _, set := range []struct{ condition, folder, labels string }{
		{"CIFAR-10", "original_predictions", testenv.SharedData(t, "label-errors", "original_test_labels",
			"cifar10_test_set_original_labels.npy")},
		{"CIFAR-10.1", "v4_predictions", filepath.Join(base, "datasets", "cifar10.1_v4_labels.npy")},
	} {
		predictions := ok[[]*model.Answers](t)(ReadPredictions(filepath.Join(base, "model_predictions", set.folder)))
		labels, _, err := numpy.ReadInts(set.labels)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.AddPredictions(set.condition, labels, 1, predictions...); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// readImageNetV2 reads predictions on a set of ImageNetV2, and the accuracies on ImageNet beside them.
func readImageNetV2(t *testing.T, set string) *Results {
	t.Helper()
	base := testenv.SharedData(t, "imagenetv2")
	r := ok[*Results](t)(ReadAccuracies(filepath.Join(base, set+".accuracy.csv"), 1, func(condition string) int {
		return map[string]int{"val": 50000}[condition]
	}))
	predictions, labels, err := ReadPredictionArchive(filepath.Join(base, set+".npz"),
		filepath.Join(base, set+".models.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AddPredictions("v2", labels, 1, predictions...); err != nil {
		t.Fatal(err)
	}
	return r
}

func noFisherVectors(model string) bool { return !strings.HasPrefix(model, "fv_") }

func TestNewTestSetsOfRechtEtAl(t *testing.T) {
	g := readGolden(t)
	cifar, matched, top := readCIFAR101(t), readImageNetV2(t, "matched-frequency"), readImageNetV2(t, "top-images")
	for _, c := range []struct {
		name, x, y string
		results    *Results
		keep       func(string) bool
		// What stands in the project's notes to 4 digits: linear and probit slope, intercept and R².
		linear, probit [3]float64
	}{
		{"cifar10.1", "CIFAR-10", "CIFAR-10.1", cifar, nil, [3]float64{1.6166, -0.6551, 0.9887},
			[3]float64{0.9515, -0.3986, 0.9831}},
		{"imagenetv2 matched-frequency, all", "val", "v2", matched, nil, [3]float64{1.0585, -0.1638, 0.9751},
			[3]float64{1.1581, -0.4647, 0.9029}},
		{"imagenetv2 matched-frequency", "val", "v2", matched, noFisherVectors, [3]float64{1.1098, -0.2026, 0.9913},
			[3]float64{0.9680, -0.3271, 0.9954}},
		{"imagenetv2 top-images", "val", "v2", top, noFisherVectors, [3]float64{0.9584, 0.0535, 0.9915},
			[3]float64{0.9949, 0.0767, 0.9912}},
	} {
		for _, scale := range scales {
			fit := ok[stats.AccuracyFit](t)(c.results.Fit(scale, c.x, c.y, c.keep))
			name := fmt.Sprint(c.name, " ", scale)
			g.Fits[name].check(t, name, fit, 1e-9)
			want, f := map[stats.AxisScale][3]float64{stats.Linear: c.linear, stats.Probit: c.probit}[scale],
				fit.(*stats.FitLine)
			if off := max(math.Abs(f.Slope-want[0]), math.Abs(f.Intercept-want[1]),
				math.Abs(f.R2-want[2])); scale != stats.Logit && !approx.Equal(off, 0, 0.00005001) {
				t.Errorf("%s: %.4f, %.4f, R² %.4f, want %v", name, f.Slope, f.Intercept, f.R2, want)
			}
		}
	}

	// Single models, in percent, and the drops.
	for _, c := range []struct {
		results    *Results
		model      string
		x, y       string
		home, away float64
	}{
		{cifar, "vgg16_keras", "CIFAR-10", "CIFAR-10.1", 93.59, 85.25},
		{cifar, "wrn_28_10", "CIFAR-10", "CIFAR-10.1", 95.93, 89.71},
		{cifar, "shake_shake_26_2x64d_SSI_cutout16", "CIFAR-10", "CIFAR-10.1", 97.11, 92.97},
		{matched, "alexnet", "val", "v2", 56.52, 43.98},
		{matched, "resnet50", "val", "v2", 76.13, 63.33},
		{matched, "pnasnet_large_tf", "val", "v2", 82.86, 72.19},
	} {
		home, _ := c.results.Cell(c.model, c.x)
		away, _ := c.results.Cell(c.model, c.y)
		if off := max(math.Abs(100*home.Accuracy.Share()-c.home), math.Abs(100*away.Accuracy.Share()-c.away)); !approx.Equal(
			off, 0, 0.005001) {
			t.Errorf("%s: %.2f to %.2f, want %.2f to %.2f", c.model, 100*home.Accuracy.Share(), 100*away.Accuracy.Share(),
				c.home, c.away)
		}
		if of, err := away.Accuracy.IntervalAt(0.05); err != nil ||
			!(of.Low < away.Accuracy.Share() && away.Accuracy.Share() < of.High && of.High-of.Low < 0.035) {
			t.Errorf("%s: the interval of %g is %v, %v", c.model, away.Accuracy.Share(), of, err)
		}
	}
	drops := func(r *Results, x, y string, keep func(string) bool) []float64 {
		pairs, missing, err := r.Pairs(x, y, keep)
		if err != nil || len(missing) > 0 {
			t.Fatal(missing, err)
		}
		var out []float64
		for _, p := range pairs {
			out = append(out, -stats.RelativeRobustness(p.Y, p.X))
		}
		slices.Sort(out)
		return out
	}
	d := drops(matched, "val", "v2", noFisherVectors)
	var mean float64
	for _, v := range d {
		mean += v / float64(len(d))
	}
	if len(d) != int(g.Drops[3]) || !approx.Equal(mean, g.Drops[0], 1e-9) || !approx.Equal(mean, 11.97, 0.005) ||
		!approx.Equal(d[0], 10.3, 0.05) || !approx.Equal(d[len(d)-1], 13.6, 0.05) {
		t.Errorf("the drops of %d models are %.2f to %.2f, %.2f in the mean", len(d), d[0], d[len(d)-1], mean)
	}
	// "3% to 15% on CIFAR-10", says the abstract; these are the 30 published of 34 models.
	if d := drops(cifar, "CIFAR-10", "CIFAR-10.1", nil); !(math.Round(d[0]) >= 3) || math.Round(d[len(d)-1]) != 15 {
		t.Errorf("the drops on CIFAR-10.1 are %.2f to %.2f", d[0], d[len(d)-1])
	}
}

func readTestbed(t *testing.T) *Results {
	t.Helper()
	base := testenv.SharedData(t, "testbed")
	return ok[*Results](t)(ReadTestbed(filepath.Join(base, "robustness_top1s.csv"),
		filepath.Join(base, "model_types.csv")))
}

const matchedV2 = "imagenetv2-matched-frequency-format-val"

func TestTestbedOfTaoriEtAl(t *testing.T) {
	g, r := readGolden(t), readTestbed(t)
	if len(r.Models()) != 338 || len(r.Conditions()) != 213 {
		t.Errorf("%d models under %d conditions", len(r.Models()), len(r.Conditions()))
	}
	for y, x := range map[string]string{
		matchedV2: "val", "imagenetv2-matched-frequency": "val", "objectnet-1.0-beta": "val-on-objectnet-classes",
		"imagenet-sketch": "val", "imagenet-r": "val-on-imagenet-r-classes",
		"imagenet-vid-robust_pm10": "imagenet-vid-robust_pm0", "ytbb-robust_pm10": "ytbb-robust_pm0",
	} {
		for _, scale := range scales {
			fit := ok[stats.AccuracyFit](t)(r.Fit(scale, x, y, r.TestbedFit))
			name := fmt.Sprint("testbed ", y, " ", scale)
			g.Fits[name].check(t, name, fit, 1e-6) // the table has float32 percentages, these are whole counts
			if scale != stats.Logit {
				continue
			}
			effective := ok[[]Robustness](t)(r.Effective(fit, x, y))
			if len(effective) != len(g.Effective[y]) {
				t.Errorf("%s: %d models, pandas has %d", y, len(effective), len(g.Effective[y]))
			}
			for i, e := range effective {
				if !approx.Equal(e.Effective, g.Effective[y][e.Model], 1e-4) {
					t.Errorf("%s: effective robustness of %s is %g, want %g", y, e.Model, e.Effective, g.Effective[y][e.Model])
				}
				if i > 0 && !(e.Effective <= effective[i-1].Effective) {
					t.Errorf("%s: %s is not in order", y, e.Model)
				}
			}
		}
	}
	// What stands in the project's notes.
	for _, c := range []struct {
		x, y                 string
		slope, intercept, r2 float64
		points               map[string]float64
	}{
		{"val", matchedV2, 0.9232, -0.4977, 0.9960, map[string]float64{"efficientnet-l2-noisystudent": 1.11,
			"resnet50": -0.74, "resnet50_deepaugment_augmix": -0.05}},
		{"val-on-objectnet-classes", "objectnet-1.0-beta", 0.9809, -1.9283, 0.9525,
			map[string]float64{"efficientnet-l2-noisystudent": 3.26}},
		{"val", "imagenet-sketch", 1.0709, -2.3701, 0.8690, nil},
		{"val-on-imagenet-r-classes", "imagenet-r", 0.6368, -2.1077, 0.8894,
			map[string]float64{"efficientnet-l2-noisystudent": 17.1, "resnet50_deepaugment_augmix": 10.3}},
	} {
		f := ok[stats.AccuracyFit](t)(r.Fit(stats.Logit, c.x, c.y, r.TestbedFit)).(*stats.FitLine)
		if off := max(math.Abs(f.Slope-c.slope), math.Abs(f.Intercept-c.intercept), math.Abs(f.R2-c.r2)); !approx.Equal(off,
			0, 0.00005001) {
			t.Errorf("%s: %.4f, %.4f, R² %.4f, want %v", c.y, f.Slope, f.Intercept, f.R2, c)
		}
		for _, e := range ok[[]Robustness](t)(r.Effective(f, c.x, c.y)) {
			if want, noted := c.points[e.Model]; noted && !approx.Equal(e.Effective, want, 0.05) {
				t.Errorf("%s: effective robustness of %s is %.2f, want %.2f", c.y, e.Model, e.Effective, want)
			}
		}
	}
}

// ImageNet-A was collected against a ResNet-50, which gets none of it right, so the authors' fit has two pieces.
func TestImageNetAHasTwoPieces(t *testing.T) {
	g, r := readGolden(t), readTestbed(t)
	x, y := "val-on-imagenet-a-classes", "imagenet-a"
	fit := ok[stats.AccuracyFit](t)(r.Fit(stats.Logit, x, y, r.TestbedFit))
	f, pieces := fit.(*stats.PiecewiseLine)
	if !pieces || !approx.Equal(f.Pivot, g.A.Pivot, 1e-8) {
		t.Fatalf("the fit is %+v", fit)
	}
	g.A.Below.check(t, "below", f.Below, 1e-6)
	g.A.Above.check(t, "above", f.Above, 1e-6)
	if !slices.ContainsFunc(f.Excluded, func(e stats.ExcludedModel) bool {
		return e.Model == "resnet50" &&
			strings.Contains(e.Reason, "pivot")
	}) {
		t.Errorf("left out are %v", f.Excluded)
	}
	for _, e := range ok[[]Robustness](t)(r.Effective(f, x, y)) {
		if !approx.Equal(e.Effective, g.Effective[y][e.Model], 1e-3) {
			t.Errorf("effective robustness of %s is %g, want %g", e.Model, e.Effective, g.Effective[y][e.Model])
		}
	}
	linear := ok[stats.AccuracyFit](t)(r.Fit(stats.Linear, x, y, r.TestbedFit))
	if f, ok := linear.(*stats.FitLine); !ok || !slices.Contains(f.Models, "resnet50") {
		t.Error("a linear axis has room for a zero")
	}
}

func TestTimmAgreesWithPandas(t *testing.T) {
	g := readGolden(t)
	r := ok[*Results](t)(ReadTimm(testenv.SharedData(t, "timm")))
	if n := len(r.Models()); n != 1557 { // ImageNet-A's table has one that the others lack, and lacks one
		t.Errorf("%d models", n)
	}
	for condition, file := range map[string]string{"imagenetv2": "imagenetv2-matched-frequency",
		"imagenet-real": "imagenet-real", "imagenet-a": "imagenet-a", "imagenet-r": "imagenet-r"} {
		want, x := g.Timm[file], "imagenet"
		if condition == "imagenet-a" || condition == "imagenet-r" {
			x = condition + "-clean"
		}
		fit := ok[stats.AccuracyFit](t)(r.Fit(stats.Logit, x, condition, r.OfType(ImageNet1k)))
		// counts of ReaL and R, as which the accuracies began, are rounded in the tables
		want.goldenFit.check(t, condition, fit, 1e-4)
		total := 0
		for _, k := range ok[[]TypeRobustness](t)(r.EffectiveByType(fit, x, condition, 0.05)) {
			w := want.Types[k.Type]
			if k.Models != int(w[0]) || k.Weights != int(w[1]) ||
				!approx.Equal(max(math.Abs(k.Mean-w[2]), math.Abs(k.Low-w[3]), math.Abs(k.High-w[4])), 0, 0.002) {
				t.Errorf("%s of %s: %+v, pandas says %v", condition, k.Type, k, w)
			}
			if !(k.Interval.Low < k.Mean && k.Mean < k.Interval.High) {
				t.Errorf("%s of %s: the mean %g lies in %v", condition, k.Type, k.Mean, k.Interval)
			}
			total += k.Models
			t.Logf("%s, %s: %d models of %d networks, %+.2f points (%.2f to %.2f), from %.2f to %.2f", condition, k.Type,
				k.Models, k.Weights, k.Mean, k.Interval.Low, k.Interval.High, k.Low, k.High)
		}
		if total != want.Joined {
			t.Errorf("%s: %d models of %d", condition, total, want.Joined)
		}
	}
	// ImageNet-A was collected against a ResNet-50, whose accuracy there is 0 and which timm's table leaves out: the
	// fit parts where it is.
	pivot, _ := r.Cell("resnet50.tv_in1k@224", "imagenet-a-clean")
	fit := ok[*stats.PiecewiseLine](t)(r.FitPiecewise(stats.Logit, "imagenet-a-clean", "imagenet-a",
		pivot.Accuracy.Share(), r.OfType(ImageNet1k)))
	want := g.TimmA
	want.Below.check(t, "below", fit.Below, 1e-4)
	want.Above.check(t, "above", fit.Above, 1e-4)
	for _, k := range ok[[]TypeRobustness](t)(r.EffectiveByType(fit, "imagenet-a-clean", "imagenet-a", 0.05)) {
		if w := want.Types[k.Type]; k.Models != int(w[0]) ||
			!approx.Equal(max(math.Abs(k.Mean-w[2]), math.Abs(k.Low-w[3]), math.Abs(k.High-w[4])), 0, 0.002) {
			t.Errorf("in pieces, %s: %+v, pandas says %v", k.Type, k, w)
		}
		t.Logf("imagenet-a in pieces, %s: %+.2f points (%.2f to %.2f), from %.2f to %.2f", k.Type, k.Mean, k.Interval.Low,
			k.Interval.High, k.Low, k.High)
	}
}

func TestTimmTags(t *testing.T) {
	for model, want := range map[string]string{
		"resnet50.tv_in1k": ImageNet1k, "vgg16.tv_in1k": ImageNet1k, "convnextv2_base.fcmae_ft_in1k": ImageNet1k,
		"cait_m48_448.fb_dist_in1k":                 ImageNet1k,
		"vit_base_patch16_224.augreg_in21k_ft_in1k": ImageNet21k, "swin_base.ms_in22k_ft_in1k": ImageNet21k,
		"vit_base.sbb_e200_in12k_ft_in1k":                 ImageNet21k,
		"vit_base_patch16_clip_224.laion2b_ft_in12k_in1k": WebScale, "tf_efficientnet_l2.ns_jft_in1k_475": WebScale,
		"resnext101_32x8d.fb_wsl_ig1b_ft_in1k":      WebScale,
		"eva02_large_patch14_448.mim_in22k_ft_in1k": WebScale, "beitv2_base_patch16_224.in1k_ft_in1k": WebScale,
		"hrnet_w48_ssld.paddle_in1k": TaughtByMore, "hgnet_base.ssld_in1k": TaughtByMore,
		"resnetv2_50x1_bit.goog_distilled_in1k": TaughtByMore,
		"inception_v3.tf_adv_in1k":              ImageNet1kAdv, "tf_efficientnet_b0.ap_in1k": ImageNet1kAdv,
		"resmlp_24_224.fb_dino": UnknownData, "mine": UnknownData,
	} {
		if got := TimmTraining(model); got != want {
			t.Errorf("%s is trained on %s, want %s", model, got, want)
		}
	}
}

// A scatter has all that the paper's figure has.
func TestScatterOfTheTestbed(t *testing.T) {
	r := readTestbed(t)
	fit := ok[stats.AccuracyFit](t)(r.Fit(stats.Logit, "val", matchedV2, r.TestbedFit))
	shown := func(m string) bool {
		c, ok := r.Cell(m, "val")
		return ok && c.Accuracy.Share() >= 0.55
	}
	s := ok[display.AccuracyScatter](t)(r.Scatter(fit, "val", matchedV2, shown, "resnet50"))
	if want := []string{Standard, Robust, MoreData, LpRobust, "low-accuracy CNN"}; !slices.Equal(s.Groups, want) ||
		s.Scale != stats.Logit {
		t.Errorf("the types are %v", s.Groups)
	}
	labelled := 0
	for _, p := range s.Points {
		c, _ := r.Cell(p.Name, matchedV2)
		if want, err := stats.ClopperPearson(c.Accuracy.Correct, c.Accuracy.Total, 0.005); err != nil ||
			p.YInterval != want || !(p.X >= 0.55) || r.Kind(p.Name).Type != s.Groups[p.Group] {
			t.Errorf("%+v, want the interval %v and the type %s", p, want, r.Kind(p.Name).Type)
		}
		if p.Label {
			labelled++
		}
	}
	if labelled != 1 || len(s.Points) < 150 {
		t.Errorf("%d of %d points have their names beside them", labelled, len(s.Points))
	}
	if s := ok[display.AccuracyScatter](t)(readCIFAR101(t).Scatter(nil, "CIFAR-10", "CIFAR-10.1", nil)); s.Groups != nil ||
		len(s.Points) != 30 {
		t.Errorf("of models without types: %v", s.Groups)
	}
	rows := ok[display.Table](t)(r.TableAt(0.005, "val", matchedV2))
	i := slices.IndexFunc(rows.Rows, func(row []any) bool { return row[0] == "resnet50" })
	text := ""
	for _, cell := range rows.Rows[i] {
		if rate, ok := cell.(table.Rate); ok {
			cell = fmt.Sprintf(" %.2f (%.2f to %.2f)", 100*rate.Value, 100*rate.Low, 100*rate.High)
		}
		text += fmt.Sprint(cell)
	}
	if got := text; got != "resnet50standard training 76.13 (75.59 to 76.66) 63.21 (61.84 to 64.56)" {
		t.Errorf("the row is %q", got)
	}
}

func TestUnreadableResults(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	size := func(n int) func(string) int { return func(string) int { return n } }
	accuracies := func(name, text string, n int) func() error {
		path := write(name, text)
		return func() error { _, err := ReadAccuracies(path, 100, size(n)); return err }
	}
	predictions := func(name, text string) func() error {
		path := write(name, text)
		return func() error { _, err := ReadPredictions(filepath.Dir(path)); return err }
	}
	for want, do := range map[string]func() error{
		"has no column \"model\"": accuracies("a.csv", "name,val\nm,3\n", 100),
		"has no rows":             accuracies("b.csv", "model,val\n", 100),
		"row 3: \"x\" is not a":   accuracies("c.csv", "model,val\nm,3\nn,x\n", 100),
		"33.500 of 100 images":    accuracies("d.csv", "model,val\nm,33.5\n", 100),
		"is 1.2 times":            accuracies("e.csv", "model,val\nm,120\n", 100),
		"wrong number of fields":  accuracies("f.csv", "model,val\nm\n", 100),
		"has two results":         accuracies("g.csv", "model,val\nm,30\nm,40\n", 100),
		"no predictions":          predictions("p/notes.txt", "none"),
		"not a list of classes":   predictions("q/m_predictions.json", `{"a": 1}`),
		"is not a NumPy file":     predictions("r/m.npy", "no array"),
		"no such file":            func() error { _, err := ReadTimm(dir); return err },
		"for the 2 labels": func() error {
			return NewResults().AddPredictions("c", []int{1, 2}, 1, model.AnswersFromClasses("m", []int{1}))
		},
		"top-3 of m, of which 1": func() error {
			return NewResults().AddPredictions("c", []int{1}, 3, model.AnswersFromClasses("m", []int{1}))
		},
		"0 of 0 images": func() error {
			return NewResults().AddPredictions("c", []int{-1}, 1, model.AnswersFromClasses("m", []int{1}))
		},
		"both need a":     func() error { return NewResults().Add(Cell{"", "c", of(1, 2)}) },
		"tried under \"y": func() error { _, _, err := NewResults().Pairs("y", "x", nil); return err },
		"no model \"m\"":  func() error { return NewResults().SetKind("m", ModelInfo{}) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "shift: ") {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	good := write("s/tables.csv", "model,a,b\nm,\"1,0\",\n")
	if r, err := ReadAccuracies(good, 100, size(10)); err != nil || len(r.Conditions()) != 1 {
		t.Errorf("an empty cell: %v, %v", r, err)
	}
}

// The original predictions of ImageNetV2 are the five likeliest classes of each image, likeliest first.
func TestTopFivePredictions(t *testing.T) {
	dir := t.TempDir()
	for name, v := range map[string]any{"other.npy": []int64{3, 1}} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := npyio.Write(f, v); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	// NumPy's header and two rows of five.
	header := "{'descr': '<i8', 'fortran_order': False, 'shape': (2, 5), }"
	text := "\x93NUMPY\x01\x00" + string([]byte{118, 0}) + header + strings.Repeat(" ", 117-len(header)) + "\n"
	for _, c := range []byte{3, 1, 4, 0, 5, 9, 2, 6, 7, 8} {
		text += string([]byte{c, 0, 0, 0, 0, 0, 0, 0})
	}
	if err := os.WriteFile(filepath.Join(dir, "net.npy"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	predictions := ok[[]*model.Answers](t)(ReadPredictions(dir))
	if len(predictions) != 2 || predictions[0].Model != "net" ||
		!slices.Equal(ok[[][]int](t)(predictions[0].Ranked(5))[1], []int{9, 2, 6, 7, 8}) ||
		!slices.Equal(ok[[][]int](t)(predictions[1].Ranked(1))[0], []int{3}) {
		t.Fatalf("the predictions are %v", predictions)
	}
	r := NewResults()
	for condition, k := range map[string]int{"top-1": 1, "top-5": 5} {
		if err := r.AddPredictions(condition, []int{3, 8}, k, predictions[0]); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := r.Cell("net", "top-1")
	five, _ := r.Cell("net", "top-5")
	if one.Accuracy.Correct != 1 || five.Accuracy.Correct != 2 || five.Accuracy.Total != 2 {
		t.Errorf("%v and %v", one, five)
	}
}

// A table that is written and read is the same one, and its first line and its rows are laid out as the testbed's.
func TestAccuraciesAreWrittenAndRead(t *testing.T) {
	dir := t.TempDir()
	r := NewResults()
	for _, c := range []Cell{{"b, \"quoted\"", "val", stats.Accuracy{Correct: 2, Total: 3}},
		{"b, \"quoted\"", "fog", stats.Accuracy{Correct: 0, Total: 7}}, {"a", "val", stats.Accuracy{Correct: 3, Total: 3}}} {
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	size := map[string]int{"val": 3, "fog": 7}
	for full, want := range map[float64]string{
		100: "model,fog,val\na,,100\n\"b, \"\"quoted\"\"\",0,66.66666666666667\n",
		1:   "model,fog,val\na,,1\n\"b, \"\"quoted\"\"\",0,0.6666666666666666\n",
	} {
		path := filepath.Join(dir, "table.csv")
		if err := r.WriteAccuracies(path, full); err != nil {
			t.Fatal(err)
		}
		if text := string(ok[[]byte](t)(os.ReadFile(path))); text != want {
			t.Errorf("%q, want %q", text, want)
		}
		sameCells(t, ok[*Results](t)(ReadAccuracies(path, full, func(name string) int { return size[name] })), r, 3)
	}
	for _, full := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if err := r.WriteAccuracies(filepath.Join(dir, "no.csv"), full); err == nil ||
			!strings.Contains(err.Error(), "it is 100 for percentages, 1 for shares") {
			t.Errorf("%v: %v", full, err)
		}
	}
	if err := r.WriteAccuracies(filepath.Join(dir, "none", "table.csv"), 1); err == nil {
		t.Error("it was written into a folder that is not there")
	}
}

func TestTheTestbedsTableIsWrittenAsItWas(t *testing.T) {
	published := testenv.SharedData(t, "testbed", "robustness_top1s.csv")
	r := readTestbed(t)
	path := filepath.Join(t.TempDir(), "table.csv")
	if err := r.WriteAccuracies(path, 100); err != nil {
		t.Fatal(err)
	}
	sameCells(t, ok[*Results](t)(ReadAccuracies(path, 100, testbedSize)), r, 45000)
	was, _, err := readCSV(published, "model")
	if err != nil {
		t.Fatal(err)
	}
	_, columns, err := readCSV(path, "model")
	if err != nil {
		t.Fatal(err)
	}
	is, _, _ := readCSV(path)
	if len(is) != len(was) || len(is[0]) != len(was[0]) {
		t.Fatalf("%d rows of %d, published are %d of %d", len(is), len(is[0]), len(was), len(was[0]))
	}
	rows := map[string][]string{}
	for _, row := range is {
		rows[row[0]] = row
	}
	for _, row := range was[1:] {
		for i, text := range row[1:] {
			got := rows[row[0]][columns[was[0][i+1]]]
			if text == "" || got == "" {
				if text != got {
					t.Errorf("%s under %s is %q, published is %q", row[0], was[0][i+1], got, text)
				}
				continue
			}
			// Published are percentages in float32 of whole counts.
			want, has := ok[float64](t)(strconv.ParseFloat(text, 64)), ok[float64](t)(strconv.ParseFloat(got, 64))
			if !approx.Equal(has, want, 1e-5) {
				t.Errorf("%s under %s is %q, published is %q", row[0], was[0][i+1], got, text)
			}
		}
	}
}

// sameCells compares two tables, in which more than some cells are.
func sameCells(t *testing.T, got, want *Results, atLeast int) {
	t.Helper()
	n := 0
	for _, m := range want.Models() {
		for _, c := range want.Conditions() {
			a, has := got.Cell(m, c)
			b, had := want.Cell(m, c)
			if a != b || has != had {
				t.Errorf("%s under %s: %+v %t, was %+v %t", m, c, a, has, b, had)
			}
			if had {
				n++
			}
		}
	}
	if n < atLeast || len(got.Models()) != len(want.Models()) || len(got.Conditions()) != len(want.Conditions()) {
		t.Errorf("%d cells of %d models under %d conditions, was %d under %d", n, len(got.Models()), len(got.Conditions()),
			len(want.Models()), len(want.Conditions()))
	}
}
