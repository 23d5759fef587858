package ood

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Evaluation is how several scores tell the same unknown images from the same known ones.
type Evaluation struct {
	Name string // of what was tried, such as "ResNet-20, digits"

	scores         []string
	unknown, known [][]float64 // by score
}

// Evaluate scores the logits of unknown and of known images, [N, K] float32 each.
func Evaluate(name string, unknown, known *tensors.Tensor, scores ...Score) (*Evaluation, error) {
	if len(scores) == 0 {
		return nil, fmt.Errorf("ood: %s: there is no score to try", name)
	}
	t := &Evaluation{Name: name}
	for _, s := range scores {
		u, err := Of(s, unknown)
		if err != nil {
			return nil, err
		}
		k, err := Of(s, known)
		if err != nil {
			return nil, err
		}
		if slices.Contains(t.scores, s.Name()) {
			return nil, fmt.Errorf("ood: %s: two scores are called %q", name, s.Name())
		}
		t.scores, t.unknown, t.known = append(t.scores, s.Name()), append(t.unknown, u), append(t.known, k)
	}
	return t, nil
}

// find is the number of a score.
func (t *Evaluation) find(score string) (int, error) {
	i := slices.Index(t.scores, score)
	if i < 0 {
		return 0, fmt.Errorf("ood: %s: %q was not tried: there are %q", t.Name, score, t.scores)
	}
	return i, nil
}

// Detection is how well a score tells them, by its name.
func (t *Evaluation) Detection(score string) (Detection, error) {
	i, err := t.find(score)
	if err != nil {
		return Detection{}, err
	}
	return Detect(t.unknown[i], t.known[i])
}

// Compared claims the AUROC of scores beside that of another, the control, on the same images. The intervals are
// bootstraps over images, unknown and known ones together, in so many draws, the same for all scores. Claims are named
// such as "AUROC of max logit: ResNet-20, digits".
func (t *Evaluation) Compared(control string, draws int, scores ...string) (claim.Claims, error) {
	beside, err := t.find(control)
	if err != nil {
		return nil, err
	}
	n := len(t.unknown[0])
	all := make([]int, n+len(t.known[0]))
	for i := range all {
		all[i] = i
	}
	area := func(score int, sample []int) float64 {
		var unknown, known []float64
		for _, i := range sample {
			if i < n {
				unknown = append(unknown, t.unknown[score][i])
			} else {
				known = append(known, t.known[score][i-n])
			}
		}
		a, err := stats.AUROC(unknown, known)
		if err != nil {
			return math.NaN() // one of the two was not drawn
		}
		return a
	}
	between := func(statistic func(sample []int) float64) (stats.Interval, error) {
		return stats.Bootstrap(len(all), draws, 0.05, 1, statistic)
	}
	var claims claim.Claims
	for _, name := range scores {
		of, err := t.find(name)
		if err != nil {
			return nil, err
		}
		c := claim.Claim{Name: "AUROC of " + name + ": " + t.Name, Unit: "images", N: len(all), Seeds: 1, Control: control,
			Paired: true,
			Value:  area(of, all), ControlValue: area(beside, all)}
		c.Difference = c.Value - c.ControlValue
		for _, m := range []struct {
			low, high *float64
			statistic func(sample []int) float64
		}{
			{&c.Low, &c.High, func(s []int) float64 { return area(of, s) }},
			{&c.ControlLow, &c.ControlHigh, func(s []int) float64 { return area(beside, s) }},
			{&c.DifferenceLow, &c.DifferenceHigh, func(s []int) float64 { return area(of, s) - area(beside, s) }},
		} {
			i, err := between(m.statistic)
			if err != nil {
				return nil, fmt.Errorf("ood: %s: %w", c.Name, err)
			}
			*m.low, *m.high = i.Low, i.High
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// plotBins is how many bins [Evaluation.Plot] has.
const plotBins = 25

// Plot draws how a score lies on unknown and on known images: the percentage of each in 25 bins of equal width.
func (t *Evaluation) Plot(score string) (display.Lines, error) {
	at, err := t.find(score)
	if err != nil {
		return display.Lines{}, err
	}
	both := slices.Concat(t.unknown[at], t.known[at])
	low, high := slices.Min(both), slices.Max(both)
	l := display.Lines{Title: t.Name + ": how unknown an image looks by " + score, X: "score", Y: "percent of the images"}
	for _, of := range []struct {
		name   string
		values []float64
	}{{"known", t.known[at]}, {"unknown", t.unknown[at]}} {
		s := display.Series{Name: of.name, X: make([]float64, plotBins), Y: make([]float64, plotBins)}
		for b := range plotBins {
			s.X[b] = low + (high-low)*(float64(b)+0.5)/plotBins
		}
		for _, v := range of.values {
			bin := 0
			if high > low {
				bin = min(plotBins-1, int(plotBins*(v-low)/(high-low)))
			}
			s.Y[bin] += 100 / float64(len(of.values))
		}
		l.Series = append(l.Series, s)
	}
	return l, nil
}

// Bundle shows the table of [Evaluations].
func (t *Evaluation) Bundle() mime.Bundle { return Evaluations{t}.Bundle() }

// Evaluations are several of them.
type Evaluations []*Evaluation

// Compared claims, of trials of one name with a network each, the mean AUROC of scores beside that of another, the
// control, network by network. It takes two networks. Claims are named as those of [Evaluation.Compared].
func (all Evaluations) Compared(control string, scores ...string) (claim.Claims, error) {
	areas := func(score string) ([]float64, error) {
		var of []float64
		for _, t := range all {
			if t.Name != all[0].Name {
				return nil, fmt.Errorf("ood: trials of %q and of %q have no mean", all[0].Name, t.Name)
			}
			d, err := t.Detection(score)
			if err != nil {
				return nil, err
			}
			of = append(of, d.AUROC)
		}
		return of, nil
	}
	beside, err := areas(control)
	if err != nil {
		return nil, err
	}
	var claims claim.Claims
	for _, score := range scores {
		of, err := areas(score)
		if err != nil {
			return nil, err
		}
		if len(of) == 0 {
			return nil, fmt.Errorf("ood: there are no trials to compare")
		}
		c, err := claim.Mean("AUROC of "+score+": "+all[0].Name, "networks", len(all), of)
		if err == nil {
			c, err = c.Against(control, beside)
		}
		if err != nil {
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// Table has a row for each trial and score.
func (all Evaluations) Table() (table.Table, error) {
	t := table.Table{Header: []string{"tried", "score", "AUROC", "AUPR", "prevalence", "FPR95"}}
	for _, trial := range all {
		for i, score := range trial.scores {
			d, err := Detect(trial.unknown[i], trial.known[i])
			if err != nil {
				return t, err
			}
			three := func(v float64) string { return fmt.Sprintf("%.3f", v) }
			t.Add(trial.Name, score, three(d.AUROC), three(d.AUPR), three(d.Prevalence), table.Percent(d.FPR95))
		}
	}
	return t, nil
}

// Bundle shows the table.
func (all Evaluations) Bundle() mime.Bundle { return table.Shown(all.Table()) }
