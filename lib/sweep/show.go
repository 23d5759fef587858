package sweep

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Sweep is a sweep as a person looks at it, while it runs or afterwards. It shows how far it is, a table of accuracies,
// and a scatter where there are two conditions and three models. What it says is what the store has now.
type Sweep struct {
	Name  string
	store *Store
}

// Open opens a sweep by its name. A store is the path of an SQLite file or the URL of a PostgreSQL database; without
// one it is that of this user: see [Folder].
func Open(name string, store ...string) (*Sweep, error) {
	if err := CheckSweepName(name); err != nil {
		return nil, err
	}
	where := ""
	switch len(store) {
	case 0:
		base, err := Folder()
		if err != nil {
			return nil, err
		}
		where = filepath.Join(base, name, StoreFile)
		if _, err := os.Stat(where); err != nil {
			return nil, notThere(name)
		}
	case 1:
		where = store[0]
	default:
		return nil, fmt.Errorf("sweep: %s lies in one store, not in %d", name, len(store))
	}
	s, err := OpenStore(where)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.Plan(name); err != nil {
		s.Close()
		return nil, err
	}
	return &Sweep{name, s}, nil
}

// notThere names the sweeps that there are.
func notThere(name string) error {
	others, _ := Names() // none where they cannot be listed
	if len(others) == 0 {
		return fmt.Errorf("sweep: there is no sweep %q: `loupe sweep --help` tells how one is begun", name)
	}
	return fmt.Errorf("sweep: there is no sweep %q: there are %s", name, strings.Join(others, ", "))
}

// Close closes the store.
func (s *Sweep) Close() error { return s.store.Close() }

// Plan is what the sweep runs.
func (s *Sweep) Plan() (Plan, error) {
	p, _, err := s.store.Plan(s.Name)
	return p, err
}

// Status is how far a sweep is.
type Status struct {
	Name              string
	Done, Failed, All int
	// Runner is who runs it, empty when no one does; Remaining how long that takes yet, in words.
	Runner, Remaining string
	Workers           []WorkerState
	Failures          []Failure
}

// Failure is a cell that was set aside, and why.
type Failure struct {
	Model     string `display:"model"`
	Condition string `display:"condition"`
	Method    string `display:"method"`
	Tries     int    `display:"tries"`
	Error     string `display:"why"`
}

// look is what a sweep has at a moment: its plan, and the cells that have ended.
type look struct {
	plan  Plan
	cells []Cell
}

func (s *Sweep) look() (l look, err error) {
	if l.plan, err = s.Plan(); err == nil {
		l.cells, err = s.store.Cells(s.Name)
	}
	return l, err
}

// Status is how far the sweep is now.
func (s *Sweep) Status() (Status, error) {
	l, err := s.look()
	if err != nil {
		return Status{Name: s.Name}, err
	}
	return s.statusOf(l)
}

func (s *Sweep) statusOf(l look) (Status, error) {
	st := Status{Name: s.Name, All: len(l.plan.Models) * len(l.plan.Conditions) * len(l.plan.Methods)}
	for _, c := range l.cells {
		if c.State == Done {
			st.Done++
		} else {
			st.Failed++
			st.Failures = append(st.Failures, Failure{c.Model, c.Condition, c.Method, c.Tries, c.Error})
		}
	}
	var err error
	if st.Runner, st.Remaining, err = s.store.Running(s.Name); err != nil {
		return st, err
	}
	if st.Runner != "" {
		st.Workers, err = s.store.Workers(s.Name)
	}
	return st, err
}

// Left is how many cells have not ended.
func (s Status) Left() int { return s.All - s.Done - s.Failed }

