package notebooks

import (
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Part models stand attacks better than a plain network of more parameters, and that comes from the masks.
func TestPartBased(t *testing.T) {
	claimed, text, heavy := notebook{
		file: "19_part_based.ipynb", pictures: 2, assets: []string{"mnist"},
		smaller: []string{"trainImages, testImages, attacked, steps, seeds, queries := 1000, 300, 30, 60, 2, 50", "step := \\\"\\\""},
		says: func(claimed func(string) claim.Claim) {
		},
	}.run(t)
	_, _, _ = claimed, text, heavy
}
