package lrp

import (
	"fmt"
	"maps"
	"slices"
)

// Composite says which rule goes where. A layer gets the rule for its name, else, if no other layer with weights comes
// before it, that for a first layer of its kind, else that for its kind. A rule that is nil is none: the next
// is asked, and at the end [Epsilon].
//
// What has no weights needs no rule: sums of two values (residual connections) and pooling by means share relevance out
// by contribution, as [Epsilon] does; maxima give it to the largest; activation functions, batch normalisations that
// stand alone and layer normalisations pass it through; a gate (attention, squeeze-and-excitation) is held constant.
type Composite struct {
	Name string
	// Convolution and Dense are for layers of these kinds.
	Convolution, Dense Rule
	// FirstConvolution and FirstDense are for those of them that see the image.
	FirstConvolution, FirstDense Rule
	// Named are for layers by their names, which are those of the model's Layers. The layer is the one that makes the
	// value of that name, or that it is scaled or shifted from.
	Named map[string]Rule
	// Stabilizer keeps the denominators of sums and means from zero; 0 means 1e-6.
	Stabilizer float64
	// ZeroBias leaves the biases of all layers out of the denominators, so that they absorb no relevance.
	ZeroBias bool
}

func (c Composite) stabilizer() float64 {
	if c.Stabilizer == 0 {
		return defaultStabilizer
	}
	return c.Stabilizer
}

// rule chooses the rule of a layer.
func (c Composite) rule(l *Layer) Rule {
	for _, name := range l.Names {
		if r := c.Named[name]; r != nil {
			return r
		}
	}
	var first, other Rule
	switch l.Kind {
	case Convolution:
		first, other = c.FirstConvolution, c.Convolution
	case Dense:
		first, other = c.FirstDense, c.Dense
	default:
		return Epsilon{c.stabilizer()}
	}
	switch {
	case l.First && first != nil:
		return first
	case other != nil:
		return other
	}
	return Epsilon{}
}

// check returns an error for settings that cannot be.
func (c Composite) check() error {
	rules := []Rule{c.Convolution, c.Dense, c.FirstConvolution, c.FirstDense}
	for _, name := range slices.Sorted(maps.Keys(c.Named)) {
		rules = append(rules, c.Named[name])
	}
	for _, r := range rules {
		if r, ok := r.(checked); ok {
			if err := r.check(); err != nil {
				return err
			}
		}
	}
	if c.Stabilizer < 0 {
		return fmt.Errorf("lrp: the composite's Stabilizer is %g: it must not be negative", c.Stabilizer)
	}
	return nil
}

// unsaid reports whether the composite names no rule.
func (c Composite) unsaid() bool {
	return c.Convolution == nil && c.Dense == nil && c.FirstConvolution == nil && c.FirstDense == nil && len(c.Named) == 0
}

// orDefault is the composite, or for one that says nothing [EpsilonPlusFlat], and [GammaFlat] for a network with
// attention.
func (c Composite) orDefault(attention bool) Composite {
	if !c.unsaid() {
		return c
	}
	d := EpsilonPlusFlat()
	if attention {
		d = GammaFlat()
	}
	d.Stabilizer, d.ZeroBias = c.Stabilizer, c.ZeroBias
	if c.Name != "" {
		d.Name = c.Name
	}
	return d
}

// key tells programs of different composites apart.
func (c Composite) key() compositeKey {
	key := compositeKey{[4]Rule{c.Convolution, c.Dense, c.FirstConvolution, c.FirstDense}, nil, c.stabilizer(), c.ZeroBias}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(c.Named))) {
		key.named = namedRule{name, c.Named[name], key.named}
	}
	return key
}

// compositeKey holds all of a composite but its name.
type compositeKey struct {
	rules      [4]Rule
	named      any // a list of namedRule, or nil
	stabilizer float64
	zeroBias   bool
}

type namedRule struct {
	layer string
	rule  Rule
	next  any
}

// EpsilonPlus is [Epsilon] for dense layers and [ZPlus] for convolutions. Montavon et al., "Layer-Wise Relevance
// Propagation: An Overview" (2019).
func EpsilonPlus() Composite {
	return Composite{Name: "epsilon-plus", Convolution: ZPlus{}, Dense: Epsilon{}}
}

// EpsilonPlusFlat is [EpsilonPlus] with [Flat] for the first layer: what concept relevance propagation uses.
func EpsilonPlusFlat() Composite {
	c := EpsilonPlus()
	c.Name, c.FirstConvolution, c.FirstDense = "epsilon-plus-flat", Flat{}, Flat{}
	return c
}

// EpsilonAlpha2Beta1 is [Epsilon] for dense layers and [AlphaBeta] with α = 2, β = 1 for convolutions.
func EpsilonAlpha2Beta1() Composite {
	return Composite{Name: "epsilon-alpha2-beta1", Convolution: AlphaBeta{Alpha: 2, Beta: 1}, Dense: Epsilon{}}
}

// EpsilonAlpha2Beta1Flat is [EpsilonAlpha2Beta1] with [Flat] for the first layer.
func EpsilonAlpha2Beta1Flat() Composite {
	c := EpsilonAlpha2Beta1()
	c.Name, c.FirstConvolution, c.FirstDense = "epsilon-alpha2-beta1-flat", Flat{}, Flat{}
	return c
}

// EpsilonGammaBox is [Epsilon] for dense layers, [Gamma] with γ = 0.25 for convolutions, and [ZBox] for the first of
// these.
func EpsilonGammaBox() Composite {
	return Composite{Name: "epsilon-gamma-box", Convolution: Gamma{}, Dense: Epsilon{}, FirstConvolution: ZBox{}}
}

// GammaFlat is [Gamma] with γ = 0.25 for all layers, and [Flat] for the first: the choice for transformers. Relevance
// that goes through [Epsilon] in the dense layers of a dozen blocks grows without bound. The authors of AttnLRP
// (Achtibat et al., ICML 2024) take γ for convolutions and linear layers of vision transformers too, and search its
// value.
func GammaFlat() Composite {
	return Composite{Name: "gamma-flat", Convolution: Gamma{}, Dense: Gamma{}, FirstConvolution: Flat{},
		FirstDense: Flat{}}
}

// Composites returns all of the field's composites.
func Composites() []Composite {
	return []Composite{EpsilonPlus(), EpsilonPlusFlat(), EpsilonAlpha2Beta1(), EpsilonAlpha2Beta1Flat(), EpsilonGammaBox()}
}
