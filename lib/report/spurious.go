package report

import (
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/stats"
)

// rankedEnds is how many images with most and with least of a spurious feature a class is to have in each half.
const rankedEnds = 25

// spuriousFeatures is whether images that have little of what the network wrongly knows their class by are recognised
// less often: one half of the images chooses the features, the other is ranked by them.
func spuriousFeatures(r *run) error {
	labels, _, _, err := r.answered()
	if err != nil {
		return err
	}
	most, of := 0, map[int]int{}
	for _, label := range labels {
		of[label]++
		most = max(most, of[label])
	}
	if most < 2*rankedEnds {
		return fmt.Errorf("it takes a class with %d images, and the largest has %d", 2*rankedEnds, most)
	}
	if _, err := r.afford(2, 0.9, len(labels), len(labels)); err != nil {
		return err
	}
	half, err := spurious.Ranker{Ends: rankedEnds}.Half(r.m, r.photos, r.seed+1)
	if err != nil {
		return err
	}
	predicted := spurious.Predict(half.Head, half.Test.Features)
	var high, low stats.Accuracy
	shown, least := 0, 2.0
	for c, ranking := range half.OnTest {
		k := min(rankedEnds, len(ranking.Images)/2)
		var one, two stats.Accuracy
		for _, i := range ranking.High(k) {
			one = one.Add(right(predicted[i] == ranking.Class))
		}
		for _, i := range ranking.Low(k) {
			two = two.Add(right(predicted[i] == ranking.Class))
		}
		if gap := two.Share() - one.Share(); gap < least {
			shown, least = c, gap
		}
		high, low = high.Add(one), low.Add(two)
	}
	d, iv, err := fewer(high, low, 0.05)
	if err != nil {
		return err
	}
	ranking := half.OnTest[shown]
	var evidence []Evidence
	for _, end := range []struct {
		title string
		index []int
	}{
		{fmt.Sprintf("%s: least of the features", r.m.ClassName(ranking.Class)), ranking.Low(6)},
		{fmt.Sprintf("%s: most of the features", r.m.ClassName(ranking.Class)), ranking.High(6)},
	} {
		pictures, err := r.pictures(half.Images, end.index, func(_, i int) []string {
			return []string{"predicted: " + r.m.ClassName(predicted[i])}
		})
		if err != nil {
			return err
		}
		evidence = append(evidence, Evidence{Title: end.title, Pictures: pictures})
	}
	f := Finding{
		Value: 100 * d, Low: 100 * iv.Low, High: 100 * iv.High, Unit: "points", Evidence: evidence,
		Cell: fmt.Sprintf("loupe.Spuriosity(net, photos, %d)", r.seed+1),
		Sure: fmt.Sprintf("Features were chosen on one half of the images, and %s of %s ranked on the other. A gap "+
			"alone is no sign of a bias: a feature may be what makes the class, which only a look tells.",
			plural.Grouped(high.Total+low.Total, "image"), plural.Grouped(len(half.OnTest), "class")),
	}
	both := fmt.Sprintf("of images with most of the features that bias it most %s are recognised, of those with "+
		"least %s", percent(high.Share()), percent(low.Share()))
	if iv.Low <= 0 {
		f.Sentence = fmt.Sprintf("Spurious features: no gap is shown: %s.", both)
		r.nothing(f)
		return nil
	}
	f.Sentence = fmt.Sprintf("Spurious features: it may know classes by the wrong thing: %s, %s points fewer (%s).",
		both, number(d), betweenPoints(iv))
	f.Weight = iv.Low / 4 // about a quarter of the images have least
	r.found(f)
	return nil
}

func right(is bool) stats.Accuracy {
	if is {
		return stats.Accuracy{Correct: 1, Total: 1}
	}
	return stats.Accuracy{Total: 1}
}
