package shift_test

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/stats"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleSweepDataset() {
	c := must(perturb.CorruptionsNamed("contrast"))
	sweep := must(shift.SweepDataset(yours.Network(), yours.Photos(10), 1, c...))
	fmt.Println(sweep.Accuracy[0][0], "without")
	// Output: 100.0% (69.2 to 100.0%), 10 of 10 without
}

// Networks are tried under conditions, and what is done stays in a file.
func ExampleNewTestbed() {
	dir := must(os.MkdirTemp("", "testbed"))
	defer os.RemoveAll(dir)
	bed := must(shift.NewTestbed(filepath.Join(dir, "results.csv")))
	photos := yours.Photos(10)
	worse := shift.Corrupted(photos, must(perturb.CorruptionNamed("contrast")), 3, 1)
	results := must(bed.Run([]*model.Model{yours.Network()}, shift.Condition{Name: "photos", Data: photos}, worse))
	fmt.Println(must(results.Accuracy("balance", "photos")))
	// Output: 100.0% (69.2 to 100.0%), 10 of 10
}

func ExampleResults_Fit() {
	r := shift.NewResults()
	for i, model := range []string{"one", "two", "three", "four"} {
		for condition, lower := range map[string]int{"before": 0, "after": 10} {
			cell := shift.Cell{Model: model, Condition: condition, Accuracy: stats.Accuracy{Correct: 60 + 5*i - lower,
				Total: 100}}
			if err := r.Add(cell); err != nil {
				panic(err)
			}
		}
	}
	line := must(r.Fit(stats.Linear, "before", "after", nil))
	fmt.Printf("%.2f\n", line.Predict(0.7)) // ten points less
	// Output: 0.60
}

// What fools a network is kept: how ImageNet-A was made.
func ExampleFilter() {
	photos := yours.Photos(40)
	answers := must(yours.Network().Answers(photos))
	kept := must(shift.Filter{LabelBelow: 1}.Keep([]*model.Answers{answers}))
	fmt.Println(len(kept.Kept), "are kept of a network that is right about all")
	// Output: 0 are kept of a network that is right about all
}

func ExampleCorrupted() {
	worse := shift.Corrupted(yours.Photos(10), must(perturb.CorruptionNamed("contrast")), 3, 1)
	fmt.Println(worse.Name)
	// Output: contrast 3
}

func ExampleImageNetAClasses() {
	fmt.Println(len(shift.ImageNetAClasses()), len(shift.ImageNetRClasses()), "of ImageNet's 1,000 classes")
	// Output: 200 200 of ImageNet's 1,000 classes
}

func ExampleNewResults() {
	r := shift.NewResults()
	if err := r.Add(shift.Cell{Model: "mine", Condition: "photos",
		Accuracy: stats.Accuracy{Correct: 9, Total: 10}}); err != nil {
		panic(err)
	}
	fmt.Println(r.Conditions())
	// Output: [photos]
}

// written is a new folder with files in it, by their names.
func written(files map[string]string) string {
	dir := must(os.MkdirTemp("", "shift"))
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	return dir
}

func ExampleReadPredictions() {
	dir := written(map[string]string{"mine_predictions.json": "[3, 0, 1]"})
	defer os.RemoveAll(dir)
	for _, answers := range must(shift.ReadPredictions(dir)) {
		fmt.Println(answers.Model, must(answers.Predicted()))
	}
	// Output: mine [3 0 1]
}

// npy writes numbers as NumPy does.
func npy(to io.Writer, shape string, numbers ...int64) {
	head := fmt.Sprintf("{'descr': '<i8', 'fortran_order': False, 'shape': %s, }\n", shape)
	raw := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)), 0)
	must(to.Write(must(binary.Append(append(raw, head...), binary.LittleEndian, numbers))))
}

