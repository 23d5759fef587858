package learn

import "fmt"

// EMA is an exponential moving average of a network's weights and running statistics, which follows it after every
// step:
//
//	average ← decay·average + (1 - decay)·weights
//
// It is a network of the run, which steps may call, and which is in [Trained].Nets: weights to evaluate with (Polyak
// and Juditsky, 1992), or a momentum encoder (He et al., "MoCo", CVPR 2020; Grill et al., "BYOL", NeurIPS 2020).
type EMA struct {
	// Net is the network that is averaged; empty means the only one.
	Net string
	// As is what the average is called; empty means Net with " average" behind it. A network of the run of that name is
	// where the average begins, and must have Net's weights in name and shape; else it begins as Net does.
	As string
	// Decay is a number from 0 to less than 1.
	Decay float64
	// WarmUp lowers the decay of step t, counted from 0, to (1+t)/(10+t) where that is less (De et al., 2022).
	WarmUp bool
	// Rise, unless nil, gives the decay when a share of the steps is done, as BYOL's 1 - (1-0.996)·Cosine(done). Decay is
	// then 0.
	Rise func(done float64) float64
}

// decay is that of a step of so many, counted from 0.
func (e EMA) decay(step, of int) float64 {
	d := e.Decay
	if e.Rise != nil {
		d = e.Rise(float64(step) / float64(of))
	}
	if e.WarmUp {
		d = min(d, float64(1+step)/float64(10+step))
	}
	return d
}

func (e EMA) check() error {
	if !(e.Decay >= 0 && e.Decay < 1) {
		return fmt.Errorf("learn: the decay of an average is %v, it lies between 0 and 1", e.Decay)
	}
	if e.Rise != nil && e.Decay != 0 {
		return fmt.Errorf("learn: an average has a Decay or a Rise, not both")
	}
	return nil
}
