package spray

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Suspects are the analyses of a dataset's classes, the class first of which a group of images stands most apart. They
// show themselves as a table of the classes and the sheet of the first, whose pictures say what the group has in
// common.
type Suspects struct {
	Analyses []*Analysis

	ds model.Dataset
}

// Suspects is [SpRAy.Classes] with the pictures. Interrupted, it returns the classes that are done beside the error;
// nil if none is.
func (s SpRAy) Suspects(m *model.Model, ds model.Labeled, classes ...int) (*Suspects, error) {
	analyses, err := s.Classes(m, ds, classes...)
	if len(analyses) == 0 {
		return nil, err
	}
	return &Suspects{analyses, ds}, err
}

// Table has a row for each class: how many images and clusters it has, and of the group that stands most apart the
// size and the [Strategy.Conductance]. A class without such a group has none of the two.
func (s *Suspects) Table() table.Table {
	t := table.Table{}
	t.Header = []string{"class", "name", "images", "clusters", "group that stands apart", "ties that lead out of it"}
	for _, a := range s.Analyses {
		row := []any{a.Class, a.ClassName, len(a.Clusters), a.Count(), nil, nil}
		if len(a.Strategies) > 0 {
			row[4], row[5] = a.Strategies[0].Size(), table.Percent(a.Strategies[0].Conductance)
		}
		t.Add(row...)
	}
	return t
}

// Arrays are those of each [Analysis], with the number of its class behind the name, and the analysed classes, [C]
// int64, the most suspicious first.
func (s *Suspects) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if s == nil || len(s.Analyses) == 0 {
		return nil, nil, fmt.Errorf("spray: no class was analysed")
	}
	all, metadata := map[string]*tensors.Tensor{}, map[string]string{}
	var classes []int
	for _, a := range s.Analyses {
		arrays, _, err := a.Arrays()
		if err != nil {
			return nil, nil, err
		}
		for name, of := range arrays {
			all[fmt.Sprint(name, " ", a.Class)] = of
		}
		classes = append(classes, a.Class)
		metadata[fmt.Sprint("class ", a.Class)] = a.ClassName
	}
	all["classes"] = tensors.FromValue(classes)
	return all, metadata, nil
}

// typical is how many images of a cluster are shown.
const typical = 8

// Grid is the [Analysis.Sheet] of the most suspicious class: the eight most typical images of each of its clusters.
func (s *Suspects) Grid() (display.Grid, error) {
	if s == nil || len(s.Analyses) == 0 {
		return display.Grid{}, fmt.Errorf("spray: no class was analysed")
	}
	return s.Analyses[0].Sheet(s.ds, typical)
}

// Bundle shows the table and the sheet of the most suspicious class.
func (s *Suspects) Bundle() mime.Bundle {
	return display.Stack(s.Table().Bundle(), display.Shown(s.Grid()))
}
