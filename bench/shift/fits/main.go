// Command fits has loupe fit heads and temperatures for bench/shift/fits.py.
//
//	fits logistic X.npy Y.npy OTHERS.npy OTHERS_Y.npy CLASSES LAMBDA...   a fit, or for several λ the choice among them
//	fits calibration LOGITS.npy Y.npy                                     errors of calibration and the temperature
//
// It prints a JSON object: what is found, and for each piece of work its seconds by the clock and of the processors,
// and the most memory so far in MB.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/uncertainty"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fits:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var found map[string]any
	var err error
	switch {
	case len(args) > 6 && args[0] == "logistic":
		found, err = logistic(args[1:5], args[5:])
	case len(args) == 3 && args[0] == "calibration":
		found, err = calibration(args[1], args[2])
	default:
		err = fmt.Errorf("%q is not understood", args)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func logistic(files, numbers []string) (map[string]any, error) {
	x, y, err := read(files[0], files[1])
	if err != nil {
		return nil, err
	}
	others, otherY, err := read(files[2], files[3])
	if err != nil {
		return nil, err
	}
	classes, err := strconv.Atoi(numbers[0])
	if err != nil {
		return nil, err
	}
	var lambdas []float64
	for _, text := range numbers[1:] {
		lambda, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		lambdas = append(lambdas, lambda)
	}
	// One iteration each is as good as none, but everything has been compiled after it.
	short := learn.LogisticRegression{Iterations: 1}
	compiled, _, err := timed(func() error {
		_, err := short.Choose(x, y, classes, others, otherY, lambdas[:min(len(lambdas), 5)])
		return err
	})
	if err != nil {
		return nil, err
	}
	again, _, err := timed(func() error {
		_, err := short.Choose(x, y, classes, others, otherY, lambdas[:min(len(lambdas), 5)])
		return err
	})
	if err != nil {
		return nil, err
	}
	var chosen []learn.LambdaScore
	clock, busy, err := timed(func() (err error) {
		chosen, err = learn.LogisticRegression{}.Choose(x, y, classes, others, otherY, lambdas)
		return err
	})
	if err != nil {
		return nil, err
	}
	var objectives, accuracies []float64
	iterations := 0
	for _, c := range chosen {
		objectives, accuracies, iterations = append(objectives, c.Objective), append(accuracies, c.Accuracy.Share()),
			iterations+c.Iterations
	}
	return map[string]any{"compile": compiled - again, "clock": clock, "busy": busy, "memory": usage.Memory(),
		"objectives": objectives, "accuracies": accuracies, "iterations": iterations}, nil
}

func calibration(logits, labels string) (map[string]any, error) {
	z, y, err := read(logits, labels)
	if err != nil {
		return nil, err
	}
	found := map[string]any{}
	work := func(name string, do func() (float64, error)) error {
		var value float64
		clock, busy, err := timed(func() (err error) {
			value, err = do()
			return err
		})
		found[name] = []float64{clock, busy, value}
		return err
	}
	p, err := uncertainty.FromLogits(z, y)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		do   func() (float64, error)
	}{
		{"predictions", func() (float64, error) {
			_, err := uncertainty.FromLogits(z, y)
			return 0, err
		}},
		{"width", func() (float64, error) { return p.ExpectedCalibrationError(uncertainty.EqualWidth(15)) }},
		{"mass", func() (float64, error) { return p.ExpectedCalibrationError(uncertainty.EqualMass(15)) }},
		{"temperature", func() (float64, error) { return uncertainty.FitTemperature(z, y) }},
	} {
		if err := work(f.name, f.do); err != nil {
			return nil, err
		}
	}
	found["memory"] = usage.Memory()
	return found, nil
}

func read(values, labels string) (*tensors.Tensor, []int, error) {
	f, err := os.Open(values)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r, err := npyio.NewReader(f) // which leaves the file where the values begin
	if err != nil {
		return nil, nil, err
	}
	x := tensors.FromShape(shapes.Make(dtypes.Float32, r.Header.Descr.Shape...))
	var short error
	if err := x.MutableBytes(func(data []byte) { _, short = io.ReadFull(f, data) }); err != nil || short != nil {
		return nil, nil, errors.Join(err, short)
	}
	g, err := os.Open(labels)
	if err != nil {
		return nil, nil, err
	}
	defer g.Close()
	var wide []int64
	if err := npyio.Read(g, &wide); err != nil {
		return nil, nil, err
	}
	y := make([]int, len(wide))
	for i, label := range wide {
		y[i] = int(label)
	}
	return x, y, nil
}

// timed returns the seconds that work takes, by the clock and of the processors.
func timed(do func() error) (clock, busy float64, err error) {
	start, before := time.Now(), usage.Processors()
	err = do()
	return time.Since(start).Seconds(), usage.Processors() - before, err
}
