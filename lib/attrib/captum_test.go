package attrib

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is captum on PyTorch, given the same pixels: bench/oracles/attributions.py.
func TestMethodsAgreeWithCaptum(t *testing.T) {
	imageNet := func(t *testing.T) (testimages.Set, error) {
		return testimages.ImageNet(testenv.SharedData(t, "imagenet-sample", "images.zip"), 200, 2)
	}
	for _, c := range []struct {
		golden         string
		load           func(t *testing.T) string
		images         func(t *testing.T) (testimages.Set, error)
		layer          string
		window, stride int
		steps, keep    int
		heavy          bool // all but two methods only with LOUPE_HEAVY=1
	}{{
		golden: "resnet20",
		load:   func(t *testing.T) string { return testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors") },
		images: func(t *testing.T) (testimages.Set, error) {
			return testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 2500, 4)
		},
		layer: "layer3", window: 8, stride: 3, steps: 50, keep: 1,
	}, {
		golden: "squeezenet",
		load:   func(t *testing.T) string { testenv.Asset(t, "squeezenet"); return "squeezenet" },
		images: imageNet, layer: "fire9", window: 64, stride: 40, steps: 8, keep: 4, heavy: true,
	}, {
		golden: "efficientnet-lite0",
		load:   func(t *testing.T) string { testenv.Asset(t, "efficientnet-lite0"); return "efficientnet-lite0" },
		images: imageNet, layer: "_blocks.14", window: 64, stride: 40, steps: 8, keep: 4, heavy: true,
	}} {
		t.Run(c.golden, func(t *testing.T) {
			set, err := c.images(t)
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.Load(c.load(t))
			if err != nil {
				t.Fatal(err)
			}
			// In single precision two correct programs differ where a gradient jumps; see the model's Double.
			if m, err = m.Double(); err != nil {
				t.Fatal(err)
			}
			golden, err := npz.Open("testdata/" + c.golden + ".npz")
			if err != nil {
				t.Fatal(err)
			}
			defer golden.Close()
			var second []int64
			if err := golden.Read("second.npy", &second); err != nil {
				t.Fatal(err)
			}
			classes := make([]int, len(second))
			for i, s := range second {
				classes[i] = int(s)
			}
			all := len(set.Names)
			m.BatchSize = all // which costs no copies that fill up a batch
			grey := mask.Constant(0.5)
			for _, method := range []struct {
				name string
				Method
			}{
				{"gradient", Gradient{}},
				{"saliency", Gradient{Abs: true}},
				{"input_x_gradient", InputXGradient{}},
				{"integrated_gradients", IntegratedGradients{Steps: c.steps}},
				{"integrated_gradients_riemann", IntegratedGradients{Steps: c.steps, Riemann: true}},
				{"smoothgrad", SmoothGrad{Noise: oracle.Sines(1.5, 0, 4, set.Height, set.Width, 3)}},
				{"gradcam", GradCAM{Layer: c.layer}},
				{"gradcam_signed", GradCAM{Layer: c.layer, Signed: true}},
				{"occlusion", Occlusion{Window: c.window, Stride: c.stride, Fill: grey}},
			} {
				t.Run(method.name, func(t *testing.T) {
					if c.heavy && method.name != "gradient" && method.name != "gradcam" {
						testenv.Heavy(t)
					}
					n := all
					if c.heavy && !testenv.IsHeavy() {
						n = 1 // of the oracle's
					}
					x := tensors.FromFlatDataAndDimensions(set.Pixels[:len(set.Pixels)/all*n], n, set.Height, set.Width, 3)
					a, err := method.Attribute(m, x, classes[:n])
					if err != nil {
						t.Fatal(err)
					}
					var want []float32
					if err := golden.Read(method.name+".npy", &want); err != nil {
						t.Fatal(err)
					}
					if e := relativeError(oracle.Every(a.Values, c.keep), want[:len(want)/all*n]); !(e < 1e-4) {
						t.Errorf("it differs from captum by %.2g of its largest value", e)
					} else {
						t.Logf("relative error %.2g", e)
					}
					if !strings.HasPrefix(method.name, "integrated") {
						return
					}
					var delta []float64
					if err := golden.Read(method.name+"_delta.npy", &delta); err != nil {
						t.Fatal(err)
					}
					if len(a.Delta) != n || len(delta) != all {
						t.Fatalf("%d deltas, want %d of the oracle's %d", len(a.Delta), n, len(delta))
					}
					for i, d := range a.Delta {
						if !approx.Equal(d, delta[i], 1e-3*max(1, math.Abs(delta[i]))) {
							t.Errorf("delta of image %d is %g, captum's %g", i, d, delta[i])
						}
					}
				})
			}
		})
	}
}

// relativeError is the largest difference, as a share of the largest absolute value wanted.
func relativeError(got, want []float32) float64 {
	worst, largest := oracle.Difference(got, want)
	return worst / largest
}
