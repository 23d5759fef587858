package distill

import (
	"fmt"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Measure is one number of a [Fidelity], with its unit in its name.
type Measure struct {
	Name string
	Of   func(f Fidelity) float64
}

// The measures of a [Fidelity].
var (
	AgreementPercent = Measure{"agreement with the teacher, %",
		func(f Fidelity) float64 { return 100 * f.Agreement.Share() }}
	KLNats          = Measure{"KL from the teacher, nats", func(f Fidelity) float64 { return f.KL }}
	AccuracyPercent = Measure{"accuracy, %", func(f Fidelity) float64 { return 100 * f.Accuracy.Share() }}
	NLLNats         = Measure{"NLL, nats", func(f Fidelity) float64 { return f.NLL }}
	ECEPercent      = Measure{"ECE, %", func(f Fidelity) float64 { return 100 * f.ECE }}
)

// Seeds are students of several kinds, each trained with several seeds, in the same order for all kinds: a result about
// a way to distill, and not about one network. The zero Seeds is empty. It shows itself as a table of means with their
// 95% intervals over the seeds.
type Seeds struct {
	// On says in the names of [Seeds.Claims] which images the students are compared on, such as "images learnt from"; ""
	// says nothing.
	On string

	kinds []string
	of    map[string][]Fidelity
}

// Add measures one more student of a kind beside its teacher, on a dataset's images.
func (s *Seeds) Add(kind string, teacher, student *model.Model, ds model.Dataset) error {
	if s == nil || teacher == nil || student == nil {
		return fmt.Errorf("distill: a teacher, a student or what is to keep them is missing: it is nil")
	}
	says, err := teacher.Answers(ds)
	if err != nil {
		return err
	}
	answers, err := student.Answers(ds)
	if err != nil {
		return err
	}
	c, err := Compare(says, answers)
	if err != nil {
		return err
	}
	if s.of == nil {
		s.of = map[string][]Fidelity{}
	}
	if s.of[kind] == nil {
		s.kinds = append(s.kinds, kind)
	}
	s.of[kind] = append(s.of[kind], c.Models[0])
	return nil
}

// Values are a measure of each student of a kind, in the order of the seeds.
func (s *Seeds) Values(kind string, m Measure) ([]float64, error) {
	if s == nil || m.Of == nil {
		return nil, fmt.Errorf("distill: a value of nothing: the students or the measure are missing")
	}
	if s.of[kind] == nil {
		return nil, fmt.Errorf("distill: there are no students %q%s: there are %q", kind, nearest.DidYouMean(kind, s.kinds),
			s.kinds)
	}
	var values []float64
	for _, f := range s.of[kind] {
		values = append(values, m.Of(f))
	}
	return values, nil
}

// Claim is the mean of a measure over the networks of a kind, against that of another kind, seed by seed.
func (s *Seeds) Claim(name string, m Measure, kind, control string) (claim.Claim, error) {
	values, err := s.Values(kind, m)
	if err != nil {
		return claim.Claim{}, err
	}
	others, err := s.Values(control, m)
	if err != nil {
		return claim.Claim{}, err
	}
	c, err := claim.Mean(name, "networks", len(values), values)
	if err != nil {
		return c, err
	}
	return c.Against(control, others)
}

// Claims are a [Seeds.Claim] for each kind and measure: the mean over the networks of a kind against that of the
// control, named such as "accuracy, %: student and control", and with On "accuracy, % on images learnt from: student
// and control".
func (s *Seeds) Claims(measures []Measure, control string, kinds ...string) (claim.Claims, error) {
	if len(measures) == 0 || len(kinds) == 0 {
		return nil, fmt.Errorf("distill: claims of %d measures of %d kinds of students: there is one of each at least",
			len(measures), len(kinds))
	}
	var all claim.Claims
	for _, kind := range kinds {
		for _, m := range measures {
			name := m.Name
			if s != nil && s.On != "" {
				name += " on " + s.On
			}
			c, err := s.Claim(fmt.Sprintf("%s: %s and %s", name, kind, control), m, kind, control)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Lines plots a measure over a number, such as that of images to ask a teacher about, which kinds of students differ
// in: a [Seeds.Series] for each name. kind is the form of a kind's name, as of [fmt.Sprintf] with a name and a number,
// such as "%s, %d more"; x says what the number is.
func (s *Seeds) Lines(m Measure, x, kind string, numbers []int, names ...string) (display.Lines, error) {
	lines := display.Lines{Title: m.Name, X: x}
	if len(numbers) == 0 || len(names) == 0 {
		return lines, fmt.Errorf("distill: a plot of %d names over %d numbers: there is one of each at least", len(names),
			len(numbers))
	}
	for _, name := range names {
		var at []float64
		var kinds []string
		for _, n := range numbers {
			at, kinds = append(at, float64(n)), append(kinds, fmt.Sprintf(kind, name, n))
		}
		series, err := s.Series(name, m, at, kinds...)
		if err != nil {
			return lines, err
		}
		lines.Series = append(lines.Series, series)
	}
	return lines, nil
}

// Series is a line of the means of a measure over the networks of several kinds, at one x for each kind, with their 95%
// intervals as a band.
func (s *Seeds) Series(name string, m Measure, x []float64, kinds ...string) (display.Series, error) {
	line := display.Series{Name: name}
	if len(x) != len(kinds) {
		return line, fmt.Errorf("distill: %d places for %d kinds of students", len(x), len(kinds))
	}
	for i, kind := range kinds {
		values, err := s.Values(kind, m)
		if err != nil {
			return line, err
		}
		mean, interval, err := stats.MeanInterval(values, 0.05)
		if err != nil {
			return line, err
		}
		line.X, line.Y = append(line.X, x[i]), append(line.Y, mean)
		line.Low, line.High = append(line.Low, interval.Low), append(line.High, interval.High)
	}
	return line, nil
}

// Table has a row for each kind, in the order in which they were added.
func (s *Seeds) Table() (table.Table, error) {
	measures := []Measure{AccuracyPercent, AgreementPercent, KLNats, NLLNats, ECEPercent}
	t := table.Table{Header: []string{"student", "seeds"}}
	for _, m := range measures {
		t.Header = append(t.Header, m.Name)
	}
	if s == nil {
		return t, nil
	}
	for _, kind := range s.kinds {
		row := []any{kind, len(s.of[kind])}
		for _, m := range measures {
			values, err := s.Values(kind, m)
			if err != nil {
				return t, err
			}
			var cell any = stat.Mean(values, nil) // of one seed there is no interval
			if m, interval, err := stats.MeanInterval(values, 0.05); err == nil {
				cell = table.Estimate{Value: m, Low: interval.Low, High: interval.High}
			}
			row = append(row, cell)
		}
		t.Add(row...)
	}
	return t, nil
}

// Bundle shows the table.
func (s *Seeds) Bundle() mime.Bundle { return table.Shown(s.Table()) }
