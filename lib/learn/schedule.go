package learn

import "math"

// Schedule is the factor of the learning rate when a share of the steps is done, 0 up to less than 1. Nil is a
// constant 1.
type Schedule func(done float64) float64

// Cosine goes from 1 to 0 along half a cosine.
func Cosine(done float64) float64 { return (1 + math.Cos(math.Pi*done)) / 2 }

// CosineTo goes from 1 to a factor along half a cosine, as PyTorch's CosineAnnealingLR with eta_min.
func CosineTo(end float64) Schedule {
	return func(done float64) float64 { return end + (1-end)*Cosine(done) }
}

// WarmUp rises to 1 in a straight line over a share of the steps, and then goes on by another schedule over the rest;
// nil keeps 1. A share that does not lie between 0 and 1 gives no numbers, which a run refuses.
func WarmUp(share float64, then Schedule) Schedule {
	return func(done float64) float64 {
		switch {
		case !(share >= 0 && share <= 1):
			return math.NaN()
		case done < share:
			return done / share
		case then == nil:
			return 1
		}
		return then((done - share) / (1 - share))
	}
}

// Steps multiplies by factor each time a milestone, a share of the steps, has passed: Steps(0.2, 0.3, 0.6, 0.8) is the
// authors' schedule for CIFAR-10 in Carter et al., NeurIPS 2021.
func Steps(factor float64, milestones ...float64) Schedule {
	return func(done float64) float64 {
		rate := 1.0
		for _, at := range milestones {
			if done >= at {
				rate *= factor
			}
		}
		return rate
	}
}

// OneCycle rises from 1/25 to 1 over a share of the steps, and falls to 1/25·1e-4 over the rest, each along half a
// cosine: PyTorch's OneCycleLR, which has the share 0.3, without its cycle of the momentum. Smith and Topin,
// "Super-convergence", 2017. A share that does not lie between 0 and 1 gives no numbers, which a run refuses.
func OneCycle(share float64) Schedule {
	const start, end = 1. / 25, 1. / 25 * 1e-4
	between := func(from, to, done float64) float64 { return to + (from-to)*Cosine(done) }
	return func(done float64) float64 {
		if !(share >= 0 && share <= 1) {
			return math.NaN()
		}
		if done < share {
			return between(start, 1, done/share)
		}
		return between(1, end, (done-share)/(1-share))
	}
}
