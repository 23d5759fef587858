package privacy

import (
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/mathext"
)

const (
	// smallestDelta is what the rounding of transforms leaves of δ.
	smallestDelta = 1e-10
	// lossInterval is the distance of the privacy losses that are told apart, unless there would be more than mostLosses
	// of them.
	lossInterval = 1e-4
	mostLosses   = 1 << 22
	// tailMass is the probability that a composed loss which falls outside of what is kept may have; it counts as an
	// infinite loss.
	tailMass = 1e-15
	// logTruncation is the logarithm of the probability of the noise that is cut off a step.
	logTruncation = -50
)

// side is one of the two ways in which neighbours differ. Losses are log(P(x)/Q(x)), x drawn from P.
type side int

const (
	remove side = iota // P has the example: P = (1-q) N(0, σ²) + q N(-1, σ²), Q = N(0, σ²)
	add                // Q has it: P = N(0, σ²), Q = (1-q) N(0, σ²) + q N(1, σ²)
)

// pldEpsilon is the larger ε of both sides.
func pldEpsilon(phases []Phase, delta float64) (float64, error) {
	phases = slices.Clone(phases)
	alike := true // where every example is in every batch, both sides are the same
	for i, p := range phases {
		if p.Rate == 1 { // many steps are one with less noise
			phases[i] = Phase{Noise: p.Noise / math.Sqrt(float64(p.Steps)), Rate: 1, Steps: 1}
		} else {
			alike = false
		}
	}
	largest := 0.0
	for _, s := range []side{remove, add} {
		composed, err := compose(s, phases)
		if err != nil {
			return 0, err
		}
		largest = max(largest, composed.epsilon(delta))
		if alike {
			break
		}
	}
	return largest, nil
}

var errApart = errors.New("privacy: the losses lie too far apart for PLD, ε is thousands or more: take RDP")

// losses is a distribution of privacy losses at the multiples first, first+1, … of an interval, and at infinity.
type losses struct {
	interval      float64
	first         int
	probabilities []float64
	infinite      float64
}

// compose is the distribution of the sum of the losses of all steps.
func compose(s side, phases []Phase) (losses, error) {
	for interval := lossInterval; interval < 1; interval *= 2 {
		steps := make([]losses, 0, len(phases))
		for _, p := range phases {
			m := mechanism{p.Noise, p.Rate, s}
			low, high := m.bounds()
			if (high-low)/interval < mostLosses {
				steps = append(steps, m.discretised(interval, int(math.Floor(low/interval)), int(math.Ceil(high/interval))))
			}
		}
		if len(steps) < len(phases) {
			continue
		}
		if len(phases) == 1 && phases[0].Steps == 1 {
			return steps[0], nil
		}
		if low, high := window(steps, phases); high-low < mostLosses {
			return convolved(steps, phases, low, high), nil
		}
	}
	return losses{}, fmt.Errorf("%w: %v", errApart, phases)
}

// convolved is the distribution of the sum, between low and high, counted from the lowest loss that there can be. It is
// the product of the Fourier transforms of the steps, each to the power of its phase's steps. What lies outside is
// wrapped into it and counts as infinite besides.
func convolved(steps []losses, phases []Phase, low, high int) losses {
	n := smooth(high - low + 1)
	transform := fourier.NewFFT(n)
	product := make([]complex128, n/2+1)
	for i := range product {
		product[i] = 1
	}
	var coefficients []complex128
	folded := make([]float64, n)
	out := losses{interval: steps[0].interval, first: low}
	finite := 0.0 // the logarithm of the probability that all losses are finite
	for i, step := range steps {
		clear(folded)
		for j, p := range step.probabilities {
			folded[j%n] += p
		}
		coefficients = transform.Coefficients(coefficients, folded)
		times := float64(phases[i].Steps)
		for j, c := range coefficients {
			product[j] *= cmplx.Pow(c, complex(times, 0))
		}
		finite += times * math.Log1p(-step.infinite)
		out.first += phases[i].Steps * step.first
	}
	sequence := transform.Sequence(folded, product)
	out.probabilities = make([]float64, high-low+1)
	for i := range out.probabilities {
		out.probabilities[i] = sequence[(low+i)%n] / float64(n)
	}
	out.infinite = tailMass - math.Expm1(finite)
	return out
}

// window is where the sum of the losses is, counted from the lowest one that there can be, but for a probability of
// tailMass, by Chernoff's bound.
func window(steps []losses, phases []Phase) (low, high int) {
	most := 0.0
	for i, step := range steps {
		most += float64(phases[i].Steps) * float64(len(step.probabilities)-1)
	}
	bound := func(logOrder, sign float64) float64 {
		order := sign * math.Exp(logOrder)
		sum := math.Log(2 / tailMass)
		for i, step := range steps {
			sum += float64(phases[i].Steps) * step.logMoment(order)
		}
		return sum / order
	}
	// The bounds have one optimum in the order, which any order near it is nearly as good as.
	best := func(sign float64) float64 {
		const golden = 0.6180339887498949
		from, to := math.Log(1e-3/(most+1)), math.Log(largestOrder)
		for to-from > 0.1 {
			a, b := to-golden*(to-from), from+golden*(to-from)
			if sign*bound(a, sign) < sign*bound(b, sign) {
				to = b
			} else {
				from = a
			}
		}
		return bound((from+to)/2, sign)
	}
	high = int(math.Ceil(min(most, best(1), 1<<53)))
	low = int(math.Floor(max(0, best(-1))))
	return low, high
}

