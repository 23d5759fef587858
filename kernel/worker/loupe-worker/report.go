package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/loupeml/loupe/internal/reporting"
	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/report"
	"github.com/loupeml/loupe/lib/save"
)

// makeReport makes the report that `loupe report` asks for, and returns the exit status.
func makeReport(request string) int {
	fail := func(status int, err error) int {
		fmt.Fprintln(os.Stderr, "loupe:", strings.TrimPrefix(err.Error(), "report: "))
		return status
	}
	var ask reporting.Request
	if err := json.Unmarshal([]byte(request), &ask); err != nil {
		return fail(reporting.Failed, err)
	}
	for _, t := range ask.Thresholds {
		if err := report.CheckMeasure(t.Measure); err != nil {
			return fail(reporting.Usage, err)
		}
	}
	// The first Ctrl-C ends the report in order, the second one at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	defer interrupt.Use(ctx)()
	r, err := reportOf(ask)
	if r == nil {
		return fail(reporting.Failed, err)
	}
	if !r.Stopped && len(r.Findings)+len(r.Nothing) == 0 {
		return fail(reporting.Failed, nothingAsked(r, ask.Skip))
	}
	fmt.Print(r)
	var written []string
	for _, path := range []string{ask.Output, strings.TrimSuffix(ask.Output, filepath.Ext(ask.Output)) + ".json"} {
		if err := save.Write(path, r); err != nil {
			return fail(reporting.Failed, err)
		}
		written = append(written, path)
	}
	fmt.Fprintf(os.Stderr, "loupe: %s and %s are written\n", written[0], written[1])
	status := reporting.Good
	for _, t := range ask.Thresholds {
		below, err := r.Below(t.Measure, t.Least)
		if err != nil {
			return fail(reporting.Failed, err)
		}
		if below != "" {
			fmt.Fprintln(os.Stderr, "loupe:", below)
			status = reporting.Below
		}
	}
	if r.Stopped {
		return reporting.Stopped
	}
	return status
}

// nothingAsked is why a report has nothing to say: what its first check says, or the first that can do without labels.
func nothingAsked(r *report.Report, skips bool) error {
	why := "no check had anything to say"
	for i, left := range r.LeftOut {
		if labels := strings.HasSuffix(left.Why, " no labels."); i == 0 || !labels {
			why = strings.TrimSuffix(left.Why, ".")
			if !labels {
				break
			}
		}
	}
	if !skips {
		why += " (with --skip-damaged, images that cannot be read are left out)"
	}
	return fmt.Errorf("%s on %s: nothing could be asked: %s", r.Model, r.Data, why)
}

// reportOf loads what is asked about and makes the report. Package loupe panics where there is an error.
func reportOf(ask reporting.Request) (r *report.Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			var is bool
			if err, is = p.(error); !is {
				panic(p)
			}
		}
	}()
	var load []model.Option
	net := fmt.Sprintf("net := loupe.Load(%q", ask.Model)
	for _, n := range []struct {
		word, code string
		option     model.Option
	}{
		{"imagenet", "loupe.ImageNet", loupe.ImageNet},
		{"half", "loupe.HalfHalf", loupe.HalfHalf},
		{"none", "loupe.Unnormalized", loupe.Unnormalized},
	} {
		if ask.Normalisation == n.word {
			load, net = append(load, n.option), net+", "+n.code
		}
	}
	if ask.Classes != "" {
		load, net = append(load, loupe.ClassNames(ask.Classes)), net+fmt.Sprintf(", loupe.ClassNames(%q)", ask.Classes)
	}
	var fields []string
	options := data.Options{Split: ask.Split, LabelsFile: ask.Labels, Partial: ask.Partial}
	if ask.Split != "" {
		fields = append(fields, fmt.Sprintf("Split: %q", ask.Split))
	}
	if ask.Labels != "" {
		fields = append(fields, fmt.Sprintf("LabelsFile: %q", ask.Labels))
	}
	if ask.Partial {
		fields = append(fields, "Partial: true")
	}
	if ask.Skip {
		options.OnBad, fields = data.Skip, append(fields, "OnBad: data.Skip")
	}
	photos := fmt.Sprintf("photos := loupe.Open(%q", ask.Data)
	var open []data.Options
	if len(fields) > 0 {
		open, photos = append(open, options), photos+", data.Options{"+strings.Join(fields, ", ")+"}"
	}
	begin := net + ")\n" + photos + ")"
	m := loupe.Load(ask.Model, load...)
	opened := loupe.Open(ask.Data, open...)
	var training *data.Dataset
	if ask.Training != "" {
		training = loupe.Open(ask.Training)
		begin += fmt.Sprintf("\ntraining := loupe.Open(%q)", ask.Training)
	}
	return report.Of(m, loupe.Prepare(m, opened), report.Options{
		Budget: ask.Budget, Opened: opened, Training: training, Seed: ask.Seed, Begin: begin,
	})
}
