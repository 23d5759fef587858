package report

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// What is asked of what the network has answered already.

// The sizes of evidence.
const (
	mostShown = 12 // pictures
	mostRows  = 10 // of a table
)

// overImages is what most intervals are over.
const overImages = "The interval is over the images: how far the number would move with as many others like them."

// accuracy is how often the network is right, and its most confident mistakes.
func accuracy(r *run) error {
	if err := r.needLabels(); err != nil {
		return err
	}
	a, err := r.e.Accuracy()
	if err != nil {
		return err
	}
	iv := a.Interval()
	r.measure("accuracy", a.Share(), iv.Low, iv.High)
	r.measure("balanced_accuracy", a.Balanced, nan, nan)
	if a.Top5 != nil {
		five := a.Top5.Interval()
		r.measure("top5_accuracy", a.Top5.Share(), five.Low, five.High)
	}
	wrong, n := a.Top1.Total-a.Top1.Correct, a.Top1.Total
	figures := Evidence{Header: []string{"", "share", "95% interval"}, Rows: [][]string{
		{"right", percent(a.Share()), number(iv.Low) + " to " + percent(iv.High)},
	}}
	if a.Top5 != nil {
		five := a.Top5.Interval()
		figures.Rows = append(figures.Rows, []string{"the label is among the five likeliest", percent(a.Top5.Share()),
			number(five.Low) + " to " + percent(five.High)})
	}
	figures.Rows = append(figures.Rows,
		[]string{"mean over the classes", percent(a.Balanced), ""},
		[]string{"if it always said the commonest class", percent(a.Commonest.Share()), ""})
	errs, interval := share(wrong, n)
	f := Finding{
		Value: errs, Low: interval.Low, High: interval.High, Unit: "share", Weight: interval.Low, Sure: overImages,
		Evidence: []Evidence{figures}, Cell: r.evaluation() + ".Accuracy()",
	}
	if n < 30 {
		f.Sure += fmt.Sprintf(" %s say little: it is wide.", plural.Grouped(n, "image"))
	}
	if wrong == 0 {
		f.Sentence = fmt.Sprintf("Accuracy: it makes no mistake in %s (its share of mistakes may still be as high as %s).",
			plural.Grouped(n, "image"), percent(interval.High))
		r.nothing(f)
		return nil
	}
	f.Sentence = fmt.Sprintf("Accuracy: it is wrong about %s of the images (%s), %s of %s.", percent(errs),
		between(interval), plural.Thousands(wrong), plural.Thousands(n))
	if common := a.Commonest.Share(); iv.Low <= common && a.Commonest.Correct < n {
		f.Sentence += fmt.Sprintf(" That is not shown to be better than to always say the commonest class, which would "+
			"be right about %s.", percent(common))
	}
	if mistakes, err := r.e.Mistakes(mostShown); err == nil {
		shown, err := r.ofImages("The mistakes that it is surest of", mistakes)
		if err != nil {
			return err
		}
		f.Evidence = append(f.Evidence, shown)
		f.Cell = fmt.Sprintf("e := %s\nloupe.Show(e.Accuracy(), e.Mistakes(%d))", r.evaluation(), mostShown)
	}
	r.found(f)
	return nil
}

// ofImages are the pictures of images that an evaluation has picked out, with what it says of them: at most twelve.
func (r *run) ofImages(title string, picked *evaluate.Images) (Evidence, error) {
	index := picked.Index[:min(mostShown, len(picked.Index))]
	rows := picked.Table()
	pictures, err := r.pictures(r.photos, index, func(k, i int) []string {
		lines := []string{r.file(i)}
		for c, header := range rows.Header {
			if header == "index" || header == "file" {
				continue
			}
			if text := written(rows.Rows[k][c]); text != "" {
				lines = append(lines, header+": "+text)
			}
		}
		return lines
	})
	return Evidence{Title: title, Pictures: pictures}, err
}

