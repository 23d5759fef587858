package model

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
)

// golden reads an array of a file in testdata.
func golden[T float32 | float64 | int64](t *testing.T, file, array string) []T {
	t.Helper()
	return oracle.Read[T](t, "testdata/"+file, array)
}

// worst is the largest difference in a row, as a share of the row's largest absolute value.
func worst(t *testing.T, got, want []float32, row int) float64 {
	t.Helper()
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	var all float64
	for r := 0; r < len(want); r += row {
		var difference, largest float64
		for i := r; i < r+row; i++ {
			d := math.Abs(float64(got[i]) - float64(want[i]))
			if math.IsNaN(d) {
				return math.NaN()
			}
			difference, largest = max(difference, d), max(largest, math.Abs(float64(want[i])))
		}
		all = max(all, difference/largest)
	}
	return all
}

func imageTensor(s testimages.Set) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(s.Pixels, len(s.Names), s.Height, s.Width, 3)
}

func agreement(predicted []int, labels []int) float64 {
	right := 0
	for i := range labels {
		if predicted[i] == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

func mustLoad(t *testing.T, name string) *Model {
	t.Helper()
	m, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// every says which of an oracle's images are compared: with LOUPE_HEAVY=1 all.
func every(step int) int {
	if testenv.IsHeavy() {
		return 1
	}
	return step
}

// rowsOf returns the rows of an oracle's array that belong to every step-th image.
func rowsOf[T any](all []T, row, step int) []T {
	var kept []T
	for i := 0; i < len(all); i += row * step {
		kept = append(kept, all[i:i+row]...)
	}
	return kept
}

// The oracles are the package efficientnet-lite-pytorch, and torchvision's SqueezeNet with the same weights, on the
// same 500 photographs: bench/oracles/logits.py.
func TestImageNetLogitsAgreeWithPyTorch(t *testing.T) {
	archive := testenv.SharedData(t, "imagenet-sample", "images.zip")
	for _, name := range []string{"efficientnet-lite0", "squeezenet"} {
		t.Run(name, func(t *testing.T) {
			testenv.Asset(t, name)
			step := every(5)
			set, err := testimages.ImageNet(archive, step, 500/step)
			if err != nil {
				t.Fatal(err)
			}
			m := mustLoad(t, name)
			logits, err := m.Logits(imageTensor(set))
			if err != nil {
				t.Fatal(err)
			}
			got, want := tensors.MustCopyFlatData[float32](logits), rowsOf(golden[float32](t, name+".npz", "logits"), 1000, step)
			if e := worst(t, got, want, 1000); !(e < 1e-3) {
				t.Errorf("logits differ by %.2g of an image's largest", e)
			} else {
				t.Logf("logits differ by at most %.2g of an image's largest", e)
			}
			ours, theirs := agreement(classes(got), set.Labels), agreement(classes(want), set.Labels)
			t.Logf("top-1 %.1f%%, the oracle's %.1f%%", 100*ours, 100*theirs)
			if !approx.Equal(ours, theirs, 0.002) {
				t.Errorf("top-1 is %.1f%%, the oracle's %.1f%%", 100*ours, 100*theirs)
			}
		})
	}
}

// classes are the best of a thousand.
func classes(logits []float32) []int {
	best := make([]int, len(logits)/1000)
	for i := range best {
		row := logits[i*1000 : (i+1)*1000]
		for c, v := range row {
			if v > row[best[i]] {
				best[i] = c
			}
		}
	}
	return best
}

// The checkpoint's accuracy on these images is known, 81.0%, and PyTorch's predictions on the same pixels are
// in testdata: bench/oracles/logits.py.
func TestCIFARResNet20HasItsAccuracy(t *testing.T) {
	archive := testenv.SharedData(t, "cifar10-jpeg", "test.zip")
	m := mustLoad(t, testenv.SharedData(t, "cifar-resnets", "resnet20-12fca82f.th"))
	step, tolerance := every(5), 0.003
	if step > 1 {
		tolerance = 0.026 // three standard errors of a share of 2,000
	}
	set, err := testimages.CIFAR10(archive, step, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Names) != 10000/step {
		t.Fatalf("%d images", len(set.Names))
	}
	logits, err := m.Logits(imageTensor(set))
	if err != nil {
		t.Fatal(err)
	}
	flat := tensors.MustCopyFlatData[float32](logits)
	var every50th []float32
	predicted := make([]int, len(set.Names))
	for i := range predicted {
		row := flat[10*i : 10*i+10]
		for c, v := range row {
			if v > row[predicted[i]] {
				predicted[i] = c
			}
		}
		if i*step%50 == 0 {
			every50th = append(every50th, row...)
		}
	}
	accuracy := agreement(predicted, set.Labels)
	t.Logf("accuracy %.2f%%", 100*accuracy)
	if !approx.Equal(accuracy, 0.81, tolerance) {
		t.Errorf("accuracy is %.2f%%, want 81.0%%", 100*accuracy)
	}
	if e := worst(t, every50th, golden[float32](t, "resnet20.npz", "logits"), 10); !(e < 1e-3) {
		t.Errorf("logits differ from PyTorch's by %.2g of an image's largest", e)
	}
	differ := 0
	for i, p := range rowsOf(golden[int64](t, "resnet20.npz", "predicted"), 1, step) {
		if int(p) != predicted[i] {
			differ++
		}
	}
	if differ > 2 {
		t.Errorf("%d of %d predictions differ from PyTorch's", differ, len(predicted))
	}
}

// The .th checkpoints and the .safetensors files hold the same weights.
func TestCheckpointFormatsHoldTheSameNetwork(t *testing.T) {
	set, err := testimages.CIFAR10(testenv.SharedData(t, "cifar10-jpeg", "test.zip"), 1000, 10)
	if err != nil {
		t.Fatal(err)
	}
	x := imageTensor(set)
	for _, pair := range [][2]string{
		{"resnet20-12fca82f.th", "resnet20.safetensors"},
		{"resnet32-d509ac18.th", "resnet32.safetensors"},
		{"resnet44-014dd654.th", "resnet44.safetensors"},
	} {
		var logits [2][]float32
		for i, file := range pair {
			m := mustLoad(t, testenv.SharedData(t, "cifar-resnets", file))
			if want := "cifar-" + file[:8]; m.Name() != want {
				t.Errorf("%s is %s, want %s", file, m.Name(), want)
			}
			l, err := m.Logits(x)
			if err != nil {
				t.Fatal(err)
			}
			logits[i] = tensors.MustCopyFlatData[float32](l)
		}
		if e := worst(t, logits[0], logits[1], 10); e != 0 {
			t.Errorf("%v differ by %g", pair, e)
		}
	}
}

// The oracle is onnxruntime on the same file and pixels: bench/oracles/logits.py.
func TestViTAgreesWithONNXRuntime(t *testing.T) {
	testenv.Asset(t, "vit-focus")
	set, err := testimages.ImageNet(testenv.SharedData(t, "imagenet-sample", "images.zip"), 200, 2)
	if err != nil {
		t.Fatal(err)
	}
	m := mustLoad(t, "vit-focus")
	output, err := m.Output(imageTensor(set))
	if err != nil {
		t.Fatal(err)
	}
	e := worst(t, tensors.MustCopyFlatData[float32](output), golden[float32](t, "vit-focus.npz", "output"), 224*224)
	if !(e < 1e-3) {
		t.Errorf("the maps differ by %.2g of the largest value", e)
	} else {
		t.Logf("the maps differ by at most %.2g of the largest value", e)
	}
}

// The oracle is onnxruntime: bench/oracles/onnx_autopad.py.
func TestAutomaticPaddingAgreesWithONNXRuntime(t *testing.T) {
	m := mustLoad(t, "testdata/autopad.onnx")
	x := tensors.FromFlatDataAndDimensions(golden[float32](t, "autopad.npz", "x"), 3, 15, 17, 3)
	for _, value := range []string{"logits", "probabilities", "c1", "r3"} {
		var got *tensors.Tensor
		var err error
		switch value {
		case "logits":
			got, err = m.Logits(x)
		case "probabilities":
			got, err = m.Probabilities(x)
		default:
			got, err = m.Activations(value, x)
		}
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.MustCopyFlatData[float32](got)
		if e := worst(t, flat, golden[float32](t, "autopad.npz", value), len(flat)/3); !(e < 1e-5) {
			t.Errorf("%s differs by %.2g of its largest value", value, e)
		}
	}
}
