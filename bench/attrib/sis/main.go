// Command sis measures a CIFAR-10 network on what batched gradient SIS leaves of test images:
//
//	go run ./bench/attrib/sis TEST.zip WEIGHTS.safetensors IMAGES K
//
// IMAGES of the archive's 10,000 are taken, evenly spaced over the classes.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: sis TEST.zip WEIGHTS.safetensors IMAGES K")
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 2 || n > 10000 {
		return fmt.Errorf("sis: %q images of 10000", args[2])
	}
	k, err := strconv.Atoi(args[3])
	if err != nil {
		return fmt.Errorf("sis: k is %q", args[3])
	}
	set, err := testimages.CIFAR10(args[0], 10000/n, n)
	if err != nil {
		return err
	}
	m, err := model.Load(args[1])
	if err != nil {
		return err
	}
	images := tensors.FromFlatDataAndDimensions(set.Pixels, n, set.Height, set.Width, 3)
	method := mask.BatchedGradientSIS{K: k}
	start := time.Now()
	ordering, err := method.BackSelect(m, images)
	if err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Printf("%s, %d images, k = %d, %.0f s\n", m.Name(), n, k, took.Seconds())
	labels := set.Labels
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
		random, err := mask.Random(n, set.Height, set.Width, fraction, 1)
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
		fmt.Printf("subset at %.2f: %.2f%% of the pixels (%.2f–%.2f), %d images have one\n", threshold, 100*mean, 100*iv.Low,
			100*iv.High, len(s.Found()))
	}
	return nil
}
