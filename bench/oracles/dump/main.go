// Command dump writes the pixels that tests see as a NumPy array, for the oracles:
//
//	go run ./bench/oracles/dump imagenet|cifar10 ARCHIVE.zip STEP LIMIT OUT.npz
//
// The arrays are x, [N, H, W, 3] float32 in 0..1, and labels, [N] int64.
package main

import (
	"log"
	"os"
	"strconv"

	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/testimages"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 6 {
		log.Fatal("usage: dump imagenet|cifar10 ARCHIVE.zip STEP LIMIT OUT.npz")
	}
	step, err1 := strconv.Atoi(os.Args[3])
	limit, err2 := strconv.Atoi(os.Args[4])
	if err1 != nil || err2 != nil || step < 1 {
		log.Fatal("STEP and LIMIT are numbers, STEP at least 1")
	}
	read := testimages.ImageNet
	if os.Args[1] == "cifar10" {
		read = testimages.CIFAR10
	}
	set, err := read(os.Args[2], step, limit)
	if err != nil {
		log.Fatal(err)
	}
	labels := make([]int64, len(set.Labels))
	for i, l := range set.Labels {
		labels[i] = int64(l)
	}
	shape := []int64{int64(len(labels)), int64(set.Height), int64(set.Width), 3}
	if err := npz.Write(os.Args[5], map[string]any{"x": set.Pixels, "labels": labels, "shape": shape}); err != nil {
		log.Fatal(err)
	}
}
