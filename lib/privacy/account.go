// Package privacy counts how much a training by DP-SGD tells about any one of its examples.
//
// A mechanism is (ε, δ)-differentially private when for any two sets of examples that differ by one example, added or
// removed, and any event,
//
//	P(event | one set) ≤ exp(ε) · P(event | the other) + δ
//
// Each step of DP-SGD (Abadi et al., CCS 2016) draws a batch in which each example is with the same probability,
// clips each example's gradient to a norm, adds them up and adds normal noise: the Poisson-subsampled Gaussian
// mechanism. An [Account] holds how often that was done and with which settings; an [Accountant] turns it into ε. What
// else was done with the examples is told to the account, and the result says what it does not vouch for.
package privacy

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Accountant is the way in which privacy is added up over steps. Both give an ε that holds, for neighbours that differ
// by one example, added or removed.
type Accountant int

const (
	// RDP adds up Rényi divergences: Mironov, Talwar and Zhang, "Rényi Differential Privacy of the Sampled Gaussian
	// Mechanism", 2019, section 3.3, with the conversion to (ε, δ) of Canonne, Kamath and Steinke, NeurIPS 2020,
	// Proposition 12. It takes milliseconds, and its ε is up to a fifth too large or so. It is what De et al. report,
	// "Unlocking High-Accuracy Differentially Private Image Classification through Scale", 2022.
	RDP Accountant = iota
	// PLD composes the distributions of privacy losses, rounded so that ε is never too small: Doroshenko et al.,
	// "Connect the Dots", PETS 2022, Algorithm 1, composed by Fourier transforms. It takes up to some seconds. Its ε is
	// the smallest that is true, within a thousandth or so. It needs a δ of at least 1e-10: below that, the rounding of
	// the transforms is as large as δ.
	PLD
)

func (a Accountant) String() string {
	switch a {
	case RDP:
		return "RDP"
	case PLD:
		return "PLD"
	}
	return fmt.Sprintf("Accountant(%d)", int(a))
}

