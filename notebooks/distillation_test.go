package notebooks

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// A student agrees with its teacher more than a network without one does, and still not always; more images bring it
// nearer, and so does a start near the teacher, which another network's weights do not.
func TestDistillationFidelity(t *testing.T) {
	claimed, text, _ := notebook{
		file: "20_distillation_fidelity.ipynb", pictures: 2, published: []string{"cifar10-jpeg"},
		smaller: []string{"labelled, tests, seeds, steps, width, depth, amounts := 500, 500, 2, 150, 4, 8, []int{0, 3000}"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "agreement with one teacher, %", "agreement with an ensemble, %", "accuracy, an ensemble, %", "agreement with one teacher, most images, %",
				"agreement with an ensemble, most images, %", "agreement, begun as the teacher, %", "agreement, begun near the teacher, %",
				"agreement, begun near the teacher and by chance, %", "agreement on the images learnt from, begun near the teacher, %")
			lower(t, claimed, "agreement with one teacher on the images learnt from, %", "agreement with one teacher on the labelled images, most images, %",
				"KL from one teacher, most images, nats", "KL from an ensemble, most images, nats", "KL, begun near the teacher, nats")
			for _, name := range []string{"accuracy, one teacher, %", "accuracy, one teacher, most images, %", "accuracy, begun near the teacher, %"} {
				if c := claimed(name); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
					t.Errorf("%s: the difference is %g to %g: say so in the notebook", name, c.DifferenceLow, c.DifferenceHigh)
				}
			}
		},
	}.run(t)
	// What the teacher adds to the agreement is too little for so few steps, networks and images: see says. That it is
	// far from all, and what a start near the teacher does, are not.
	if c := claimed("agreement with one teacher, %"); c.Value > 97 {
		t.Errorf("a student agrees with its teacher on %g%% of the images, and %g%% without one", c.Value, c.ControlValue)
	}
	if c := claimed("KL from one teacher, most images, nats"); c.Difference > 0 {
		t.Errorf("more images change the KL by %g", c.Difference)
	}
	if c := claimed("agreement, begun as the teacher, %"); c.Value < 97 || c.Difference < 3 {
		t.Errorf("a student that begins as its teacher agrees on %g%%, one that begins by chance on %g%%", c.Value, c.ControlValue)
	}
	if c := claimed("agreement, begun near the teacher, %"); c.Difference < 3 {
		t.Errorf("a start near another network agrees on %g%%, near the teacher on %g%%", c.ControlValue, c.Value)
	}
	if c := claimed("agreement, begun near the teacher and by chance, %"); c.Difference < 3 {
		t.Errorf("a start near the teacher adds %g points", c.Difference)
	}
	if !strings.Contains(text, "a step of PreResNet-") {
		t.Error("no step of the paper's recipe is taken")
	}
}
