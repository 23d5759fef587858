// Package program is what the commands below bench/attrib begin with: their arguments, and the images and arrays that these name.
package program

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/internal/testimages"
)

// Run is a command's main: it calls run with as many arguments as there must be, says what went wrong, and exits.
func Run(usage string, arguments int, run func(args []string) error) {
	err := fmt.Errorf("usage: %s", usage)
	if len(os.Args) == 1+arguments {
		err = run(os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// CIFAR10 reads count of the 10,000 test images of an archive, evenly spaced over the classes: [count, 32, 32, 3] float32 in 0..1.
func CIFAR10(archive, count string) (*tensors.Tensor, testimages.Set, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 2 || n > 10000 {
		return nil, testimages.Set{}, fmt.Errorf("%q images of 10000: take between 2 and all", count)
	}
	set, err := testimages.CIFAR10(archive, 10000/n, n)
	if err != nil {
		return nil, set, err
	}
	return tensors.FromFlatDataAndDimensions(set.Pixels, n, set.Height, set.Width, 3), set, nil
}

// Array reads an array of an .npz file, written by NumPy, which calls its files name.npy, or by bench/oracles/dump, which calls them name.
func Array[T any](path, name string) ([]T, error) {
	file, err := npz.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer file.Close()
	var values []T
	key := name
	if !slices.Contains(file.Keys(), key) {
		key += ".npy"
	}
	if err := file.Read(key, &values); err != nil {
		return nil, fmt.Errorf("%s: array %s: %w", path, name, err)
	}
	return values, nil
}