// perClass is which classes are recognised less often than all the others together.
func perClass(r *run) error {
	if err := r.needLabels(); err != nil {
		return err
	}
	p, err := r.e.PerClass()
	if err != nil {
		return err
	}
	var withImages []evaluate.ClassScores
	all := stats.Accuracy{}
	for _, c := range p.Classes {
		if c.Images > 0 {
			withImages = append(withImages, c)
			all = all.Add(c.Accuracy)
		}
	}
	if len(withImages) < 2 {
		return errors.New("all labels are of one class: there is no other to compare it with")
	}
	alpha := 0.05 / float64(len(withImages))
	type low struct {
		evaluate.ClassScores
		behind float64
		iv     stats.Interval
	}
	var worse []low
	touched := 0
	for _, c := range withImages {
		others := stats.Accuracy{Correct: all.Correct - c.Accuracy.Correct, Total: all.Total - c.Accuracy.Total}
		d, iv, err := fewer(others, c.Accuracy, alpha)
		if err != nil {
			return err
		}
		if iv.Low > 0 {
			worse, touched = append(worse, low{c, d, iv}), touched+c.Images
		}
	}
	slices.SortStableFunc(worse, func(a, b low) int { return cmp.Compare(b.iv.Low, a.iv.Low) })
	code := r.evaluation() + ".PerClass()"
	table := Evidence{Title: "The lowest F1", Header: []string{"class", "images", "recognised", "95% interval",
		"precision", "F1"}}
	for _, c := range p.Worst()[:min(mostRows, len(p.Classes))] {
		iv := c.Accuracy.Interval()
		row := []string{c.Name, plural.Thousands(c.Images), "", "", "", percent(c.F1)}
		if c.Images > 0 {
			row[2], row[3] = percent(c.Recall), number(iv.Low)+" to "+percent(iv.High)
		}
		if c.Predicted > 0 {
			row[4] = percent(c.Precision)
		}
		table.Rows = append(table.Rows, row)
	}
	if len(p.Classes) > mostRows {
		table.Note = fmt.Sprintf("The first %d of %s; the cell shows the others.", mostRows,
			plural.Grouped(len(p.Classes), "class"))
	}
	if len(worse) == 0 {
		r.nothing(Finding{
			Sentence: fmt.Sprintf("Classes: of %s none is shown to be recognised less often than the others.",
				plural.Grouped(len(withImages), "class")),
			Value: nan, Low: nan, High: nan, Evidence: []Evidence{table}, Cell: code,
			Sure: fmt.Sprintf("Each class is compared with all others by an interval that is as wide as so many "+
				"comparisons ask (95%% for all %s together).", plural.Grouped(len(withImages), "class")),
		})
		return nil
	}
	first := worse[0]
	words := fmt.Sprintf("Classes: %q is recognised in %s of its %s, %s points less often than the others (95%% "+
		"interval, for all classes together, %s to %s)",
		first.Name, percent(first.Recall), plural.Grouped(first.Images, "image"), number(first.behind),
		number(first.iv.Low), number(first.iv.High))
	if len(worse) > 1 {
		words += fmt.Sprintf("; so %s %s more", plural.Is(len(worse)-1), plural.Grouped(len(worse)-1, "class"))
	}
	bars := display.Bars{Title: "Recognised, percent of the class's images", Format: "%.0f%%"}
	for _, c := range p.Worst()[:min(mostRows, len(p.Classes))] {
		if c.Images > 0 {
			bars.Add(c.Name, 100*c.Recall)
		}
	}
	plot, err := display.Picture(bars)
	if err != nil {
		return err
	}
	r.found(Finding{
		Sentence: words + ".", Value: 100 * first.behind, Low: 100 * first.iv.Low, High: 100 * first.iv.High, Unit: "points",
		Weight: first.iv.Low * float64(touched) / float64(all.Total), Cell: code,
		Sure: fmt.Sprintf("%d comparisons are made, and the intervals are so wide that all hold together with 95%%.",
			len(withImages)),
		Evidence: []Evidence{{Plot: plot}, table},
	})
	return nil
}

