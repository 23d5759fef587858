// Package perturb changes images on purpose: corruptions as a camera or a network makes them.
package perturb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Corruption is one of the corruptions of ImageNet-C and CIFAR-10-C at its five severities (Hendrycks and Dietterich,
// ICLR 2019), step by step as the programs that made the two sets of images. Unlike the published image files, the
// result is not rounded to 8 bits.
type Corruption struct {
	// Name is the benchmark's name, such as "gaussian_noise".
	Name string
	// Benchmark says whose constants are taken; the zero value goes by the images' size.
	Benchmark Benchmark

	imageNet, cifar corrupter
	pypi            corrupter    // nil where it is imageNet
	colours         bool         // images have one channel or three
	inside          bool         // no result is outside of 0..1
	ready           func() error // nil when nothing has to be there
}

func (c Corruption) String() string { return c.Name }

// Benchmark names a set of constants of the corruptions.
type Benchmark int

const (
	// BySize is CIFAR10C for images of up to 32 x 32 pixels, ImageNetC for all others.
	BySize Benchmark = iota
	// ImageNetC follows make_imagenet_c.py of github.com/hendrycks/robustness, which is for 224 x 224 pixels. Other
	// sizes have the same constants, most of which are lengths in pixels; fog's map has the side of the next power of
	// two.
	ImageNetC
	// CIFAR10C follows make_cifar_c.py of the same repository, which is for 32 x 32 pixels.
	CIFAR10C
	// ImageCorruptions follows the PyPI package imagecorruptions 1.1.2. It has an elastic_transform of its own, without
	// the random affine map and in proportion to the image's size; everything else is ImageNetC but for where it cuts a
	// random field or a photograph of frost.
	ImageCorruptions
)

// corrupter changes one image in place; severity counts from 0. The result may leave 0..1.
type corrupter func(p picture, severity int, r chance)

// by is the corrupter that has a constant for each severity.
func by[T any](corrupt func(p picture, constant T, r chance), constants ...T) corrupter {
	return func(p picture, severity int, r chance) { corrupt(p, constants[severity], r) }
}

// picture is one image, row-major [h, w, c].
type picture struct {
	pix     []float32
	h, w, c int
}

func (p picture) row(y int) []float32 { return p.pix[y*p.w*p.c : (y+1)*p.w*p.c] }

// scratchPicture is a picture of any values, which is lent until release is called.
func scratchPicture(h, w, c int) (p picture, release func()) {
	p = picture{h: h, w: w, c: c}
	p.pix, release = pixels.Scratch[float32](h * w * c)
	return p, release
}

// clone is a copy, which is lent until release is called.
func (p picture) clone() (copied picture, release func()) {
	copied, release = scratchPicture(p.h, p.w, p.c)
	copy(copied.pix, p.pix)
	return copied, release
}

// Severities is the number of severities of a corruption; they count from 1.
const Severities = 5

// Corruptions returns the 15 corruptions of the benchmark in its order, and behind them the four that it keeps for
// validation.
func Corruptions() []Corruption {
	return []Corruption{
		{Name: "gaussian_noise", imageNet: by(gaussianNoise, .08, .12, .18, .26, .38),
			cifar: by(gaussianNoise, .04, .06, .08, .09, .10)},
		{Name: "shot_noise", imageNet: by(shotNoise, counting(60, 25, 12, 5, 3)...),
			cifar: by(shotNoise, counting(500, 250, 100, 75, 50)...)},
		{Name: "impulse_noise", imageNet: by(impulseNoise, .03, .06, .09, .17, .27),
			cifar: by(impulseNoise, .01, .02, .03, .05, .07)},
		{
			Name:     "defocus_blur",
			imageNet: by(defocusBlur, ground(lens{3, .1}, lens{4, .5}, lens{6, .5}, lens{8, .5}, lens{10, .5})...),
			cifar:    by(defocusBlur, ground(lens{.3, .4}, lens{.4, .5}, lens{.5, .6}, lens{1, .2}, lens{1.5, .1})...),
		},
		{
			Name:     "glass_blur",
			imageNet: by(glassBlur, glass{.7, 1, 2}, glass{.9, 2, 1}, glass{1, 2, 3}, glass{1.1, 3, 2}, glass{1.5, 4, 2}),
			cifar:    by(glassBlur, glass{.05, 1, 1}, glass{.25, 1, 1}, glass{.4, 1, 1}, glass{.25, 1, 2}, glass{.4, 1, 2}),
		},
		{
			Name:     "motion_blur",
			imageNet: by(motionBlur, motion{10, 3}, motion{15, 5}, motion{15, 8}, motion{15, 12}, motion{20, 15}),
			cifar:    by(motionBlur, motion{6, 1}, motion{6, 1.5}, motion{6, 2}, motion{8, 2}, motion{9, 2.5}),
		},
		{
			Name:     "zoom_blur",
			imageNet: by(zoomBlur, zooms{.01, 12}, zooms{.01, 16}, zooms{.02, 11}, zooms{.02, 13}, zooms{.03, 11}),
			cifar:    by(zoomBlur, zooms{.01, 7}, zooms{.01, 12}, zooms{.01, 16}, zooms{.01, 21}, zooms{.01, 26}),
		},
		{
			Name: "snow",
			imageNet: by(snow, flakes{.1, .3, 3, .5, motion{10, 4}, .8}, flakes{.2, .3, 2, .5, motion{12, 4}, .7},
				flakes{.55, .3, 4, .9, motion{12, 8}, .7},
				flakes{.55, .3, 4.5, .85, motion{12, 8}, .65}, flakes{.55, .3, 2.5, .85, motion{12, 12}, .55}),
			cifar: by(snow, flakes{.1, .2, 1, .6, motion{8, 3}, .95}, flakes{.1, .2, 1, .5, motion{10, 4}, .9},
				flakes{.15, .3, 1.75, .55, motion{10, 4}, .9},
				flakes{.25, .3, 2.25, .6, motion{12, 6}, .85}, flakes{.3, .3, 1.25, .65, motion{14, 12}, .8}),
			colours: true,
		},
		{
			Name:     "frost",
			imageNet: by(frost, ice{1, .4}, ice{.8, .6}, ice{.7, .7}, ice{.65, .7}, ice{.6, .75}),
			cifar:    by(smallFrost, ice{1, .2}, ice{1, .3}, ice{.9, .4}, ice{.85, .4}, ice{.75, .45}),
			colours:  true, ready: frostReady,
		},
		{
			Name:     "fog",
			imageNet: by(fog, mist{1.5, 2}, mist{2, 2}, mist{2.5, 1.7}, mist{2.5, 1.5}, mist{3, 1.4}),
			cifar:    by(fog, mist{.2, 3}, mist{.5, 3}, mist{.75, 2.5}, mist{1, 2}, mist{1.5, 1.75}),
		},
		{Name: "brightness", imageNet: by(brightness, .1, .2, .3, .4, .5), cifar: by(brightness, .05, .1, .15, .2, .3)},
		{Name: "contrast", imageNet: by(contrast, .4, .3, .2, .1, .05), cifar: by(contrast, .75, .5, .4, .3, .15)},
		{
			Name: "elastic_transform",
			// The authors wrote 244 for 224.
			imageNet: by(elastic, rubber{244 * 2, 244 * .7, 244 * .1}, rubber{244 * 2, 244 * .08, 244 * .2},
				rubber{244 * .05, 244 * .01, 244 * .02},
				rubber{244 * .07, 244 * .01, 244 * .02}, rubber{244 * .12, 244 * .01, 244 * .02}),
			cifar: by(elastic, rubber{0, 0, 32 * .08}, rubber{32 * .05, 32 * .2, 32 * .07}, rubber{32 * .08, 32 * .06, 32 * .06},
				rubber{32 * .1, 32 * .04, 32 * .05}, rubber{32 * .1, 32 * .03, 32 * .03}),
			pypi: by(elasticInProportion, 250*.05, 250*.065, 250*.085, 250*.1, 250*.12),
		},
		{Name: "pixelate", imageNet: by(pixelate, .6, .5, .4, .3, .25), cifar: by(pixelate, .95, .9, .85, .75, .65),
			inside: true},
		{Name: "jpeg_compression", imageNet: by(jpegCompression, 25, 18, 15, 10, 7),
			cifar: by(jpegCompression, 80, 65, 58, 50, 40), colours: true, inside: true},

		{Name: "speckle_noise", imageNet: by(speckleNoise, .15, .2, .35, .45, .6),
			cifar: by(speckleNoise, .06, .1, .12, .16, .2)},
		{Name: "gaussian_blur", imageNet: by(gaussianBlur, 1, 2, 3, 4, 6), cifar: by(gaussianBlur, .4, .6, .7, .8, 1)},
		{
			Name: "spatter",
			imageNet: by(spatter, drops{.65, .3, 4, .69, .6, false}, drops{.65, .3, 3, .68, .6, false},
				drops{.65, .3, 2, .68, .5, false},
				drops{.65, .3, 1, .65, 1.5, true}, drops{.67, .4, 1, .65, 1.5, true}),
			cifar: by(spatter, drops{.62, .1, .7, .7, .5, false}, drops{.65, .1, .8, .7, .5, false},
				drops{.65, .3, 1, .69, .5, false},
				drops{.65, .1, .7, .69, .6, true}, drops{.65, .1, .5, .68, .6, true}),
			colours: true,
		},
		{
			Name:     "saturate",
			imageNet: by(saturate, dye{.3, 0}, dye{.1, 0}, dye{2, 0}, dye{5, .1}, dye{20, .2}),
			cifar:    by(saturate, dye{.3, 0}, dye{.1, 0}, dye{1.5, 0}, dye{2, .1}, dye{2.5, .2}),
			colours:  true,
		},
	}
}

// Common returns the 15 corruptions that the benchmark's score, the mean corruption error, is made of.
func Common() []Corruption { return Corruptions()[:15] }

// Ovadia returns the 16 corruptions under which Ovadia et al. (NeurIPS 2019, section 4.2) measure uncertainty on
// CIFAR-10 and ImageNet, in the order of CORRUPTION_TYPES in google-research's uq_benchmark_2019. That list has a
// seventeenth, "static_compression", which is none of the benchmark's.
func Ovadia() []Corruption {
	var list []Corruption
	for _, name := range []string{
		"brightness", "contrast", "defocus_blur", "elastic_transform", "fog", "frost", "gaussian_blur", "gaussian_noise",
		"glass_blur",
		"impulse_noise", "pixelate", "saturate", "shot_noise", "spatter", "speckle_noise", "zoom_blur",
	} {
		c, err := CorruptionNamed(name)
		if err != nil {
			panic(err) // the names are Corruptions'
		}
		list = append(list, c)
	}
	return list
}

// families are the groups of Hendrycks and Dietterich, section 4.1 and figure 1, with the corruptions of the benchmark;
// those that it keeps for validation are named singly.
var families = []struct {
	name  string
	names []string
}{
	{"noise", []string{"gaussian_noise", "shot_noise", "impulse_noise"}},
	{"blur", []string{"defocus_blur", "glass_blur", "motion_blur", "zoom_blur"}},
	{"weather", []string{"snow", "frost", "fog", "brightness"}},
	{"digital", []string{"contrast", "elastic_transform", "pixelate", "jpeg_compression"}},
}

// Families are the names of the benchmark's groups of corruptions: noise, blur, weather and digital. See
// [CorruptionsNamed].
func Families() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.name)
	}
	return names
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
	return Corruption{}, fmt.Errorf("perturb: no corruption is called %q%s; there are %s", name,
		nearest.DidYouMean(name, names), strings.Join(names, ", "))
}

