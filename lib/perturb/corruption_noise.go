package perturb

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

func gaussianNoise(sigmas ...float64) corrupter {
	return func(p picture, severity int, r chance) {
		for i, v := range p.pix {
			p.pix[i] = v + float32(sigmas[severity]*r.NormFloat64())
		}
	}
}

// speckleNoise is Gaussian noise in proportion to the pixel.
func speckleNoise(sigmas ...float64) corrupter {
	return func(p picture, severity int, r chance) {
		for i, v := range p.pix {
			p.pix[i] = v + v*float32(sigmas[severity]*r.NormFloat64())
		}
	}
}

// shotNoise is the noise of counting photons: a pixel of value v receives Poisson(photons·v) of them.
func shotNoise(photons ...float64) corrupter {
	return func(p picture, severity int, r chance) {
		for i, v := range p.pix {
			if v <= 0 {
				p.pix[i] = 0
				continue
			}
			p.pix[i] = float32(distuv.Poisson{Lambda: photons[severity] * float64(v), Src: rand.Source(r)}.Rand() / photons[severity])
		}
	}
}

// impulseNoise is salt and pepper: each value alone becomes 0 or 1, as likely as each other.
func impulseNoise(amounts ...float64) corrupter {
	return func(p picture, severity int, r chance) {
		for i := range p.pix {
			if r.Float64() < amounts[severity] {
				p.pix[i] = float32(r.IntN(2))
			}
		}
	}
}
