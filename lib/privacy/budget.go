package privacy

import (
	"errors"
	"fmt"
	"math"
)

// NoiseFor returns p with the smallest noise multiplier, to a relative 1e-5, with which its steps, after those of the
// account, spend no more than epsilon at delta. p.Noise must be 0. It is an error where what was spent before leaves
// nothing.
func (a Account) NoiseFor(p Phase, epsilon, delta float64) (Phase, error) {
	switch {
	case p.Noise != 0:
		return Phase{}, fmt.Errorf("privacy: the noise multiplier is looked for, and given as %v: leave it 0", p.Noise)
	case p.Rate == 0 || p.Steps == 0:
		return Phase{}, fmt.Errorf("privacy: %d steps at the sampling rate %v spend nothing and need no noise",
			p.Steps, p.Rate)
	}
	fine := 1e-5
	return a.looser(epsilon, delta, search{
		at: func(i int) Phase { // from much noise to little
			return Phase{Noise: math.Exp(-fine * float64(i)), Rate: p.Rate, Steps: p.Steps}
		},
		least: -int(math.Log(1e9) / fine), most: -int(math.Ceil(math.Log(smallestNoise) / fine)),
		jump: int(math.Ln2 / fine), near: int(0.1 / fine),
	})
}

// StepsFor returns p with the most steps which, after those of the account, spend no more than epsilon at delta.
// p.Steps must be 0. It is an error where not even one step does, and where 1e12 do.
func (a Account) StepsFor(p Phase, epsilon, delta float64) (Phase, error) {
	switch {
	case p.Steps != 0:
		return Phase{}, fmt.Errorf("privacy: the number of steps is looked for, and given as %d: leave it 0", p.Steps)
	case p.Noise == 0:
		return Phase{}, errors.New("privacy: without noise not even one step is private")
	case p.Rate == 0:
		return Phase{}, errors.New("privacy: at the sampling rate 0 any number of steps spends nothing")
	}
	const most = 1e12
	found, err := a.looser(epsilon, delta, search{
		at:    func(i int) Phase { return Phase{Noise: p.Noise, Rate: p.Rate, Steps: i} },
		start: 1, least: 1, most: most, jump: 1, near: 1,
	})
	if err == nil && found.Steps == most {
		err = fmt.Errorf(
			"privacy: 1e12 steps and more with the noise multiplier %v and the sampling rate %v stay within ε %v", p.Noise,
			p.Rate, epsilon)
	}
	return found, err
}

// search goes through phases of which each spends more than the one before.
type search struct {
	at                 func(i int) Phase
	start, least, most int
	jump               int // how far to go from start at first
	near               int // the same, where start is near the solution
}

// looser is the last of the phases that spends no more than epsilon.
func (a Account) looser(epsilon, delta float64, s search) (Phase, error) {
	if !(epsilon > 0) || math.IsInf(epsilon, 1) {
		return Phase{}, fmt.Errorf("privacy: the ε to stay within is %v, it is a number above 0", epsilon)
	}
	i, err := a.last(epsilon, delta, s)
	if err != nil {
		return Phase{}, err
	}
	if i < s.least {
		before, err := a.Epsilon(delta)
		if err != nil {
			return Phase{}, err
		}
		return Phase{}, fmt.Errorf("privacy: even a phase of %s spends more than ε %v at δ %v; spent before it is %.4g",
			s.at(s.least), epsilon, delta, before.Epsilon)
	}
	return s.at(i), nil
}

// last is the number of that phase, and one below the least where there is none.
func (a Account) last(epsilon, delta float64, s search) (int, error) {
	var failed error
	over := func(i int) float64 { // above 0 where it is too much; in logarithms it is nearly straight
		g, err := a.Add(s.at(i)).Epsilon(delta)
		if errors.Is(err, errApart) {
			return math.Inf(1)
		}
		if err != nil && failed == nil {
			failed = err
		}
		return math.Log(g.Epsilon / epsilon)
	}
	if a.By == PLD { // what RDP finds is near, and a hundred times as fast
		rough := a
		rough.By = RDP
		start, err := rough.last(epsilon, delta, s)
		if err != nil {
			return 0, err
		}
		s.start, s.jump = max(start, s.least), max(s.near, s.start/10)
	}
	in, out := s.start, s.start
	inside, outside := over(s.start), 0.0
	for outside = inside; outside <= 0 && failed == nil; s.jump *= 2 {
		if in, inside = out, outside; in == s.most {
			return in, failed
		}
		out = min(in+s.jump, s.most)
		outside = over(out)
	}
	for inside > 0 && failed == nil {
		if out, outside = in, inside; out == s.least {
			return out - 1, failed
		}
		in = max(out-s.jump, s.least)
		inside = over(in)
		s.jump *= 2
	}
	// The Illinois method, with a bisection now and then: the value at an end that stays is halved.
	for n := 1; out-in > 1 && failed == nil; n++ {
		next := in + (out-in)/2
		if share := inside / (inside - outside); n%4 != 0 && !math.IsNaN(share) {
			next = min(max(in+int(math.Round(share*float64(out-in))), in+1), out-1)
		}
		if now := over(next); now > 0 {
			out, outside, inside = next, now, inside/2
		} else {
			in, inside, outside = next, now, outside/2
		}
	}
	return in, failed
}
