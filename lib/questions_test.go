package loupe

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/issues"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
)

// The one bright pixel of each image is where the answer comes from.
func TestQuestionsInALine(t *testing.T) {
	m, x := redness(), spots()
	a := Attribute(m, x, attrib.InputXGradient{}, 0)
	if in := Inside(a, mask.Box{Row: 3, Column: 5, Height: 1, Width: 1},
		mask.Box{Row: 0, Column: 0, Height: 2, Width: 2}); !approx.Equal(in.Share[0], 1, 1e-6) || in.Share[1] != 0 ||
		in.Hits().Correct != 1 {
		t.Errorf("inside: %+v", in)
	}
	curve := Missing(m, x, 1)
	if n := len(curve.Counts); curve.Segments != 64 || curve.Counts[n-1] != 64 || n != 11 ||
		!approx.Equal(curve.Probability[0][n-1], 0.5, 1e-6) {
		t.Errorf("missing: %+v", curve)
	}
	if grey := Missing(m, x, 1, missing.Fill{With: mask.Constant(0.5)}); grey.How == curve.How {
		t.Errorf("grey and black are both called %q", grey.How)
	}
	explained := LIME(m, x, missing.LIME{Masks: 50}, 0)
	if len(explained.Coefficients) != 2 || explained.Classes[0] != 0 {
		t.Errorf("LIME: %+v", explained.Classes)
	}
	ds := must(data.FromTensor(x, []int{0, 0}, []string{"red", "other"}))
	robust := Robustness(m, ds, attack.AutoAttack{Norm: attack.LInf, Eps: 0.001, Steps: 3, Queries: 5})
	if robust.Clean.Correct != 2 || robust.Robust.Correct != 2 {
		t.Errorf("robustness: %v and %v: a change of 0.001 does not turn a logit of 1", robust.Clean, robust.Robust)
	}
	c := OverSeeds("seed", 3, func(seed uint64) float64 { return float64(seed) })
	if c.Value != 2 || !approx.Equal(c.High-c.Value, 4.302652729911275/math.Sqrt(3), 1e-9) {
		t.Errorf("over seeds: %+v", c)
	}
	twice := Issues(ds.Subset([]int{0, 1, 0}))
	if clean, err := twice.Clean(issues.ExactDuplicates); err != nil || !slices.Equal(clean, []int{0, 1}) {
		t.Errorf("of three pictures, of which the last is the first, %v are there once: %v", clean, err)
	}
	if tensor := Issues(x, issues.Options{Kinds: []issues.Kind{issues.Dark}}); tensor.Len() != 2 ||
		len(tensor.Kinds()) != 1 {
		t.Errorf("of a tensor: %v", tensor)
	}
	faith := Faithfulness(m, x, attrib.InputXGradient{}, attrib.Gradient{})
	if len(faith.Insertion) != 3 || faith.Insertion[2].Method != "random" || len(faith.Deletion[0].Fractions) != 33 ||
		faith.Insertion[0].Len() != 2 {
		t.Errorf("faithfulness: %d methods, %d points", len(faith.Insertion), len(faith.Deletion[0].Fractions))
	}
	// A network without places has no class activation map, and is explained by the other methods.
	flat := MLP(must(data.FromTensor(x, []int{0, 1}, nil)), 1, 4)
	if all, rest := len(attrib.Methods()), len(Faithfulness(flat, x).Insertion)-1; rest != all-3 ||
		len(Explain(flat, x).Attributions) != rest {
		t.Errorf("of the %d methods, an MLP is explained by %d", all, rest)
	}
	if s := Sensitivity(m, x, attrib.Gradient{}, faithful.Sensitivity{Samples: 2}); s.Samples != 2 || s.Len() != 2 {
		t.Errorf("sensitivity: %+v", s)
	}
	if i := Infidelity(m, x, attrib.Gradient{}, faithful.Infidelity{Samples: 7}); i.Samples != 7 || i.Len() != 2 {
		t.Errorf("infidelity: %+v", i)
	}
	for want, f := range map[string]func(){
		"no weights of its own": func() { Randomisation(m, x, attrib.Gradient{}) },
		"2 settings of a randomisation": func() {
			Randomisation(m, x, attrib.Gradient{}, faithful.Randomisation{},
				faithful.Randomisation{})
		},
		"there is no method to test":     func() { Sensitivity(m, x, nil) },
		"method 1 of 1 is nil":           func() { Faithfulness(m, x, nil) },
		"a path or several":              func() { Issues(1) },
		"2 settings of what to look for": func() { Issues(x, issues.Options{}, issues.Options{}) },
		"2 ways":                         func() { Missing(m, x, 1, missing.Fill{}, missing.Fill{}) },
		"2 settings":                     func() { Robustness(m, ds, attack.AutoAttack{}, attack.AutoAttack{}) },
		"does not lie":                   func() { Inside(a, mask.Box{Row: 7, Height: 2, Width: 1}) },
		"two at least":                   func() { OverSeeds("one", 1, func(uint64) float64 { return 0 }) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// Corruptions are named singly or by family.
func TestCorruptionSweepTakesFamilies(t *testing.T) {
	ds := must(data.FromTensor(spots(), []int{0, 0}, []string{"red", "other"}))
	s := CorruptionSweep(redness(), ds, "noise", "contrast")
	if !slices.Equal(s.Corruptions, []string{"gaussian_noise", "shot_noise", "impulse_noise", "contrast"}) ||
		s.Accuracy[0][0].Total != 2 {
		t.Errorf("%v", s.Corruptions)
	}
	if got := panicOf(func() { CorruptionSweep(redness(), ds, "noize") }); !strings.Contains(got, "families are noise") {
		t.Errorf("panics with %q", got)
	}
}