// String is how far it is, in a line.
func (s Status) String() string {
	parts := []string{fmt.Sprintf("%s: %d of %s done", s.Name, s.Done, plural.Of(s.All, "cell"))}
	if s.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d set aside", s.Failed))
	}
	switch {
	case s.Left() == 0:
	case s.Runner == "":
		parts = append(parts, fmt.Sprintf("no one runs it: `loupe sweep %s` goes on", s.Name))
	default:
		parts = append(parts, plural.Of(len(s.Workers), "worker"))
		if s.Remaining != "" {
			parts = append(parts, s.Remaining)
		}
	}
	return strings.Join(parts, ", ")
}

// Bundle shows the line, the workers, and what was set aside.
func (s Status) Bundle() mime.Bundle {
	parts := []mime.Bundle{mime.TextOf(s.String())}
	if len(s.Workers) > 0 {
		parts = append(parts, table.Shown(table.Of(s.Workers)))
	}
	if len(s.Failures) > 0 {
		t, err := table.Of(s.Failures)
		t.Title = "Set aside"
		parts = append(parts, table.Shown(t, err))
	}
	return display.Stack(parts...)
}

// Results are the accuracies of the cells that are done, by predictions: package shift fits lines to them and plots
// them.
func (s *Sweep) Results() (*shift.Results, error) {
	l, err := s.look()
	if err != nil {
		return nil, err
	}
	return l.results()
}