// MarshalText writes the accountant's name.
func (a Accountant) MarshalText() ([]byte, error) {
	if a != RDP && a != PLD {
		return nil, fmt.Errorf("privacy: there is no accountant %d", int(a))
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads it.
func (a *Accountant) UnmarshalText(text []byte) error {
	for _, known := range []Accountant{RDP, PLD} {
		if string(text) == known.String() {
			*a = known
			return nil
		}
	}
	return fmt.Errorf("privacy: there is no accountant %q: there are RDP and PLD", text)
}

// Phase is a number of steps with the same settings.
type Phase struct {
	// Noise is the noise multiplier σ: the standard deviation of what is added to the sum of the clipped gradients, in
	// units of the norm that they are clipped to. With 0 nothing is private, and ε is infinite.
	Noise float64
	// Rate is the probability with which each example is in a batch, 0 to 1: the expected size of a batch divided by
	// the number of examples.
	Rate  float64
	Steps int
}

func (p Phase) String() string {
	return fmt.Sprintf("noise multiplier %.5g, sampling rate %.5g, %d steps", p.Noise, p.Rate, p.Steps)
}

// Account is all that was done with the examples. It is small and has only exported fields, so that it travels in a
// checkpoint. The zero Account is of a training that has not begun.
type Account struct {
	Phases []Phase
	By     Accountant

	// The rest is what the accountant is told and does not count. See [Guarantee.Caveats].

	// Shuffled says that batches are cut out of a shuffled order and not drawn by Poisson sampling, for which alone
	// sampling is known to make ε as small as it is counted here.
	Shuffled bool
	// LookedAt says that private examples which the account does not count have decided something, such as a
	// validation set when to stop or which weights to keep.
	LookedAt bool
	// Searched is how many other trainings with the same examples had a part in choosing the settings of this one.
	Searched int
}

func (a Account) String() string {
	if len(a.Phases) == 0 {
		return "nothing was done yet"
	}
	phases := make([]string, len(a.Phases))
	for i, p := range a.Phases {
		phases[i] = p.String()
	}
	return fmt.Sprintf("%s; counted by %s", strings.Join(phases, "; "), a.By)
}

// Add returns the account after more steps. Those with the settings of the last phase lengthen it.
func (a Account) Add(p Phase) Account {
	a.Phases = slices.Clone(a.Phases)
	if n := len(a.Phases); n > 0 && a.Phases[n-1].Noise == p.Noise && a.Phases[n-1].Rate == p.Rate {
		a.Phases[n-1].Steps += p.Steps
		return a
	}
	a.Phases = append(a.Phases, p)
	return a
}

// Epsilon returns the ε that the account has spent at a δ between 0 and 1, without its ends. ε is infinite after a step
// without noise.
func (a Account) Epsilon(delta float64) (Guarantee, error) {
	err := a.check(delta)
	if err != nil {
		return Guarantee{}, err
	}
	g := Guarantee{Delta: delta, Account: a}
	g.Account.Phases = slices.Clone(a.Phases)
	spent := a.spending()
	switch {
	case len(spent) == 0:
		return g, nil
	case slices.ContainsFunc(spent, func(p Phase) bool { return p.Noise == 0 }):
		g.Epsilon = math.Inf(1)
		return g, nil
	}
	if a.By == PLD {
		g.Epsilon, err = pldEpsilon(spent, delta)
	} else {
		g.Epsilon, g.Order = rdpEpsilon(spent, delta)
	}
	if err == nil && math.IsNaN(g.Epsilon) {
		err = fmt.Errorf("privacy: ε of %v cannot be computed", a.Phases)
	}
	return g, err
}

// spending are the phases that spend something, those of equal settings as one.
func (a Account) spending() []Phase {
	var spent []Phase
	for _, p := range a.Phases {
		if p.Steps == 0 || p.Rate == 0 {
			continue
		}
		if i := slices.IndexFunc(spent, func(q Phase) bool { return q.Noise == p.Noise && q.Rate == p.Rate }); i >= 0 {
			spent[i].Steps += p.Steps
			continue
		}
		spent = append(spent, p)
	}
	return spent
}

func (a Account) check(delta float64) error {
	switch {
	case a.By != RDP && a.By != PLD:
		return fmt.Errorf("privacy: there is no accountant %d: take RDP or PLD", int(a.By))
	case !(delta > 0 && delta < 1):
		return fmt.Errorf(
			"privacy: δ is %v, it lies between 0 and 1; usual is less than one divided by the number of examples", delta)
	case a.By == PLD && delta < smallestDelta:
		return fmt.Errorf("privacy: δ is %v, and PLD's rounding is too large below %v: take RDP", delta, smallestDelta)
	case a.Searched < 0:
		return fmt.Errorf("privacy: %d other trainings cannot be", a.Searched)
	}
	for i, p := range a.Phases {
		if err := p.check(); err != nil {
			return fmt.Errorf("privacy: phase %d: %w", i+1, err)
		}
	}
	return nil
}

func (p Phase) check() error {
	switch {
	case !(p.Noise >= 0) || math.IsInf(p.Noise, 0):
		return fmt.Errorf("the noise multiplier is %v, it is a number from 0 on", p.Noise)
	case p.Noise > 0 && p.Noise < smallestNoise:
		return fmt.Errorf("the noise multiplier is %v: less than %v is as good as none, say 0", p.Noise, smallestNoise)
	case !(p.Rate >= 0 && p.Rate <= 1):
		return fmt.Errorf("the sampling rate is %v, it is a probability, 0 to 1: the expected size of a batch divided by "+
			"the number of examples", p.Rate)
	case p.Steps < 0:
		return fmt.Errorf("%d steps cannot be", p.Steps)
	}
	return nil
}

// smallestNoise is a noise multiplier of which one step has an ε of thousands.
const smallestNoise = 0.01
