package spurious

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
)

// HalfRanking is one half of a dataset, ranked by features that the other half has chosen. It shows itself as the table
// of the classes and a wall for each: twelve images from the least to the most spurious.
type HalfRanking struct {
	*Ranked
	Images *data.Dataset // that are ranked: the rankings' test
}

// Half is [Ranker.Of] for one labelled dataset: half of each class's images, drawn by the seed, says which features
// are important and which of these are spurious, and the other half is ranked by them. So the gaps are of images by
// which nothing was chosen. Without Classes it ranks all that have so many images that each half has Ends of them.
// Where the network learnt from these images, it recognises nearly all, and a gap says little.
func (r Ranker) Half(m *model.Model, ds *data.Dataset, seed uint64) (*HalfRanking, error) {
	if m == nil || ds == nil {
		return nil, fmt.Errorf("spurious: there is no model or no dataset to rank: it is nil")
	}
	choose, rank := ds.Split(0.5, seed)
	if len(r.Classes) == 0 {
		least := r.Ends
		if least == 0 {
			least = defaultEnds
		}
		enough, labelled := make([]int, m.NumClasses()), 0
		for _, half := range []*data.Dataset{choose, rank} {
			labels, err := m.LabelsOf(half)
			if err != nil {
				return nil, fmt.Errorf("spurious: %w", err)
			}
			counts := make([]int, m.NumClasses())
			for _, label := range labels {
				if label >= 0 {
					counts[label]++
					labelled++
				}
			}
			for class, n := range counts {
				if n >= least {
					enough[class]++
				}
			}
		}
		for class, halves := range enough {
			if halves == 2 {
				r.Classes = append(r.Classes, class)
			}
		}
		if labelled == 0 {
			return nil, fmt.Errorf("spurious: none of the %d images has a label: it is the images of each class that are ranked",
				ds.Len())
		}
		if len(r.Classes) == 0 {
			return nil, fmt.Errorf("spurious: no class has %d images in each half: give more, or fewer Ends", least)
		}
	}
	ranked, err := r.Of(m, choose, choose, rank)
	if err != nil {
		return nil, err
	}
	return &HalfRanking{ranked, rank}, nil
}

// mostWalls is how many classes a picture shows.
const mostWalls = 10

// Grid is the wall of each class, or of the ten with the largest gaps, the largest first, where there are more.
func (h *HalfRanking) Grid() (display.Grid, error) {
	shown := *h
	if h.Ranked != nil && len(h.OnTest) > mostWalls {
		order, gaps := make([]int, len(h.OnTest)), make([]float64, len(h.OnTest))
		for i := range order {
			var err error
			if gaps[i], _, err = h.gap(i); err != nil {
				return display.Grid{}, err
			}
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(gaps[b], gaps[a]) })
		some := &Ranked{}
		for _, i := range order[:mostWalls] {
			some.Classes, some.OnTest = append(some.Classes, h.Classes[i]), append(some.OnTest, h.OnTest[i])
		}
		shown.Ranked = some
	}
	return shown.Walls(h.Images, 12)
}

// Bundle shows the table and the walls.
func (h *HalfRanking) Bundle() mime.Bundle {
	return display.Stack(h.Ranked.Bundle(), display.Shown(h.Grid()))
}
