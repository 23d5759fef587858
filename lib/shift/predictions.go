package shift

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/model"
)

// ReadPredictions reads the published predictions in a folder, a file for each model, in the order of the names:
//
//   - .npy files of integers, [N] or [N, k] with the likeliest class first: those of ImageNetV2 (data/predictions/SET of modestyachts/ImageNetV2, k = 5)
//   - .json files with a list of N classes: those of CIFAR-10.1 (model_predictions of modestyachts/CIFAR-10.1)
//
// A model is called as its file, without the ending and _predictions. Other files are left alone; it is an error where
// there are none.
func ReadPredictions(folder string) ([]*model.Answers, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("shift: %w", err)
	}
	var all []*model.Answers
	for _, e := range entries {
		file, kind := filepath.Join(folder, e.Name()), filepath.Ext(e.Name())
		var ranked [][]int
		switch kind {
		case ".json":
			ranked, err = readJSON(file)
		case ".npy":
			ranked, err = readNPY(file)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, model.AnswersFromRanked(strings.TrimSuffix(strings.TrimSuffix(e.Name(), kind), "_predictions"),
			ranked))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("shift: %s has no predictions: they are .npy or .json files", folder)
	}
	return all, nil
}

// ReadPredictionArchive reads the predictions of several models from a .npz archive with the arrays top1, integers [M,
// N], and labels, [N]. models is a text file with the M names, one a line.
func ReadPredictionArchive(file, models string) (predictions []*model.Answers, labels []int, err error) {
	text, err := regular.ReadFile(models)
	if err != nil {
		return nil, nil, fmt.Errorf("shift: %w", err)
	}
	names := strings.Fields(string(text))
	read, err := numpy.ReadFromArchive(file, "top1", "labels")
	if err != nil {
		return nil, nil, fmt.Errorf("shift: %s: %w", file, err)
	}
	arrays := map[string][]int{}
	for i, name := range []string{"top1", "labels"} {
		if arrays[name], err = numpy.Ints(read[i]); err != nil {
			return nil, nil, fmt.Errorf("shift: %s of %s: %w", name, file, err)
		}
	}
	labels = arrays["labels"]
	if len(names) == 0 || len(names)*len(labels) != len(arrays["top1"]) {
		return nil, nil, fmt.Errorf("shift: %s has %d predictions, and they would be %d models' (%s) of %d images", file,
			len(arrays["top1"]), len(names), models, len(labels))
	}
	for m, name := range names {
		predictions = append(predictions, model.AnswersFromClasses(name, arrays["top1"][m*len(labels):(m+1)*len(labels)]))
	}
	return predictions, labels, nil
}

func readJSON(file string) ([][]int, error) {
	text, err := regular.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("shift: %w", err)
	}
	var classes []int
	if err := json.Unmarshal(text, &classes); err != nil {
		return nil, fmt.Errorf("shift: %s is not a list of classes: %w", file, err)
	}
	return asRows(classes, 1), nil
}

func readNPY(file string) ([][]int, error) {
	flat, shape, err := numpy.ReadInts(file)
	if err != nil {
		return nil, fmt.Errorf("shift: %w", err)
	}
	k := 1
	switch {
	case len(shape) == 2 && shape[0] > 0 && shape[1] > 0:
		k = shape[1]
	case len(shape) != 1 || shape[0] == 0:
		return nil, fmt.Errorf("shift: %s has the shape %v, and classes are [N] or [N, k]", file, shape)
	}
	return asRows(flat, k), nil
}

func asRows(flat []int, k int) [][]int {
	rows := make([][]int, len(flat)/k)
	for i := range rows {
		rows[i] = flat[i*k : (i+1)*k : (i+1)*k]
	}
	return rows
}

// AddPredictions adds what models' predictions are worth under a condition: an image is recognised when its label is
// among the k likeliest classes, 1 for top-1. Images with the label -1 do not count.
func (r *Results) AddPredictions(condition string, labels []int, k int, predictions ...*model.Answers) error {
	for _, p := range predictions {
		if p.Len() != len(labels) {
			return fmt.Errorf("shift: %s has %d predictions for the %d labels of %s", p.Model, p.Len(), len(labels), condition)
		}
		ranked, err := p.Ranked(k)
		if err != nil {
			return fmt.Errorf("shift: %w", err)
		}
		c := Cell{Model: p.Model, Condition: condition}
		for i, label := range labels {
			if label < 0 {
				continue
			}
			c.Accuracy.Total++
			if slices.Contains(ranked[i], label) {
				c.Accuracy.Correct++
			}
		}
		if err := r.Add(c); err != nil {
			return err
		}
	}
	return nil
}
