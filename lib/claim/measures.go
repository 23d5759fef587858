package claim

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Measures are values that were measured on several kinds of networks, such as a method's and a control's, one for each
// network of a kind: what [Measures.Compared] makes claims of.
type Measures struct {
	Unit   string // what each value is of, such as "networks"
	values map[string]map[string][]float64
	kinds  []string // in the order of their first notes
	order  []string // of the measures, likewise
}

// Note adds values of a measure, such as "accuracy, %", for the next units of a kind.
func (m *Measures) Note(measure, kind string, values ...float64) {
	if m.values == nil {
		m.values = map[string]map[string][]float64{}
	}
	if m.values[measure] == nil {
		m.values[measure] = map[string][]float64{}
		m.order = append(m.order, measure)
	}
	if !slices.Contains(m.kinds, kind) {
		m.kinds = append(m.kinds, kind)
	}
	m.values[measure][kind] = append(m.values[measure][kind], values...)
}

// Forget takes back all that was noted for a kind, of every measure, as before it is measured again.
func (m *Measures) Forget(kind string) {
	for _, of := range m.values {
		delete(of, kind)
	}
	m.kinds = slices.DeleteFunc(m.kinds, func(k string) bool { return k == kind })
}

// Of are the values of a measure that were noted for a kind, in their order.
func (m *Measures) Of(measure, kind string) []float64 {
	return append([]float64(nil), m.values[measure][kind]...)
}

// Table has a row for each kind, in the order in which they were first noted, and a column for each measure: the mean
// with Student's 95% interval over the units. of heads the kinds, such as "method". What a kind has no value of stays
// empty, and one value has no interval. It is an error where nothing was noted for a measure.
func (m *Measures) Table(of string, measures ...string) (table.Table, error) {
	t := table.Table{Header: append([]string{of}, measures...)}
	if m == nil {
		return t, fmt.Errorf("claim: there are no measures: they are nil")
	}
	for _, measure := range measures {
		if m.values[measure] == nil {
			return t, fmt.Errorf("claim: nothing was noted for %q", measure)
		}
	}
	for _, kind := range m.kinds {
		row := []any{kind}
		for _, measure := range measures {
			switch values := m.values[measure][kind]; len(values) {
			case 0:
				row = append(row, nil)
			case 1:
				row = append(row, values[0])
			default:
				mean, iv, err := stats.MeanInterval(values, alpha)
				if err != nil {
					return t, fmt.Errorf("claim: %s, %s: %w", measure, kind, err)
				}
				row = append(row, table.Estimate{Value: mean, Low: iv.Low, High: iv.High})
			}
		}
		t.Add(row...)
	}
	return t, nil
}

// Compared claims measures of kinds beside those of a control, unit by unit in the order of their notes: each is [Mean]
// with [Claim.Against], and is named such as "accuracy, %: method and control". seeds is how many there were. nil means
// all measures, in the order of their first notes. It is an error where a measure has no values, or not as many for one
// as for the other.
func (m *Measures) Compared(measures []string, control string, seeds int, kinds ...string) (Claims, error) {
	if measures == nil {
		measures = m.order
	}
	var all Claims
	for _, kind := range kinds {
		for _, measure := range measures {
			c, err := Mean(fmt.Sprintf("%s: %s and %s", measure, kind, control), m.Unit, seeds, m.values[measure][kind])
			if err != nil {
				return nil, err
			}
			if c, err = c.Against(control, m.values[measure][control]); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}