// confusion is whether mistakes about a class fall on one other more often than on the rest.
func confusion(r *run) error {
	labels, predicted, _, err := r.answered()
	if err != nil {
		return err
	}
	classes := r.report.Classes
	if classes < 3 {
		return errors.New("of two classes each is taken for the other alone")
	}
	c, err := r.e.Confusion()
	if err != nil {
		return err
	}
	mistakes, of, wrong := map[int]int{}, map[int]int{}, 0
	for i, label := range labels {
		of[label]++
		if predicted[i] != label {
			mistakes[label]++
			wrong++
		}
	}
	pairs := c.Pairs()
	code := r.evaluation() + ".Confusion()"
	name := r.e.Answers.ClassName
	if len(pairs) == 0 {
		r.nothing(Finding{Sentence: "Confusion: no class is taken for another.", Value: nan, Low: nan, High: nan, Cell: code})
		return nil
	}
	// By chance a mistake falls on each of the other classes alike.
	type often struct {
		evaluate.Confused
		p float64
	}
	var beyond []often
	for _, pair := range pairs {
		n := mistakes[pair.Label]
		chance := distuv.Binomial{N: float64(n), P: 1 / float64(classes-1)}
		p := chance.Survival(float64(pair.Images)-1) * float64(len(mistakes)*(classes-1))
		if p < 0.05 {
			beyond = append(beyond, often{pair, p})
		}
	}
	table := Evidence{Title: "Taken for another most often", Header: []string{"label", "taken for", "images",
		"of the label's images"}}
	for _, pair := range pairs[:min(mostRows, len(pairs))] {
		table.Rows = append(table.Rows, []string{name(pair.Label), name(pair.Predicted), plural.Thousands(pair.Images),
			percent(pair.Share)})
	}
	how := fmt.Sprintf("The chance that so many of a class's mistakes fall on one of %s others, times the number of "+
		"pairs, is below 5%%.", plural.Thousands(classes-1))
	if len(beyond) == 0 {
		r.nothing(Finding{
			Sentence: fmt.Sprintf("Confusion: of %s no pair of classes is shown to be confused more often than others.",
				plural.Grouped(wrong, "mistake")),
			Value: nan, Low: nan, High: nan, Evidence: []Evidence{table}, Cell: code,
			Sure: "It would be if the chance of such a pair were below 5%, for all pairs together.",
		})
		return nil
	}
	first := beyond[0]
	part, iv := share(first.Images, of[first.Label])
	words := fmt.Sprintf("Confusion: %s of the %s of %q are taken for %q: %s (%s)", plural.Thousands(first.Images),
		plural.Grouped(of[first.Label], "image"),
		name(first.Label), name(first.Predicted), percent(part), between(iv))
	if len(beyond) > 1 {
		more := len(beyond) - 1
		words += fmt.Sprintf("; %s more %s confused beyond chance", plural.Grouped(more, "pair"), plural.Is(more))
	}
	evidence := []Evidence{table}
	if classes <= 40 {
		plot, err := display.Picture(c.Plot())
		if err != nil {
			return err
		}
		evidence = append([]Evidence{{Plot: plot}}, evidence...)
	}
	touched := 0
	for _, pair := range beyond {
		touched += pair.Images
	}
	r.found(Finding{
		Sentence: words + ".", Value: part, Low: iv.Low, High: iv.High, Unit: "share", Sure: how,
		Weight: iv.Low * float64(touched) / float64(len(labels)), Evidence: evidence, Cell: code,
	})
	return nil
}

// calibration is whether the network is as sure as it is right.
func calibration(r *run) error {
	c, err := r.calibration()
	if err != nil {
		return err
	}
	p := c.Predictions
	if p.Len() < 2 {
		return errors.New("one image does not tell how far confidence agrees with accuracy")
	}
	r.measure("calibration", 1-c.ECE, nan, nan)
	gaps := make([]float64, p.Len())
	sure := p.Confidence()
	for i, right := range p.Correct() {
		gaps[i] = sure[i]
		if right {
			gaps[i]--
		}
	}
	gap, iv, err := stats.MeanInterval(gaps, 0.05)
	if err != nil {
		return err
	}
	iv = stats.Interval{Low: max(iv.Low, -1), High: min(iv.High, 1)}
	// Of a calibrated network the error of bins is not 0 either: how large it is, draws tell.
	const draws = 200
	drawn := make([]float64, draws)
	for i := range drawn {
		if drawn[i], err = p.Resampled(r.seed + uint64(i)).ExpectedCalibrationError(uncertainty.EqualWidth(15)); err != nil {
			return err
		}
	}
	slices.Sort(drawn)
	chance := stats.Interval{Low: drawn[draws/40], High: drawn[draws-1-draws/40]}
	plot, err := display.Picture(c.Plot())
	if err != nil {
		return err
	}
	evidence := []Evidence{{Plot: plot}, {Header: []string{"", "share"}, Rows: [][]string{
		{"mean confidence", percent(c.Confidence)},
		{"right", percent(c.Accuracy)},
		{"expected calibration error, 15 bins", percent(c.ECE)},
		{"the same of a calibrated network (95% of draws)", number(chance.Low) + " to " + percent(chance.High)},
	}}}
	f := Finding{
		Value: 100 * gap, Low: 100 * iv.Low, High: 100 * iv.High, Unit: "points", Sure: overImages, Evidence: evidence,
		Cell: r.evaluation() + ".Calibration()",
	}
	switch {
	case iv.Low > 0:
		f.Sentence = fmt.Sprintf("Calibration: it is %s points surer than it is right (%s).", number(gap), betweenPoints(iv))
		f.Weight = iv.Low
		r.tooSure = true
	case iv.High < 0:
		f.Sentence = fmt.Sprintf("Calibration: it is %s points less sure than it is right (%s).", number(-gap),
			betweenPoints(stats.Interval{Low: -iv.High, High: -iv.Low}))
		f.Weight = -iv.High
	case c.ECE > chance.High:
		f.Sentence = fmt.Sprintf("Calibration: on the whole it is as sure as it is right, but not at each confidence: "+
			"it is off by %s on average, and a calibrated network would be by %s to %s.",
			percent(c.ECE), number(chance.Low), percent(chance.High))
		f.Value, f.Low, f.High, f.Unit = c.ECE, nan, nan, "share"
		f.Sure = fmt.Sprintf("Compared with %d draws of labels from its own probabilities.", draws)
		f.Weight = c.ECE - chance.High
	default:
		f.Sentence = fmt.Sprintf("Calibration: that it is surer or less sure than it is right is not shown (%s points, "+
			"%s).", number(gap), betweenPoints(iv))
		r.nothing(f)
		return nil
	}
	r.found(f)
	return nil
}

