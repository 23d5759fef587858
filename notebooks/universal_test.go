package notebooks

import (
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Universal perturbations lead to their targets, which noise does not; they may rather be moved than single images', and
// both teach what noise does not. What the notebook says is open is open.
func TestUniversalPerturbations(t *testing.T) {
	claimed, _, _ := notebook{
		file: "08_universal_perturbations.ipynb", pictures: 4, published: []string{"imagenet-sample"},
		smaller: []string{
			"seeds, trainImages, baseImages, tests, epochs, steps, stride, squares := 2, 1500, 500, 30, 5, 12, 3, 4",
			"learnImages, learnEpochs, learnSteps, setSize := 256, 2, 4, 64",
			"photoCount, photoTests, photoSteps, photoTargets, batchOfPaper := 24, 3, 1, 2, 1",
		},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "universal perturbations lead to the target, %", "single images' perturbations lead their own image to the target, %",
				"success that moved perturbations keep, universal, %", "clean images right after learning from single images' perturbations, %",
				"clean images right after learning from shared perturbations, %")
			for _, open := range []string{
				"the best square of each target, picked on other images, leads to the target, %", "success that squares alone keep, universal, %",
				"what single images' perturbations teach, %",
			} {
				if c := claimed(open); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
					t.Errorf("%s: the difference from %s is %g to %g: say so in the notebook", open, c.Control, c.DifferenceLow, c.DifferenceHigh)
				}
			}
		},
	}.run(t)
	if c := claimed("universal perturbations lead to the target, %"); c.Difference < 8 || c.ControlValue > 5 {
		t.Errorf("universal perturbations lead to the target for %g%% of the images, noise for %g%%", c.Value, c.ControlValue)
	}
	if c := claimed("single images' perturbations lead their own image to the target, %"); c.Difference < 25 {
		t.Errorf("single images' perturbations lead %g%% of their own images to the target, %g%% of the others", c.Value, c.ControlValue)
	}
}
