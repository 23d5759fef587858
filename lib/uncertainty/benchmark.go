package uncertainty

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/table"
)

// Method is a way to make networks say how sure they are, such as an ensemble.
type Method struct {
	Name string
	// Units are what a result is over, such as one for each seed. The values of a unit of several models are averaged,
	// such as those of the members of one ensemble, each asked by itself.
	Units [][]*model.Model
	// Features is the network whose features the models see in the place of images, as those of [learn.LastLayer] do;
	// nil where they see images.
	Features *model.Model
}

// Methods are several of them, in the order in which they are shown.
type Methods []Method

// Add gives the method of this name, a new one at the end if there is none, one more unit: one model, or several whose
// values are averaged.
func (m *Methods) Add(name string, unit ...*model.Model) { m.add(name, nil, unit) }

// AddOn is [Methods.Add] for models that see the features of a network, such as those of [learn.LastLayer].
func (m *Methods) AddOn(features *model.Model, name string, unit ...*model.Model) {
	m.add(name, features, unit)
}

func (m *Methods) add(name string, features *model.Model, unit []*model.Model) {
	at := slices.IndexFunc(*m, func(of Method) bool { return of.Name == name && of.Features == features })
	if at < 0 {
		at = len(*m)
		*m = append(*m, Method{Name: name, Features: features})
	}
	(*m)[at].Units = append((*m)[at].Units, slices.Clone(unit))
}

// WithEnsemble returns the methods with one more unit each for four of them, of the members of one ensemble, two or
// more: "vanilla", the first of them; "temperature", the same at the temperature that fits held best, which none was
// trained on ([TemperatureScaled]); "ensemble", the mean of the members' probabilities; and "its members", each asked
// by itself.
func (m Methods) WithEnsemble(held model.Labeled, members ...*model.Model) (Methods, error) {
	if len(members) < 2 {
		return nil, fmt.Errorf("uncertainty: an ensemble of %d networks, it takes two", len(members))
	}
	scaled, err := TemperatureScaled(members[0], held)
	if err != nil {
		return nil, err
	}
	together, err := model.Ensemble("ensemble", members...)
	if err != nil {
		return nil, err
	}
	m = slices.Clone(m)
	m.Add("vanilla", members[0])
	m.Add("temperature", scaled)
	m.Add("ensemble", together)
	m.Add("its members", members...)
	return m, nil
}

// Names are those of the methods.
func (m Methods) Names() []string {
	var names []string
	for _, of := range m {
		names = append(names, of.Name)
	}
	return names
}

// Table has a row for each method: how many units it has, how many models all in all, and what these see.
func (m Methods) Table() table.Table {
	t := table.Table{Header: []string{"method", "units", "models", "which see"}}
	for _, of := range m {
		models, see := 0, "images"
		for _, unit := range of.Units {
			models += len(unit)
		}
		if of.Features != nil {
			see = "features of " + of.Features.Name()
		}
		t.Add(of.Name, len(of.Units), models, see)
	}
	return t
}

// Bundle shows the table.
func (m Methods) Bundle() mime.Bundle { return m.Table().Bundle() }

// Benchmark asks methods how sure they are of images as they are and under shifts, as Ovadia et al. do, NeurIPS 2019.
type Benchmark struct {
	Name   string        // what it is of, such as "CIFAR-10", which claims and plots begin with; may be empty
	Data   model.Labeled // the images without a shift
	Shifts Shifts
	// Measures are what is kept of the predictions; nil for [AccuracyShare], [BrierScore], [ECE] and [ECEIfCalibrated].
	Measures []Measure
	Unit     string // what the units of methods are, as claims say it; "" for "seeds"
}

// askedAtOnce is how many images are changed, and then shown to all models, in one go.
const askedAtOnce = 256

