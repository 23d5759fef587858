package notebooks

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Part models see the parts that they were taught, which those that learn from scattered masks do not, and attacks
// break some of what adversarial training leaves right. What parts are worth at this size the notebook says.
func TestPartModels(t *testing.T) {
	claimed, text, _ := notebook{
		file: "19_part_models.ipynb", pictures: 3, assets: []string{"mnist"},
		smaller: []string{
			"seeds, images, tests, warm, steps, rounds, width, downs := 2, 300, 40, 100, 8, 2, 4, 1",
			"eps, attackSteps, targets, queries := 0.05, 4, 1, 20",
			"digits := []int{0, 1}",
		},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "parts seen, %: down-sampled and scattered masks",
				"parts seen, %: bounding box and scattered masks",
				"parts seen under attack, %: down-sampled and scattered masks",
				"parts seen under attack, %: bounding box and scattered masks")
			lower(t, claimed, "under AutoAttack, %: down-sampled and plain CNN",
				"under AutoAttack, %: bounding box and plain CNN",
				"lost by another background, points: down-sampled and plain CNN",
				"lost by another background, points: bounding box and plain CNN")
		},
		open: []string{
			"accuracy, %: down-sampled and plain CNN", "accuracy, %: bounding box and plain CNN",
			"accuracy, %: down-sampled and scattered masks",
			"under AutoAttack, %: down-sampled and scattered masks",
			"lost by another texture, points: down-sampled and plain CNN",
			"lost by another texture, points: bounding box and plain CNN",
			"lost by corruptions, points: down-sampled and plain CNN", "lost by corruptions, points: bounding box and plain CNN",
			"shape bias, %: bounding box and plain CNN",
		},
	}.run(t)
	for _, kind := range []string{"down-sampled", "bounding box"} {
		if c := claimed("parts seen, %: " + kind + " and scattered masks"); c.Difference < 20 {
			t.Errorf("the %s model sees %g%% of the parts, and with scattered masks %g%%", kind, c.Value, c.ControlValue)
		}
		stands, all := claimed("under AutoAttack, %: "+kind+" and plain CNN"),
			claimed("under all attacks, %: "+kind+" and plain CNN")
		if all.Value > stands.Value || all.ControlValue != stands.ControlValue {
			t.Errorf("under more attacks %g%% of %s and %g%% of the plain CNN stand, under fewer %g%% and %g%%", all.Value, kind,
				all.ControlValue, stands.Value, stands.ControlValue)
		}
		if c := claimed("accuracy, %: " + kind + " and plain CNN"); c.Value < 60 || c.ControlValue < 60 ||
			c.Value < stands.Value || c.ControlValue < stands.ControlValue+2 {
			t.Errorf("%s is right on %g%%, the plain CNN on %g%%; under AutoAttack they are on %g%% and %g%%", kind, c.Value,
				c.ControlValue, stands.Value, stands.ControlValue)
		}
	}
	step := regexp.MustCompile(`(?m)^loss ([\d.]+), `).FindStringSubmatch(text)
	if step == nil {
		t.Fatal("no step of the paper's recipe is taken")
	}
	// Half the cross entropy of 11 classes and half that of 41 kinds of pixels, by chance, is 3.06; the attack raises it.
	if loss, err := strconv.ParseFloat(step[1], 64); err != nil || !(loss > 2 && loss < 10) {
		t.Errorf("the loss of the paper's recipe is %s", step[1])
	}
}
