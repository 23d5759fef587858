// Command lime times LIME on a CIFAR-10 network and prints what it finds; bench/attrib/lime.py calls it and compares.
//
//	go run ./bench/attrib/lime TEST.zip WEIGHTS.safetensors IMAGES KEEP.npz
//
// IMAGES of the archive's 10,000 are taken, evenly spaced over the classes, and cut into patches of 4 pixels. KEEP.npz has the masks, an array
// keep [M, 64] float32. It prints the seconds of the first run, which compiles, those of the second, and then the coefficients, a line for each image.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: lime TEST.zip WEIGHTS.safetensors IMAGES KEEP.npz")
	}
	n, err := strconv.Atoi(args[2])
	if err != nil || n < 1 || n > 10000 {
		return fmt.Errorf("lime: %q images of 10000", args[2])
	}
	set, err := testimages.CIFAR10(args[0], 10000/n, n)
	if err != nil {
		return err
	}
	m, err := model.Load(args[1])
	if err != nil {
		return err
	}
	file, err := npz.Open(args[3])
	if err != nil {
		return fmt.Errorf("lime: %w", err)
	}
	defer file.Close()
	var keep []float32
	if err := file.Read("keep.npy", &keep); err != nil {
		return fmt.Errorf("lime: %s: %w", args[3], err)
	}
	segments, err := missing.Patches(n, set.Height, set.Width, 4)
	if err != nil {
		return err
	}
	images := tensors.FromFlatDataAndDimensions(set.Pixels, n, set.Height, set.Width, 3)
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
