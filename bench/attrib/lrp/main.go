// Command lrp times layer-wise relevance propagation, for bench/attrib/lrp.py:
//
//	lrp MODEL IMAGES.npz ROUNDS
//
// It prints the seconds of the first run, which compiles, and of each of the following, one a line. The images are what
// bench/oracles/dump wrote, repeated to 16.
package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/attrib/internal/program"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/model"
)

func main() { program.Run("lrp MODEL IMAGES.npz ROUNDS", 3, run) }

func run(args []string) error {
	rounds, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	m, err := model.Load(args[0])
	if err != nil {
		return err
	}
	pixels, err := program.Array[float32](args[1], "x")
	if err != nil {
		return err
	}
	shape, err := program.Array[int64](args[1], "shape")
	if err != nil {
		return err
	}
	var all []float32
	for n := int64(0); n < 16; n += shape[0] {
		all = append(all, pixels...)
	}
	x := tensors.FromFlatDataAndDimensions(all, 16, int(shape[1]), int(shape[2]), int(shape[3]))
	classes, err := m.Predict(x)
	if err != nil {
		return err
	}
	for range rounds + 1 {
		start := time.Now()
		if _, err := (lrp.LRP{}).Attribute(m, x, classes); err != nil {
			return err
		}
		fmt.Println(time.Since(start).Seconds())
	}
	return nil
}
