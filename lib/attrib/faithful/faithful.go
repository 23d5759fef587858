// Package faithful tests whether a method of attribution says what the network does, on any method and any model:
//
//   - [Insertion] and [Deletion] show the network an image's pixels in the order of its heatmap, and take them away in
//     that order. Petsiuk, Das and Saenko, "RISE", BMVC 2018: the insertion and deletion metrics.
//   - [Randomisation] asks whether a method's heatmaps change when the network forgets what it has learnt. Adebayo et
//     al., "Sanity Checks for Saliency Maps", NeurIPS 2018: the model parameter randomisation test.
//   - [Infidelity] compares what the values say a perturbation does with what it does, and [Sensitivity] asks how far
//     they change where the image hardly does. Yeh et al., "On the (In)fidelity and Sensitivity of Explanations",
//     NeurIPS 2019.
//
// [Tests] compares methods by insertion and deletion, beside a random ranking. What is small or large in a test is so
// only beside that of another method or of chance: none of the numbers says by itself that a heatmap is right.
package faithful

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// attribute explains images by a method and checks what it gives. Interrupted, it returns nothing.
func attribute(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*attrib.Attribution,
	error) {
	if method == nil {
		return nil, fmt.Errorf("faithful: there is no method to test: it is nil")
	}
	a, err := method.Attribute(m, images, classes)
	if err != nil {
		return nil, err
	}
	return a, check(m, images, a)
}

// check looks at an attribution of images: that its values are numbers, and of them.
func check(m *model.Model, images *tensors.Tensor, a *attrib.Attribution) error {
	if a == nil || a.Values == nil {
		return fmt.Errorf("faithful: there is no attribution: it is nil or empty")
	}
	if _, err := m.TargetClasses(images, a.Classes); err != nil {
		return err
	}
	d, of := images.Shape().Dimensions, a.Values.Shape()
	if v := of.Dimensions; of.DType != dtypes.Float32 || len(v) != 4 || !slices.Equal(v[:3], d[:3]) || v[3] != 1 &&
		v[3] != d[3] {
		return fmt.Errorf("faithful: %s has the values %s, and for images %v they are %v float32, or with one channel",
			a.Method, of, d, d)
	}
	if len(a.Classes) != d[0] {
		return fmt.Errorf("faithful: %s has the classes of %d images, and there are %d", a.Method, len(a.Classes), d[0])
	}
	values, err := tensors.CopyFlatData[float32](a.Values)
	if err != nil {
		return fmt.Errorf("faithful: %w", err)
	}
	for i, v := range values {
		if v-v != 0 { // no finite number
			at := i / of.Dimensions[3]
			image, row, column := at/(d[1]*d[2]), at/d[2]%d[1], at%d[2]
			return fmt.Errorf("faithful: %s gives %v at image %d, row %d, column %d", a.Method, v, image, row, column)
		}
	}
	return nil
}

// names are those of the methods, numbered where there are two of a name.
func names(methods []attrib.Method, taken ...string) ([]string, error) {
	out := slices.Clone(taken)
	for i, method := range methods {
		if method == nil {
			return nil, fmt.Errorf("faithful: method %d of %d is nil", i+1, len(methods))
		}
		name := method.Name()
		for n := 2; slices.Contains(out, name); n++ {
			name = fmt.Sprintf("%s (%d)", method.Name(), n)
		}
		out = append(out, name)
	}
	return out[len(taken):], nil
}

// className is what the class of an image is called.
func className(names []string, classes []int, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprint("class ", classes[i])
}

// known are the values that are numbers.
func known(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}

// mean is the mean of the values that are numbers, with Student's 95% interval.
func mean(values []float64) (float64, stats.Interval, error) {
	return stats.MeanInterval(known(values), 0.05)
}

// estimate is the mean of the values that are numbers, with Student's 95% interval where there are two or more; NaN is
// what there is not.
func estimate(values []float64) table.Estimate {
	values = known(values)
	if mean, iv, err := stats.MeanInterval(values, 0.05); err == nil {
		return table.Estimate{Value: mean, Low: iv.Low, High: iv.High}
	}
	alone := table.Estimate{Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
	if len(values) == 1 {
		alone.Value = values[0]
	}
	return alone
}

// add puts the mean of values at x on a line, with its interval as the band, which is none of one value. Where no value
// is a number the line has a gap.
func add(s *display.Series, x float64, values []float64) {
	e := estimate(values)
	if math.IsNaN(e.Value) {
		return
	}
	if math.IsNaN(e.Low) {
		e.Low, e.High = e.Value, e.Value
	}
	s.X, s.Y, s.Low, s.High = append(s.X, x), append(s.Y, e.Value), append(s.Low, e.Low), append(s.High, e.High)
}

// finite is an error that names the first value which is no finite number.
func finite(what string, values []float32) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("faithful: %s has %v at %d", what, v, i)
		}
	}
	return nil
}
