// Package report asks a network and its images all that is sensibly asked first, within a time, and makes one page of
// it.
//
//	r, err := report.Of(m, photos, report.Options{Budget: 5 * time.Minute})
//	save.Write("report.html", r)
//
// A report has three lists. Findings are what the images show beyond chance, those that matter most first, each with
// its evidence, its interval and the cell that shows it again. Nothing are the checks that were made and found nothing.
// LeftOut are the checks that could not be made, and why.
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// DefaultBudget is how long a report may take where nothing else is said.
const DefaultBudget = 5 * time.Minute

// Options says how a report is made.
type Options struct {
	// Budget is how long it may take; 0 means [DefaultBudget]. A program that is being compiled when the time is over is
	// waited for, so a report may take some seconds more.
	Budget time.Duration
	// Opened are the same images as they were opened, before they were brought to the network's size: for what is wrong
	// with the pictures themselves. nil means that they are not at hand.
	Opened *data.Dataset
	// Training are images that the network was trained on, or others like them, as they were opened: the images are
	// compared with these. Labels are not needed. nil means that they are not at hand.
	Training *data.Dataset
	// Begin is Go that makes the network, net, the images, photos, and those of the training, training, as the page shows
	// it above all other cells; "" where the person has them.
	Begin string
	// Seed draws which images are looked at where not all can be.
	Seed uint64
}

// Report is what was found of a network and a dataset. It shows itself as a page; save.Write keeps it as .html and
// .json, and its table as .csv.
type Report struct {
	Model, Data string
	Images      int // that were looked at
	Asked       int // that there are
	Labeled     int // of those that were looked at
	Classes     int
	// Findings are ordered by their Weight, the largest first.
	Findings []Finding
	Nothing  []Finding
	LeftOut  []LeftOut
	// Measures are those that could be measured.
	Measures []Measure
	// Notes say what is to be known of the images and of the network, such as which files were left out.
	Notes []string
	// Begin is Go that comes before the findings' cells; it may be empty.
	Begin string
	// Stopped says that a person has ended it early.
	Stopped      bool
	Budget, Took time.Duration
}

// check is one thing that is asked. It returns what it says; an error is why it says nothing.
type check struct {
	name string
	// answers says that it only asks what the network has answered already: it is made even after a Stop.
	answers bool
	do      func(r *run) error
}

// checks are in the order in which they are made: what costs little comes first.
var checks = []check{
	{"accuracy", true, accuracy},
	{"classes", true, perClass},
	{"confusion", true, confusion},
	{"calibration", true, calibration},
	{"confidence", true, confidence},
	{"labels", false, labelIssues},
	{"pictures", false, pictureIssues},
	{"unlike training", false, unlike},
	{"where it looks", false, whereItLooks},
	{"missing parts", false, missingParts},
	{"corruptions", false, corruptions},
	{"attack", false, attacked},
	{"spurious features", false, spuriousFeatures},
	{"tricks", false, tricks},
}

// Checks are the names of the checks, in the order in which they are made.
func Checks() []string {
	names := make([]string, len(checks))
	for i, c := range checks {
		names[i] = c.name
	}
	return names
}

// Of makes a report of a network and images that have the network's size: see model.Model.Prepare. Labels are not
// needed, and where they do not meet the network's classes the report does without them and says so.
//
// Interrupted, it returns the report of what is done beside the error. Otherwise the only errors are those of a network
// or a dataset that is not there: what a check cannot do, the report says.
func Of(m *model.Model, photos *data.Dataset, o Options) (*Report, error) {
	if m == nil {
		return nil, errors.New("report: there is no network: it is nil")
	}
	if err := model.CheckDataset(photos); err != nil {
		return nil, err
	}
	if photos.Len() == 0 {
		return nil, fmt.Errorf("report: %s has no images", photos.Title())
	}
	if o.Opened != nil && o.Opened.Len() != photos.Len() {
		return nil, fmt.Errorf("report: there are %d images, and %d as they were opened: they are to be the same ones",
			photos.Len(), o.Opened.Len())
	}
	if o.Budget < 0 {
		return nil, fmt.Errorf("report: a budget of %v: it is to be more than 0", o.Budget)
	}
	training, err := trainingOf(m, o.Training)
	if err != nil {
		return nil, err
	}
	o.Budget = cmp.Or(o.Budget, DefaultBudget)
	r := begin(m, photos, o)
	r.training = training
	bar := progress.New("report of "+m.Name(), len(checks)+1)
	defer bar.Close()
	over := ticking(bar)
	defer over()
	bar.Say("asking the network")
	bar.Add(0)
	r.ask()
	bar.Add(1)
	for _, c := range checks {
		bar.Say("now: " + c.name)
		bar.Add(0)
		r.make(c)
		bar.Add(1)
	}
	report := r.report
	slices.SortStableFunc(report.Findings, func(a, b Finding) int { return cmp.Compare(b.Weight, a.Weight) })
	report.Took = time.Since(r.started)
	if stopped := r.stop.Err(); stopped != nil {
		report.Stopped = true
		return report, interrupt.After(stopped, "report", len(checks)-len(report.LeftOut), len(checks), "checks")
	}
	return report, nil
}

// ticking lets a bar's time go on while a check is at work.
func ticking(bar *progress.Bar) (over func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				bar.Add(0)
			}
		}
	}()
	return func() { cancel(); <-done }
}
