package uncertainty

import (
	"math"

	"gonum.org/v1/gonum/floats"

	"github.com/loupeml/loupe/lib/internal/parallel"
)

// newton goes from weights and biases x, [2K], towards those of the lowest loss by truncated Newton steps: each solves
// for the step by conjugate gradients, preconditioned by the curvature of each class alone (Nocedal and Wright,
// "Numerical Optimization", 2006, section 7.1). Thousands of numbers take a few of these steps, where L-BFGS takes
// hundreds. It stops where the largest derivative is no more than tolerance, no shorter step is lower, or stop says so,
// which it asks before each step.
func (s *scaling) newton(x []float64, tolerance float64, stop func() bool) {
	const steps, halvings = 50, 30
	n := len(x)
	gradient, step, next := make([]float64, n), make([]float64, n), make([]float64, n)
	ahead := make([]float64, n) // the gradient at next
	value := s.loss(x, gradient)
	for range steps {
		norm := floats.Norm(gradient, 2)
		if floats.Norm(gradient, math.Inf(1)) <= tolerance || norm-norm != 0 || stop() {
			return
		}
		c := s.curvature(x)
		c.solve(step, gradient, math.Min(0.1, math.Sqrt(norm))*norm)
		slope := floats.Dot(step, gradient) // of a step downhill less than 0
		if !(slope < 0) {
			return
		}
		taken := false
		for size, k := 1.0, 0; k < halvings && !taken; size, k = size/2, k+1 {
			floats.AddScaledTo(next, x, size, step)
			reached := s.loss(next, ahead)
			// Close to the lowest loss its last digits say nothing any more, and the gradient tells.
			taken = reached <= value+1e-4*size*slope ||
				reached <= value+1e-14*math.Abs(value) && floats.Norm(ahead, 2) < norm
			if taken {
				copy(x, next)
				gradient, ahead, value = ahead, gradient, reached
			}
		}
		if !taken {
			return
		}
	}
}

// curvature is the second derivative of the loss by weights and biases.
type curvature struct {
	s             *scaling
	probabilities []float64    // [N, K]
	blocks        [][3]float64 // of each class by its own weight, by weight and bias, and by its bias
}

func (s *scaling) curvature(x []float64) *curvature {
	c := &curvature{s, make([]float64, len(s.logs)), make([][3]float64, s.k)}
	parts := make([][][3]float64, parallel.NumParts(s.p.n, partRows))
	parallel.Parts(s.p.n, partRows, func(part, lo, hi int) {
		blocks := make([][3]float64, s.k)
		for i := lo; i < hi; i++ {
			logs, p := s.logs[i*s.k:(i+1)*s.k], c.probabilities[i*s.k:(i+1)*s.k]
			for k, v := range logs {
				p[k] = x[k]*v + x[s.k+k]
			}
			softmaxOf(p)
			floats.Scale(1/floats.Sum(p), p)
			for k, v := range p {
				v *= 1 - v
				b := &blocks[k]
				b[0] += v * logs[k] * logs[k]
				b[1] += v * logs[k]
				b[2] += v
			}
		}
		parts[part] = blocks
	})
	for _, blocks := range parts {
		for k, b := range blocks {
			for j, v := range b {
				c.blocks[k][j] += v / float64(s.p.n)
			}
		}
	}
	return c
}

// times is the product with a direction, [2K].
func (c *curvature) times(to, direction []float64) {
	k := c.s.k
	parts := make([][]float64, parallel.NumParts(c.s.p.n, partRows))
	parallel.Parts(c.s.p.n, partRows, func(part, lo, hi int) {
		sum, z := make([]float64, 2*k), make([]float64, k)
		for i := lo; i < hi; i++ {
			logs, p := c.s.logs[i*k:(i+1)*k], c.probabilities[i*k:(i+1)*k]
			mean := 0.0
			for j, v := range logs {
				z[j] = direction[j]*v + direction[k+j]
				mean += p[j] * z[j]
			}
			for j, v := range logs {
				r := p[j] * (z[j] - mean)
				sum[j] += r * v
				sum[k+j] += r
			}
		}
		parts[part] = sum
	})
	clear(to)
	for _, sum := range parts {
		floats.AddScaled(to, 1/float64(c.s.p.n), sum)
	}
}

// precondition divides by the blocks.
func (c *curvature) precondition(to, of []float64) {
	k := c.s.k
	for j, b := range c.blocks {
		ridge := 1e-8*(b[0]+b[2]) + 1e-300
		w, both, bias := b[0]+ridge, b[1], b[2]+ridge
		det := w*bias - both*both
		to[j], to[k+j] = (bias*of[j]-both*of[k+j])/det, (w*of[k+j]-both*of[j])/det
	}
}

// solve fills in the step for which what is left of the gradient along it is no longer than within: conjugate gradients
// from 0 on.
func (c *curvature) solve(step, gradient []float64, within float64) {
	const most = 200
	n := len(step)
	rest, conditioned, direction, bent := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	clear(step)
	floats.ScaleTo(rest, -1, gradient)
	c.precondition(conditioned, rest)
	copy(direction, conditioned)
	along := floats.Dot(rest, conditioned)
	for range most {
		if floats.Norm(rest, 2) <= within || !(along > 0) {
			return
		}
		c.times(bent, direction)
		bend := floats.Dot(direction, bent)
		if !(bend > 0) { // flat but for rounding
			return
		}
		floats.AddScaled(step, along/bend, direction)
		floats.AddScaled(rest, -along/bend, bent)
		c.precondition(conditioned, rest)
		before := along
		along = floats.Dot(rest, conditioned)
		floats.Scale(along/before, direction)
		floats.Add(direction, conditioned)
	}
}
