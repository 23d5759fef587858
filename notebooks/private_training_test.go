package notebooks

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Private training does not tell who was learnt from, which other training does; steps and averages make it better.
func TestPrivateTraining(t *testing.T) {
	claimed, text, heavy := notebook{
		file: "17_private_training.ipynb", pictures: 1,
		smaller: []string{
			"seeds, images, steps, batch, testImages := 2, 4000, 25, 128, 500",
			"memberImages, memberSteps, recipeImages, recipeDepth, recipeWiden := 400, 250, 2, 10, 1",
			"budgets := []float64{1, 8}",
		},
		says: func(claimed func(string) claim.Claim) { privateTraining(t, claimed, 0.15, 0.1) },
	}.run(t)
	privateTraining(t, claimed, 0.25, 0.2) // of 40 images with a wrong label, chance alone is 0.06 away from a half
	if !strings.Contains(text, "2 other trainings with the same examples had a part in choosing the settings") {
		t.Error("the accountant does not say what a search costs")
	}
	moved := regexp.MustCompile(`weights of the first layer have moved by up to ([\d.]+)`).FindStringSubmatch(text)
	if moved == nil {
		t.Fatal("the paper's step was not taken")
	}
	// Noise 3 of 2 photographs, by a learning rate of 2, has the deviation 3, of 16 of them 0.4.
	if by, err := strconv.ParseFloat(moved[1], 64); err != nil || !(by > 0.4 && by < 20) {
		t.Errorf("the paper's step moves weights by %s", moved[1])
	}
	if heavy {
		higher(t, claimed, "membership, wrong labels: without privacy and ε = 8")
	}
}

// privateTraining is what holds on any budget. memory is how much of the area under the curve privacy takes from the
// attack at least, and guess how far from a half the rest may be.
func privateTraining(t *testing.T, claimed func(string) claim.Claim, memory, guess float64) {
	t.Helper()
	if c := claimed("membership, wrong labels: without privacy and ε = 8"); c.Difference < memory {
		t.Errorf("wrong labels give away who was learnt from by %g, and %g with privacy", c.Value, c.ControlValue)
	}
	if c := claimed("membership, wrong labels: ε = 8 and guessing"); math.Abs(c.Value-0.5) > guess {
		t.Errorf("with privacy wrong labels give away who was learnt from by %g", c.Value)
	}
	for _, epsilon := range []string{"1", "8"} {
		if c := claimed("accuracy at ε = " + epsilon + ", %: 4 times the steps and once"); c.Difference < 2 {
			t.Errorf("at ε = %s, 4 times the steps are worth %g points", epsilon, c.Difference)
		}
		if c := claimed("accuracy at ε = " + epsilon + ", %: once and without privacy"); c.Value < 35 || c.Value > 95 {
			t.Errorf("at ε = %s the accuracy is %g%%", epsilon, c.Value)
		}
	}
}
