// Command surface asks everything that a loupe.Evaluate answers; bench/surface/compare.py calls it and compares.
//
//	surface NETWORK PHOTOGRAPHS.zip IMAGES ROUNDS
//
// NETWORK is the name of a model or the path of its weights. Of the archive's photographs evenly spaced ones are taken,
// or all of them over and over again, until there are as many images. For each round it prints the seconds by the clock
// from opening the archive to the last answer, those of the processors, and the most memory so far in MB, and in the
// last line the answers as JSON. Loading the network comes before; the first round also compiles.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/loupeml/loupe/bench/internal/usage"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/model"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "surface:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("usage: surface NETWORK PHOTOGRAPHS.zip IMAGES ROUNDS")
	}
	images, err := strconv.Atoi(args[2])
	if err != nil || images < 1 {
		return fmt.Errorf("%q images", args[2])
	}
	rounds, err := strconv.Atoi(args[3])
	if err != nil || rounds < 1 {
		return fmt.Errorf("%q rounds", args[3])
	}
	m, err := model.Load(args[0])
	if err != nil {
		return err
	}
	var said answers
	for range rounds {
		start, busy := time.Now(), usage.Processors()
		if said, err = ask(m, args[1], images); err != nil {
			return err
		}
		fmt.Printf("%.3f %.3f %.1f\n", time.Since(start).Seconds(), usage.Processors()-busy, usage.Memory())
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// answers are what both programs find, to be compared.
type answers struct {
	Accuracy  float64 `json:"accuracy"`
	Top5      float64 `json:"top5"`
	MacroF1   float64 `json:"macro_f1"`
	Confused  int     `json:"confused"` // images off the confusion matrix's diagonal
	ROC       float64 `json:"roc"`
	Precision float64 `json:"precision"` // the mean average precision
	ECE       float64 `json:"ece"`
	Mistakes  []int   `json:"mistakes"`
	Issues    []int   `json:"issues"`
	Unlike    []int   `json:"unlike"`
}

const shown = 20 // mistakes, and images that are unlike others

func ask(m *model.Model, archive string, images int) (said answers, err error) {
	options := data.Options{}
	if m.NumClasses() == 1000 { // the sample of ImageNet has the class's number in the file's name
		options.Label = data.LeadingNumber
	}
	all, err := data.Zip(archive, options)
	if err != nil {
		return said, err
	}
	index := make([]int, images)
	for i := range index {
		if index[i] = i % all.Len(); images < all.Len() { // of all classes
			index[i] = i * all.Len() / images
		}
	}
	e, err := evaluate.Of(m, all.Subset(index).Map(m.Prepare()...))
	if err != nil {
		return said, err
	}
	accuracy, err := e.Accuracy()
	if err != nil {
		return said, err
	}
	said.Accuracy, said.Top5 = accuracy.Share(), accuracy.Top5.Share()
	classes, err := e.PerClass()
	if err != nil {
		return said, err
	}
	said.MacroF1 = classes.MacroF1
	confusion, err := e.Confusion()
	if err != nil {
		return said, err
	}
	for _, p := range confusion.Pairs() {
		said.Confused += p.Images
	}
	roc, err := e.ROC()
	if err != nil {
		return said, err
	}
	precision, err := e.PrecisionRecall()
	if err != nil {
		return said, err
	}
	said.ROC, said.Precision = roc.Macro, precision.Macro
	calibration, err := e.Calibration()
	if err != nil {
		return said, err
	}
	said.ECE = calibration.ECE
	mistakes, err := e.Mistakes(shown)
	if err != nil {
		return said, err
	}
	if _, err := mistakes.Grid(); err != nil { // reads their pictures
		return said, err
	}
	issues, err := e.LabelIssues()
	if err != nil {
		return said, err
	}
	unlike, err := e.Unlike(shown)
	if err != nil {
		return said, err
	}
	said.Mistakes, said.Issues, said.Unlike = mistakes.Index, issues.Index, unlike.Index
	return said, nil
}
