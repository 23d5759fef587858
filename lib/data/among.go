package data

import (
	"fmt"
	"slices"
)

// Among is the images of these labels, which become the classes 0, 1 and so on in this order: a task of fewer classes.
// Where the classes have names these keep theirs. See [Dataset.OfClass] for labels that stay. It is an error if a label
// is named twice, or no image has it.
func (d *Dataset) Among(labels ...int) (*Dataset, error) {
	v := d.OfClass(labels...)
	s := renumbered{d.source, map[int]int{}}
	v.classes = nil
	for class, label := range labels {
		if _, twice := s.classes[label]; twice {
			return nil, fmt.Errorf("data: the label %d is named twice", label)
		}
		if label < 0 || !slices.ContainsFunc(v.index, func(i int) bool { return d.source.label(i) == label }) {
			return nil, fmt.Errorf("data: no image of %s has the label %d", d.title, label)
		}
		if s.classes[label] = class; d.classes != nil {
			v.classes = append(v.classes, d.classes[label])
		}
	}
	v.source = s
	return v, nil
}

// renumbered is a source with other labels: those that classes does not have are unknown.
type renumbered struct {
	source
	classes map[int]int
}

func (r renumbered) label(i int) int {
	if class, ok := r.classes[r.source.label(i)]; ok {
		return class
	}
	return -1
}
