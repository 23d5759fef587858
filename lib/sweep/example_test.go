package sweep_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/sweep"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// written is a new folder with a file in it, which are gone when done is called.
func written(name, text string) (file string, done func()) {
	dir := must(os.MkdirTemp("", "sweep"))
	file = filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return file, func() { os.RemoveAll(dir) }
}

const twoConditions = `{
	"models": [{"name": "mine", "file": "mine.onnx"}],
	"data": [{"name": "photos", "path": "photos"}],
	"conditions": [{"data": "photos"}, {"data": "photos", "corruption": "fog", "severity": 3}]
}`

func ExampleReadPlan() {
	file, done := written("plan.json", twoConditions)
	defer done()
	plan := must(sweep.ReadPlan(file))
	if err := plan.Check(); err != nil { // fills in the names of conditions, and the method
		panic(err)
	}
	for _, cell := range plan.Keys() {
		fmt.Println(cell)
	}
	// Output:
	// mine under photos
	// mine under photos, fog 3
}

func ExampleReadCorrections() {
	file, done := written("corrected.csv", "file,label\ncat/3.png,dog\ncat/8.png,\n")
	defer done()
	labels := must(sweep.ReadCorrections(file))
	fmt.Printf("%q %q\n", labels["cat/3.png"], labels["cat/8.png"]) // the second is not to count
	// Output: "dog" ""
}

// A sweep is planned into a store, and looked at from there. Its workers compute what is left.
func ExampleOpen() {
	file, done := written("plan.json", twoConditions)
	defer done()
	plan := must(sweep.ReadPlan(file))
	if err := plan.Check(); err != nil {
		panic(err)
	}
	plan.Models[0].Identity, plan.Data[0].Identity = "a model", "a dataset" // by Plan.Resolve, from real files
	where := filepath.Join(filepath.Dir(file), sweep.StoreFile)
	store := must(sweep.OpenStore(where))
	defer store.Close()
	pictures := sweep.Pictures{Names: []string{"1.png", "2.png"}, Labels: []int{0, 1}, Classes: []string{"cat", "dog"}}
	if err := store.Add("fogged", plan, map[string]sweep.Pictures{"photos": pictures}); err != nil {
		panic(err)
	}
	opened := must(sweep.Open("fogged", where))
	defer opened.Close()
	status := must(opened.Status())
	fmt.Println(status.Left(), "of", status.All, "cells are left")
	// Output: 2 of 2 cells are left
}

func ExampleOpenStore() {
	dir := must(os.MkdirTemp("", "sweep"))
	defer os.RemoveAll(dir)
	store := must(sweep.OpenStore(filepath.Join(dir, sweep.StoreFile))) // or postgres://user@host/database
	fmt.Println(store.Close())
	// Output: <nil>
}

// A method of one's own keeps a number for each picture: here how sure the network is. Its mean is the measure.
func ExampleRegister() {
	sure := sweep.Method{
		Run: func(t sweep.Trial) (map[string]*tensors.Tensor, error) {
			answers, err := t.Model.Answers(t.Images)
			if err != nil {
				return nil, err
			}
			shares, err := answers.Confidence()
			if err != nil {
				return nil, err
			}
			sure := make([]float32, len(shares))
			for i, share := range shares {
				sure[i] = float32(share)
			}
			return map[string]*tensors.Tensor{"sure": tensors.FromFlatDataAndDimensions(sure, len(sure))}, nil
		},
		Measure: sweep.Means,
	}
	if !slices.Contains(sweep.Methods(), "sureness") { // when a cell is run again it is there
		if err := sweep.Register("sureness", sure); err != nil {
			panic(err)
		}
	}
	fmt.Println(slices.Contains(sweep.Methods(), "sureness"))
	// Output: true
}
