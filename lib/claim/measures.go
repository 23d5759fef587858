package claim

import "fmt"

// Measures are values that were measured on several kinds of networks, such as a method's and a control's, one for each
// network of a kind: what [Measures.Compared] makes claims of.
type Measures struct {
	Unit   string // what each value is of, such as "networks"
	values map[string]map[string][]float64
	order  []string // of the measures, by their first notes
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
	m.values[measure][kind] = append(m.values[measure][kind], values...)
}

// Of are the values of a measure that were noted for a kind, in their order.
func (m *Measures) Of(measure, kind string) []float64 {
	return append([]float64(nil), m.values[measure][kind]...)
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
