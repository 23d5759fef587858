package spray

import (
	"fmt"
	"slices"

	"github.com/loupeml/loupe/lib/stats"
)

// Recovery is how well analyses recover a group of images that is known, such as those that a mark was planted in.
type Recovery struct {
	// Place is where the group's class comes among all, from 1 on: one more than the number of other classes of which a
	// group stands more apart ([Analysis.Conductance]).
	Place int
	// RandIndex compares the known group with the one that stands most apart in its class: the adjusted Rand index of
	// the two divisions of the class's images. It is 1 where they are the same and 0 on average by chance.
	RandIndex float64
}

// RecoveryOf compares the first of the analyses that is of a class with a group of that class's images; members are
// where these are in the dataset, as [perturb.Patch.Plant] returns them. It is an error where no analysis is of the
// class, or none of its images is a member or all are: there is nothing to tell apart then.
func RecoveryOf(all []*Analysis, class int, members map[int]bool) (Recovery, error) {
	var own *Analysis
	if i := slices.Index(all, nil); i >= 0 {
		return Recovery{}, fmt.Errorf("spray: analysis %d of %d is nil", i+1, len(all))
	}
	for _, a := range all {
		if a.Class == class {
			own = a
			break
		}
	}
	if own == nil {
		return Recovery{}, fmt.Errorf("spray: class %d is not among the %d analyses", class, len(all))
	}
	r := Recovery{Place: 1}
	for _, a := range all {
		if a.Class != class && a.Conductance() < own.Conductance() {
			r.Place++
		}
	}
	known, group := make([]int, len(own.Images)), make([]int, len(own.Images))
	n := 0
	for i, at := range own.Images {
		if members[at] {
			known[i] = 1
			n++
		}
		if len(own.Strategies) > 0 && own.Strategies[0].Members[i] {
			group[i] = 1
		}
	}
	if n == 0 || n == len(known) {
		return Recovery{}, fmt.Errorf("spray: %d of the %d images of %s are in the group: it is no part of them",
			n, len(known), own.ClassName)
	}
	var err error
	r.RandIndex, err = stats.AdjustedRandIndex(known, group)
	return r, err
}

// Found reports whether the class comes first of all and the group that stands most apart is the known one, by a Rand
// index above least.
func (r Recovery) Found(least float64) bool { return r.Place == 1 && r.RandIndex > least }

func (r Recovery) String() string {
	return fmt.Sprintf("its class comes in place %d, and the group that stands most apart has a Rand index of %.2f",
		r.Place, r.RandIndex)
}
