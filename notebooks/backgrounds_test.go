package notebooks

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Background augmentations make the gap smaller and leave more right on places of random classes, there also beside the
// same augmentation with other images' masks, at the price of accuracy. What is open the notebook says.
func TestBackgroundAugmentation(t *testing.T) {
	claimed, text, heavy := notebook{
		file: "16_background_augmentation.ipynb", pictures: 3, assets: []string{"u2netp"},
		smaller: []string{"images, others, tests, attacked, seeds, steps, kinds, methods := 500, 150, 200, 10, 2, 12, 1, 0"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed,
				"MoCo: gap, % (beside before learning)", "MoCo: linear, % (beside before learning)",
				"MoCo: Mixed-Rand, % (beside before learning)",
				"BG_RM: Mixed-Rand, % (beside MoCo)", "BG_RM: Mixed-Rand, % (beside BG_RM, other masks)",
				"BG_Random: Mixed-Rand, % (beside MoCo)", "BG_Random: Mixed-Rand, % (beside BG_Random, other masks)",
				"BG_Swaps: Mixed-Rand, % (beside MoCo)", "BG_Swaps: Mixed-Rand, % (beside BG_Swaps, other masks)",
				"BG_RM: others' places, % (beside MoCo)", "BG_Random: others' places, % (beside MoCo)")
			lower(t, claimed,
				"BG_RM: gap, % (beside MoCo)", "BG_Random: gap, % (beside MoCo)", "BG_Swaps: gap, % (beside MoCo)",
				"BG_RM: gap, % (beside BG_RM, other masks)", "BG_Swaps: gap, % (beside BG_Swaps, other masks)",
				"BG_RM: linear, % (beside MoCo)", "BG_Random: linear, % (beside MoCo)", "BG_Swaps: linear, % (beside MoCo)",
				"BG_RM: few labels, % (beside MoCo)", "BG_Random: few labels, % (beside MoCo)",
				"BG_RM: corrupted, % (beside MoCo)", "BG_Random: corrupted, % (beside MoCo)",
				"BG_RM: attacked, % (beside MoCo)", "BG_Random: attacked, % (beside MoCo)")
		},
		open: []string{
			"BG_RM: Only-FG, % (beside MoCo)", "BG_RM: linear, % (beside BG_RM, other masks)",
			"BG_Random: Only-FG, % (beside MoCo)", "BG_Random: gap, % (beside BG_Random, other masks)",
			"BG_Random: linear, % (beside BG_Random, other masks)",
			"BG_Swaps: others' places, % (beside MoCo)", "BG_Swaps: Only-FG, % (beside MoCo)",
			"BG_Swaps: few labels, % (beside MoCo)", "BG_Swaps: corrupted, % (beside MoCo)",
			"BG_Swaps: attacked, % (beside MoCo)", "BG_Swaps: linear, % (beside BG_Swaps, other masks)",
		},
	}.run(t)
	if c := claimed("BG_RM: gap, % (beside MoCo)"); c.ControlValue < 10 || c.Difference > 15 {
		t.Errorf("the gap is %g points after MoCo, and %g with BG_RM", c.ControlValue, c.Value)
	}
	if c := claimed("MoCo: linear, % (beside before learning)"); c.Value < 35 {
		t.Errorf("after MoCo %g%% of the test images are right", c.Value)
	}
	if heavy && !strings.Contains(text, "SwAV and BG_RM") {
		t.Error("the other methods are not tried")
	}
}
