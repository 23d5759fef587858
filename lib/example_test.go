package loupe_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/issues"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/report"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/transfer"
)

func ExampleLoad() {
	m := loupe.Load("efficientnet-lite0") // or a file: "mine.pth", "mine.onnx", "mine.safetensors"
	photos := loupe.Open("sample-imagenet")
	loupe.Show(loupe.TopK(m, photos, 5))
}

func ExampleOpen() {
	photos := loupe.Open("my-photographs") // a folder with a folder for each class, a .zip, or a name such as "mnist"
	loupe.Show(photos)
}

func ExampleEvaluate() {
	net, photos := yours.Network(), yours.Photos(20)
	e := loupe.Evaluate(net, photos)
	fmt.Println(e)
	accuracy, err := e.Accuracy() // in a cell e.Accuracy() alone shows it, and an error stops the cell
	if err != nil {
		panic(err)
	}
	fmt.Println(accuracy)
	mistakes, err := e.Mistakes(20)
	if err != nil {
		panic(err)
	}
	fmt.Println(mistakes.Len(), "mistakes")
	// Output:
	// balance on tensor: 20 images, accuracy 100.0% (83.2 to 100.0%), 20 of 20
	// 100.0% (83.2 to 100.0%), 20 of 20
	// 0 mistakes
}

func ExampleCompare() {
	photos := yours.Photos(40)
	untrained, net := loupe.SmallCNN(photos, 1, 4), yours.CNN(photos)
	c := loupe.Compare(untrained, net, photos)
	fmt.Println(c.Accuracy.Second > c.Accuracy.First, c.Accuracy.Total(), "images")
	// Output: true 40 images
}

func ExampleTopK() {
	top := loupe.TopK(yours.Network(), yours.Photos(2), 1)
	fmt.Println(top.Top[0][0].Class, top.Top[1][0].Class)
	// Output: 0 1
}

func ExampleExplain() {
	net, photos := yours.Network(), yours.Photos(2)
	explained := loupe.Explain(net, photos, attrib.Gradient{}, attrib.Occlusion{Window: 2, Stride: 1})
	for _, a := range explained.Attributions {
		fmt.Println(a.Method)
	}
	// Output:
	// gradient
	// occlusion
}

func ExampleAttribute() {
	a := loupe.Attribute(yours.Network(), yours.Photos(1), attrib.InputXGradient{}, 0) // without 0: the predicted class
	fmt.Println(a.Values.Shape().Dimensions)
	// Output: [1 8 8 1]
}

func ExampleInside() {
	a := loupe.Attribute(yours.Network(), yours.Photos(2), attrib.InputXGradient{})
	inside := loupe.Inside(a, mask.Box{Height: 8, Width: 4}, mask.Box{Column: 4, Height: 8, Width: 4})
	fmt.Println(inside.Hit)
	// Output: [true true]
}

func ExampleLIME() {
	explained := loupe.LIME(yours.Network(), yours.Photos(2), missing.LIME{Masks: 50})
	fmt.Println(explained.Classes)
	// Output: [0 1]
}

func ExampleMissing() {
	curve := loupe.Missing(yours.Network(), yours.Photos(4), 1) // the seed draws the order in which parts are taken away
	fmt.Println(len(curve.Counts), "points, the first for the whole pictures:", curve.Counts[0])
	// Output: 11 points, the first for the whole pictures: 0
}

func ExampleFaithfulness() {
	c := loupe.Faithfulness(yours.Network(), yours.Photos(4), attrib.Gradient{}, attrib.InputXGradient{})
	for _, curve := range c.Deletion {
		fmt.Println(curve.Method)
	}
	// Output:
	// gradient
	// input x gradient
	// random
}

func ExampleRandomisation() {
	net := loupe.SmallCNN(yours.Photos(4), 1, 4)
	r := loupe.Randomisation(net, yours.Photos(2), attrib.Gradient{})
	fmt.Println(r.Layers)
	// Output: [linear hidden conv1]
}

