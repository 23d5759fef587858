package spurious_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/spurious"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ranked is a network that has learnt forty photos, the photos as its last layer sees them, and those of the first
// class ranked by one of its features.
func ranked() (*model.Model, spurious.Examples, *spurious.Ranking) {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	e := must(spurious.ExamplesOf(net, photos))
	return net, e, must(spurious.Rank(e, 0, []int{1}))
}

func ExampleFeatures() {
	photos := yours.Photos(40)
	features := must(spurious.Features(yours.CNN(photos), photos))
	rows, _ := features.Dims()
	fmt.Println(rows, "images")
	// Output: 40 images
}

func ExampleImportance() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	e := must(spurious.ExamplesOf(net, photos))
	importance := must(spurious.Importance(must(net.Head()), e, 0)) // of each feature for class 0
	fmt.Println(len(spurious.MostImportant(importance, 2)), "features")
	// Output: 2 features
}

func ExampleMostImportant() {
	fmt.Println(spurious.MostImportant([]float64{0.1, 0.7, 0.2, 0.6}, 2))
	// Output: [1 3]
}

func ExampleRank() {
	_, _, ranking := ranked()
	fmt.Println(len(ranking.High(5)), "with most of the feature,", len(ranking.Low(5)), "with least")
	// Output: 5 with most of the feature, 5 with least
}

func ExampleSpuriousGap() {
	net, e, ranking := ranked()
	predicted := spurious.Predict(must(net.Head()), e.Features)
	gap := must(spurious.SpuriousGap(predicted, []*spurious.Ranking{ranking}, 5))
	fmt.Println(gap) // it is right about all, whatever they have of the feature
	// Output: 0
}

func ExampleCompare() {
	net, e, ranking := ranked()
	answers := must(spurious.PredictionsOf(yours.Photos(40), net))
	c := must(spurious.Compare(e, []*spurious.Ranking{ranking}, 5, answers...))
	fmt.Println(len(c.Table().Rows), "row")
	// Output: 1 row
}

func ExampleNeuralPCA() {
	photos := yours.Photos(40)
	sheet := must(spurious.NeuralPCA{Components: 2, Each: 3}.Of(yours.CNN(photos), photos, 0))
	fmt.Println(sheet.ClassName, len(sheet.Images), "images")
	// Output: left 20 images
}

func ExampleSpuriousScore() {
	photos := yours.Photos(40)
	left, right := photos.OfClass(0), photos.OfClass(1) // the second stand for pictures with the spurious feature alone
	score := must(spurious.SpuriousScore(yours.CNN(photos), 0, left, right))
	fmt.Println(score.AUC)
	// Output: 1
}

func ExampleRanker() {
	photos := yours.Photos(60)
	find := spurious.Ranker{Classes: []int{0}, Important: 2, Spurious: 1, Ends: 3}
	r := must(find.Of(yours.CNN(photos), photos.Take(20), photos.Skip(20).Take(20), photos.Skip(40)))
	fmt.Println(len(r.OnTrain[0].Images), "images of the class are ranked by", len(r.OnTrain[0].Features), "feature")
	// Output: 10 images of the class are ranked by 1 feature
}

func ExampleSpuFix() {
	photos := yours.Photos(40)
	net := yours.CNN(photos)
	components := must(spurious.ClassPCA(net, photos, 0)) // of which a look says that the first is spurious
	fixed := must(spurious.SpuFix(net, must(components.Fix(0))))
	fmt.Println(fixed.Name())
	// Output: small with SpuFix
}

func ExampleExamplesOf() {
	photos := yours.Photos(40)
	e := must(spurious.ExamplesOf(yours.CNN(photos), photos)) // as the last layer sees them
	fmt.Println(len(e.Labels), "images")
	// Output: 40 images
}

func ExamplePredict() {
	net, e, _ := ranked()
	fmt.Println(spurious.Predict(must(net.Head()), e.Features)[:4])
	// Output: [0 1 0 1]
}

func ExamplePredictionsOf() {
	photos := yours.Photos(4)
	answers := must(spurious.PredictionsOf(photos, yours.Network()))
	fmt.Println(must(answers[0].Accuracy()).Correct, "of 4")
	// Output: 4 of 4
}

// dim are twenty photos, and the same with less light, which is another class.
func dim() *data.Dataset {
	pixels, labels := tensors.MustCopyFlatData[float32](must(yours.Photos(20).All())), make([]int, 40)
	for i := range labels[:20] {
		labels[20+i] = 1
	}
	for _, v := range pixels[:len(pixels):len(pixels)] {
		pixels = append(pixels, 0.2*v)
	}
	return must(data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, 40, yours.Side, yours.Side, 1), labels,
		[]string{"bright", "dim"}))
}

func ExampleFeatureSheet() {
	photos := dim()
	spec := yours.Spec()
	spec.Classes = photos.Classes()
	net := must(learn.SmallBag(spec, 2, 1, 3, 4)) // a feature is the mean over all places, so that it lies somewhere
	recipe := learn.Recipe{Epochs: 10, BatchSize: 10, LearningRate: 0.02, Adam: true, Seed: 1}
	net, _, err := recipe.Train(net, must(photos.All()), photos.Labels())
	if err != nil {
		panic(err)
	}
	sheet := must(spurious.FeatureSheet(net, photos, 0, 2, 3)) // for two features three images each
	for _, row := range sheet.Rows {
		fmt.Println(len(row), "images") // below them where in each the feature is
	}
	// Output:
	// 3 images
	// 3 images
	// 3 images
	// 3 images
}

// The last layer is tuned on the images that have least of what is spurious, or for a control on any.
func ExampleMitigation() {
	photos := yours.Photos(60)
	find := spurious.Ranker{Classes: []int{0}, Important: 2, Spurious: 1, Ends: 3}
	r := must(find.Of(yours.CNN(photos), photos.Take(20), photos.Skip(20).Take(20), photos.Skip(40)))
	mend := spurious.Mitigation{Few: 5, Ends: 3, Tuning: spurious.Tuning{Epochs: 5}}
	for _, pick := range []func(*spurious.Ranking, int) []int{(*spurious.Ranking).Low, spurious.Randomly(1)} {
		head := must(mend.Of(r, pick))
		right := 0
		for i, class := range spurious.Predict(head, r.Test.Features) {
			if class == r.Test.Labels[i] {
				right++
			}
		}
		fmt.Println(right, "of 20")
	}
	// Output:
	// 20 of 20
	// 20 of 20
}

func ExampleRankByEach() {
	net, e, _ := ranked()
	pairs := must(spurious.RankByEach(must(net.Head()), e, e, 2, 0, 1)) // two features of two classes
	fmt.Println(len(pairs), "rankings")
	// Output: 4 rankings
}
