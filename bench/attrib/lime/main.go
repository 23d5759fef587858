// Command lime times LIME on a CIFAR-10 network and prints what it finds; bench/attrib/lime.py calls it and compares.
//
//	go run ./bench/attrib/lime TEST.zip WEIGHTS.safetensors IMAGES KEEP.npz
//
// IMAGES of the archive's 10,000 are taken, evenly spaced over the classes, and cut into patches of 4 pixels. KEEP.npz has the masks, an array
// keep [M, 64] float32. It prints the seconds of the first run, which compiles, those of the second, and then the coefficients, a line for each image.
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/attrib/internal/program"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

func main() { program.Run("lime TEST.zip WEIGHTS.safetensors IMAGES KEEP.npz", 4, run) }

func run(args []string) error {
	images, set, err := program.CIFAR10(args[0], args[2])
	if err != nil {
		return err
	}
	m, err := model.Load(args[1])
	if err != nil {
		return err
	}
	keep, err := program.Array[float32](args[3], "keep")
	if err != nil {
		return err
	}
	segments, err := missing.Patches(len(set.Labels), set.Height, set.Width, 4)
	if err != nil {
		return err
	}
	lime := missing.LIME{Keep: tensors.FromFlatDataAndDimensions(keep, len(keep)/segments.Most(), segments.Most())}
	start := time.Now()
	if _, err := lime.Explain(m, images, segments); err != nil {
		return err
	}
	first := time.Since(start)
	start = time.Now()
	e, err := lime.Explain(m, images, segments)
	if err != nil {
		return err
	}
	fmt.Printf("%.3f %.3f\n", first.Seconds(), time.Since(start).Seconds())
	for _, coefficients := range e.Coefficients {
		fmt.Println(strings.Trim(fmt.Sprint(coefficients), "[]"))
	}
	return nil
}
