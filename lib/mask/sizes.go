package mask

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// CommonSizes are the sizes of sufficient subsets of the same images by several orderings, [ordering][image] as shares
// of the image in 0..1, of those images alone that have a subset in each of them, and these images' numbers. Means over
// the images that each ordering finds for itself are means over other images: a method that reaches the threshold on
// easy images only would look better than it is.
func CommonSizes(of ...*Sufficient) (sizes [][]float64, images []int, err error) {
	if len(of) == 0 {
		return nil, nil, fmt.Errorf("mask: there are no subsets to compare")
	}
	sizes = make([][]float64, len(of))
	for i := range of[0].Sizes {
		all := true
		for _, s := range of {
			if len(s.Sizes) != len(of[0].Sizes) {
				return nil, nil, fmt.Errorf("mask: subsets of %d and of %d images: they are to be of the same images",
					len(of[0].Sizes), len(s.Sizes))
			}
			all = all && s.Sizes[i] >= 0
		}
		if !all {
			continue
		}
		images = append(images, i)
		for k, s := range of {
			d := s.Kept.Shape().Dimensions
			sizes[k] = append(sizes[k], float64(s.Sizes[i])/float64(d[1]*d[2]))
		}
	}
	return sizes, images, nil
}

// OrderingGroup is what a kind of models, such as ensembles, made of the same images: an ordering for each seed.
type OrderingGroup struct {
	Name      string
	Orderings []*Ordering
}

// SizeComparison has the sizes of sufficient subsets of the same images by models of several kinds, by threshold.
type SizeComparison struct {
	Thresholds []float64
	Kinds      []string
	// Percent is [threshold][kind][seed]: which part of the pixels a subset has, in percent, in the mean over the
	// images that reach the threshold with every kind. It is empty where a seed has no such image.
	Percent [][][]float64
	// Reached is [threshold][kind]: of how many images there is a subset, over all seeds. Common is for each threshold
	// how many of them every kind has, and Images how many there are.
	Reached [][]int
	Common  []int
	Images  int
}

// CompareSizes compares the sizes of subsets that reach thresholds, in 0..1 and above 0, by the models of several
// kinds, seed by seed, on those images alone that reach the threshold with every kind: see [CommonSizes]. It is an
// error where kinds differ in their number of seeds or of images.
func CompareSizes(thresholds []float64, kinds ...OrderingGroup) (*SizeComparison, error) {
	if len(thresholds) == 0 || len(kinds) == 0 || len(kinds[0].Orderings) == 0 {
		return nil, fmt.Errorf("mask: sizes at %d thresholds by %d kinds of models: there is nothing to compare",
			len(thresholds), len(kinds))
	}
	c := &SizeComparison{Thresholds: thresholds}
	for _, k := range kinds {
		if len(k.Orderings) != len(kinds[0].Orderings) {
			return nil, fmt.Errorf("mask: %d orderings of %q and %d of %q: give one for each seed",
				len(kinds[0].Orderings), kinds[0].Name, len(k.Orderings), k.Name)
		}
		if slices.Contains(c.Kinds, k.Name) {
			return nil, fmt.Errorf("mask: two kinds of models are called %q", k.Name)
		}
		c.Kinds = append(c.Kinds, k.Name)
	}
	for _, o := range kinds[0].Orderings {
		c.Images += o.Len()
	}
	for _, threshold := range thresholds {
		if threshold == 0 {
			return nil, fmt.Errorf("mask: every subset reaches a threshold of 0")
		}
		percent, reached, common, empty := make([][]float64, len(kinds)), make([]int, len(kinds)), 0, false
		for seed := range kinds[0].Orderings {
			of := make([]*Sufficient, len(kinds))
			for k, kind := range kinds {
				var err error
				if of[k], err = kind.Orderings[seed].Sufficient(threshold); err != nil {
					return nil, err
				}
				reached[k] += len(of[k].Found())
			}
			sizes, images, err := CommonSizes(of...)
			if err != nil {
				return nil, err
			}
			common, empty = common+len(images), empty || len(images) == 0
			for k, shares := range sizes {
				var sum float64
				for _, share := range shares {
					sum += share
				}
				percent[k] = append(percent[k], 100*sum/float64(len(images)))
			}
		}
		if empty {
			percent = nil
		}
		c.Percent, c.Reached, c.Common = append(c.Percent, percent), append(c.Reached, reached), append(c.Common, common)
	}
	return c, nil
}

// At are the mean sizes of a kind's subsets at one of the thresholds, in percent of the pixels, one for each seed. It
// is an error where a seed has no image that reaches the threshold with every kind.
func (c *SizeComparison) At(threshold float64, kind string) ([]float64, error) {
	t, k := slices.Index(c.Thresholds, threshold), slices.Index(c.Kinds, kind)
	if t < 0 || k < 0 {
		return nil, fmt.Errorf("mask: sizes of %q at %g were not measured: there are %q at %g",
			kind, threshold, c.Kinds, c.Thresholds)
	}
	if c.Percent[t] == nil {
		return nil, fmt.Errorf("mask: with some seed no image reaches %g with all of %q", threshold, c.Kinds)
	}
	return slices.Clone(c.Percent[t][k]), nil
}

// Table says for each threshold how many images have a subset with each kind, and with all of them.
func (c *SizeComparison) Table() table.Table {
	t := table.Table{Header: slices.Concat([]string{"threshold"}, c.Kinds, []string{"all of these"})}
	for i, threshold := range c.Thresholds {
		cells := []any{threshold}
		for _, n := range c.Reached[i] {
			cells = append(cells, n)
		}
		t.Add(append(cells, fmt.Sprintf("%d of %d", c.Common[i], c.Images))...)
	}
	return t
}

// Plot is the size against the threshold, a line for each kind, the mean over seeds with Student's 95% interval where
// there are two or more. Thresholds at which a seed has no image are left out.
func (c *SizeComparison) Plot() display.Lines {
	l := display.Lines{Title: "Size of sufficient subsets, of images that reach the threshold with all",
		X: "threshold of the confidence", Y: "percent of the pixels"}
	for k, kind := range c.Kinds {
		s := display.Series{Name: kind}
		for i, threshold := range c.Thresholds {
			if c.Percent[i] == nil {
				continue
			}
			sizes := c.Percent[i][k]
			s.X = append(s.X, threshold)
			if len(sizes) == 1 {
				s.Y = append(s.Y, sizes[0])
				continue
			}
			mean, interval, err := stats.MeanInterval(sizes, 0.05)
			if err != nil {
				panic(err) // two or more shares, all finite
			}
			s.Y, s.Low, s.High = append(s.Y, mean), append(s.Low, interval.Low), append(s.High, interval.High)
		}
		l.Series = append(l.Series, s)
	}
	return l
}

// Bundle shows the plot.
func (c *SizeComparison) Bundle() mime.Bundle { return c.Plot().Bundle() }
