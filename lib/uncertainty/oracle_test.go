package uncertainty

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npy"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
)

// golden are the figures of bench/oracles/uncertainty.py.
type golden struct{ t *testing.T }

func (g golden) values(name string) []float64 {
	g.t.Helper()
	return oracle.Read[float64](g.t, "testdata/measures.npz", name)
}

func (g golden) value(name string) float64 {
	g.t.Helper()
	return g.values(name)[0]
}

func (g golden) logits() (*tensors.Tensor, []int) {
	g.t.Helper()
	flat := oracle.Read[float32](g.t, "testdata/measures.npz", "logits")
	var labels []int
	for _, label := range oracle.Read[int64](g.t, "testdata/measures.npz", "labels") {
		labels = append(labels, int(label))
	}
	return tensors.FromFlatDataAndDimensions(flat, len(labels), len(flat)/len(labels)), labels
}

func (g golden) near(what string, got, want, tolerance float64) {
	g.t.Helper()
	if !approx.Equal(got, want, tolerance) {
		g.t.Errorf("%s is %.9f, the oracle has %.9f", what, got, want)
	}
}

// Probabilities are kept in single precision, the oracles compute in double.
const tolerance = 1e-6

func TestMeasuresAgreeWithTheOracles(t *testing.T) {
	g := golden{t}
	p, err := FromLogits(g.logits())
	if err != nil {
		t.Fatal(err)
	}
	of := func(measure func(Binning) (float64, error), by Binning) float64 {
		t.Helper()
		v, err := measure(by)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	accuracy, iv := p.Accuracy().Share(), p.Accuracy().Interval()
	g.near("accuracy", accuracy, g.value("accuracy"), 1e-12)
	if !(iv.Low < accuracy && accuracy < iv.High) {
		t.Errorf("the accuracy %v lies outside of its interval %v", accuracy, iv)
	}
	g.near("ECE with 10 bins (netcal)", of(p.ExpectedCalibrationError, EqualWidth(10)), g.value("ece10"), tolerance)
	g.near("ECE with 15 bins (netcal)", of(p.ExpectedCalibrationError, EqualWidth(15)), g.value("ece15"), tolerance)
	if !(math.Abs(g.value("ece10")-g.value("ece15")) >= 1e-3) {
		t.Error("the data does not tell 10 bins from 15")
	}
	g.near("MCE with 10 bins (netcal)", of(p.MaximumCalibrationError, EqualWidth(10)), g.value("mce10"), tolerance)
	g.near("MCE with 15 bins (netcal)", of(p.MaximumCalibrationError, EqualWidth(15)), g.value("mce15"), tolerance)
	g.near("ECE with bins by quantiles", of(p.ExpectedCalibrationError, EqualMass(12)), g.value("ece_mass12"), tolerance)
	g.near("ECE with adaptive bins (uncertainty-metrics)", of(p.ExpectedCalibrationError, EqualMass(12)),
		g.value("ece_mass12_nixon"), tolerance)
	g.near("the same by size", of(p.ExpectedCalibrationError, Adaptive(50)), g.value("ece_mass12_nixon"), tolerance)
	g.near("static calibration error (uncertainty-metrics)", of(p.ClasswiseCalibrationError, EqualWidth(15)),
		g.value("sce15"), tolerance)
	g.near("adaptive calibration error (uncertainty-metrics)", of(p.ClasswiseCalibrationError, EqualMass(12)),
		g.value("ace12"), tolerance)
	released := of(p.RMSCalibrationError, Adaptive(100).WithoutLast())
	g.near("RMS calibration error as released", released, g.value("rms_released"), tolerance)
	if whole := of(p.RMSCalibrationError, Adaptive(100)); !(whole > released) {
		t.Errorf("the RMS calibration error with the last bin is %v, without it %v", whole, released)
	}
	g.near("mean calibration error as released", of(p.ExpectedCalibrationError, Adaptive(70).WithoutLast()),
		g.value("ece_released"), tolerance)
	g.near("AURRA", p.AURRA(), g.value("aurra"), tolerance)
	g.near("soft F1", p.SoftF1(), g.value("soft_f1"), tolerance)
	g.near("negative log-likelihood (scikit-learn)", p.NegativeLogLikelihood(), g.value("nll"), tolerance)
	g.near("Brier score (scikit-learn)", p.Brier(), g.value("brier"), tolerance)
	parts, want := p.BrierDecomposition(), g.values("brier_parts_released")
	g.near("uncertainty, less 1", parts.Uncertainty-1, want[0], tolerance)
	g.near("resolution as released", parts.ReleasedResolution, want[1], tolerance)
	g.near("reliability", parts.Reliability, want[2], tolerance)
	entropy := p.Entropy()
	for i, want := range g.values("entropy") {
		g.near("an entropy", entropy[i], want, 1e-5)
	}
	kept, err := p.AccuracyAtConfidence(0, 0.5, 0.9)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range g.values("kept") {
		k := kept[i/2]
		g.near("accuracy at confidence", []float64{float64(k.Accuracy.Total), k.Accuracy.Share()}[i%2], want, 1e-12)
	}
}

func TestTemperatureAgreesWithSciPy(t *testing.T) {
	g := golden{t}
	logits, labels := g.logits()
	temperature, err := FitTemperature(logits, labels)
	if err != nil {
		t.Fatal(err)
	}
	g.near("temperature", temperature, g.value("temperature"), 1e-5)
	g.near("temperature by bisection, as released", temperature, g.value("temperature_released"), 1e-3)
}

// The probabilities that came with "Pervasive label errors": half precision, so that many are equal.
func TestMeasuresOfRealPredictions(t *testing.T) {
	g := golden{t}
	for _, name := range []string{"mnist", "cifar10"} {
		probabilities, labels := labelErrors(t, name)
		p, err := FromProbabilities(probabilities, labels)
		if err != nil {
			t.Fatal(err)
		}
		want := g.values(name)
		ece, err := p.ExpectedCalibrationError(EqualWidth(15))
		if err != nil {
			t.Fatal(err)
		}
		sce, err := p.ClasswiseCalibrationError(EqualWidth(15))
		if err != nil {
			t.Fatal(err)
		}
		parts := p.BrierDecomposition()
		got := []float64{ece, sce, p.Brier(), parts.Uncertainty - 1, parts.ReleasedResolution, parts.Reliability, p.SoftF1()}
		for i, what := range []string{"ECE", "SCE", "Brier", "uncertainty", "resolution", "reliability", "soft F1"} {
			g.near(name+": "+what, got[i], want[i], 2e-6)
		}
	}
}

func labelErrors(t *testing.T, name string) (*tensors.Tensor, []int) {
	t.Helper()
	read := func(path string, to any) {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := npy.Read(f, to); err != nil {
			t.Fatal(path, err)
		}
	}
	folder := testenv.SharedData(t, "label-errors")
	var labels []uint16
	read(folder+"/original_test_labels/"+name+"_test_set_original_labels.npy", &labels)
	var p []float64
	read(folder+"/cross_validated_predicted_probabilities/"+name+"_test_set_pyx.npy", &p)
	flat := make([]float32, len(p))
	for i, v := range p {
		flat[i] = float32(v)
	}
	given := make([]int, len(labels))
	for i, v := range labels {
		given[i] = int(v)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(given), len(flat)/len(given)), given
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	matrix := func(values ...float32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, len(values)/2, 2)
	}
	nan := float32(math.NaN())
	temperature := func(logits *tensors.Tensor, labels ...int) error {
		_, err := FitTemperature(logits, labels)
		return err
	}
	probabilities := func(p *tensors.Tensor, labels ...int) error { _, err := FromProbabilities(p, labels); return err }
	scores := func(p *tensors.Tensor, labels ...int) error { _, err := FromLogits(p, labels); return err }
	fine, err := FromProbabilities(matrix(0.5, 0.5), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	_, noBins := fine.ExpectedCalibrationError(EqualWidth(0))
	_, threshold := fine.AccuracyAtConfidence(1.5)
	for _, c := range []struct {
		err  error
		want string
	}{
		{probabilities(matrix(0.5, 0.5), 0, 1), "1 images and 2 labels"},
		{probabilities(matrix(0.5, 0.5), 2), "label 2: the classes are 0 to 1"},
		{probabilities(matrix(0.5, 0.5), -1), "label -1"},
		{probabilities(matrix(0.5, 0.2), 0), "sum to 0.700"},
		{probabilities(matrix(3, -2), 0), "FromLogits"},
		{probabilities(matrix(nan, 1), 0), "NaN"},
		{scores(matrix(nan, 1), 0), "image 0: the logit of class 0 is NaN"},
		{scores(nil, 0), "[N, K] float32"},
		{temperature(matrix(1, 0, 2, 1), 0, 0), "every label has the highest logit"},
		{temperature(matrix(1, 0, 2, 1), 1, 1), "Are the labels those of the images?"},
		{noBins, "at least 1"},
		{threshold, "between 0 and 1"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !strings.HasPrefix(c.err.Error(), "uncertainty: ") {
			t.Errorf("the error is %v, want one that says %q", c.err, c.want)
		}
	}
}

// Where all images of one prediction have the same probabilities, the parts sum to the score.
func TestBrierDecompositionIsExactForFewPredictions(t *testing.T) {
	rows := [][]float32{{0.7, 0.2, 0.1}, {0.1, 0.6, 0.3}, {0.25, 0.25, 0.5}}
	var flat []float32
	var labels []int
	for i := range 60 {
		flat = append(flat, rows[i%3]...)
		labels = append(labels, (i*i+i/7)%3)
	}
	p, err := FromProbabilities(tensors.FromFlatDataAndDimensions(flat, 60, 3), labels)
	if err != nil {
		t.Fatal(err)
	}
	parts := p.BrierDecomposition()
	if sum := parts.Uncertainty - parts.Resolution + parts.Reliability; !approx.Equal(sum, p.Brier(), 1e-6) ||
		!(parts.Resolution >= 1e-3) {
		t.Errorf("%+v sum to %v, the score is %v", parts, sum, p.Brier())
	}
}
