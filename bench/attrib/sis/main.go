// Command sis measures a CIFAR-10 network on what batched gradient SIS leaves of test images, or times the method.
//
//	go run ./bench/attrib/sis evaluate TEST.zip WEIGHTS.safetensors IMAGES K
//	go run ./bench/attrib/sis time     TEST.zip WEIGHTS.safetensors IMAGES K
//
// IMAGES of the archive's 10,000 are taken, evenly spaced over the classes. time prints the seconds of the first run, which
// compiles, and of the second; bench/attrib/sis.py calls it.
package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/attrib/internal/program"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func main() { program.Run("sis evaluate|time TEST.zip WEIGHTS.safetensors IMAGES K", 5, run) }

func run(args []string) error {
	images, set, err := program.CIFAR10(args[1], args[3])
	if err != nil {
		return err
	}
	k, err := strconv.Atoi(args[4])
	if err != nil {
		return fmt.Errorf("sis: k is %q", args[4])
	}
	m, err := model.Load(args[2])
	if err != nil {
		return err
	}
	method := mask.BatchedGradientSIS{K: k}
	start := time.Now()
	ordering, err := method.BackSelect(m, images)
	if err != nil {
		return err
	}
	first := time.Since(start)
	if args[0] == "time" {
		start = time.Now()
		if _, err := method.BackSelect(m, images); err != nil {
			return err
		}
		fmt.Printf("%.3f %.3f\n", first.Seconds(), time.Since(start).Seconds())
		return nil
	}
	labels := set.Labels
	fmt.Printf("%s, %d images, k = %d, %.0f s\n", m.Name(), len(labels), k, first.Seconds())
	whole, err := mask.Evaluate(m, images, labels, ordering.Classes)
	if err != nil {
		return err
	}
	fmt.Println("whole images:     ", whole)
	for _, fraction := range []float64{0.05, 0.1} {
		kept, err := ordering.Last(fraction)
		if err != nil {
			return err
		}
		random, err := mask.Random(len(labels), set.Height, set.Width, fraction, 1)
		if err != nil {
			return err
		}
		for _, subset := range []struct {
			name string
			kept *tensors.Tensor
		}{{"own", kept}, {"random", random}} {
			masked, err := mask.Keep(images, subset.kept, ordering.Filler, 0)
			if err != nil {
				return err
			}
			score, err := mask.Evaluate(m, masked, labels, ordering.Classes)
			if err != nil {
				return err
			}
			fmt.Printf("%2.0f%% of pixels, %s: %v\n", 100*fraction, subset.name, score)
		}
	}
	for _, threshold := range []float64{0.5, 0.9, 0.99} {
		s, err := ordering.Sufficient(threshold)
		if err != nil {
			return err
		}
		mean, iv, err := stats.MeanInterval(s.Found(), 0.05)
		if err != nil {
			return err
		}
		fmt.Printf("subset at %.2f: %.2f%% of the pixels (%.2f–%.2f), %d images have one\n", threshold, 100*mean, 100*iv.Low, 100*iv.High, len(s.Found()))
	}
	return nil
}
