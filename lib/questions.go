package loupe

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/issues"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

// LIME explains each image's class, by default the predicted one, by superpixels: a linear model of the class's
// probability in which of them are there. The zero missing.LIME has the settings of Jain et al., ICLR 2022. There are
// about 150 superpixels, and fewer in images of less than 49 x 49 pixels, so that each has 16 pixels or so.
func LIME(m *model.Model, images any, lime missing.LIME, classes ...int) *missing.Explanations {
	x := Images(m, images)
	d := shapeOf(x)
	superpixels := missing.SLIC{Segments: max(1, min(150, d[1]*d[2]/16))}
	return must(lime.Explain(m, x, must(superpixels.Segment(x)), classes...))
}

// Missing takes more and more patches of each image away, in an order that the seed draws, and asks whether the model
// still says what it said of the whole: Jain et al., ICLR 2022, section 3. how is what stands in their place, at most
// one: missing.Fill with a filler, or missing.DropTokens of a vision transformer; without one it is black. There are
// 14 patches in a row, as in the paper, or fewer where an image has not as many pixels, and a tenth of them after
// another goes.
func Missing(m *model.Model, images any, seed uint64, how ...missing.Approximation) *missing.Curve {
	x := Images(m, images)
	patches, counts, err := missing.Tenths(x)
	if err != nil {
		panic(err)
	}
	ablation := missing.Ablation{Counts: counts, How: atMostOne("ways to take patches away", how)}
	return must(ablation.Run(m, x, patches, patches.RandomOrders(seed)))
}

// Robustness attacks the images of a labelled dataset and counts those that are recognised and stay so: by default
// AutoAttack at an L∞ distance of 8/255, Croce and Hein, ICML 2020. Settings are at most one.
func Robustness(m *model.Model, ds *data.Dataset, settings ...attack.AutoAttack) *attack.Evaluation {
	by := attack.AutoAttack{Norm: attack.LInf, Eps: 8.0 / 255}
	if len(settings) > 0 {
		by = atMostOne("settings of an attack", settings)
	}
	return must(by.Run(m, Images(m, ds), must(m.KnownLabelsOf(ds))))
}

// Issues looks for what is wrong with the pictures of a dataset, a tensor, a folder or files: exact and near
// duplicates, dark, light, blurry, grey and uniform pictures, odd sizes and shapes, and with a model,
// issues.Options{Model: m}, outliers and duplicates by its features. Settings are at most one; see issues.Find.
// Interrupted, it shows what was found in the pictures that are done, which [Partial] returns.
func Issues(images any, settings ...issues.Options) *issues.Issues {
	images, _ = withNames(images)
	var ds *data.Dataset
	switch images := images.(type) {
	case *data.Dataset:
		ds = images
	case *tensors.Tensor:
		ds = must(data.FromTensor(images, nil, nil))
	default:
		panic(notImages(images))
	}
	found, err := issues.Find(ds, atMostOne("settings of what to look for", settings))
	return whole(found, err)
}

// atMostOne is the one of what may be left out; nothing of it is the zero value.
func atMostOne[T any](what string, given []T) (one T) {
	if len(given) > 1 {
		panic(fmt.Errorf("loupe: %d %s: give at most one", len(given), what))
	}
	if len(given) == 1 {
		one = given[0]
	}
	return one
}

// Inside says how far an attribution's heatmaps lie inside boxes, one for all images or one for each, such as where a
// mark was planted: see mask.Inside.
func Inside(a *attrib.Attribution, boxes ...mask.Box) *mask.InsideBox {
	return must(mask.Inside(must(a.Heatmap()), boxes...))
}

// OverSeeds measures a value for each of a number of seeds, 1, 2, …, and returns the mean with its interval:
//
//	loupe.OverSeeds("accuracy", 5, func(seed uint64) float64 {
//		m := loupe.Train(loupe.SmallCNN(train, seed), train, learn.Default)
//		return loupe.Evaluate(m, test).Accuracy().Share()
//	})
func OverSeeds(name string, seeds int, measure func(seed uint64) float64) claim.Claim {
	return must(claim.OverSeeds(name, seeds, func(seed uint64) (float64, error) { return measure(seed), nil }))
}

// Faithfulness asks which methods of attribution name the pixels that the network goes by: it explains the predicted
// class of each image by each of the methods, no methods meaning those that [Explain] takes, puts the pixels in and
// takes them away in the order of the heatmaps, and compares the areas under the curves with those of a random ranking.
// Petsiuk et al., "RISE", BMVC 2018, but in 32 steps where theirs are 224, which faithful.Tests takes.
// Interrupted, it shows the methods that are done, which [Partial] returns.
//
// [Randomisation], [Infidelity] and [Sensitivity] test one method otherwise, and take longer.
func Faithfulness(m *model.Model, images any, methods ...attrib.Method) *faithful.Comparison {
	if len(methods) == 0 {
		methods = methodsFor(m)
	}
	x := Images(m, images)
	d := shapeOf(x)
	steps := min(32, d[1]*d[2])
	tests := faithful.Tests{Insertion: faithful.Insertion{Steps: steps}, Deletion: faithful.Deletion{Steps: steps}}
	c, err := tests.Compare(m, x, nil, methods...)
	return whole(c, err)
}

// Randomisation asks whether a method's heatmaps of the predicted classes change when the network forgets what it has
// learnt, layer by layer from the last one on. Settings are at most one: see faithful.Randomisation. Interrupted, it
// shows the layers that are done, which [Partial] returns.
func Randomisation(m *model.Model, images any, method attrib.Method,
	settings ...faithful.Randomisation) *faithful.Randomised {
	r, err := atMostOne("settings of a randomisation", settings).Run(m, Images(m, images), nil, method)
	return whole(r, err)
}

// Infidelity asks how far a method's values are from telling what perturbations of the image do to the logit of the
// predicted class. Settings are at most one: see faithful.Infidelity. Interrupted, it shows the images that are done,
// which [Partial] returns.
func Infidelity(m *model.Model, images any, method attrib.Method,
	settings ...faithful.Infidelity) *faithful.Infidelities {
	r, err := atMostOne("settings of an infidelity", settings).Run(m, Images(m, images), nil, method)
	return whole(r, err)
}

// Sensitivity asks how far a method's values change where the image hardly does: it explains 50 noisy copies of each
// image. Settings are at most one: see faithful.Sensitivity. Interrupted, it shows the images that are done, which
// [Partial] returns.
func Sensitivity(m *model.Model, images any, method attrib.Method,
	settings ...faithful.Sensitivity) *faithful.Sensitivities {
	r, err := atMostOne("settings of a sensitivity", settings).Run(m, Images(m, images), nil, method)
	return whole(r, err)
}

// whole is a result that is there as a whole; the part that an interrupt leaves is shown.
func whole[T any](result *T, err error) *T {
	if result != nil && interrupt.Is(err) {
		showPart(result)
	}
	return must(result, err)
}
