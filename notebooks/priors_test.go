package notebooks

import (
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// Networks with different priors fail on other images than two with the same one, and labels of a network of shapes
// bring one of textures away from a spurious tint.
func TestFeaturePriors(t *testing.T) {
	claimed, text, _ := notebook{
		file: "07_feature_priors.ipynb", pictures: 3, assets: []string{"squeezenet"}, published: []string{"cue-conflict"},
		smaller: []string{"labelled, unlabelled, tests, seeds, eras, epochs, conflicts := 300, 400, 400, 2, 2, 3, 48"},
		says: func(claimed func(string) claim.Claim) {
			lower(t, claimed, "correlation of being right: different priors and one prior")
			higher(t, claimed,
				"accuracy, %: stacked ensemble and shape",
				"accuracy of the network of textures, %: co-training and texture by itself",
				"accuracy of the final network, %: co-training and texture by itself",
				"accuracy of the final network, %: co-training and labelled images alone")
			left(t, claimed,
				"accuracy, %: mean of both and shape",
				"accuracy of the network of shapes, %: co-training and shape by itself",
				"accuracy of the final network, %: co-training and shape by itself")
		},
	}.run(t)
	if c := claimed("correlation of being right: different priors and one prior"); c.Difference > 0 {
		t.Errorf("being right correlates by %g for different priors, and by %g for one", c.Value, c.ControlValue)
	}
	if c := claimed("accuracy of the network of textures, %: co-training and texture by itself"); c.Difference < 0 {
		t.Errorf("a network of textures is right on %g%% after co-training, and on %g%% after self-training", c.Value,
			c.ControlValue)
	}
	for _, name := range []string{"efficientnet-lite0", "squeezenet"} {
		if c := claimed("shape bias of " + name); c.Value > 0.6 {
			t.Errorf("the shape bias of %s is %g", name, c.Value)
		}
	}
	if n := strings.Count(text, "texture: steps"); n != 2 { // of the first seed, and of the paper's recipe
		t.Errorf("%d tables of eras are shown: no era of the paper's recipe is run", n)
	}
}
