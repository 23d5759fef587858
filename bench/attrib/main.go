// Command attrib times loupe's attributions; bench/attrib/compare.py calls it and compares.
//
//	go run ./bench/attrib IMAGES.npz MODEL RUNS OUT.npz METHOD...
//
// IMAGES.npz is what bench/oracles/dump writes, MODEL a file or the name of a model. A METHOD is a name with its
// settings between colons:
//
//	integrated-gradients:STEPS  smoothgrad:SAMPLES  occlusion:WINDOW:STRIDE
//	gradient-shap:SAMPLES       deeplift, guided-backprop
//	grad-cam++, layer-cam, score-cam
//	lrp                         epsilon-plus-flat
//	crp:LAYER:CONCEPTS          a heatmap for each of the layer's first channels, epsilon-plus-flat
//	lime:SIDE:KEEP.npz          patches of SIDE pixels, with the masks keep [M, S] float32
//	sis:K                       batched gradient SIS, every pixel put in order
//
// It prints a line for each method: the name as it was given, and the seconds of each of RUNS runs, the first of which
// compiles. OUT.npz gets what each has found, with the number in the list as its name.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "attrib:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 5 {
		return fmt.Errorf("usage: attrib IMAGES.npz MODEL RUNS OUT.npz METHOD [METHOD ...]")
	}
	runs, err := strconv.Atoi(args[2])
	if err != nil || runs < 1 {
		return fmt.Errorf("%q runs", args[2])
	}
	m, err := model.Load(args[1])
	if err != nil {
		return err
	}
	pixels, err := read(args[0], "x")
	if err != nil {
		return err
	}
	spec := m.Spec()
	images := tensors.FromFlatDataAndDimensions(pixels, len(pixels)/(spec.Height*spec.Width*spec.Channels), spec.Height,
		spec.Width, spec.Channels)
	out, err := npz.Create(args[3])
	if err != nil {
		return err
	}
	for i, name := range args[4:] {
		find, err := method(name, m, images)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Print(name)
		var found []float32
		for range runs {
			start := time.Now()
			if found, err = find(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Printf(" %.4f", time.Since(start).Seconds())
		}
		fmt.Println()
		if err := out.Write(strconv.Itoa(i), found); err != nil {
			return err
		}
	}
	return out.Close()
}

// method returns the function that is timed.
func method(name string, m *model.Model, images *tensors.Tensor) (func() ([]float32, error), error) {
	name, settings, _ := strings.Cut(name, ":")
	one, two, _ := strings.Cut(settings, ":")
	number := func(s string) int {
		n, _ := strconv.Atoi(s) // a zero is refused, or means the default, where it is used
		return n
	}
	attribution := func(by attrib.Method) func() ([]float32, error) {
		return func() ([]float32, error) {
			a, err := by.Attribute(m, images, nil)
			if err != nil {
				return nil, err
			}
			return tensors.CopyFlatData[float32](a.Values)
		}
	}
	switch name {
	case "integrated-gradients":
		return attribution(attrib.IntegratedGradients{Steps: number(one)}), nil
	case "smoothgrad":
		return attribution(attrib.SmoothGrad{Samples: number(one)}), nil
	case "occlusion":
		return attribution(attrib.Occlusion{Window: number(one), Stride: number(two)}), nil
	case "gradient-shap":
		return attribution(attrib.GradientSHAP{Samples: number(one)}), nil
	case "deeplift":
		return attribution(attrib.DeepLIFT{}), nil
	case "guided-backprop":
		return attribution(attrib.GuidedBackprop{}), nil
	case "grad-cam++":
		return attribution(attrib.GradCAMPlusPlus{}), nil
	case "layer-cam":
		return attribution(attrib.LayerCAM{}), nil
	case "score-cam":
		return attribution(attrib.ScoreCAM{}), nil
	case "lrp":
		return attribution(lrp.LRP{}), nil
	case "crp":
		var channels []int
		for c := range number(two) {
			channels = append(channels, c)
		}
		conditions, err := lrp.Each(m, one, channels...)
		return func() ([]float32, error) {
			heat, err := lrp.CRP{}.Heatmaps(m, images, nil, conditions...)
			if err != nil {
				return nil, err
			}
			return tensors.CopyFlatData[float32](heat)
		}, err
	case "lime":
		keep, err := read(two, "keep")
		if err != nil {
			return nil, err
		}
		segments, err := missing.Patches(images.Shape().Dimensions[0], m.Spec().Height, m.Spec().Width, number(one))
		if err != nil {
			return nil, err
		}
		lime := missing.LIME{Keep: tensors.FromFlatDataAndDimensions(keep, len(keep)/segments.Most(), segments.Most())}
		return func() ([]float32, error) {
			explanations, err := lime.Explain(m, images, segments)
			if err != nil {
				return nil, err
			}
			var all []float32
			for _, coefficients := range explanations.Coefficients {
				for _, c := range coefficients {
					all = append(all, float32(c))
				}
			}
			return all, nil
		}, nil
	case "sis":
		return func() ([]float32, error) {
			ordering, err := mask.BatchedGradientSIS{K: number(one)}.BackSelect(m, images)
			if err != nil {
				return nil, err
			}
			kept, err := ordering.Last(1.0 / 16) // whole rounds of K = 32, or 64, of 1024 pixels
			if err != nil {
				return nil, err
			}
			return tensors.CopyFlatData[float32](kept)
		}, nil
	}
	return nil, fmt.Errorf("there is no such method")
}

func read(path, name string) ([]float32, error) {
	file, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for _, entry := range file.Keys() { // NumPy adds an extension, the library does not
		if strings.TrimSuffix(entry, ".npy") == name {
			var values []float32
			err := file.Read(entry, &values)
			return values, err
		}
	}
	return nil, fmt.Errorf("%s has no array %s", path, name)
}