// CorruptionsNamed returns corruptions by their names or those of [Families], each once, in the order of the names.
func CorruptionsNamed(names ...string) ([]Corruption, error) {
	var list []Corruption
	add := func(name string) error {
		c, err := CorruptionNamed(name)
		if err == nil && !slices.ContainsFunc(list, func(known Corruption) bool { return known.Name == name }) {
			list = append(list, c)
		}
		return err
	}
	for _, name := range names {
		of := []string{name}
		for _, f := range families {
			if f.name == name {
				of = f.names
			}
		}
		for _, name := range of {
			if err := add(name); err != nil {
				var all []string
				for _, c := range Corruptions() {
					all = append(all, c.Name)
				}
				return nil, fmt.Errorf(
					"perturb: no corruption and no family of them is called %q%s; the families are %s, the corruptions %s", name,
					nearest.DidYouMean(name, append(Families(), all...)), strings.Join(Families(), ", "), strings.Join(all, ", "))
			}
		}
	}
	return list, nil
}

// Ready returns an error that says what to fetch when the corruption needs files that are not here, as frost does its
// photographs.
func (c Corruption) Ready() error {
	if c.ready == nil {
		return nil
	}
	return c.ready()
}

// Apply returns corrupted copies, float32, of images, [N, H, W, C] float32 in 0..1 or uint8, at a severity from 1 to 5.
// Image i depends only on its pixels, the severity, seed and i, so the same call gives the same images on any machine.
// It returns an error for another severity, for what is no image batch, for a number of channels that is neither 1 nor
// 3 where colours matter, and as Ready does.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (c Corruption) Apply(images *tensors.Tensor, severity int, seed uint64) (*tensors.Tensor, error) {
	return c.ApplyNumbered(images, nil, severity, seed)
}

