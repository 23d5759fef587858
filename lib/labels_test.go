package loupe

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/transfer"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// colours are 36 images of 4 x 4 pixels, by turns red, green and blue, brighter and darker, with labels that number
// these names.
func colours(t *testing.T, names ...string) *data.Dataset {
	t.Helper()
	var pixels []float32
	var labels []int
	for i := range 36 {
		for p := range 16 {
			for channel := range 3 {
				v := float32(p) / 80
				if channel == i%3 {
					v = 0.5 + float32(i)/80
				}
				pixels = append(pixels, v)
			}
		}
		label := slices.IndexFunc(names, func(n string) bool {
			return strings.EqualFold(n,
				[]string{"red", "green", "blue"}[i%3])
		})
		labels = append(labels, label)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, 36, 4, 4, 3), labels, names)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// toldColours is a network that tells them apart, trained on no image.
func toldColours(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "colours", Height: 4, Width: 4, Channels: 3,
		Classes: []string{"red", "green", "blue"}},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return graph.MulScalar(b.Features(b.Record("layer", graph.ReduceMean(x, 1, 2))), 10)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every family that asks a model about labelled images: what it makes of the dataset, which is the same whatever the
// order of the dataset's classes.
func families(t *testing.T, m *model.Model) map[string]func(ds *data.Dataset) (any, error) {
	return map[string]func(ds *data.Dataset) (any, error){
		"accuracy": func(ds *data.Dataset) (any, error) { return m.Accuracy(ds) },
		"uncertainty": func(ds *data.Dataset) (any, error) {
			p, err := uncertainty.Of(m, ds)
			if err != nil {
				return nil, err
			}
			return p.LabelProbability(), nil
		},
		"shift": func(ds *data.Dataset) (any, error) {
			tb, err := shift.NewTestbed(filepath.Join(t.TempDir(), "testbed.db"))
			if err != nil {
				return nil, err
			}
			defer tb.Close()
			r, err := tb.Run([]*model.Model{m}, shift.Condition{Name: "all", Data: ds},
				shift.Condition{Name: "two", Data: ds, Classes: []int{0, 2}},
				shift.Changed("turned", ds, func(images *tensors.Tensor, _ []int) (*tensors.Tensor, error) { return images, nil }))
			if err != nil {
				return nil, err
			}
			var cells []shift.Cell
			for _, condition := range r.Conditions() {
				cell, _ := r.Cell(m.Name(), condition)
				cells = append(cells, cell)
			}
			return cells, nil
		},
		"spurious": func(ds *data.Dataset) (any, error) {
			e, err := spurious.ExamplesOf(m, ds)
			return e.Labels, err
		},
		"corruptions": func(ds *data.Dataset) (any, error) {
			labels, err := m.KnownLabelsOf(ds)
			if err != nil {
				return nil, err
			}
			all, err := ds.All()
			if err != nil {
				return nil, err
			}
			brightness, err := perturb.CorruptionNamed("brightness")
			if err != nil {
				return nil, err
			}
			s, err := shift.CorruptionSweep(m, all, labels, 0, brightness)
			if err != nil {
				return nil, err
			}
			return s.Accuracy[0][0], nil
		},
		"spray": func(ds *data.Dataset) (any, error) {
			found, err := spray.SpRAy{Neighbors: 3}.Classes(m, ds)
			var of []string
			for _, a := range found {
				of = append(of, fmt.Sprint(a.Class, a.Images))
			}
			slices.Sort(of)
			return of, err
		},
		"lrp": func(ds *data.Dataset) (any, error) {
			found, err := lrp.Maximization{}.Search(m, ds, "layer")
			if err != nil {
				return nil, err
			}
			return found[0].Relevance, nil
		},
	}
}

func TestEveryFamilyMeetsClassesByName(t *testing.T) {
	m := toldColours(t)
	if accuracy, err := m.Accuracy(colours(t, "red", "green", "blue")); err != nil || accuracy.Share() != 1 {
		t.Fatalf("the accuracy is %v (%v)", accuracy, err)
	}
	for family, ask := range families(t, m) {
		want, err := ask(colours(t, "red", "green", "blue"))
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		got, err := ask(colours(t, "Blue", "RED", "green"))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: by name %v (%v), want %v", family, got, err, want)
		}
		// Numbers under names count as they are.
		got, err = ask(must(data.FromTensor(must(colours(t, "red").All()), colours(t, "red", "green", "blue").Labels(), nil)))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: by number %v (%v), want %v", family, got, err, want)
		}
		if got, err := ask(colours(t, "red", "green", "bleu", "blue").Subset([]int{0, 1, 2})); err != nil &&
			family != "spray" {
			t.Errorf("%s: a class without an image: %v (%v)", family, got, err)
		}
		all := colours(t, "red", "green", "blue")
		wrong := must(all.WithClasses([]string{"red", "green", "bleu"}))
		if got, err := ask(wrong); err == nil || !strings.Contains(err.Error(), `"bleu" of`) ||
			!strings.Contains(err.Error(), "red, green, blue") {
			t.Errorf("%s: a class that the model does not have: %v (%v)", family, got, err)
		}
	}
}

