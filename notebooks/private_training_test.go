package notebooks

import (
	"testing"
)

// Private training learns less than without privacy, more with a larger budget, and does not tell who was learnt from.
func TestPrivateTraining(t *testing.T) {
	claimed, text, heavy := notebook{
		file: "17_private_training.ipynb", pictures: 1,
		smaller: []string{
			"seeds, images, steps, batch, testImages := 2, 4000, 25, 128, 500",
			"memberImages, memberSteps, recipeImages := 400, 300, 2",
		},
	}.run(t)
	_, _, _ = claimed, text, heavy
}
