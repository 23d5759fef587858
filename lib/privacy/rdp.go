package privacy

import "math"

// rdpOrders are the orders of Rényi divergence that are tried: 1.1 to 10.9 in tenths, 11 to 63, and powers of 2 to
// 1024, as in dp-accounting.
var rdpOrders = func() []float64 {
	var orders []float64
	for i := 1; i < 100; i++ {
		orders = append(orders, 1+float64(i)/10)
	}
	for i := 11; i < 64; i++ {
		orders = append(orders, float64(i))
	}
	return append(orders, 128, 256, 512, 1024)
}()

// rdpEpsilon is the smallest ε that any order gives, and the order.
func rdpEpsilon(phases []Phase, delta float64) (epsilon, order float64) {
	epsilon = math.Inf(1)
	for _, alpha := range rdpOrders {
		divergence := 0.0
		for _, p := range phases {
			divergence += float64(p.Steps) * rdp(p.Noise, p.Rate, alpha)
		}
		if e := rdpToEpsilon(divergence, alpha, delta); e < epsilon {
			epsilon, order = e, alpha
		}
	}
	return epsilon, order
}

// rdpToEpsilon is Canonne, Kamath and Steinke, NeurIPS 2020, Proposition 12:
//
//	ε = R + log(1 - 1/α) - log(δα)/(α-1)
//
// and 0 where the total variation distance alone is at most δ, by the bound of Bretagnolle and Huber, √(1 - exp(-R)).
// It holds for R at the order α, since the Kullback-Leibler divergence is not larger.
func rdpToEpsilon(divergence, alpha, delta float64) float64 {
	if delta*delta+math.Expm1(-divergence) > 0 {
		return 0
	}
	return max(0, divergence+math.Log1p(-1/alpha)-math.Log(delta*alpha)/(alpha-1))
}

// rdp is the Rényi divergence of order α > 1 of one step.
func rdp(noise, rate, alpha float64) float64 {
	if rate == 1 {
		return alpha / (2 * noise * noise)
	}
	if alpha == math.Floor(alpha) {
		return logMomentInteger(noise, rate, alpha) / (alpha - 1)
	}
	log := logMomentFractional(noise, rate, alpha)
	if log < 1e-10 {
		// The sum has A - 1 only to about 1e-15. The divergence grows with the order, so that the next integer's,
		// which is exact, is a bound.
		above := math.Ceil(alpha)
		return logMomentInteger(noise, rate, above) / (above - 1)
	}
	return log / (alpha - 1)
}

// logMomentInteger is log A of Mironov, Talwar and Zhang, section 3.3, for an integer order:
//
//	A = Σ_k C(α,k) (1-q)^(α-k) q^k exp((k²-k)/2σ²)
//
// The binomial weights add up to 1 and the exponentials of k = 0 and 1 are 1. So A - 1 is the sum over k ≥ 2 of the
// weights times the exponentials less 1, which keeps its digits where A is nearly 1.
func logMomentInteger(noise, rate, alpha float64) float64 {
	sum := math.Inf(-1)
	for k := 2.0; k <= alpha; k++ {
		weight := logBinomial(alpha, k) + k*math.Log(rate) + (alpha-k)*math.Log1p(-rate)
		sum = logAdd(sum, weight+logExpm1((k*k-k)/(2*noise*noise)))
	}
	return logAdd(0, sum)
}

// logMomentFractional is the same for any order, by the two infinite series of that section. As in dp-accounting, terms
// whose binomial coefficient is negative are added and not subtracted, so that it is a bound: at the order 1.5 up to
// a sixth too large in what was tried, above 3 less than a hundredth. It is infinite where the series have not
// converged after 1,000 terms.
func logMomentFractional(noise, rate, alpha float64) float64 {
	cut := noise*noise*math.Log(1/rate-1) + 0.5 // z₀, where both densities are equal
	logRate, logRest := math.Log(rate), math.Log1p(-rate)
	below, above := math.Inf(-1), math.Inf(-1)
	lastBelow, lastAbove := math.Inf(-1), math.Inf(-1)
	for i := range 1000 {
		k := float64(i)
		j := alpha - k
		c := logBinomial(alpha, k)
		b := c + k*logRate + j*logRest + (k*k-k)/(2*noise*noise) + logNormalTail((k-cut)/noise)
		a := c + j*logRate + k*logRest + (j*j-j)/(2*noise*noise) + logNormalTail((cut-j)/noise)
		below, above = logAdd(below, b), logAdd(above, a)
		total := logAdd(below, above)
		if b < lastBelow && a < lastAbove && max(a, b) < total-30 {
			return total
		}
		lastBelow, lastAbove = b, a
	}
	return math.Inf(1)
}

// logBinomial is the logarithm of |n choose k|.
func logBinomial(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}

// logAdd is log(exp(x) + exp(y)).
func logAdd(x, y float64) float64 {
	high, low := max(x, y), min(x, y)
	if math.IsInf(low, -1) || math.IsInf(high, 1) {
		return high
	}
	return high + math.Log1p(math.Exp(low-high))
}

// logExpm1 is log(exp(x) - 1) for x > 0.
func logExpm1(x float64) float64 {
	if x < 30 {
		return math.Log(math.Expm1(x))
	}
	return x + math.Log1p(-math.Exp(-x))
}

// logNormalTail is the logarithm of the probability that a standard normal variable is above x.
func logNormalTail(x float64) float64 {
	z := x / math.Sqrt2
	if z < 25 {
		return math.Log(math.Erfc(z) / 2)
	}
	// erfc(z) = exp(-z²)/(z√π) (1 - 1/2z² + 3/4z⁴ - 15/8z⁶ + …), where erfc itself would be 0.
	w := 1 / (2 * z * z)
	return -z*z - math.Log(2*z*math.Sqrt(math.Pi)) + math.Log1p(-w+3*w*w-15*w*w*w)
}
