package faithful

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/sound"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Tests compares methods by [Insertion] and [Deletion].
type Tests struct {
	Insertion Insertion
	Deletion  Deletion
	// Seed draws the random ranking that is compared with.
	Seed uint64
}

// Comparison is what became of several methods' heatmaps of the same images and classes.
type Comparison struct {
	Model string
	// Insertion and Deletion are of the methods in their order, where two of a name are numbered, and last of a random
	// ranking, the control.
	Insertion, Deletion []*Curve
}

// Compare explains the class of each image, [N, H, W, C] float32 in 0..1, by each of the methods, one at least, and
// follows their heatmaps and random ones. classes may be nil for the predicted ones, one for all, or one for each
// image.
//
// Interrupted, it returns the methods that are done and the control, which comes first, beside the error; nil if the
// control is not done.
func (t Tests) Compare(m *model.Model, images *tensors.Tensor, classes []int, methods ...attrib.Method) (*Comparison,
	error) {
	control := sound.Random{Seed: t.Seed}
	names, err := names(methods, control.Name())
	if err != nil {
		return nil, err
	}
	if len(methods) == 0 {
		return nil, fmt.Errorf("faithful: there are no methods to compare, such as attrib.GradCAM{}")
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	c := &Comparison{Model: m.Name()}
	bar := progress.New(m.Name()+": comparing attribution methods", len(methods)+1)
	defer bar.Close()
	run := func(method attrib.Method, name string) (insertion, deletion *Curve, err error) {
		a, err := attribute(m, images, classes, method)
		if err != nil {
			return nil, nil, err
		}
		named := *a
		named.Method = name
		if insertion, err = t.Insertion.Of(m, images, &named); err != nil {
			return nil, nil, err
		}
		deletion, err = t.Deletion.Of(m, images, &named)
		return insertion, deletion, err
	}
	// The control comes first, so that there is one whenever there is a method.
	byChance, takenByChance, err := run(control, control.Name())
	if err != nil {
		return nil, interrupt.After(err, "faithful: comparison", 0, len(methods), "methods")
	}
	bar.Add(1)
	for i, method := range methods {
		insertion, deletion, failed := run(method, names[i])
		if failed != nil {
			err = interrupt.After(failed, "faithful: comparison", i, len(methods), "methods")
			if !interrupt.Is(failed) {
				return nil, err
			}
			break
		}
		c.Insertion, c.Deletion = append(c.Insertion, insertion), append(c.Deletion, deletion)
		bar.Add(1)
	}
	c.Insertion, c.Deletion = append(c.Insertion, byChance), append(c.Deletion, takenByChance)
	return c, err
}
