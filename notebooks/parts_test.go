package notebooks

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Attacks break most of what adversarial training leaves right, and attacks through the parts no less; that the part model
// has not learnt its parts on this budget, and is not better for them, the notebook says.
func TestPartModels(t *testing.T) {
	claimed, text, _ := notebook{
		file: "19_part_models.ipynb", pictures: 3, assets: []string{"mnist"},
		smaller: []string{
			"seeds, images, tests, steps, rounds, width, downs := 2, 300, 60, 60, 2, 4, 1",
			"eps, attackSteps, targets, queries := 0.05, 5, 1, 30",
		},
		says: func(claimed func(string) claim.Claim) {
			partModels(t, claimed)
			for _, open := range []string{
				"accuracy, %", "accuracy, and without parts, %", "accuracy under AutoAttack, %", "accuracy lost by another background, points",
				"accuracy lost by another background, and without parts, points", "accuracy lost by another texture, points",
				"accuracy lost by another texture, and without parts, points", "shape bias, %", "shape bias, and without parts, %",
			} {
				if c := claimed(open); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
					t.Errorf("%s: the difference from %s is %g to %g: say so in the notebook", open, c.Control, c.DifferenceLow, c.DifferenceHigh)
				}
			}
			if c := claimed("accuracy under AutoAttack, and without parts, %"); c.DifferenceLow > 0 {
				t.Errorf("under AutoAttack parts are worth %g points, at least %g: say so in the notebook", c.Difference, c.DifferenceLow)
			}
			if c := claimed("pixels of digits whose part is seen, %"); c.High > 20 {
				t.Errorf("the part is seen of %g%% of the pixels: say so in the notebook", c.Value)
			}
		},
	}.run(t)
	partModels(t, claimed)
	step := regexp.MustCompile(`a step of DeepLab on ResNet-\d+: loss ([\d.]+),`).FindStringSubmatch(text)
	if step == nil {
		t.Fatal("no step of the paper's recipe is taken")
	}
	// Half the cross entropy of 11 classes and half that of 41 kinds of pixels, by chance, is 3.06; the attack raises it.
	if loss, err := strconv.ParseFloat(step[1], 64); err != nil || !(loss > 2 && loss < 10) {
		t.Errorf("the loss of the paper's recipe is %s", step[1])
	}
}

// partModels is what holds on any budget. The plain CNN learns fastest.
func partModels(t *testing.T, claimed func(string) claim.Claim) {
	t.Helper()
	clean, robust := claimed("accuracy, %").ControlValue, claimed("accuracy under AutoAttack, %").ControlValue
	if clean < 40 || clean-robust < 15 {
		t.Errorf("the plain CNN is right on %g%%, and on %g%% under AutoAttack", clean, robust)
	}
	if c := claimed("accuracy under all attacks, %"); c.Difference > 0 {
		t.Errorf("more attacks leave %g%% standing, fewer %g%%", c.Value, c.ControlValue)
	}
}
