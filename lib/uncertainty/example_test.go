package uncertainty_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// predictions are of ten images of two classes: the network is 80% sure of each, and right about six.
func predictions() *uncertainty.Predictions {
	var flat []float32
	labels := make([]int, 10)
	for i := range labels {
		flat = append(flat, 0.8, 0.2)
		labels[i] = i / 6
	}
	return must(uncertainty.FromProbabilities(tensors.FromFlatDataAndDimensions(flat, 10, 2), labels))
}

func ExampleFromProbabilities() {
	p := predictions()
	fmt.Println(p.Accuracy())
	fmt.Printf("%.2f\n", must(p.ExpectedCalibrationError(uncertainty.EqualWidth(15)))) // 0.8 sure and 0.6 right
	// Output:
	// 60.0% (26.2 to 87.8%), 6 of 10
	// 0.20
}

func ExampleOf() {
	p := must(uncertainty.Of(yours.Network(), yours.Photos(20)))
	fmt.Println(p.Accuracy())
	// Output: 100.0% (83.2 to 100.0%), 20 of 20
}

func ExampleFromAnswers() {
	answers := must(yours.Network().Answers(yours.Photos(20))) // asked once, and taken by labels, ood and others too
	fmt.Println(must(uncertainty.FromAnswers(answers)).Len(), "images")
	// Output: 20 images
}

func ExampleEqualWidth() {
	fmt.Printf("%.2f\n", must(predictions().ExpectedCalibrationError(uncertainty.EqualWidth(10))))
	// Output: 0.20
}

func ExamplePredictions_AccuracyAtConfidence() {
	for _, at := range must(predictions().AccuracyAtConfidence(0, 0.5, 0.9)) {
		fmt.Println(at.Threshold, at.Accuracy.Total)
	}
	// Output:
	// 0 10
	// 0.5 10
	// 0.9 0
}

func ExampleTemperatureScaled() {
	photos := yours.Photos(40)
	given := photos.Labels()
	given[3], given[8] = 0, 1 // of two photos the label is wrong, so that it must not be too sure
	held := must(data.FromTensor(must(photos.All()), given, photos.Classes()))
	calibrated := must(uncertainty.TemperatureScaled(yours.Network(), held)) // held is what it has not learnt from
	fmt.Println(calibrated.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleFitTemperature() {
	logits := tensors.FromFlatDataAndDimensions([]float32{4, 0, 4, 0, 4, 0, 4, 0}, 4, 2)
	t := must(uncertainty.FitTemperature(logits, []int{0, 0, 0, 1})) // 98% sure, and right about three of four
	fmt.Printf("%.2f\n", t)                                          // 4/T is then the logit of 3/4, log 3
	// Output: 3.64
}

func ExampleFitHistogramBinning() {
	by := must(uncertainty.FitHistogramBinning(predictions(), uncertainty.EqualWidth(10)))
	after := must(by.Apply(tensors.FromFlatDataAndDimensions([]float32{0.8, 0.2}, 1, 2)))
	fmt.Println(after.Shape().Dimensions)
	// Output: [1 2]
}

func ExampleFitIsotonicRegression() {
	by := must(uncertainty.FitIsotonicRegression(predictions()))
	after := must(by.Apply(tensors.FromFlatDataAndDimensions([]float32{0.8, 0.2}, 1, 2)))
	fmt.Println(after.Shape().Dimensions)
	// Output: [1 2]
}

// How sure methods are of photos as they are and when they are turned.
func ExampleBenchmark() {
	photos := yours.Photos(20)
	turned := must(uncertainty.Rotations(photos, 90))
	methods := uncertainty.Methods{}
	methods.Add("balance", yours.Network())
	found := must(uncertainty.Benchmark{Data: photos, Shifts: turned}.Of(methods...))
	fmt.Println(must(found.Of(uncertainty.AccuracyShare, "balance", 0)))
	// Output: [1]
}

func ExampleRotations() {
	fmt.Println(len(must(uncertainty.Rotations(yours.Photos(4), 45, 90))), "shifts")
	// Output: 2 shifts
}

func ExampleTranslations() {
	fmt.Println(len(must(uncertainty.Translations(yours.Photos(4), 1, 2))), "shifts")
	// Output: 2 shifts
}

func ExampleByConfidence() {
	var by uncertainty.ByConfidence
	by.Add("the network", predictions())
	fmt.Println(len(must(by.Table()).Rows) > 0)
	// Output: true
}

func ExampleRMSCalibration() {
	measure := uncertainty.RMSCalibration(10) // in bins of ten images
	fmt.Printf("%.2f\n", must(measure.Of(predictions())))
	// Output: 0.20
}

func ExampleCorruptions() {
	contrast := must(perturb.CorruptionNamed("contrast"))
	fmt.Println(len(must(uncertainty.Corruptions(yours.Photos(4), []int{1, 3, 5}, 1, contrast))), "shifts")
	// Output: 3 shifts
}