// -1 is no label: such images do not count, or are refused by their number.
func TestEveryFamilyTakesMinusOneForNoLabel(t *testing.T) {
	m := toldColours(t)
	whole := colours(t, "red", "green", "blue")
	labels := whole.Labels()
	kept := []int{}
	for i := range labels {
		if i%4 == 3 {
			labels[i] = -1
		} else {
			kept = append(kept, i)
		}
	}
	holes := must(data.FromTensor(must(whole.All()), labels, whole.Classes()))
	for family, ask := range families(t, m) {
		got, err := ask(holes)
		switch family {
		case "spurious", "corruptions":
			if err == nil || !strings.Contains(err.Error(), "image 3") || !strings.Contains(err.Error(), "has no label") {
				t.Errorf("%s: %v (%v)", family, got, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		switch family {
		case "spray": // the images of each class, without those that have none
			want := ""
			for class := range 3 {
				var of []int
				for _, i := range kept {
					if i%3 == class {
						of = append(of, i)
					}
				}
				want += fmt.Sprint(class, of)
			}
			if strings.Join(got.([]string), "") != want {
				t.Errorf("%s: %v, want %v", family, got, want)
			}
		case "lrp": // the predicted class takes the label's place, which here is the same
			if want, err := ask(whole); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v (%v)", family, got, want, err)
			}
		default:
			want, err := ask(whole.Subset(kept))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %v, want %v (%v)", family, got, want, err)
			}
		}
	}

	images := must(whole.All())
	known := stats.Accuracy{Correct: len(kept), Total: len(kept)}
	if score, err := mask.Evaluate(m, images, labels, nil); err != nil || score.Accuracy != known {
		t.Errorf("mask: the score is %v, want %v (%v)", score, known, err)
	}
	brightness := must(perturb.CorruptionNamed("brightness"))
	if sweep, err := shift.CorruptionSweep(m, images, labels, 0, brightness); err != nil || sweep.Accuracy[0][0] != known {
		t.Errorf("sweep: the accuracy is %v, want %v (%v)", sweep, known, err)
	}
	for family, ask := range map[string]func(labels []int) error{
		"mask": func(l []int) error { _, err := mask.Evaluate(m, images, l, nil); return err },
		"robustness": func(l []int) error {
			_, err := attack.APGD{Eps: .1, Steps: 2}.Robustness(m, images, l)
			return err
		},
		"sweep": func(l []int) error {
			_, err := shift.CorruptionSweep(m, images, l, 0, brightness)
			return err
		},
		"training": func(l []int) error {
			net := must(learn.MLP(model.Spec{Height: 4, Width: 4, Channels: 3}, 3, 1))
			_, _, err := learn.Recipe{}.Train(net, images, l)
			return err
		},
	} {
		if err := ask(labels); family != "mask" && family != "sweep" && (err == nil || !strings.Contains(err.Error(), "-1")) {
			t.Errorf("%s: the error is %v", family, err)
		}
		if err := ask(append(whole.Labels()[:35:35], 3)); err == nil || !strings.Contains(err.Error(), "3") {
			t.Errorf("%s: label 3 of 3 classes: the error is %v", family, err)
		}
	}
	head := must(m.Head())
	features := must(m.Features(images))
	if accuracy, err := learn.HeadAccuracy(head, features, labels); err != nil || accuracy.Share() != 1 {
		t.Errorf("the head's accuracy is %v (%v)", accuracy, err)
	}
}

func TestTrainingMeetsClassesByName(t *testing.T) {
	straight, turned := colours(t, "red", "green", "blue"), colours(t, "blue", "red", "green")
	recipe := learn.Default
	recipe.Epochs, recipe.BatchSize = 30, 12
	trained := Train(MLP(straight, 1), turned, recipe)
	if accuracy := must(trained.Accuracy(straight)); accuracy.Share() != 1 {
		t.Errorf("trained on classes in another order, the accuracy is %v", accuracy)
	}
	if names := trained.Classes(); !slices.Equal(names, []string{"red", "green", "blue"}) {
		t.Errorf("the classes are %q", names)
	}
	if message := panicOf(func() {
		Train(MLP(straight, 1), must(straight.WithClasses([]string{"red", "green", "bleu"})),
			recipe)
	}); !strings.Contains(message, "bleu") {
		t.Errorf("the error is %s", message)
	}
}

func TestTransferMeetsClassesByName(t *testing.T) {
	m := toldColours(t)
	task := transfer.Task{Name: "colours", Classes: 3, Train: colours(t, "red", "green", "blue"),
		Validation: colours(t, "blue", "green", "red"), Test: colours(t, "green", "blue", "red")}
	r, err := transfer.FixedFeatures(m, task, learn.LogisticRegression{}, []float64{1e-3})
	if err != nil || r.Accuracy != (stats.Accuracy{Correct: 36, Total: 36}) {
		t.Fatalf("%+v (%v)", r, err)
	}
	task.Test = must(colours(t, "red", "green", "blue").WithClasses([]string{"red", "green", "bleu"}))
	if _, err := transfer.FixedFeatures(m, task, learn.LogisticRegression{}, []float64{1e-3}); err == nil ||
		!strings.Contains(err.Error(), "bleu") {
		t.Errorf("the error is %v", err)
	}
}

// The label that stands beside a prediction is the dataset's own word, which the model need not know.
func TestTopKShowsTheDatasetSLabels(t *testing.T) {
	m := toldColours(t)
	if got := TopK(m, colours(t, "blue", "red", "green").Take(3), 1).truth; !slices.Equal(got,
		[]string{"red", "green", "blue"}) {
		t.Errorf("the labels are %q", got)
	}
	ds := must(colours(t, "red", "green", "blue").Take(3).WithClasses([]string{"apple", "grass", "sky"}))
	if got := TopK(m, ds, 1).truth; !slices.Equal(got, []string{"apple", "grass", "sky"}) {
		t.Errorf("the labels are %q", got)
	}
	numbers := must(data.FromTensor(must(ds.All()), []int{2, -1, 7}, nil))
	if got := TopK(m, numbers, 1).truth; !slices.Equal(got, []string{"blue", "", "7"}) {
		t.Errorf("the labels are %q", got)
	}
}
