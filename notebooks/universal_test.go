package notebooks

import (
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Universal perturbations lead to their targets, which noise does not; they may rather be moved than single images',
// and both teach what noise does not. What the notebook says is open is open.
func TestUniversalPerturbations(t *testing.T) {
	const led, taught = "images led to the target, %: ", "clean images right after learning from perturbations, %: "
	claimed, _, _ := notebook{
		file: "08_universal_perturbations.ipynb", pictures: 4, published: []string{"imagenet-sample"},
		smaller: []string{
			"seeds, trainImages, baseImages, tests, epochs, steps := 2, 1500, 500, 30, 5, 12",
			"stride, squares, learnImages, learnEpochs, learnSteps, setSize := 3, 4, 256, 2, 4, 64",
			"photoCount, photoTests, photoSteps, photoTargets, batchOfPaper := 24, 3, 1, 2, 1",
		},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, led+"universal and noise", led+"single images' and another image's",
				"success that moved perturbations keep, %: universal and single images'",
				taught+"single images' and noise in place of single images'",
				taught+"shared and noise in place of shared")
			if c := claimed("photographs taken for the target"); c.Low <= c.ControlHigh {
				t.Errorf("from %g of the photographs on are taken for the target, with noise up to %g", c.Low, c.ControlHigh)
			}
			left(t, claimed,
				"images led to the target by a square, %: the best, picked on other images and one by chance",
				"success that squares alone keep, %: universal and single images'", taught+"single images' and shared")
		},
	}.run(t)
	if c := claimed(led + "universal and noise"); c.Difference < 8 || c.ControlValue > 5 {
		t.Errorf("universal perturbations lead to the target for %g%% of the images, noise for %g%%", c.Value, c.ControlValue)
	}
	if c := claimed(led + "single images' and another image's"); c.Difference < 25 {
		t.Errorf("single images' perturbations lead %g%% of their own images to the target, %g%% of the others", c.Value,
			c.ControlValue)
	}
}