func ExampleInfidelity() {
	r := loupe.Infidelity(yours.Network(), yours.Photos(2), attrib.Gradient{}, faithful.Infidelity{Samples: 20})
	fmt.Printf("%.3f\n", r.Scaled) // the model is linear, and so the gradient tells all
	// Output: [0.000 0.000]
}

func ExampleSensitivity() {
	r := loupe.Sensitivity(yours.Network(), yours.Photos(2), attrib.Gradient{}, faithful.Sensitivity{Samples: 3})
	fmt.Printf("%.3f\n", r.Max)
	// Output: [0.000 0.000]
}

func ExampleRobustness() {
	by := attack.AutoAttack{Norm: attack.LInf, Eps: 0.3, Steps: 5, Queries: 20}
	r := loupe.Robustness(yours.Network(), yours.Photos(6), by)
	fmt.Println("clean:", r.Clean)
	fmt.Println("robust:", r.Robust)
	// Output:
	// clean: 100.0% (54.1 to 100.0%), 6 of 6
	// robust: 0.0% (0.0 to 45.9%), 0 of 6
}

func ExampleCorruptionSweep() {
	// A family, such as "blur" or "weather", is a name as well.
	sweep := loupe.CorruptionSweep(yours.Network(), yours.Photos(10), "gaussian_noise", "contrast")
	for i, name := range sweep.Corruptions {
		fmt.Println(name, sweep.Accuracy[i][5])
	}
	// Output:
	// gaussian_noise 100.0% (69.2 to 100.0%), 10 of 10
	// contrast 100.0% (69.2 to 100.0%), 10 of 10
}