// confidence is whether the network is surer where it is right.
func confidence(r *run) error {
	c, err := r.calibration()
	if err != nil {
		return err
	}
	sure, is := c.Predictions.Confidence(), c.Predictions.Correct()
	split := func(among []int) (right, wrong []float64) {
		for _, k := range among {
			if is[k] {
				right = append(right, sure[k])
			} else {
				wrong = append(wrong, sure[k])
			}
		}
		return right, wrong
	}
	order := make([]int, len(is))
	for i := range order {
		order[i] = i
	}
	right, wrong := split(order)
	const least = 5
	if len(right) < least || len(wrong) < least {
		return fmt.Errorf("it takes %d images that are right and %d that are wrong, and there are %d and %d", least, least,
			len(right), len(wrong))
	}
	area, err := stats.AUROC(right, wrong)
	if err != nil {
		return err
	}
	iv, err := stats.Bootstrap(len(is), 500, 0.05, r.seed, func(sample []int) float64 {
		a, err := stats.AUROC(split(sample))
		if err != nil {
			return nan
		}
		return a
	})
	if err != nil {
		return err
	}
	r.measure("confidence_auroc", area, iv.Low, iv.High)
	// What is left where it may refuse what it is not sure of.
	thresholds := []float64{0, 0.5, 0.7, 0.9, 0.99}
	kept, err := c.Predictions.AccuracyAtConfidence(thresholds...)
	if err != nil {
		return err
	}
	line := display.Series{Name: "right"}
	table := Evidence{Header: []string{"at least so sure", "images", "right", "95% interval"}}
	last := 0 // the highest threshold that is told in the sentence
	for k, at := range kept {
		iv := at.Accuracy.Interval()
		row := []string{percent(at.Threshold), plural.Thousands(at.Accuracy.Total), "", ""}
		if at.Accuracy.Total > 0 {
			row[2], row[3] = percent(at.Accuracy.Share()), number(iv.Low)+" to "+percent(iv.High)
			line.X, line.Y = append(line.X, 100*at.Threshold), append(line.Y, 100*at.Accuracy.Share())
			line.Low, line.High = append(line.Low, 100*iv.Low), append(line.High, 100*iv.High)
		}
		if at.Threshold <= 0.9 && 10*at.Accuracy.Total >= len(is) {
			last = k
		}
		table.Rows = append(table.Rows, row)
	}
	f := Finding{
		Value: area, Low: iv.Low, High: iv.High, Unit: "area", Evidence: []Evidence{table},
		Sure: "The interval is a bootstrap over the images. 1 would mean that each image that is right has a higher " +
			"confidence than each that is wrong, 0.5 is chance.",
		Cell: "p := " + r.evaluation() + `.Calibration().Predictions
is := p.Correct()
var right, wrong []float64
for i, sure := range p.Confidence() {
	if is[i] {
		right = append(right, sure)
	} else {
		wrong = append(wrong, sure)
	}
}
loupe.Show(stats.AUROC(right, wrong), p.AccuracyAtConfidence(0, 0.5, 0.7, 0.9, 0.99))`,
	}
	if iv.Low <= 0.5 {
		f.Sentence = fmt.Sprintf("Confidence: nothing shows that it is surer where it is right (area under the curve "+
			"%.2f, 95%% interval %.2f to %.2f).", area, iv.Low, iv.High)
		r.nothing(f)
		return nil
	}
	plot, err := display.Picture(display.Lines{Title: "Right among the images of which it is so sure or surer",
		X: "confidence, percent", Y: "percent right", Series: []display.Series{line}})
	if err != nil {
		return err
	}
	f.Evidence = append([]Evidence{{Plot: plot}}, f.Evidence...)
	f.Sentence = fmt.Sprintf("Confidence: it tells right from wrong with an area of %.2f (95%% interval %.2f to %.2f): "+
		"of the %s of which it is at least %s sure %s are right.", area, iv.Low, iv.High,
		plural.Grouped(kept[last].Accuracy.Total, "image"), percent(kept[last].Threshold),
		percent(kept[last].Accuracy.Share()))
	f.Weight = trust * (iv.Low - 0.5)
	r.found(f)
	return nil
}

// trust is the weight of what says how far other figures can be trusted, beside what harms.
const trust = 0.05
