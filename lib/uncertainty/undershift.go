package uncertainty

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// UnderShift are measures of methods on images as they are and under shifts, from [Benchmark.Of].
type UnderShift struct {
	name     string // of the benchmark, with a colon and a space; "" if it has none
	unit     string // what a unit is
	measures []Measure
	methods  []string
	units    []int           // how many each method has
	shifts   []Shift         // the first is none, of intensity 0; without their data
	values   [][][][]float64 // [shift][method][measure][unit]
}

func newUnderShift(b Benchmark, methods []Method) *UnderShift {
	u := &UnderShift{unit: b.Unit, measures: b.Measures}
	if b.Name != "" {
		u.name = b.Name + ": "
	}
	for _, m := range methods {
		u.methods, u.units = append(u.methods, m.Name), append(u.units, len(m.Units))
	}
	return u
}

// check returns an error for methods that cannot be told apart, have no models, or models that say no probabilities.
func (u *UnderShift) check(methods []Method) error {
	if len(methods) == 0 {
		return fmt.Errorf("uncertainty: there are no methods to ask")
	}
	for i, m := range methods {
		if m.Name == "" || slices.Contains(u.methods[:i], m.Name) {
			return fmt.Errorf("uncertainty: methods take names of their own, and %q is none", m.Name)
		}
		if len(m.Units) == 0 {
			return fmt.Errorf("uncertainty: the method %q has no models", m.Name)
		}
		for _, models := range m.Units {
			if len(models) == 0 || slices.Contains(models, nil) {
				return fmt.Errorf("uncertainty: a unit of the method %q has no model, or one that is nil", m.Name)
			}
			for _, of := range models {
				if err := of.NeedsSoftmax("uncertainty: a measure of calibration"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// add keeps the measures of what the methods say under one more shift.
func (u *UnderShift) add(at Shift, asked [][][]*Predictions) error {
	row := make([][][]float64, len(asked))
	for m, units := range asked {
		for _, measure := range u.measures {
			var values []float64
			for _, models := range units {
				mean := 0.0
				for _, p := range models {
					v, err := measure.Of(p)
					if err != nil {
						return err
					}
					mean += v / float64(len(models))
				}
				values = append(values, mean)
			}
			row[m] = append(row[m], values)
		}
	}
	at.Data = nil
	u.shifts, u.values = append(u.shifts, at), append(u.values, row)
	return nil
}

// Of is a measure of each unit of a method, the mean over the shifts of these intensities; 0 is no shift, and no
// intensity means no shift.
func (u *UnderShift) Of(measure Measure, method string, intensities ...int) ([]float64, error) {
	if len(intensities) == 0 {
		intensities = []int{0}
	}
	m, k, err := u.find(measure, method)
	if err != nil {
		return nil, err
	}
	means, n := make([]float64, u.units[m]), 0
	for s, at := range u.shifts {
		if !slices.Contains(intensities, at.Intensity) {
			continue
		}
		n++
		for i, v := range u.values[s][m][k] {
			means[i] += v
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("uncertainty: no shift has the intensity %v: they have %v", intensities, u.intensities())
	}
	for i := range means {
		means[i] /= float64(n)
	}
	return means, nil
}

// find returns the numbers of a method and of a measure.
func (u *UnderShift) find(measure Measure, method string) (m, k int, err error) {
	if u == nil || len(u.shifts) == 0 {
		return 0, 0, fmt.Errorf("uncertainty: nothing was asked yet")
	}
	if m = slices.Index(u.methods, method); m < 0 {
		return 0, 0, fmt.Errorf("uncertainty: there is no method %q%s: there are %q", method,
			nearest.DidYouMean(method, u.methods), u.methods)
	}
	if k = slices.IndexFunc(u.measures, func(of Measure) bool { return of.Name == measure.Name }); k < 0 {
		return 0, 0, fmt.Errorf("uncertainty: %q was not measured: name it among the benchmark's measures", measure.Name)
	}
	return m, k, nil
}

// intensities are those of the shifts, ascending; the first is 0.
func (u *UnderShift) intensities() []int {
	var all []int
	for _, at := range u.shifts {
		all = append(all, at.Intensity)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Boxes has a box for each method and intensity: the measure over all shifts of the intensity and all units. Ovadia et
// al., figure 2.
func (u *UnderShift) Boxes(measure Measure) (display.Boxes, error) {
	if u == nil || len(u.shifts) == 0 {
		return display.Boxes{}, fmt.Errorf("uncertainty: nothing was asked yet")
	}
	intensities := u.intensities()
	b := display.Boxes{Title: u.name + measure.Name + " under shifts", X: "intensity of the shift", Y: measure.Name}
	for _, intensity := range intensities {
		b.Names = append(b.Names, fmt.Sprint(intensity))
	}
	for _, method := range u.methods {
		m, k, err := u.find(measure, method)
		if err != nil {
			return display.Boxes{}, err
		}
		series := display.BoxSeries{Name: method, Values: make([][]float64, len(intensities))}
		for s, at := range u.shifts {
			i := slices.Index(intensities, at.Intensity)
			series.Values[i] = append(series.Values[i], u.values[s][m][k]...)
		}
		b.Series = append(b.Series, series)
	}
	return b, nil
}

// Lines draws the measure of each method, the mean over its units, against the amount of the shifts of a unit, such as
// "rotation, degrees"; no shift is at 0. Ovadia et al., figure 1.
func (u *UnderShift) Lines(measure Measure, along string) (display.Lines, error) {
	if u == nil {
		u = &UnderShift{}
	}
	l := display.Lines{Title: u.name + measure.Name, X: along, Y: measure.Name}
	var units []string
	for _, at := range u.shifts {
		if at.Unit != "" && !slices.Contains(units, at.Unit) {
			units = append(units, at.Unit)
		}
	}
	if !slices.Contains(units, along) {
		return l, fmt.Errorf("uncertainty: no shift is measured in %q%s: they are in %q", along,
			nearest.DidYouMean(along, units), units)
	}
	for _, method := range u.methods {
		m, k, err := u.find(measure, method)
		if err != nil {
			return l, err
		}
		series := display.Series{Name: method}
		for s, at := range u.shifts {
			if at.Unit == along || at.Intensity == 0 {
				series.X, series.Y = append(series.X, at.Amount), append(series.Y, stat.Mean(u.values[s][m][k], nil))
			}
		}
		l.Series = append(l.Series, series)
	}
	return l, nil
}

// Plot has the boxes of [ECE], or where it was not measured of the first measure.
func (u *UnderShift) Plot() (display.Boxes, error) {
	if u == nil || len(u.measures) == 0 {
		return display.Boxes{}, fmt.Errorf("uncertainty: nothing was asked yet")
	}
	for _, m := range u.measures {
		if m.Name == ECE.Name {
			return u.Boxes(m)
		}
	}
	return u.Boxes(u.measures[0])
}

// Table has a row for each method and shift: the measures, each the mean over the method's units.
func (u *UnderShift) Table() table.Table {
	t := table.Table{Header: []string{"method", "units", "shift", "intensity"}}
	if u == nil {
		return t
	}
	for _, of := range u.measures {
		t.Header = append(t.Header, of.Name)
	}
	for m, method := range u.methods {
		for s, at := range u.shifts {
			row := []any{method, u.units[m], at.Name, at.Intensity}
			for _, values := range u.values[s][m] {
				row = append(row, stat.Mean(values, nil))
			}
			t.Add(row...)
		}
	}
	return t
}

// Summary has a row for each method: the measures without a shift, and those of the highest intensity, which are means
// over its shifts; both are means over the method's units.
func (u *UnderShift) Summary() (table.Table, error) {
	if u == nil || len(u.shifts) == 0 {
		return table.Table{}, fmt.Errorf("uncertainty: nothing was asked yet")
	}
	intensities := u.intensities()
	ends := slices.Compact([]int{0, intensities[len(intensities)-1]})
	t := table.Table{Header: []string{"method", "units"}}
	for _, end := range ends {
		for _, of := range u.measures {
			t.Header = append(t.Header, fmt.Sprintf("%s, intensity %d", of.Name, end))
		}
	}
	for m, method := range u.methods {
		row := []any{method, u.units[m]}
		for _, end := range ends {
			for _, of := range u.measures {
				values, err := u.Of(of, method, end)
				if err != nil {
					return table.Table{}, err
				}
				row = append(row, fmt.Sprintf("%.3f", stat.Mean(values, nil)))
			}
		}
		t.Add(row...)
	}
	return t, nil
}

// Bundle shows the summary.
func (u *UnderShift) Bundle() mime.Bundle { return table.Shown(u.Summary()) }
