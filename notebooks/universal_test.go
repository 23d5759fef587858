package notebooks

import "testing"

// Universal perturbations lead to their targets, which noise does not; of what the paper finds about them the notebook
// says what it finds.
func TestUniversalPerturbations(t *testing.T) {
	claimed, _, _ := notebook{
		file: "08_universal_perturbations.ipynb", pictures: 4, published: []string{"imagenet-sample"},
		smaller: []string{
			"seeds, trainImages, baseImages, tests, epochs, steps, stride, squares := 2, 2000, 500, 40, 5, 15, 3, 6",
			"learnImages, learnEpochs, learnSteps, setSize := 1000, 6, 10, 64",
			"photoCount, photoTests, photoSteps, photoTargets, batchOfPaper := 24, 4, 1, 2, 1",
		},
	}.run(t)
	if c := claimed("universal perturbations lead to the target, %"); c.Difference < 10 || c.ControlValue > 5 {
		t.Errorf("universal perturbations lead to the target for %g%% of the images, noise for %g%%", c.Value, c.ControlValue)
	}
	if c := claimed("single images' perturbations lead their own image to the target, %"); c.Difference < 40 {
		t.Errorf("single images' perturbations lead %g%% of their own images to the target, %g%% of the others", c.Value, c.ControlValue)
	}
}
