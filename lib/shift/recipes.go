package shift

import (
	"fmt"
	"maps"
	"slices"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
)

// Recipes are the error rates of networks that were trained in several ways, one for each seed of a way, under the same
// corruptions: whether a way of training makes networks more robust.
type Recipes map[string][]ErrorRates

// Compared claims the mean error over the corruptions ([ErrorRates.Mean]) and that on the images as they are, both in
// percent, of one way beside each of others, seed by seed. It takes two seeds. Claims are named such as "mean
// corruption error with AugMix and without, %", of the ways "with AugMix" and "without".
func (r Recipes) Compared(way string, controls ...string) (claim.Claims, error) {
	var all claim.Claims
	for _, control := range controls {
		for _, measure := range []struct {
			name string
			of   func(ErrorRates) float64
		}{{"mean corruption error", ErrorRates.Mean}, {"error on clean images",
			func(e ErrorRates) float64 { return e.Clean }}} {
			values := map[string][]float64{}
			for _, of := range []string{way, control} {
				for _, rates := range r[of] {
					values[of] = append(values[of], 100*measure.of(rates))
				}
			}
			c, err := claim.Mean(fmt.Sprintf("%s %s and %s, %%", measure.name, way, control), "networks", len(r[way]),
				values[way])
			if err == nil {
				c, err = c.Against(control, values[control])
			}
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Off draws a bar for each corruption: by how many points a way's error is less than that of another, the mean over
// their seeds. It is an error where the two have no networks, or not the same corruptions.
func (r Recipes) Off(title, way, control string) (display.Bars, error) {
	bars := display.Bars{Title: title, X: "points, mean over seeds"}
	if len(r[way]) == 0 || len(r[control]) == 0 {
		return bars, fmt.Errorf("shift: %d networks %q and %d %q: there are %q",
			len(r[way]), way, len(r[control]), control, slices.Sorted(maps.Keys(r)))
	}
	names := slices.Sorted(maps.Keys(r[way][0].Corrupted))
	mean := func(of, corruption string) (float64, error) {
		var sum float64
		for _, rates := range r[of] {
			rate, tried := rates.Corrupted[corruption]
			if !tried || len(rates.Corrupted) != len(names) {
				return 0, fmt.Errorf("shift: networks %q and %q were not tried under the same corruptions: see %s",
					way, control, corruption)
			}
			sum += rate
		}
		return 100 * sum / float64(len(r[of])), nil
	}
	for _, name := range names {
		a, err := mean(way, name)
		if err != nil {
			return bars, err
		}
		b, err := mean(control, name)
		if err != nil {
			return bars, err
		}
		bars.Names, bars.Values = append(bars.Names, name), append(bars.Values, b-a)
	}
	return bars, nil
}

// Bundle says which ways there are, of how many networks.
func (r Recipes) Bundle() mime.Bundle {
	t := display.Table{Header: []string{"way", "networks", "mean corruption error, %", "error on clean images, %"}}
	for _, way := range slices.Sorted(maps.Keys(r)) {
		var corrupted, clean float64
		for _, rates := range r[way] {
			corrupted, clean = corrupted+100*rates.Mean()/float64(len(r[way])), clean+100*rates.Clean/float64(len(r[way]))
		}
		t.Add(way, len(r[way]), corrupted, clean)
	}
	return t.Bundle()
}
