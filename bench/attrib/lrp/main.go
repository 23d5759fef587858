// Command lrp times layer-wise relevance propagation, for bench/attrib/lrp.py:
//
//	lrp MODEL IMAGES.npz ROUNDS
//
// It prints the seconds of the first run, which compiles, and of each of the following, one a line. The images are what
// bench/oracles/dump wrote, repeated to 16.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: lrp MODEL IMAGES.npz ROUNDS")
	}
	rounds, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	if err := run(os.Args[1], os.Args[2], rounds); err != nil {
		log.Fatal(err)
	}
}

func run(name, images string, rounds int) error {
	m, err := model.Load(name)
	if err != nil {
		return err
	}
	file, err := npz.Open(images)
	if err != nil {
		return err
	}
	defer file.Close()
	var pixels []float32
	var shape []int64
	if err := file.Read("x.npy", &pixels); err != nil {
		return err
	}
	if err := file.Read("shape.npy", &shape); err != nil {
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