// ApplyNumbered is Apply for a part of a set: image i is corrupted as image numbers[i] of the set would be. It returns
// an error unless there is a number for each image.
func (c Corruption) ApplyNumbered(images *tensors.Tensor, numbers []int, severity int, seed uint64) (*tensors.Tensor,
	error) {
	if c.imageNet == nil {
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
	if c.colours && b.C != 1 && b.C != 3 {
		return nil, fmt.Errorf("perturb: %s is for images of 1 channel or 3, not %d", c.Name, b.C)
	}
	corrupt, err := c.corrupter(b.H, b.W)
	if err != nil {
		return nil, err
	}
	if err := c.Ready(); err != nil {
		return nil, err
	}
	return b.Each("perturb: "+c.Name, func(i int) {
		p, number := picture{b.Image(i), b.H, b.W, b.C}, i
		if numbers != nil {
			number = numbers[i]
		}
		corrupt(p, severity-1, newStream(seed, number))
		if !c.inside {
			pixels.Clamp(p.pix)
		}
	})
}

// corrupter picks by the benchmark, and by the images' size where that decides.
func (c Corruption) corrupter(h, w int) (corrupter, error) {
	switch c.Benchmark {
	case BySize:
		if max(h, w) <= 32 {
			return c.cifar, nil
		}
		return c.imageNet, nil
	case CIFAR10C:
		return c.cifar, nil
	case ImageCorruptions:
		if c.pypi != nil {
			return c.pypi, nil
		}
		return c.imageNet, nil
	case ImageNetC:
		return c.imageNet, nil
	}

	return nil, fmt.Errorf("perturb: there is no benchmark %d; there are %d to %d, BySize to ImageCorruptions",
		c.Benchmark, BySize, ImageCorruptions)
}
