// Command memory measures the most memory that a process needs for one question, which is its only one:
//
//	go run ./bench/memory topk PHOTOGRAPHS.zip 5000
//	go run ./bench/memory issues PHOTOGRAPHS.zip 5000
//	go run ./bench/memory occlusion 1600
//
// It prints the resident set before the question, the highest one during it, and how long it took.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/bench/internal/usage"
	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/issues"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var ask func() error
	switch {
	case len(args) == 3 && (args[0] == "topk" || args[0] == "issues"):
		n, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		m, err := model.Load("efficientnet-lite0")
		if err != nil {
			return err
		}
		photos, err := data.Zip(args[1], data.Options{Label: data.LeadingNumber})
		if err != nil {
			return err
		}
		index := make([]int, n)
		for i := range index {
			index[i] = i % photos.Len()
		}
		ask = func() error {
			if args[0] == "topk" {
				loupe.TopK(m, photos.Subset(index), 5)
				return nil
			}
			found, err := issues.Find(photos.Subset(index), issues.Options{Model: m})
			if err != nil {
				return err
			}
			fmt.Println(found.Counts())
			return nil
		}
	case len(args) == 2 && args[0] == "occlusion":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		m, err := learn.SmallCNN(model.Spec{Height: 96, Width: 96, Channels: 3}, 10, 1)
		if err != nil {
			return err
		}
		x := tensors.FromScalarAndDimensions(float32(0.5), n, 96, 96, 3)
		ask = func() error {
			_, err := attrib.Occlusion{}.Attribute(m, x, []int{1})
			return err
		}
	default:
		return fmt.Errorf("usage: memory topk|issues PHOTOGRAPHS.zip COUNT | memory occlusion COUNT")
	}
	before := usage.Resident()
	started := time.Now()
	if err := ask(); err != nil {
		return err
	}
	fmt.Printf("%s: %.0f MB before, %.0f MB at most, %.1f s\n", strings.Join(args, " "), before, usage.Memory(),
		time.Since(started).Seconds())
	return nil
}
