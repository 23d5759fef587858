package lrp

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/model"
)

// oracleCase is a model with the images that an oracle was given, and what it made of them.
type oracleCase struct {
	golden string
	load   func(t *testing.T) string
	images func(t *testing.T) (testimages.Set, error)
	keep   int // every how many rows and columns are kept
}

var oracleCases = []oracleCase{{
	golden: "resnet20",
	load:   func(t *testing.T) string { return testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors") },
	images: func(t *testing.T) (testimages.Set, error) {
		return testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 2500, 4)
	},
	keep: 2,
}, {
	golden: "squeezenet",
	load:   func(t *testing.T) string { testenv.Asset(t, "squeezenet"); return "squeezenet" },
	images: someOfImageNet(300), keep: 16,
}, {
	golden: "efficientnet-lite0",
	load:   func(t *testing.T) string { testenv.Asset(t, "efficientnet-lite0"); return "efficientnet-lite0" },
	images: someOfImageNet(200), keep: 16,
}}

// someOfImageNet are the oracle's two photographs with LOUPE_HEAVY=1, the first of them otherwise.
func someOfImageNet(step int) func(t *testing.T) (testimages.Set, error) {
	return func(t *testing.T) (testimages.Set, error) {
		n := 1
		if testenv.IsHeavy() {
			n = 2
		}
		return testimages.ImageNet(testenv.SharedData(t, "imagenet-sample", "images.zip"), step, n)
	}
}

// open returns the model in double precision, the images, the oracle's file and the classes that it explained.
func (c oracleCase) open(t *testing.T, golden string) (*model.Model, *tensors.Tensor, *npz.Reader, []int) {
	t.Helper()
	set, err := c.images(t)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(c.load(t))
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Double(); err != nil {
		t.Fatal(err)
	}
	file, err := npz.Open("testdata/" + golden + ".npz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	var second []int64
	if err := file.Read("second.npy", &second); err != nil {
		t.Fatal(err)
	}
	classes := make([]int, len(set.Names))
	for i := range classes {
		classes[i] = int(second[i])
	}
	m.BatchSize = len(set.Names) // which costs no copies that fill up a batch
	x := tensors.FromFlatDataAndDimensions(set.Pixels, len(set.Names), set.Height, set.Width, 3)
	return m, x, file, classes
}

// everywhere is one rule for all layers.
func everywhere(r Rule) Composite { return Composite{Convolution: r, Dense: r} }

// The oracle is zennit on PyTorch, given the same pixels: bench/oracles/lrp.py.
func TestRulesAgreeWithZennit(t *testing.T) {
	unbiased := EpsilonPlus()
	unbiased.ZeroBias = true
	methods := []struct {
		name string
		Composite
		light bool // also without LOUPE_HEAVY=1
	}{
		{"epsilon_plus", EpsilonPlus(), false},
		{"epsilon_plus_flat", EpsilonPlusFlat(), true},
		{"epsilon_alpha2_beta1", EpsilonAlpha2Beta1(), false},
		{"epsilon_alpha2_beta1_flat", EpsilonAlpha2Beta1Flat(), false},
		{"epsilon_gamma_box", EpsilonGammaBox(), false},
		{"epsilon", everywhere(Epsilon{}), false},
		{"epsilon_quarter", everywhere(Epsilon{0.25}), false},
		{"gamma", everywhere(Gamma{}), false},
		{"zplus", everywhere(ZPlus{}), false},
		{"alpha3_beta2", everywhere(AlphaBeta{Alpha: 3, Beta: 2}), false},
		{"wsquare_first", Composite{Convolution: ZPlus{}, FirstConvolution: WSquare{}, FirstDense: WSquare{}}, false},
		{"flat", everywhere(Flat{}), false},
		{"wsquare", everywhere(WSquare{}), false},
		{"epsilon_plus_zero_bias", unbiased, false},
	}
	for _, c := range oracleCases {
		t.Run(c.golden, func(t *testing.T) {
			m, x, golden, classes := c.open(t, c.golden)
			for _, method := range methods {
				if c.golden == "efficientnet-lite0" && (method.name == "flat" || method.name == "wsquare") {
					continue // see the oracle
				}
				t.Run(method.name, func(t *testing.T) {
					if light := method.light || c.golden == "resnet20" &&
						(method.name == "epsilon_gamma_box" || method.name == "alpha3_beta2"); !light {
						testenv.Heavy(t)
					}
					a, err := LRP{method.Composite}.Attribute(m, x, classes)
					if err != nil {
						t.Fatal(err)
					}
					compare(t, golden, method.name, oracle.Every(a.Values, c.keep), len(classes))
				})
			}
		})
	}
}

// compare fails the test unless got, of a number of images, is the oracle's array of these but for a ten thousandth of
// its largest value.
func compare(t *testing.T, golden *npz.Reader, name string, got []float32, images int) {
	t.Helper()
	var want []float32
	if err := golden.Read(name+".npy", &want); err != nil {
		t.Fatal(err)
	}
	var second []int64
	if err := golden.Read("second.npy", &second); err != nil {
		t.Fatal(err)
	}
	want = want[:len(want)/len(second)*images]
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	if e := relativeError(got, want); !(e < 1e-4) {
		t.Errorf("%s differs from the oracle by %.2g of its largest value", name, e)
	} else {
		t.Logf("%s: relative error %.2g", name, e)
	}
}

// relativeError is the largest difference, as a share of the largest absolute value wanted where that is not 0.
func relativeError(got, want []float32) float64 {
	worst, largest := oracle.Difference(got, want)
	if largest == 0 {
		return worst
	}
	return worst / largest
}