// Two models' answers about three images, in an archive of NumPy.
func ExampleReadPredictionArchive() {
	dir := written(map[string]string{"models.txt": "one\ntwo\n"})
	defer os.RemoveAll(dir)
	file := must(os.Create(filepath.Join(dir, "predictions.npz")))
	defer file.Close()
	archive := zip.NewWriter(file)
	npy(must(archive.Create("top1.npy")), "(2, 3)", 0, 1, 2, 0, 0, 0)
	npy(must(archive.Create("labels.npy")), "(3,)", 0, 1, 1)
	if err := archive.Close(); err != nil {
		panic(err)
	}
	all, labels, err := shift.ReadPredictionArchive(file.Name(), filepath.Join(dir, "models.txt"))
	if err != nil {
		panic(err)
	}
	for _, answers := range all {
		fmt.Println(answers.Model, must(answers.Predicted()), "of", labels)
	}
	// Output:
	// one [0 1 2] of [0 1 1]
	// two [0 0 0] of [0 1 1]
}

func ExampleReadAccuracies() {
	dir := written(map[string]string{"table.csv": "model,before,after\nmine,80,70.5\n"})
	defer os.RemoveAll(dir)
	images := func(condition string) int { return 200 }
	results := must(shift.ReadAccuracies(filepath.Join(dir, "table.csv"), 100, images))
	fmt.Println(must(results.Accuracy("mine", "after")).Correct, "of 200")
	// Output: 141 of 200
}

func ExampleReadTestbed() {
	dir := written(map[string]string{
		"robustness_top1s.csv": "model,val,imagenet-a\nresnet50,76,0\n",
		"types.csv":            "model,type\nresnet50,STANDARD\n"})
	defer os.RemoveAll(dir)
	results := must(shift.ReadTestbed(filepath.Join(dir, "robustness_top1s.csv"), filepath.Join(dir, "types.csv")))
	fmt.Println(must(results.Accuracy("resnet50", "val")).Correct, results.TestbedFit("resnet50"))
	// Output: 38000 true
}

// timm's tables lie in one folder; here each has the same model.
func ExampleReadTimm() {
	files := map[string]string{}
	for _, name := range []string{"imagenet", "imagenetv2-matched-frequency", "imagenet-a-clean", "imagenet-a",
		"imagenet-r-clean", "imagenet-r"} {
		files["results-"+name+".csv"] = "model,img_size,top1\nresnet50.a1_in1k,224,80\n"
	}
	files["results-imagenet-real.csv"] = "model,img_size,top1\nresnet50.a1_in1k,224,85.998\n"
	dir := written(files)
	defer os.RemoveAll(dir)
	results := must(shift.ReadTimm(dir))
	fmt.Println(must(results.Accuracy("resnet50.a1_in1k@224", "imagenet")).Correct)
	// Output: 40000
}

func ExampleCorruptionSweep() {
	photos := yours.Photos(10)
	sweep := must(shift.CorruptionSweep(yours.Network(), must(photos.All()), photos.Labels(), 1,
		must(perturb.CorruptionNamed("contrast"))))
	fmt.Println(len(sweep.Accuracy[0]), "severities, the first of which is none")
	// Output: 6 severities, the first of which is none
}

func ExampleTransfers() {
	photos := yours.Photos(4) // left, right, left, right
	right := must(yours.Network().Answers(photos))
	said := func(name string, classes ...float32) *model.Answers {
		logits := tensors.FromFlatDataAndDimensions(classes, 4, 2)
		return must(model.AnswersFromLogits(name, logits, right.Labels))
	}
	one := said("one", 0, 1, 0, 1, 1, 0, 1, 0) // wrong about the first and the last
	two := said("two", 0, 1, 0, 1, 1, 0, 0, 1) // and about the first alone
	for _, c := range must(shift.Transfers(one, two)) {
		fmt.Println(c.Name, c.Value, "and elsewhere", c.ControlValue)
	}
	// Output:
	// two right on what one gets wrong 0.5 and elsewhere 1
	// one right on what two gets wrong 0 and elsewhere 0.6666666666666666
}

func ExampleImageNetRClasses() {
	fmt.Println(shift.ImageNetRClasses()[:3])
	// Output: [1 2 4]
}
