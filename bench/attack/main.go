// Command attack times AutoAttack on the network and images of lib/attack/testdata/autoattack.npz;
// bench/attack/compare.py calls it and times the authors' code beside it.
//
//	go run ./bench/attack NORM EPS PASSES   NORM is Linf or L2; for each pass the seconds and how many images stand, and the process's peak of memory in MB
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	norms := map[string]attack.Norm{"Linf": attack.LInf, "L2": attack.L2}
	if len(args) != 3 {
		return fmt.Errorf("usage: attack Linf|L2 EPS PASSES")
	}
	norm, ok := norms[args[0]]
	if !ok {
		return fmt.Errorf("there is no norm %q: Linf and L2 are", args[0])
	}
	eps, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	passes, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	m, images, labels, err := digits("lib/attack/testdata/autoattack.npz")
	if err != nil {
		return err
	}
	for range passes {
		begun := time.Now()
		e, err := attack.AutoAttack{Norm: norm, Eps: eps}.Run(m, images, labels)
		if err != nil {
			return err
		}
		fmt.Printf("%.2f s, %d of %d stand\n", time.Since(begun).Seconds(), e.Robust.Correct, e.Robust.Total)
	}
	fmt.Printf("%.0f MB\n", usage.Memory())
	return nil
}

// digits reads the oracle's network, two convolutions and a linear layer with PyTorch's weights, and its images.
func digits(file string) (*model.Model, *tensors.Tensor, []int, error) {
	z, err := npz.Open(file)
	if err != nil {
		return nil, nil, nil, err
	}
	defer z.Close()
	weights := map[string]*tensors.Tensor{}
	for name, dims := range map[string][]int{"0.weight": {8, 1, 5, 5}, "0.bias": {8}, "2.weight": {16, 8, 5, 5},
		"2.bias": {16}, "5.weight": {10, 784}, "5.bias": {10}} {
		var flat []float32
		if err := z.Read(name+".npy", &flat); err != nil {
			return nil, nil, nil, err
		}
		if len(dims) == 4 { // [out, in, 5, 5] as [5, 5, in, out]
			from := flat
			flat = make([]float32, len(from))
			out, in := dims[0], dims[1]
			for i, v := range from {
				o, c, p := i/(in*25), i/25%in, i%25
				flat[(p*in+c)*out+o] = v
			}
			dims = []int{5, 5, in, out}
		}
		weights[name] = tensors.FromFlatDataAndDimensions(flat, dims...)
	}
	var pixels []uint8
	var labels []int64
	if err := z.Read("images.npy", &pixels); err != nil {
		return nil, nil, nil, err
	}
	if err := z.Read("labels.npy", &labels); err != nil {
		return nil, nil, nil, err
	}
	unit := make([]float32, len(pixels))
	for i, v := range pixels {
		unit[i] = float32(v) / 255
	}
	truth := make([]int, len(labels))
	for i, l := range labels {
		truth[i] = int(l)
	}
	m, err := model.FromTensors(weights, model.Spec{Name: "digits", Height: 28, Width: 28, Channels: 1},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			x = b.ReLU("1", b.Conv2D("0", x, 2, 2))
			x = b.ReLU("3", b.Conv2D("2", x, 2, 2))
			return b.Linear("5", graph.Reshape(x, x.Shape().Dimensions[0], 784))
		})
	return m, tensors.FromFlatDataAndDimensions(unit, len(truth), 28, 28, 1), truth, err
}
