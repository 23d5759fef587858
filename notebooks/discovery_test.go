package notebooks

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Networks learn what is discovered alike, as they do real tasks, and not coins or what is only spread; the tasks are
// many, and splits by them make networks fail. What the notebook says is open is open.
func TestTaskDiscovery(t *testing.T) {
	claimed, text, _ := notebook{
		file: "10_task_discovery.ipynb", pictures: 2,
		smaller: []string{
			"learnt, held, seeds, asked, updates, epochs := 600, 600, 2, 1, 60, 8",
			"unrolled, batch, outputs := 2, 64, 3",
		},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "agreement score of real tasks, MLP, %", "agreement score of real tasks, CNN, %",
				"discovered tasks, MLP, %", "discovered tasks, CNN, %",
				"discovered and only spread, MLP, %", "discovered and only spread, CNN, %", "the MLP's tasks, learnt by CNNs, %",
				"how alike, only spread, %")
			lower(t, claimed, "how alike tasks are, %", "right on adversarial splits, MLP, %",
				"right on them, and same classes, MLP, %", "right on them, and only spread, MLP, %",
				"right on adversarial splits, CNN, %", "right on them, and same classes, CNN, %")
			left(t, claimed, "discovered and real, MLP, %", "discovered and real, CNN, %",
				"either's tasks, learnt by CNNs, %", "either's tasks, learnt by MLPs, %")
			if c := claimed("like the nearest real, %"); c.High > c.ControlValue {
				t.Errorf("a discovered task is like its nearest real one on up to %g%%", c.High)
			}
		},
	}.run(t)
	if c := claimed("agreement score of real tasks, MLP, %"); c.Difference < 5 {
		t.Errorf("networks agree on %g%% of a real task and on %g%% of coins", c.Value, c.ControlValue)
	}
	if c := claimed("right on adversarial splits, MLP, %"); c.Difference > -10 {
		t.Errorf("networks are right on %g%% of an adversarial split and on %g%% of one by chance", c.Value, c.ControlValue)
	}
	if c := claimed("how alike tasks are, %"); c.Difference > 0 {
		t.Errorf("tasks are alike on %g%% of the images, and on %g%% without uniformity", c.Value, c.ControlValue)
	}
	if !strings.Contains(text, "the gradient of a convolution has no gradient of its own") {
		t.Error("a network that cannot be differentiated twice is not refused by its operation's name")
	}
}
