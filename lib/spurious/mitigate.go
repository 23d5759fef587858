package spurious

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/loupeml/loupe/lib/model"
)

// Mitigation tunes a network's last layer on few images of the ranked classes, such as the least spurious ones, with
// images of other classes beside them, until the gap on the images for validation is small enough. Moayeri et al.,
// section 4.3.
type Mitigation struct {
	Few    int // how many images of each ranked class it is tuned on; 0 means 100, as the authors have it
	Others int // of the images of other classes every so manieth; 0 means every one, negative none
	Ends   int // how many images at each end of a ranking of the validation the gap is of; 0 means Few
	// Until is the share of the gap before that the gap has to fall below; 0 means 1/4. Tuning ends there, or after its
	// epochs.
	Until  float64
	Tuning Tuning // its own Until is asked besides
}

// Of tunes the head of what was ranked, which stays as it is, on the images that pick takes of each ranking of train:
// (*Ranking).Low takes the least spurious, (*Ranking).High the most, and [Randomly] any.
//
// Interrupted, it returns the head after the last whole epoch beside the error.
func (m Mitigation) Of(r *Ranked, pick func(r *Ranking, k int) []int) (*model.Head, error) {
	if m.Few == 0 {
		m.Few = 100
	}
	if m.Others == 0 {
		m.Others = 1
	}
	if m.Ends == 0 {
		m.Ends = m.Few
	}
	if m.Until == 0 {
		m.Until = 0.25
	}
	switch {
	case r == nil || len(r.OnTrain) == 0:
		return nil, fmt.Errorf("spurious: no class was ranked")
	case pick == nil:
		return nil, fmt.Errorf("spurious: the function that picks images is nil: (*Ranking).Low picks the least spurious")
	case m.Few < 1 || m.Ends < 1 || !(m.Until > 0):
		return nil, fmt.Errorf("spurious: a head tuned on %d images until the gap of %d is %v of what it was", m.Few,
			m.Ends, m.Until)
	}
	var some []int
	for _, ranking := range r.OnTrain {
		some = append(some, pick(ranking, m.Few)...)
	}
	for i, label := range r.Train.Labels {
		if m.Others > 0 && i%m.Others == 0 && !slices.Contains(r.Classes, label) {
			some = append(some, i)
		}
	}
	for _, i := range some {
		if i < 0 || i >= len(r.Train.Labels) {
			return nil, fmt.Errorf("spurious: image %d was picked, of %d", i, len(r.Train.Labels))
		}
	}
	gap := func(head *model.Head) (float64, error) {
		return SpuriousGap(Predict(head, r.Val.Features), r.OnVal, m.Ends)
	}
	before, err := gap(r.Head)
	if err != nil {
		return nil, err
	}
	t := m.Tuning
	t.Until = func(head *model.Head) bool {
		now, err := gap(head) // which was no error before tuning, on the same images
		return err == nil && now < m.Until*before || m.Tuning.Until != nil && m.Tuning.Until(head)
	}
	return TuneHead(r.Head, r.Train.Pick(some...), t)
}

// Randomly picks images of a ranking by chance, each once: a control for [Ranking.Low] in [Mitigation.Of]. The same
// seed picks the same.
func Randomly(seed uint64) func(r *Ranking, k int) []int {
	return func(r *Ranking, k int) []int {
		var some []int
		for _, i := range rand.New(rand.NewPCG(seed, 1)).Perm(len(r.Images))[:max(0, min(k, len(r.Images)))] {
			some = append(some, r.Images[i])
		}
		return some
	}
}
