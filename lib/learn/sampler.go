package learn

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Sampler says which examples each step of a [Run] learns from: [Shuffled] or [Poisson]. What it draws depends on the
// seed and the number of the step alone, so that a run which goes on from a checkpoint draws the same.
type Sampler interface {
	// Check tells what is wrong with it for n examples.
	Check(n int) error
	// Size is how many examples a step has: always so many if exact, and else in the mean.
	Size(n int) (size float64, exact bool)
	// Epoch is how many steps make an epoch.
	Epoch(n int) int
	// Batches returns what gives the numbers of the examples of step after step, from a step on.
	Batches(n int, seed uint64, from int) func() []int
}

// Shuffled is batches of so many examples, all of them once an epoch, each time in another order. Those that do not
// fill a last batch are left out of their epoch.
type Shuffled int

// Check implements [Sampler].
func (s Shuffled) Check(n int) error {
	switch {
	case s < 1:
		return fmt.Errorf("learn: batches of %d images: take at least one", int(s))
	case int(s) > n:
		return fmt.Errorf("learn: batches of %d from %d images: make the batch smaller", int(s), n)
	}
	return nil
}

// Size implements [Sampler].
func (s Shuffled) Size(int) (float64, bool) { return float64(s), true }

// Epoch implements [Sampler].
func (s Shuffled) Epoch(n int) int { return n / int(s) }

// Batches implements [Sampler].
func (s Shuffled) Batches(n int, seed uint64, from int) func() []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	shuffle := func() { rng.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] }) }
	steps := s.Epoch(n)
	for range (from + steps - 1) / steps { // epochs that have begun
		shuffle()
	}
	at := from
	return func() []int {
		if at%steps == 0 {
			shuffle()
		}
		first := at % steps * int(s)
		at++
		return order[first : first+int(s) : first+int(s)]
	}
}

// Poisson takes every example with this probability into each step, independently of all others, as the accounting of
// differential privacy wants it (Abadi et al., CCS 2016, section 2). Batches differ in size and may be empty. A
// gradient is divided by the mean size all the same, so that its mean is that of the data; so the loss of a step, which
// is divided by what the step has, is another number. The draws come from PCG, which is no cryptographic generator.
type Poisson float64

// Check implements [Sampler].
func (p Poisson) Check(int) error {
	if !(p > 0 && p <= 1) {
		return fmt.Errorf(
			"learn: a Poisson sampler of rate %v: it is the share of the examples that a step has, more than 0 and at most 1",
			float64(p))
	}
	return nil
}

// Size implements [Sampler].
func (p Poisson) Size(n int) (float64, bool) { return float64(p) * float64(n), false }

// Epoch implements [Sampler].
func (p Poisson) Epoch(int) int { return max(1, int(math.Round(1/float64(p)))) }

// Batches implements [Sampler].
func (p Poisson) Batches(n int, seed uint64, from int) func() []int {
	step := from
	return func() []int {
		rng := rand.New(rand.NewPCG(seed^0x9e3779b97f4a7c15, uint64(step)))
		step++
		var numbers []int
		for i := range n {
			if rng.Float64() < float64(p) {
				numbers = append(numbers, i)
			}
		}
		return numbers
	}
}