func ExampleCorrupt() {
	images := loupe.Images(yours.Network(), yours.Photos(2))
	worse := loupe.Corrupt(images, "contrast", 5, 1) // the severity, 1 to 5, and the seed
	fmt.Println(worse.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleIssues() {
	twice := yours.Photos(4).Subset([]int{0, 1, 2, 0})
	found := loupe.Issues(twice, issues.Options{Kinds: []issues.Kind{issues.ExactDuplicates}}) // else all kinds
	fmt.Println(found)
	// Output: 2 of 4 pictures of tensor have an issue
}

func ExampleSpurious() {
	photos := yours.Photos(40)
	g := loupe.Spurious(yours.CNN(photos), photos, 0, spurious.NeuralPCA{Components: 1})
	fmt.Println(g.ClassName, len(g.Images), "images")
	// Output: left 20 images
}

func ExampleSpuriosity() {
	photos := yours.Photos(40)
	half := loupe.Spuriosity(yours.CNN(photos), photos, 1, spurious.Ranker{Important: 2, Spurious: 1, Ends: 3})
	fmt.Println(half.Images.Len(), "images are ranked, in the classes", half.Classes)
	// Output: 20 images are ranked, in the classes [0 1]
}

func ExampleSpRAy() {
	photos := yours.Photos(40)
	suspects := loupe.SpRAy(yours.CNN(photos), photos, spray.SpRAy{Neighbors: 5})
	fmt.Println(len(suspects.Analyses), "classes")
	// Output: 2 classes
}

func ExampleConcepts() {
	photos := yours.Photos(40)
	c := loupe.Concepts(yours.CNN(photos), photos.Take(2), lrp.AtlasOptions{Count: 2})
	fmt.Println(len(c.Atlases), "images,", len(c.Atlases[0].Concepts), "concepts each")
	// Output: 2 images, 2 concepts each
}

func ExampleTransfer() {
	photos := yours.Photos(40)
	r := loupe.Transfer(yours.CNN(photos), photos, yours.Photos(20), transfer.LinearProbe{Lambdas: []float64{0.01}})
	fmt.Println(r.Accuracy.Total, "test images")
	// Output: 20 test images
}

func ExampleLikeliest() {
	right := loupe.Likeliest(yours.Network(), yours.Photos(10), 1, 3) // the three likeliest images of class 1
	fmt.Println(right.Labels())
	// Output: [1 1 1]
}

func ExamplePredictedAs() {
	fmt.Println(loupe.PredictedAs(yours.Network(), yours.Photos(10), 1), "percent")
	// Output: 50 percent
}

func ExampleConfidence() {
	fmt.Printf("%.2f\n", loupe.Confidence(yours.Network(), yours.Photos(2))) // of the predicted classes
	// Output: [1.00 1.00]
}

func ExampleScore() {
	photos := yours.Photos(10)
	s := loupe.Score(yours.Network(), photos, photos.Labels())
	fmt.Println(s.Accuracy.Correct, "of", s.Accuracy.Total)
	// Output: 10 of 10
}

func ExampleImages() {
	fmt.Println(loupe.Images(yours.Network(), yours.Photos(3)).Shape().Dimensions) // of a dataset, a path or several
	// Output: [3 8 8 1]
}

func ExamplePrepare() {
	// As the packages below want it; package loupe does so by itself.
	prepared := loupe.Prepare(yours.Network(), yours.Photos(3))
	fmt.Println(prepared.Len(), "images")
	// Output: 3 images
}

func ExampleFunction() {
	mean := loupe.Function("mean", 8, 8, 1, func(x *graph.Node) *graph.Node { // from [N, 8, 8, 1] to logits [N, 2]
		bright := graph.ExpandAxes(graph.ReduceMean(x, 1, 2, 3), -1)
		return graph.Concatenate([]*graph.Node{graph.OneMinus(bright), bright}, -1)
	})
	fmt.Println(mean.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleExec() {
	squares := loupe.Exec(func(x *graph.Node) *graph.Node { return graph.Mul(x, x) }, []float32{1, 2, 3})
	fmt.Println(squares[0].Value())
	// Output: [1 4 9]
}

func ExampleSmallCNN() {
	net := loupe.SmallCNN(yours.Photos(4), 1, 8, 16) // the seed, and how many channels each of two layers has
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleSmallViT() {
	net := loupe.SmallViT(yours.Photos(4), 1, learn.ViT{Patch: 4, Width: 8, Depth: 1, Heads: 2})
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleMLP() {
	net := loupe.MLP(yours.Photos(4), 1, 16) // the seed, and how wide the layer in between is
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleTrain() {
	photos := yours.Photos(40)
	recipe := learn.Recipe{Epochs: 8, BatchSize: 10, LearningRate: 0.02, Adam: true}
	net := loupe.Train(loupe.SmallCNN(photos, 1, 4), photos, recipe)
	fmt.Println(loupe.Evaluate(net, yours.Photos(20)))
	// Output: small CNN on tensor: 20 images, accuracy 100.0% (83.2 to 100.0%), 20 of 20
}

func ExampleTrainOn() {
	photos := yours.Photos(40)
	half := loupe.MaskRandom(loupe.Images(yours.Network(), photos), 0.5, mask.Constant(0), 1)
	recipe := learn.Recipe{Epochs: 8, BatchSize: 10, LearningRate: 0.02, Adam: true}
	net := loupe.TrainOn(loupe.MLP(photos, 1), half, photos.Labels(), recipe)
	fmt.Println(loupe.Accuracies([]*loupe.Model{net}, photos)[0] > 90)
	// Output: true
}

func ExampleEnsemble() {
	photos := yours.Photos(4)
	both := loupe.Ensemble("both", loupe.SmallCNN(photos, 1), loupe.SmallCNN(photos, 2))
	fmt.Println(both.Name(), both.NumClasses(), "classes")
	// Output: both 2 classes
}

func ExampleReplicates() {
	photos := yours.Photos(40)
	recipe := learn.Recipe{Epochs: 2, BatchSize: 10, LearningRate: 0.02, Adam: true}
	networks := loupe.Replicates(3, photos, recipe, func(seed uint64) *loupe.Model { return loupe.MLP(photos, seed) })
	fmt.Println(len(networks), "networks")
	// Output: 3 networks
}

func ExampleAccuracies() {
	fmt.Println(loupe.Accuracies([]*loupe.Model{yours.Network(), yours.Network()}, yours.Photos(10)), "percent")
	// Output: [100 100] percent
}

func ExampleOverSeeds() {
	accuracies := []float64{0.91, 0.89, 0.93}
	fmt.Println(loupe.OverSeeds("accuracy", 3, func(seed uint64) float64 { return accuracies[seed-1] }).Value)
	// Output: 0.91
}

func ExampleMean() {
	fmt.Println(loupe.Mean([]float64{1, 2, 6}))
	// Output: 3
}

func ExampleMaskTop() {
	net := yours.Network()
	images := loupe.Images(net, yours.Photos(2))
	a := loupe.Attribute(net, images, attrib.InputXGradient{})
	masked := loupe.MaskTop(images, a, 9./64, mask.Constant(0)) // the nine pixels of the dot
	fmt.Printf("%.2f\n", loupe.Confidence(net, masked, 0, 1))
	// Output: [0.32 0.33]
}

func ExampleMaskRandom() {
	net := yours.Network()
	masked := loupe.MaskRandom(loupe.Images(net, yours.Photos(2)), 9./64, mask.Constant(0), 1)
	fmt.Println(loupe.PredictedAs(net, masked, 1), "percent")
	// Output: 50 percent
}

func ExampleBackSelect() {
	order := loupe.BackSelect(yours.Network(), yours.Photos(1), mask.SIS{})
	fmt.Println(order.Len(), "image, masked pixel by pixel")
	// Output: 1 image, masked pixel by pixel
}

func ExampleKeepLast() {
	net := yours.Network()
	images := loupe.Images(net, yours.Photos(2))
	order := loupe.BackSelect(net, images, mask.SIS{})
	few := loupe.KeepLast(images, order, 0.1) // a tenth of the pixels
	fmt.Println(loupe.PredictedAs(net, few, 1), "percent")
	// Output: 50 percent
}

func ExampleKeepRandom() {
	few := loupe.KeepRandom(loupe.Images(yours.Network(), yours.Photos(2)), 0.1, mask.Constant(0), 1)
	fmt.Println(few.Shape().Dimensions)
	// Output: [2 8 8 1]
}

func ExampleLastSubsets() {
	net, images := yours.Network(), loupe.Images(yours.Network(), yours.Photos(2))
	subsets := loupe.LastSubsets(net, images, loupe.BackSelect(net, images, mask.SIS{}), 0.1)
	fmt.Println(subsets.Fraction)
	// Output: 0.1
}

func ExampleReport() {
	// loupe.Save("report.html", r) keeps it.
	r := loupe.Report(yours.Network(), yours.Photos(10), report.Options{Budget: time.Second})
	fmt.Println(r.Images, "images of", r.Classes, "classes")
	// Output: 10 images of 2 classes
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	e := loupe.Evaluate(yours.Network(), yours.Photos(4))
	loupe.Save(filepath.Join(dir, "answers.csv"), e) // or .json, .npz, .safetensors; pictures as .png, .svg, .pdf
	fmt.Println(loupe.Read(filepath.Join(dir, "answers.csv")) != nil)
	// Output: true
}

func ExampleRead() {
	path := filepath.Join(os.TempDir(), "loupe-example.npy")
	defer os.Remove(path)
	loupe.Save(path, []float64{1, 2, 3})
	fmt.Println(loupe.Read(path).(*tensors.Tensor).Value())
	// Output: [1 2 3]
}

func ExampleTable() {
	t := loupe.Table("model", "accuracy")
	t.Add("balance", 0.5)
	fmt.Println(len(t.Rows), "row")
	// Output: 1 row
}

func ExampleGallery() {
	loupe.Show(loupe.Gallery(yours.Photos(4), "first", "second"))
}

func ExampleShow() {
	loupe.Show("pictures", loupe.Gallery(yours.Photos(4)), loupe.Table("a", "b"))
}

func ExamplePartial() {
	// After a call was interrupted, such as a long loupe.Evaluate:
	if left := loupe.Partial(); left != nil {
		loupe.Show(left) // what it had done until then
	}
}
