// Command captum times integrated gradients, SmoothGrad and occlusion; bench/attrib/captum.py calls it and compares.
//
//	go run ./bench/attrib/captum IMAGES.npz WEIGHTS WINDOW STRIDE
//
// IMAGES.npz is what bench/oracles/dump writes, WEIGHTS a file or the name of a model. For each method it prints a line: its name, the seconds of the first run, which
// compiles, those of the second, and the sum of each image's absolute attributions.
package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/lib/attrib"
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
		return fmt.Errorf("usage: captum IMAGES.npz WEIGHTS WINDOW STRIDE")
	}
	window, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	stride, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	m, err := model.Load(args[1])
	if err != nil {
		return err
	}
	images, err := read(args[0], m.Spec())
	if err != nil {
		return fmt.Errorf("captum: %s: %w", args[0], err)
	}
	for _, method := range []attrib.Method{attrib.IntegratedGradients{Steps: 50}, attrib.SmoothGrad{Samples: 50}, attrib.Occlusion{Window: window, Stride: stride}} {
		var seconds []float64
		var a *attrib.Attribution
		for range 2 {
			start := time.Now()
			if a, err = method.Attribute(m, images, nil); err != nil {
				return err
			}
			seconds = append(seconds, time.Since(start).Seconds())
		}
		fmt.Printf("%s,%.4f,%.4f", method.Name(), seconds[0], seconds[1])
		flat, err := tensors.CopyFlatData[float32](a.Values)
		if err != nil {
			return err
		}
		n := images.Shape().Dimensions[0]
		for i := range n {
			var sum float64
			for _, v := range flat[i*len(flat)/n : (i+1)*len(flat)/n] {
				sum += math.Abs(float64(v))
			}
			fmt.Printf(",%.6g", sum)
		}
		fmt.Println()
	}
	return nil
}

func read(path string, spec model.Spec) (*tensors.Tensor, error) {
	file, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var pixels []float32
	if err := file.Read("x", &pixels); err != nil {
		return nil, err
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(pixels)/(spec.Height*spec.Width*spec.Channels), spec.Height, spec.Width, spec.Channels), nil
}
