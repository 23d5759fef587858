package spurious

import (
	"fmt"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// defaultEnds is Ranker.Ends unless it says another.
const defaultEnds = 25

// Ranker finds spurious features of classes and ranks the classes' images by them in three datasets: those that the
// network learnt from, others to make choices on, and others again to test on. The important features of a class come
// from the first ([Importance]), and which of them are spurious from the second ([MostBiased]), which stands in for the
// people who look at them in Moayeri et al., section 3.
type Ranker struct {
	Classes   []int
	Important int // how many of the most important features of a class are looked at; 0 means 10
	Spurious  int // how many of these are taken for spurious; 0 means 2
	Ends      int // how many images with most and with least of a feature tell its bias; 0 means 25
}

// Ranked are three datasets as a network's last layer sees them, and some of their classes ranked by the same spurious
// features. It shows itself as a table of these.
type Ranked struct {
	Classes                []int
	Head                   *model.Head
	Train, Val, Test       Examples
	OnTrain, OnVal, OnTest []*Ranking // for each of the classes
}

// Of ranks the classes' images. It is an error where a class has no recognised image in train, or fewer than Ends in
// val.
func (r Ranker) Of(m *model.Model, train, val, test model.Labeled) (*Ranked, error) {
	if len(r.Classes) == 0 {
		return nil, fmt.Errorf("spurious: there are no classes to rank the images of")
	}
	if r.Important == 0 {
		r.Important = 10
	}
	if r.Spurious == 0 {
		r.Spurious = 2
	}
	if r.Ends == 0 {
		r.Ends = defaultEnds
	}
	if m == nil {
		return nil, fmt.Errorf("spurious: there is no model to rank by: it is nil")
	}
	head, err := m.Head()
	if err != nil {
		return nil, err
	}
	all := &Ranked{Classes: append([]int(nil), r.Classes...), Head: head}
	for _, set := range []struct {
		of model.Labeled
		to *Examples
	}{{train, &all.Train}, {val, &all.Val}, {test, &all.Test}} {
		if *set.to, err = ExamplesOf(m, set.of); err != nil {
			return nil, err
		}
	}
	predicted := Predict(head, all.Val.Features)
	for _, class := range r.Classes {
		importance, err := Importance(head, all.Train, class)
		if err != nil {
			return nil, err
		}
		features, err := MostBiased(predicted, all.Val, class, MostImportant(importance, r.Important), r.Ends, r.Spurious)
		if err != nil {
			return nil, err
		}
		for _, set := range []struct {
			of Examples
			to *[]*Ranking
		}{{all.Train, &all.OnTrain}, {all.Val, &all.OnVal}, {all.Test, &all.OnTest}} {
			ranking, err := Rank(set.of, class, features)
			if err != nil {
				return nil, err
			}
			*set.to = append(*set.to, ranking)
		}
	}
	return all, nil
}

// AUC is the mean over the classes of how well the rankings tell the images of the test that have something from those
// that have not: [Ranking.AUC].
func (r *Ranked) AUC(has map[int]bool) (float64, error) {
	if r == nil || len(r.OnTest) == 0 {
		return 0, fmt.Errorf("spurious: no class was ranked")
	}
	mean := 0.0
	for _, ranking := range r.OnTest {
		auc, err := ranking.AUC(has)
		if err != nil {
			return 0, err
		}
		mean += auc / float64(len(r.OnTest))
	}
	return mean, nil
}

// Collide is [Ranked.AUC] with each class's images ranked by the spurious features of the others, the mean over all
// such pairs: near 1 where what is spurious for one class is so for another, which Moayeri et al. call a spurious
// feature collision. It takes two classes.
func (r *Ranked) Collide(has map[int]bool) (float64, error) {
	if r == nil || len(r.OnTest) < 2 {
		return 0, fmt.Errorf("spurious: features collide in two classes or more")
	}
	mean, pairs := 0.0, len(r.OnTest)*(len(r.OnTest)-1)
	for i, of := range r.OnTest {
		for k, class := range r.Classes {
			if k == i {
				continue
			}
			ranking, err := Rank(r.Test, class, of.Features)
			if err != nil {
				return 0, err
			}
			auc, err := ranking.AUC(has)
			if err != nil {
				return 0, err
			}
			mean += auc / float64(pairs)
		}
	}
	return mean, nil
}

// Walls are the images of the test from the least to the most spurious, count of each class in a row: see
// [Ranking.Wall]. ds is the dataset of the test.
func (r *Ranked) Walls(ds model.Dataset, count int) (display.Grid, error) {
	if r == nil || len(r.OnTest) == 0 {
		return display.Grid{}, fmt.Errorf("spurious: no class was ranked")
	}
	var g display.Grid
	for i, ranking := range r.OnTest {
		chosen, titles, err := ranking.steps(count)
		if err != nil {
			return display.Grid{}, err
		}
		images, err := ds.Images(chosen...)
		if err != nil {
			return display.Grid{}, err
		}
		pictures, err := display.Images(images)
		if err != nil {
			return display.Grid{}, err
		}
		row := display.Tiles(pictures)
		for k := range row {
			row[k].Title = titles[k]
		}
		g.Rows, g.Labels = append(g.Rows, row), append(g.Labels, r.class(i))
	}
	return g, nil
}

// class is the name of a ranked class, or its number.
func (r *Ranked) class(i int) string {
	if name := r.OnTest[i].name; name != "" {
		return name
	}
	return fmt.Sprintf("class %d", r.Classes[i])
}

// gap is the [SpuriousGap] of the network on a quarter of a class's images of the test at either end, in points; it is
// not known of fewer than four images.
func (r *Ranked) gap(i int) (points float64, known bool, err error) {
	k := len(r.OnTest[i].Images) / 4
	if k == 0 {
		return 0, false, nil
	}
	points, err = SpuriousGap(Predict(r.Head, r.Test.Features), r.OnTest[i:i+1], k)
	return points, err == nil, err
}

// Table has a row for each class: its spurious features, how many images of it the test has, and the [SpuriousGap] of
// the network on a quarter of these at either end, in points.
func (r *Ranked) Table() (table.Table, error) {
	if r == nil || len(r.OnTest) == 0 {
		return table.Table{}, fmt.Errorf("spurious: no class was ranked")
	}
	t := table.Table{Header: []string{"class", "spurious features", "images of the test", "spurious gap, points"}}
	for i, ranking := range r.OnTest {
		row := []any{r.class(i), fmt.Sprint(ranking.Features), len(ranking.Images)}
		switch gap, known, err := r.gap(i); {
		case err != nil:
			return t, err
		case known:
			row = append(row, gap)
		default:
			row = append(row, "too few")
		}
		t.Add(row...)
	}
	return t, nil
}

// Arrays are the ranked classes, [C] int64, and for each, by its number, the numbers of its images of the test, the
// least spurious first, [N] int64, their spuriosity, [N] float64, and its spurious features, [F] int64.
func (r *Ranked) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if r == nil || len(r.OnTest) == 0 {
		return nil, nil, fmt.Errorf("spurious: no class was ranked")
	}
	arrays, metadata := map[string]*tensors.Tensor{"classes": tensors.FromValue(r.Classes)}, map[string]string{}
	for i, ranking := range r.OnTest {
		class := strconv.Itoa(ranking.Class)
		arrays["images "+class] = tensors.FromValue(ranking.Images)
		arrays["spuriosity "+class] = tensors.FromValue(ranking.Scores)
		arrays["features "+class] = tensors.FromValue(ranking.Features)
		metadata["class "+class] = r.class(i)
	}
	return arrays, metadata, nil
}

// Bundle shows the table.
func (r *Ranked) Bundle() mime.Bundle { return table.Shown(r.Table()) }

// RankByEach ranks the images of on by each of the k most important features of each class by itself, which come from
// the images of from: k rankings a class, the pairs of a class and a feature of Moayeri et al., section 4.2, for
// [Compare]. Both are of the network with this head.
func RankByEach(head *model.Head, from, on Examples, k int, classes ...int) ([]*Ranking, error) {
	if k < 1 || len(classes) == 0 {
		return nil, fmt.Errorf("spurious: rankings by %d features of %d classes: give at least one of each", k, len(classes))
	}
	var all []*Ranking
	for _, class := range classes {
		importance, err := Importance(head, from, class)
		if err != nil {
			return nil, err
		}
		for _, feature := range MostImportant(importance, k) {
			ranking, err := Rank(on, class, []int{feature})
			if err != nil {
				return nil, err
			}
			all = append(all, ranking)
		}
	}
	return all, nil
}
