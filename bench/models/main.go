// Command models times an imported network; bench/models/compare.py calls it and compares.
//
//	go run ./bench/models NET.onnx BATCH RUNS OUT.npz
//
// The images are numbers in 0..1 made of their places, as compare.py makes them. It prints a line for each of "load",
// "forward" and "gradient", the gradient of the sum of the first logits by the images: the seconds by the clock and of
// processors of each of RUNS runs, the first of which compiles. OUT.npz gets the logits and the gradient.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "models:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: models NET.onnx BATCH RUNS OUT.npz")
	}
	batch, err := strconv.Atoi(args[1])
	if err != nil || batch < 1 {
		return fmt.Errorf("a batch of %q", args[1])
	}
	runs, err := strconv.Atoi(args[2])
	if err != nil || runs < 1 {
		return fmt.Errorf("%q runs", args[2])
	}
	var m *model.Model
	if err := timed("load", 1, func() (err error) {
		m,
			err = model.Load(args[0], model.Unnormalized)
		return err
	}); err != nil {
		return err
	}
	m.BatchSize = batch
	spec := m.Spec()
	pixels := make([]float32, batch*spec.Height*spec.Width*spec.Channels)
	for i, u := range oracle.Hashed("images", len(pixels)) {
		pixels[i] = float32(u)
	}
	images := tensors.FromFlatDataAndDimensions(pixels, batch, spec.Height, spec.Width, spec.Channels)
	var logits, gradient []float32
	err = timed("forward", runs, func() error {
		out, err := m.Logits(images)
		if err == nil {
			logits, err = tensors.CopyFlatData[float32](out)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = timed("gradient", runs, func() error {
		a, err := attrib.Gradient{}.Attribute(m, images, []int{0})
		if err == nil {
			gradient, err = tensors.CopyFlatData[float32](a.Values)
		}
		return err
	})
	if err != nil {
		return err
	}
	out, err := npz.Create(args[3])
	if err != nil {
		return err
	}
	if err := out.Write("logits", logits); err != nil {
		return err
	}
	if err := out.Write("gradient", gradient); err != nil {
		return err
	}
	return out.Close()
}

// timed prints what each of some runs takes.
func timed(name string, runs int, f func() error) error {
	fmt.Print(name)
	for range runs {
		start, used := time.Now(), usage.Processors()
		if err := f(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf(" %.4f/%.4f", time.Since(start).Seconds(), usage.Processors()-used)
	}
	fmt.Println()
	return nil
}
