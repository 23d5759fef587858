// Package perturb changes images on purpose: corruptions as a camera or a network makes them.
package perturb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Corruption is one of the corruptions of ImageNet-C at its five severities, with the constants
// of the benchmark (Hendrycks and Dietterich, ICLR 2019). Unlike the published image files, the
// result is not rounded to 8 bits.
type Corruption struct {
	// Name is the benchmark's name, such as "gaussian_noise".
	Name string
	// corrupt changes one [h, w, c] image in place; severity counts from 0.
	corrupt func(image []float32, h, w, c, severity int, rng *rand.Rand)
}

// Severities is the number of severities of a corruption; they count from 1.
const Severities = 5

// Corruptions returns the corruptions that loupe has, in the benchmark's order.
func Corruptions() []Corruption {
	return []Corruption{
		{"gaussian_noise", gaussianNoise},
		{"shot_noise", shotNoise},
		{"impulse_noise", impulseNoise},
		{"gaussian_blur", gaussianBlur},
		{"brightness", brightness},
		{"contrast", contrast},
	}
}

// CorruptionNamed returns the corruption of that name; the error lists the names there are.
func CorruptionNamed(name string) (Corruption, error) {
	var names []string
	for _, c := range Corruptions() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Corruption{}, fmt.Errorf("perturb: no corruption is called %q; there are %s", name, strings.Join(names, ", "))
}

// Apply returns corrupted copies of images, [N, H, W, C] float32 in 0..1, at a severity from 1 to 5.
// Image i depends only on its pixels, the severity, seed and i, so the same call gives the same
// images on any machine. It returns an error for another severity and for what is no image batch.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (c Corruption) Apply(images *tensors.Tensor, severity int, seed uint64) (*tensors.Tensor, error) {
	return c.ApplyNumbered(images, nil, severity, seed)
}

// ApplyNumbered is Apply for a part of a set: image i is corrupted as image numbers[i] of the set would be. It returns an error unless there is a number for each image.
func (c Corruption) ApplyNumbered(images *tensors.Tensor, numbers []int, severity int, seed uint64) (*tensors.Tensor, error) {
	if c.corrupt == nil {
		return nil, fmt.Errorf("perturb: this Corruption is empty; get one from CorruptionNamed")
	}
	if severity < 1 || severity > Severities {
		return nil, fmt.Errorf("perturb: %s has severities 1 to %d, not %d", c.Name, Severities, severity)
	}
	b, err := pixels.Of("perturb", images)
	if err != nil {
		return nil, err
	}
	if numbers != nil && len(numbers) != b.N {
		return nil, fmt.Errorf("perturb: %d images have %d numbers", b.N, len(numbers))
	}
	return b.Each("perturb: "+c.Name, func(i int) {
		image, number := b.Image(i), i
		if numbers != nil {
			number = numbers[i]
		}
		c.corrupt(image, b.H, b.W, b.C, severity-1, rand.New(rand.NewPCG(seed, uint64(number))))
		for j, v := range image {
			image[j] = min(max(v, 0), 1)
		}
	})
}

func gaussianNoise(image []float32, _, _, _, severity int, rng *rand.Rand) {
	sigma := [...]float64{.08, .12, .18, .26, .38}[severity]
	for i, v := range image {
		image[i] = v + float32(sigma*rng.NormFloat64())
	}
}

// shotNoise is the noise of counting photons: a pixel of value v receives Poisson(photons·v) of them.
func shotNoise(image []float32, _, _, _, severity int, rng *rand.Rand) {
	photons := [...]float64{60, 25, 12, 5, 3}[severity]
	for i, v := range image {
		if v <= 0 {
			image[i] = 0
			continue
		}
		image[i] = float32(distuv.Poisson{Lambda: photons * float64(v), Src: rng}.Rand() / photons)
	}
}

// impulseNoise is salt and pepper: each value alone becomes 0 or 1, as likely as each other.
func impulseNoise(image []float32, _, _, _, severity int, rng *rand.Rand) {
	amount := [...]float64{.03, .06, .09, .17, .27}[severity]
	for i := range image {
		if rng.Float64() < amount {
			image[i] = float32(rng.IntN(2))
		}
	}
}

func gaussianBlur(image []float32, h, w, c, severity int, _ *rand.Rand) {
	sigma := [...]float64{1, 2, 3, 4, 6}[severity]
	pixels.GaussianBlur(image, h, w, c, sigma, int(math.Round(4*sigma)), pixels.Repeat)
}

// brightness adds to the value of hue, saturation and value. Hue and saturation depend on
// ratios of the channels only, so the channels are scaled together; black has none and becomes grey.
func brightness(image []float32, _, _, c, severity int, _ *rand.Rand) {
	add := [...]float32{.1, .2, .3, .4, .5}[severity]
	for at := 0; at < len(image); at += c {
		pixel := image[at : at+c]
		value := pixel[0]
		for _, v := range pixel[1:] {
			value = max(value, v)
		}
		brighter := min(value+add, 1)
		for i := range pixel {
			if value > 0 {
				pixel[i] *= brighter / value
			} else {
				pixel[i] = brighter
			}
		}
	}
}

// contrast draws every channel towards its mean over the image.
func contrast(image []float32, _, _, c, severity int, _ *rand.Rand) {
	keep := [...]float64{.4, .3, .2, .1, .05}[severity]
	for ch := range c {
		var mean float64
		for at := ch; at < len(image); at += c {
			mean += float64(image[at])
		}
		mean /= float64(len(image) / c)
		for at := ch; at < len(image); at += c {
			image[at] = float32((float64(image[at])-mean)*keep + mean)
		}
	}
}
