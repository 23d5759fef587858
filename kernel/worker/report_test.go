package worker

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// The cells of a report show something again, as the page says that they do: each is run, by a person's own names.
func TestCellsOfAReport(t *testing.T) {
	testenv.Asset(t, "mnist")
	w := newWorker(t)
	run := func(source string) string {
		t.Helper()
		r, shown := eval(t, w, source)
		if r.Failure != nil {
			t.Fatalf("%s: %s", source, r.Failure.Message)
		}
		return value(r) + shown
	}
	for _, source := range []string{
		"photos := loupe.Open(`mnist`).Take(400)",
		"net := loupe.Train(loupe.SmallCNN(photos, 1, 4, 8), photos, learn.Recipe{Epochs: 5, BatchSize: 40, " +
			"LearningRate: 0.01})",
		"r := loupe.Report(net, photos, report.Options{Budget: 2 * time.Minute})",
	} {
		run(source)
	}
	const next, source = "<next cell>", "<source>"
	text := run("for _, f := range append(r.Findings, r.Nothing...) { fmt.Print(f.Check, `" +
		source + "`, f.Cell, `" + next + "`) }")
	text = strings.ReplaceAll(strings.TrimPrefix(text, "stdout:"), "|stdout:", "") // as eval notes what is printed
	checks := map[string]bool{}
	for _, cell := range strings.Split(strings.TrimSuffix(text, next), next) {
		check, code, found := strings.Cut(cell, source)
		if !found || code == "" {
			t.Errorf("%q has no cell", cell)
			continue
		}
		checks[check] = true
		if r, shown := eval(t, w, code); r.Failure != nil {
			t.Errorf("%s: %s", code, r.Failure.Message)
		} else if value(r)+shown == "" {
			t.Errorf("%s shows nothing", code)
		}
	}
	report := run("fmt.Print(r)")
	for _, check := range []string{"accuracy", "classes", "confusion", "calibration", "labels", "pictures",
		"unlike training", "where it looks", "missing parts", "corruptions", "attack"} {
		if !checks[check] {
			t.Errorf("%s has no cell: %s", check, report)
		}
	}
}
