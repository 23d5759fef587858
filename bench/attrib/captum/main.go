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
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/attrib/internal/program"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/model"
)

func main() { program.Run("captum IMAGES.npz WEIGHTS WINDOW STRIDE", 4, run) }

func run(args []string) error {
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
	pixels, err := program.Array[float32](args[0], "x")
	if err != nil {
		return err
	}
	spec := m.Spec()
	n := len(pixels) / (spec.Height * spec.Width * spec.Channels)
	images := tensors.FromFlatDataAndDimensions(pixels, n, spec.Height, spec.Width, spec.Channels)
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
