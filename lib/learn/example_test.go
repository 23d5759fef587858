package learn_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleRecipe() {
	photos := yours.Photos(40)
	net := must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	recipe := learn.Recipe{Epochs: 8, BatchSize: 10, LearningRate: 0.02, Adam: true, Seed: 1}
	trained, epochs, err := recipe.Train(net, must(photos.All()), photos.Labels())
	fmt.Println(must(trained.Accuracy(photos)).Correct, "of 40 after", len(epochs), "epochs", err)
	// Output: 40 of 40 after 8 epochs <nil>
}

// The long form: networks, data, and a step that says what the loss is.
func ExampleRun() {
	photos := yours.Photos(40)
	run := learn.Run{
		Nets:      map[string]*model.Model{"net": must(learn.SmallCNN(yours.Spec(), 2, 1, 4))},
		Data:      must(learn.FromTensors(must(photos.All()), photos.Labels())),
		Sampler:   learn.Shuffled(10),
		Optimizer: learn.Adam{LearningRate: 0.02},
		Epochs:    8,
		Step: func(s *learn.Step) learn.Loss {
			return s.Classification(s.Call("net", s.Images()).Logits) // cross entropy and accuracy
		},
		Every: []learn.Hook{learn.Evaluate{On: photos}},
	}
	trained := must(run.Do())
	fmt.Println(must(trained.Nets["net"].Accuracy(photos)).Correct, "of 40 after", trained.Steps, "steps")
	// Output: 40 of 40 after 32 steps
}

func ExampleSmallCNN() {
	net := must(learn.SmallCNN(yours.Spec(), 2, 1, 4, 8)) // two classes, seed 1, layers of 4 and 8 channels
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleMLP() {
	net := must(learn.MLP(yours.Spec(), 2, 1, 16)) // one layer of 16 in between
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleViT() {
	net := must(learn.ViT{Patch: 4, Width: 8, Depth: 1, Heads: 2}.Make(yours.Spec(), 2, 1))
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleSmallBag() {
	net := must(learn.SmallBag(yours.Spec(), 2, 1, 5, 4)) // sees no more than 5 x 5 pixels at once
	fmt.Println(net.NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleFromTensors() {
	photos := yours.Photos(40)
	source := must(learn.FromTensors(must(photos.All()), photos.Labels()))
	fmt.Println(source.Len(), "examples")
	// Output: 40 examples
}

func ExampleAugmented() {
	photos := yours.Photos(4)
	source := must(learn.FromTensors(must(photos.All()), photos.Labels()))
	seen := must(learn.Augmented(source, []int{0, 1}, 1, learn.Views(2), learn.Flip{})) // what a run would learn from
	fmt.Println(seen[learn.Images].Shape().Dimensions)
	// Output: [4 8 8 1]
}

func ExampleLogisticRegression() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	features := must(net.FeaturesOf(photos))
	fit := must(learn.LogisticRegression{Lambda: 0.01}.Fit(features, photos.Labels(), 2))
	fmt.Println(must(learn.HeadAccuracy(fit.Head, features, photos.Labels())).Correct, "of 40")
	// Output: 40 of 40
}

func ExampleLastLayer() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	last := must(learn.LastLayer{Dropout: 0.5}.Of(net))
	images := must(learn.FeatureImages(net, must(photos.All())))
	fmt.Println(last.NumClasses(), "classes of", images.Shape().Dimensions[0], "images' features")
	// Output: 2 classes of 40 images' features
}

func ExampleVariational() {
	net := must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	fmt.Println(must(learn.Variational(net, 0.05, nil)).NumClasses(), "classes")
	// Output: 2 classes
}

func ExampleStatistics() {
	mean, std, err := learn.Statistics(must(yours.Photos(40).All()))
	fmt.Printf("%.2f %.2f %v\n", mean, std, err)
	// Output: [0.16] [0.28] <nil>
}

func ExampleCosine() {
	for _, done := range []float64{0, 0.5, 1} {
		fmt.Printf("%.2f ", learn.Cosine(done)) // what becomes of the learning rate
	}
	// Output: 1.00 0.50 0.00
}

func ExampleOnly() {
	trainable := learn.Only("head") // the weights whose names begin so
	fmt.Println(trainable("head.weight"), trainable("conv.weight"))
	// Output: true false
}

func ExampleFeatureImages() {
	photos := yours.Photos(4)
	features := must(learn.FeatureImages(yours.CNN(yours.Photos(40)), must(photos.All())))
	fmt.Println(features.Shape().Dimensions[0], "images")
	// Output: 4 images
}

func ExampleSteps() {
	schedule := learn.Steps(0.5, 0.25, 0.75) // halved when a quarter of the steps is done, and when three are
	fmt.Println(schedule(0), schedule(0.5), schedule(0.8))
	// Output: 1 0.5 0.25
}

func ExampleCosineTo() {
	fmt.Printf("%.2f\n", learn.CosineTo(0.1)(0.5)) // half way from 1 to 0.1
	// Output: 0.55
}

// enough ends a run when its loss is small.
type enough struct{}

// Due says that it looks after each epoch.
func (enough) Due(steps, epoch, _ int) bool { return steps%epoch == 0 }

func (enough) Do(s *learn.RunState) error {
	epochs := s.History.Epochs()
	last := epochs[len(epochs)-1].Loss
	s.Record("loss of the epoch", last)
	if last < 0.1 {
		s.Stop("the loss is small")
	}
	return nil
}

// A hook of one's own looks at the run between steps.
func ExampleRunState() {
	photos := yours.Photos(40)
	run := learn.Run{
		Nets:      map[string]*model.Model{"net": must(learn.SmallCNN(yours.Spec(), 2, 1, 4))},
		Data:      must(learn.FromTensors(must(photos.All()), photos.Labels())),
		Sampler:   learn.Shuffled(10),
		Optimizer: learn.Adam{LearningRate: 0.02},
		Epochs:    100,
		Step: func(s *learn.Step) learn.Loss {
			return s.Classification(s.Call("net", s.Images()).Logits)
		},
		Every: []learn.Hook{enough{}},
	}
	trained := must(run.Do())
	fmt.Println(trained.Steps < 400, must(trained.Nets["net"].Accuracy(photos)).Correct, "of 40")
	// Output: true 40 of 40
}
