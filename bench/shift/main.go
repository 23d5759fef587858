// Command shift runs loupe's corruptions; bench/shift/corruptions.py calls it and compares.
//
//	go run ./bench/shift accuracy IMAGES.npz MODEL DRAWS CORRUPTION,... SEVERITY...   a line for each corruption, severity and draw: accuracy on all images, on every fourth
//	go run ./bench/shift speed IMAGES.npz CORRUPTION SEVERITY THREADS PASSES   seconds an image, the process's peak of memory in MB
//	go run ./bench/shift sheet IMAGES.npz NUMBER OUT.png                all corruptions of an image, a row each, the severities side by side
//
// IMAGES.npz is what bench/oracles/dump writes. accuracy goes by the images' size, the others take the benchmark
// ImageCorruptions.
package main

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shift:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("usage: shift accuracy|speed|sheet IMAGES.npz and what the package's comment says")
	}
	z, err := npz.Open(args[1])
	if err != nil {
		return err
	}
	defer z.Close()
	var x []float32
	var shape, labels []int64
	for name, to := range map[string]any{"x": &x, "shape": &shape, "labels": &labels} {
		if err := z.Read(name, to); err != nil {
			return err
		}
	}
	h, w := int(shape[1]), int(shape[2])
	switch {
	case args[0] == "accuracy" && len(args) > 5:
		return accuracy(tensors.FromFlatDataAndDimensions(x, len(labels), h, w, 3), labels, args[2], args[3],
			strings.Split(args[4], ","), args[5:])
	case args[0] == "speed" && len(args) == 6:
		return speed(x, h, w, args[2], args[3:])
	case args[0] == "sheet" && len(args) == 4:
		return sheet(x, h, w, args[2], args[3])
	}
	return fmt.Errorf("%q is not understood", args)
}

// accuracy takes as many draws as are asked for, or one where the second shows that there is no chance.
func accuracy(images *tensors.Tensor, labels []int64, file, draws string, names, numbers []string) error {
	m, err := model.Load(file)
	if err != nil {
		return err
	}
	list, err := integers(append([]string{draws}, numbers...))
	if err != nil {
		return err
	}
	for _, severity := range list[1:] {
		for _, name := range names {
			c, err := perturb.CorruptionNamed(name)
			if err != nil {
				return err
			}
			var first *tensors.Tensor
			for draw := range list[0] {
				changed, err := c.Apply(images, severity, uint64(draw))
				if err != nil {
					return err
				}
				if first == nil {
					first = changed
				} else if first.Equal(changed) {
					break
				}
				classes, err := m.Predict(changed)
				if err != nil {
					return err
				}
				var all, fourth int
				for i, class := range classes {
					if int64(class) == labels[i] {
						all++
						if i%4 == 0 {
							fourth++
						}
					}
				}
				fmt.Printf("%s,%d,%d,%.4f,%.4f\n", c.Name, severity, draw, float64(all)/float64(len(labels)),
					float64(fourth)/float64((len(labels)+3)/4))
			}
		}
	}
	return nil
}

// speed takes the images one after the other and the processors' time, or, with several threads, the images at once and
// the time of day.
func speed(x []float32, h, w int, name string, numbers []string) error {
	c, err := perturb.CorruptionNamed(name)
	if err != nil {
		return err
	}
	c.Benchmark = perturb.ImageCorruptions
	list, err := integers(numbers)
	if err != nil {
		return err
	}
	severity, threads, passes := list[0], list[1], list[2]
	// As on the other side, the images lie in 8 bits.
	size := h * w * 3
	n, eight := len(x)/size, make([]uint8, len(x))
	for i, v := range x {
		eight[i] = uint8(v*255 + .5)
	}
	pass := func() error {
		at := 1
		if threads > 1 {
			at = n
		}
		for i := 0; i < n; i += at {
			if _, err := c.Apply(tensors.FromFlatDataAndDimensions(eight[i*size:(i+at)*size], at, h, w, 3), severity,
				0); err != nil {
				return err
			}
		}
		return nil
	}
	if err := pass(); err != nil {
		return err
	}
	start, busy := time.Now(), usage.Processors()
	for range passes {
		if err := pass(); err != nil {
			return err
		}
	}
	taken := time.Since(start).Seconds()
	if threads == 1 {
		taken = usage.Processors() - busy
	}
	fmt.Println(taken/float64(n*passes), usage.Memory())
	return nil
}

func integers(texts []string) (list []int, err error) {
	for _, text := range texts {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func sheet(x []float32, h, w int, number, out string) error {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || (n+1)*h*w*3 > len(x) {
		return fmt.Errorf("there is no image %q", number)
	}
	one := tensors.FromFlatDataAndDimensions(x[n*h*w*3:(n+1)*h*w*3], 1, h, w, 3)
	all := perturb.Corruptions()
	img := image.NewRGBA(image.Rect(0, 0, perturb.Severities*w, len(all)*h))
	for row, c := range all {
		c.Benchmark = perturb.ImageCorruptions
		for severity := range perturb.Severities {
			changed, err := c.Apply(one, severity+1, 0)
			if err != nil {
				return err
			}
			flat, err := tensors.CopyFlatData[float32](changed)
			if err != nil {
				return err
			}
			for i := range h * w {
				img.SetRGBA(severity*w+i%w, row*h+i/w, color.RGBA{uint8(flat[3*i] * 255), uint8(flat[3*i+1] * 255),
					uint8(flat[3*i+2] * 255), 255})
			}
		}
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := png.Encode(f, img); err != nil {
		return err
	}
	return f.Close()
}
