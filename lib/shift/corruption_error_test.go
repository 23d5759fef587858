package shift

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
)

// testbed are the error rates that the ImageNet testbed measured on the published images of ImageNet-C.
func testbed(t *testing.T) map[string]ErrorRates {
	t.Helper()
	f, err := os.Open(testenv.SharedData(t, "testbed", "robustness_top1s.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	rate := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[column[name]], 64)
		if err != nil {
			return math.NaN() // not measured
		}
		return 1 - v/100
	}
	models := map[string]ErrorRates{}
	for _, row := range rows[1:] {
		e := ErrorRates{Name: row[column["model"]], Clean: rate(row, "val"), Corrupted: map[string]float64{}}
		for _, c := range perturb.Common() {
			for severity := 1; severity <= perturb.Severities; severity++ {
				e.Corrupted[c.Name] += rate(row, fmt.Sprintf("imagenet-c.%s.%d_on-disk", c.Name, severity)) / perturb.Severities
			}
		}
		models[e.Name] = e
	}
	return models
}

// The testbed's error rates give the paper's mean corruption errors (Table 1 there; ResNet-50 also in the authors'
// README). The testbed cuts the middle out of the images once more, so that all errors are a little higher, AlexNet's
// among them, by which they are divided.
func TestMeanCorruptionErrorIsThePapers(t *testing.T) {
	models := testbed(t)
	for name, want := range map[string]float64{"resnet18": 84.7, "resnet50": 76.7, "vgg19_bn": 81.6} {
		got, err := MeanCorruptionError(models[name], models["alexnet"])
		if err != nil {
			t.Fatal(err)
		}
		if !approx.Equal(100*got.Mean, want, 1) {
			t.Errorf("%s has the mean corruption error %.1f%%, the paper says %.1f%%", name, 100*got.Mean, want)
		}
		t.Logf("%s: mCE %.1f%%, relative %.1f%%", name, 100*got.Mean, 100*got.MeanRelative)
	}
	alexnet, err := MeanCorruptionError(models["alexnet"], ErrorRates{})
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(alexnet.Mean, 1, 0.03) || !approx.Equal(AlexNet().Clean, models["alexnet"].Clean, 1e-5) {
		t.Errorf("AlexNet's own mean corruption error is %.3f, its clean error %v", alexnet.Mean, models["alexnet"].Clean)
	}
}

func TestMeanCorruptionErrorOfTheBaselineIsOne(t *testing.T) {
	got, err := MeanCorruptionError(AlexNet(), ErrorRates{})
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(got.Mean, 1, 1e-12) || !approx.Equal(got.MeanRelative, 1, 1e-12) || len(got.CE) != 15 ||
		got.Interval.High != 0 {
		t.Errorf("%+v", got)
	}
}

// By hand: errors of a half and a quarter by a quarter and a half; exceeding the clean tenth by .4 and .15, the
// baseline's fifth by .05 and .3.
func TestCorruptionErrorByHand(t *testing.T) {
	got, err := MeanCorruptionError(
		ErrorRates{Clean: .1, Corrupted: map[string]float64{"fog": .5, "snow": .25, "frost": .9},
			Low: map[string]float64{"fog": .4, "snow": .2}, High: map[string]float64{"fog": .6, "snow": .3}},
		ErrorRates{Name: "half", Clean: .2, Corrupted: map[string]float64{"fog": .25, "snow": .5}},
	)
	if err != nil {
		t.Fatal(err)
	}
	for what, v := range map[string][2]float64{
		"snow": {got.CE[0], .5}, "fog": {got.CE[1], 2}, "mean": {got.Mean, 1.25},
		"relative": {got.MeanRelative, (.15/.3 + .4/.05) / 2},
		"low":      {got.Interval.Low, 1}, "high": {got.Interval.High, 1.5},
	} {
		if !approx.Equal(v[0], v[1], 1e-9) {
			t.Errorf("%s is %v, want %v", what, v[0], v[1])
		}
	}
	if text := got.Bundle().Data[mime.Text]; !strings.Contains(text, "125.0 (100.0 to 150.0)") {
		t.Errorf("shown as %v", text)
	}
}

func TestErrorRatesOfASweep(t *testing.T) {
	s := &Sweep{Model: "m", Corruptions: []string{"fog"},
		Accuracy: [][]stats.Accuracy{{of(90, 100), of(80, 100), of(70, 100), of(60, 100), of(50, 100), of(40, 100)}}}
	got, err := s.ErrorRates()
	if err != nil {
		t.Fatal(err)
	}
	if !approx.Equal(got.Clean, .1, 1e-12) || !approx.Equal(got.Corrupted["fog"], .4, 1e-12) ||
		!(got.Low["fog"] < .35 && got.High["fog"] > .45) {
		t.Errorf("%+v", got)
	}
	if mean := (ErrorRates{Corrupted: map[string]float64{"fog": 0.4, "snow": 0.1}}).Mean(); !approx.Equal(mean,
		0.25, 1e-12) {
		t.Errorf("the mean is %g", mean)
	}
	if mean := (ErrorRates{}).Mean(); !math.IsNaN(mean) {
		t.Errorf("the mean of no corruptions is %g", mean)
	}
	s.Accuracy[0] = s.Accuracy[0][:3]
	for want, call := range map[string]func() error{
		"2 of the 5 severities":                func() error { _, err := s.ErrorRates(); return err },
		"no corruptions":                       func() error { _, err := (&Sweep{}).ErrorRates(); return err },
		"m has no error rate for gaussian_noi": func() error { _, err := MeanCorruptionError(got, ErrorRates{}); return err },
		"NaN": func() error {
			_, err := MeanCorruptionError(ErrorRates{Clean: math.NaN()}, ErrorRates{})
			return err
		},
		"cannot be divided by": func() error {
			_, err := MeanCorruptionError(got, ErrorRates{Corrupted: map[string]float64{"fog": 0}})
			return err
		},
		"the baseline has no corruptions": func() error {
			_, err := MeanCorruptionError(got, ErrorRates{Corrupted: map[string]float64{}})
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}