func (l look) results() (*shift.Results, error) {
	by := map[Key]Cell{}
	for _, c := range l.cells {
		by[c.Key] = c
	}
	r := shift.NewResults()
	for _, m := range l.plan.Models {
		for _, condition := range l.plan.Conditions {
			c := by[Key{m.Name, condition.Name, Predictions}]
			for _, measure := range c.Measures {
				if measure.Name != "accuracy" {
					continue
				}
				err := r.Add(shift.Cell{Model: m.Name, Condition: condition.Name,
					Accuracy: stats.Accuracy{Correct: measure.Correct, Total: measure.Total}})
				if err == nil {
					err = r.SetKind(m.Name, shift.ModelInfo{Type: m.Type})
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

// Row is a measure of a cell.
type Row struct {
	Model     string  `display:"model"`
	Condition string  `display:"condition"`
	Method    string  `display:"method"`
	Measure   string  `display:"measure"`
	Value     float64 `display:"value"`
}

// Measures are all measures of the cells that are done.
func (s *Sweep) Measures() ([]Row, error) {
	cells, err := s.store.Cells(s.Name)
	if err != nil {
		return nil, err
	}
	return measuresOf(cells), nil
}

func measuresOf(cells []Cell) (rows []Row) {
	for _, c := range cells {
		for _, m := range c.Measures {
			rows = append(rows, Row{c.Model, c.Condition, c.Method, m.Name, m.Value})
		}
	}
	return rows
}

// others are the measures of what is not predictions, which the table of accuracies has.
func others(rows []Row) []Row {
	return slices.DeleteFunc(rows, func(r Row) bool { return r.Method == Predictions })
}

// Arrays are what a method keeps of each picture of a cell, [N] or [N, k] by name, and the pictures' names.
func (s *Sweep) Arrays(k Key) (arrays map[string]*tensors.Tensor, names []string, err error) {
	o, err := s.store.Outcome(s.Name, k)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.picturesOf(k.Condition)
	return o.Arrays, p.Names, err
}

// picturesOf are the pictures that a condition shows.
func (s *Sweep) picturesOf(condition string) (Pictures, error) {
	plan, err := s.Plan()
	if err != nil {
		return Pictures{}, err
	}
	i := slices.IndexFunc(plan.Conditions, func(c Condition) bool { return c.Name == condition })
	if i < 0 {
		return Pictures{}, fmt.Errorf("sweep: %s has no condition %q", s.Name, condition)
	}
	return s.store.Pictures(s.Name, plan.Conditions[i].Data)
}

// Answers are what a model says of a condition's pictures: their likeliest five classes, with the pictures' names and
// their labels as they are now.
func (s *Sweep) Answers(modelName, condition string) (*model.Answers, error) {
	o, err := s.store.Outcome(s.Name, Key{modelName, condition, Predictions})
	if err != nil {
		return nil, err
	}
	p, err := s.picturesOf(condition)
	if err != nil {
		return nil, err
	}
	flat, width, err := column[int32](o.Arrays, "classes", len(p.Names))
	if err != nil {
		return nil, err
	}
	ranked := make([][]int, len(p.Names))
	labels := make([]int, len(p.Names))
	for i := range ranked {
		for _, class := range flat[i*width : (i+1)*width] {
			ranked[i] = append(ranked[i], int(class))
		}
		if labels[i] = -1; p.Labels[i] >= 0 {
			labels[i] = o.Truth[p.Labels[i]]
		}
	}
	answers := model.AnswersFromRanked(modelName, ranked)
	answers.Labels, answers.Names = labels, p.Names
	return answers, nil
}

// Table shows the accuracies so far, with their 95% intervals: a row for each model, a column for each condition under
// which one has been tried, both in the plan's order.
func (s *Sweep) Table() (display.Table, error) {
	l, err := s.look()
	if err != nil {
		return display.Table{}, err
	}
	r, err := l.results()
	if err != nil {
		return display.Table{}, err
	}
	return tableOf(l.plan, r)
}

func tableOf(plan Plan, r *shift.Results) (display.Table, error) {
	var conditions []string
	tried := r.Conditions()
	for _, c := range plan.Conditions {
		if slices.Contains(tried, c.Name) {
			conditions = append(conditions, c.Name)
		}
	}
	return r.TableAt(0.05, conditions...)
}

// Scatter plots the accuracies under y against those under x, with the line that fits them where there are enough
// models: [shift.Results.Fit].
func (s *Sweep) Scatter(x, y string) (display.AccuracyScatter, error) {
	r, err := s.Results()
	if err != nil {
		return display.AccuracyScatter{}, err
	}
	return scatterOf(r, x, y)
}

func scatterOf(r *shift.Results, x, y string) (display.AccuracyScatter, error) {
	fit, err := r.Fit(stats.Logit, x, y, nil)
	if err != nil {
		fit = nil // too few models yet, or two that are alike
	}
	return r.Scatter(fit, x, y, nil, r.Models()...)
}

// Bundle shows how far the sweep is, the table of accuracies, what other methods measured, and the scatter of the last
// condition against the first.
func (s *Sweep) Bundle() mime.Bundle {
	l, err := s.look()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	status, err := s.statusOf(l)
	if err != nil {
		return mime.TextOf(err.Error())
	}
	r, err := l.results()
	if err != nil {
		return mime.TextOf(err.Error())
	}
	parts := []mime.Bundle{status.Bundle()}
	if len(r.Models()) > 0 {
		parts = append(parts, table.Shown(tableOf(l.plan, r)))
	}
	if rows := others(measuresOf(l.cells)); len(rows) > 0 {
		t, err := table.Of(rows)
		t.Title = "By other methods"
		parts = append(parts, table.Shown(t, err))
	}
	if n := len(l.plan.Conditions); n > 1 {
		x, y := l.plan.Conditions[0].Name, l.plan.Conditions[n-1].Name
		if pairs, _, err := r.Pairs(x, y, nil); err == nil && len(pairs) > 2 {
			parts = append(parts, display.Shown(scatterOf(r, x, y)))
		}
	}
	return display.Stack(parts...)
}

// watched is how often a sweep that is watched is looked at.
const watched = 2 * time.Second

// Watch shows the sweep and keeps what it shows up to date, until all cells have ended or Stop.
func (s *Sweep) Watch() error {
	id := fmt.Sprintf("sweep-%s-%d", s.Name, time.Now().UnixNano())
	before := ""
	for {
		status, err := s.Status()
		if err != nil {
			return err
		}
		if now := status.String(); now != before {
			display.Update(id, s)
			before = now
		}
		if status.Left() == 0 {
			return nil
		}
		select {
		case <-interrupt.Context().Done():
			return interrupt.Err()
		case <-time.After(watched):
		}
	}
}