// Of asks the methods. Images are made once for all of them, some at a time; every image must have a label, and meets
// the models' classes by name ([model.Model.LabelsOf]). It is an error where a model's classes do not exclude each
// other.
//
// Interrupted, it returns the measures under the shifts that are done beside the error; nil if none is.
func (b Benchmark) Of(methods ...Method) (*UnderShift, error) {
	b, err := b.complete()
	if err != nil {
		return nil, err
	}
	u := newUnderShift(b, methods)
	if err := u.check(methods); err != nil {
		return nil, err
	}
	all := append(Shifts{{Name: "none", Data: b.Data}}, b.Shifts...)
	bar := progress.New("uncertainty: shifts", len(all))
	defer bar.Close()
	for done, at := range all {
		asked, err := ask(methods, at)
		if err == nil {
			err = u.add(at, asked)
		}
		if err = interrupt.After(err, "uncertainty: shifts", done, len(all), "shifts"); interrupt.Is(err) && done > 0 {
			return u, err
		}
		if err != nil {
			return nil, err
		}
		bar.Add(1)
	}
	return u, nil
}

// complete is the benchmark with its defaults.
func (b Benchmark) complete() (Benchmark, error) {
	if b.Measures == nil {
		b.Measures = []Measure{AccuracyShare, BrierScore, ECE, ECEIfCalibrated}
	}
	if b.Unit == "" {
		b.Unit = "seeds"
	}
	seen := map[string]bool{}
	for _, m := range b.Measures {
		if m.Of == nil || m.Name == "" || seen[m.Name] {
			return b, fmt.Errorf("uncertainty: measures take a name of their own and a function, and %q lacks one", m.Name)
		}
		seen[m.Name] = true
	}
	if err := model.CheckDataset(b.Data); err != nil {
		return b, err
	}
	names := map[string]bool{"none": true}
	for _, s := range b.Shifts {
		if err := model.CheckDataset(s.Data); err != nil {
			return b, fmt.Errorf("uncertainty: the shift %q: %w", s.Name, err)
		}
		if s.Name == "" || names[s.Name] || s.Intensity < 1 {
			return b, fmt.Errorf("uncertainty: shifts take a name of their own and an intensity from 1: %q has %d", s.Name,
				s.Intensity)
		}
		names[s.Name] = true
	}
	return b, nil
}

// asking is a model that is asked about the images of a shift.
type asking struct {
	*model.Model
	features *model.Model
	labels   []int
	logits   []float32
}

// ask returns what the models say of the images of a shift: of each method's units the models' predictions.
func ask(methods []Method, at Shift) ([][][]*Predictions, error) {
	var all []*asking
	for _, m := range methods {
		for _, unit := range m.Units {
			for _, of := range unit {
				labels, err := of.KnownLabelsOf(at.Data)
				if err != nil {
					return nil, err
				}
				all = append(all, &asking{Model: of, features: m.Features, labels: labels})
			}
		}
	}
	for lo := 0; lo < at.Data.Len(); lo += askedAtOnce {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		var numbers []int
		for i := lo; i < min(lo+askedAtOnce, at.Data.Len()); i++ {
			numbers = append(numbers, i)
		}
		images, err := at.Data.Images(numbers...)
		if err != nil {
			return nil, err
		}
		seen := map[*model.Model]*tensors.Tensor{nil: images}
		for _, a := range all {
			if seen[a.features] == nil {
				if seen[a.features], err = learn.FeatureImages(a.features, images); err != nil {
					return nil, err
				}
			}
			logits, err := a.Logits(seen[a.features])
			if err != nil {
				return nil, err
			}
			flat, err := tensors.CopyFlatData[float32](logits)
			if err != nil {
				return nil, fmt.Errorf("uncertainty: %w", err)
			}
			a.logits = append(a.logits, flat...)
		}
	}
	asked := make([][][]*Predictions, len(methods))
	for i, m := range methods {
		asked[i] = make([][]*Predictions, len(m.Units))
		for k, unit := range m.Units {
			for range unit {
				a := all[0]
				all = all[1:]
				p, err := FromLogits(tensors.FromFlatDataAndDimensions(a.logits, len(a.labels), a.NumClasses()), a.labels)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", a.Name(), at.Name, err)
				}
				asked[i][k] = append(asked[i][k], p)
			}
		}
	}
	return asked, nil
}