// largestOrder is so that the powers in logMoment are finite.
const largestOrder = 10

// logMoment is log Σ p_j exp(order·j), j from 0.
func (l losses) logMoment(order float64) float64 {
	const block = 64
	var powers [block]float64
	for j := range powers {
		powers[j] = math.Exp(order * float64(j))
	}
	total := math.Inf(-1)
	for from := 0; from < len(l.probabilities); from += block {
		sum := 0.0
		for j, p := range l.probabilities[from:min(from+block, len(l.probabilities))] {
			sum += p * powers[j]
		}
		total = logAdd(total, math.Log(sum)+order*float64(from))
	}
	return total
}

// smooth is the first number from n on with no prime factor but 2, 3 and 5, for which transforms are fast.
func smooth(n int) int {
	for ; ; n++ {
		rest := n
		for _, f := range []int{2, 3, 5} {
			for rest%f == 0 {
				rest /= f
			}
		}
		if rest == 1 {
			return n
		}
	}
}

// epsilon is the smallest ε ≥ 0 with
//
//	infinite + Σ_{l>ε} p_l (1 - exp(ε-l)) ≤ δ
//
// It goes from the largest loss down, with the sums of p_l and of p_l exp(-l), the second in units of exp(-l) at the
// last loss.
func (l losses) epsilon(delta float64) float64 {
	if l.infinite > delta {
		return math.Inf(1)
	}
	upper, lower := l.infinite, 0.0
	last := float64(l.first+len(l.probabilities)-1) * l.interval
	solution := func() float64 { return last + math.Log((upper-delta)/lower) }
	for i := len(l.probabilities) - 1; i >= 0; i-- {
		loss := float64(l.first+i) * l.interval
		if upper > delta && lower > 0 && solution() >= loss {
			break
		}
		lower = lower*math.Exp(loss-last) + l.probabilities[i]
		upper += l.probabilities[i]
		last = loss
	}
	if upper <= delta || lower <= 0 {
		return 0
	}
	return max(0, solution())
}

// mechanism is one step, seen from a side.
type mechanism struct {
	noise, rate float64
	side        side
}

// bounds are the smallest and the largest loss, but for the noise that is cut off.
func (m mechanism) bounds() (low, high float64) {
	reach := -m.noise * mathext.NormalQuantile(0.5*math.Exp(logTruncation))
	low, high = m.lossOfRemoval(reach), m.lossOfRemoval(-reach-1)
	if m.side == add {
		return -high, -low
	}
	return low, high
}

// lossOfRemoval is log(P(x)/Q(x)) of remove; that of add is its negative at -x.
func (m mechanism) lossOfRemoval(x float64) float64 {
	whole := (-0.5 - x) / (m.noise * m.noise)
	if m.rate == 1 {
		return whole
	}
	return logAdd(math.Log1p(-m.rate), math.Log(m.rate)+whole)
}

// delta is the smallest δ of one step at ε, which may be negative: P(x ≤ c) - exp(ε) Q(x ≤ c) where the loss is ε at c,
// since losses fall with x.
func (m mechanism) delta(epsilon float64) float64 {
	sign := 1.0
	if m.side == add {
		sign = -1
	}
	// exp(whole) is the ratio of the densities of N(∓1, σ²) and N(0, σ²): (exp(±ε) - 1 + q)/q.
	var whole float64
	switch of := math.Expm1(sign*epsilon) / m.rate; {
	case m.rate == 1:
		whole = sign * epsilon
	case of <= -1 && m.side == add: // Q exp(ε) is above P everywhere
		return 0
	case of <= -1: // and here below
		return -math.Expm1(epsilon)
	case sign*epsilon > 500:
		whole = sign*epsilon - math.Log(m.rate)
	default:
		whole = math.Log1p(of)
	}
	cut := -0.5 - whole*m.noise*m.noise
	if m.side == add {
		cut = -cut
	}
	at := func(x float64) float64 { return logNormalTail(-x / m.noise) } // log P(N(0, σ²) ≤ x)
	p, q := at(cut), at(cut)
	if m.side == remove {
		p = logAdd(math.Log1p(-m.rate)+p, math.Log(m.rate)+at(cut+1))
	} else {
		q = logAdd(math.Log1p(-m.rate)+q, math.Log(m.rate)+at(cut-1))
	}
	return min(max(math.Exp(p)-math.Exp(epsilon+q), 0), 1)
}

// discretised is the distribution of the losses of one step at multiples of the interval such that δ is right at each
// of these and too large between them: Doroshenko et al., Algorithm 1.
func (m mechanism) discretised(interval float64, low, high int) losses {
	deltas := make([]float64, high-low+1)
	for i := range deltas {
		deltas[i] = m.delta(float64(low+i) * interval)
		if i > 0 {
			deltas[i] = min(deltas[i], deltas[i-1]) // but for rounding it falls
		}
	}
	n := len(deltas)
	out := losses{interval, low, make([]float64, n), deltas[n-1]}
	if n == 1 {
		out.probabilities[0] = 1 - deltas[0]
		return out
	}
	p, grow := out.probabilities, math.Expm1(interval)
	fall := func(i int) float64 { return deltas[i+1] - deltas[i] }
	p[0] = max(0, 1-deltas[0]+fall(0)/grow)
	for i := 1; i < n-1; i++ {
		p[i] = max(0, (fall(i)-fall(i-1)*math.Exp(interval))/grow) // less than 0 by rounding only
	}
	p[n-1] = fall(n-2) / math.Expm1(-interval)
	return out
}
