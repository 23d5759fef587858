package labels_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/labels"
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

// twoWrong are forty photos' labels of which those of the photos 3 and 8 are wrong.
func twoWrong() []int {
	given := yours.Photos(40).Labels()
	given[3], given[8] = 0, 1
	return given
}

// probabilities are a network's of forty photos that it was not trained on.
func probabilities() labels.Probabilities {
	answers := must(yours.Network().Answers(yours.Photos(40)))
	return must(labels.FromTensor(must(answers.Probabilities())))
}

func ExampleFind() {
	photos := yours.Photos(40)
	answers := must(yours.Network().Answers(photos))
	answers = must(model.AnswersFromLogits("balance", must(answers.Logits()), twoWrong()))
	issues := must(labels.Find(answers, labels.Options{})) // the zero Options are cleanlab's defaults
	for _, issue := range issues.List {
		fmt.Println("photo", issue.Index, "is labelled", issue.Given, "and looks like", issue.Suggested)
	}
	// Unordered output:
	// photo 3 is labelled 0 and looks like 1
	// photo 8 is labelled 1 and looks like 0
}

func ExampleFindLabelIssues() {
	issues := must(labels.FindLabelIssues(probabilities(), twoWrong(), labels.Options{Filter: labels.Both,
		Rank: labels.NormalizedMargin}))
	fmt.Println(len(issues.List), "labels look wrong")
	// Output: 2 labels look wrong
}

func ExampleEstimateJoint() {
	joint := must(labels.EstimateJoint(probabilities(), twoWrong()))
	fmt.Println(joint.Counts) // by given label and by class
	// Output: [[19 1] [1 19]]
}

func ExampleHealth() {
	health := must(labels.Health(probabilities(), twoWrong()))
	fmt.Printf("%.2f\n", health.Score) // 1 would be no label in error
	// Output: 0.95
}

func ExampleTryFilters() {
	truth := yours.Photos(40).Labels()
	trial := must(labels.TryFilters(probabilities(), twoWrong(), truth, labels.PruneByClass, labels.ConfidentLearning))
	all := labels.FilterTrials{trial}
	fmt.Println(must(all.Precision(labels.ConfidentLearning)), must(all.Recall(labels.ConfidentLearning)))
	// Output: [100] [100]
}

func ExampleCrossValidate() {
	photos := yours.Photos(40)
	features := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](must(photos.All())), 40, 64)
	fit := labels.LinearHead(features, photos.Labels(), 2, 1)
	out := must(labels.CrossValidate(photos.Labels(), 4, 1, fit)) // of each photo by a head that was not fitted to it
	fmt.Println(out.Shape().Dimensions)
	// Output: [40 2]
}

func ExampleChanged() {
	fmt.Println(must(labels.Changed(twoWrong(), yours.Photos(40).Labels())))
	// Output: [3 8]
}

// people are what ten people say of three pictures of two classes.
func people() labels.Probabilities {
	return must(labels.Float32s([]float32{1, 0, 0.6, 0.4, 0.2, 0.8}, 2))
}

func ExampleFloat32s() {
	p := must(labels.Float32s([]float32{0.75, 0.25, 0.5, 0.5}, 2)) // two examples of two classes
	fmt.Println(must(labels.Scores(p, []int{0, 0}, labels.SelfConfidence)))
	// Output: [0.75 0.5]
}

func ExampleMostVotes() {
	fmt.Println(must(labels.MostVotes(people(), []int{0, 0, 0}, 0.5))) // the third is taken for class 1 by most
	// Output: [0 0 1]
}

func ExampleLeastAgreed() {
	fmt.Println(must(labels.LeastAgreed(people(), []int{0, 0, 1})))
	// Output: [1 2 0]
}

func ExampleDrawLabels() {
	drawn := must(labels.DrawLabels(people(), []int{0, 0, 1}, 1, 1)) // the answer of one person each, by seed 1
	fmt.Println(len(drawn), "labels, the first", drawn[0])
	// Output: 3 labels, the first 0
}

// A page on which a person looks at each picture and decides; the decisions are kept in a file.
func ExampleOpenReview() {
	dir := must(os.MkdirTemp("", "review"))
	defer os.RemoveAll(dir)
	photos := yours.Photos(40)
	issues := must(labels.FindLabelIssues(probabilities(), twoWrong(), labels.Options{}))
	review := must(labels.OpenReview(filepath.Join(dir, "review.json"), photos, issues.List, photos.Classes()))
	fmt.Println(review.Decide(0, labels.TakeSuggestion), review.Decided(), "decided")
	// Output: <nil> 1 decided
}

func ExampleRerank() {
	photos := yours.Photos(40)
	answers := must(yours.Network().Answers(photos))
	ranked := must(labels.Rerank([]*model.Answers{answers}, twoWrong(), photos.Labels()))
	// Of the two whose label was changed: right by the labels given, and by the right ones.
	fmt.Println(ranked.Models[0].Given, ranked.Models[0].Corrected)
	// Output: 0 2
}

func ExampleNormalizedMargin() {
	row := []float64{0.75, 0.25}
	fmt.Println(labels.SelfConfidence(row, 0), labels.NormalizedMargin(row, 0)) // of the label 0; low is suspicious
	// Output: 0.75 0.75
}

func ExampleFromTensor() {
	p := must(labels.FromTensor(tensors.FromFlatDataAndDimensions([]float32{0.75, 0.25}, 1, 2)))
	fmt.Println(must(labels.Scores(p, []int{0}, labels.SelfConfidence)))
	// Output: [0.75]
}

// npy is a NumPy file with numbers of a type.
func npy(file, kind, shape string, numbers any) {
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", kind, shape)
	raw := append([]byte("\x93NUMPY\x01\x00"), byte(len(head)), 0)
	raw = must(binary.Append(append(raw, head...), binary.LittleEndian, numbers))
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		panic(err)
	}
}

func ExampleReadLabels() {
	dir := must(os.MkdirTemp("", "labels"))
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "labels.npy") // numpy.save("labels.npy", numpy.array([2, 0, 1]))
	npy(file, "<i8", "(3,)", []int64{2, 0, 1})
	fmt.Println(must(labels.ReadLabels(file)))
	// Output: [2 0 1]
}

// Probabilities of a file are mapped, not read, so that they may be more than memory holds.
func ExampleOpenProbabilities() {
	dir := must(os.MkdirTemp("", "labels"))
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "probabilities.npy")
	npy(file, "<f4", "(2, 2)", []float32{0.75, 0.25, 0.5, 0.5})
	p := must(labels.OpenProbabilities(file))
	defer p.Close()
	fmt.Println(must(labels.Scores(p, []int{0, 0}, labels.SelfConfidence)))
	// Output: [0.75 0.5]
}

func ExampleReadVerdicts() {
	dir := must(os.MkdirTemp("", "labels"))
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "verdicts.json")
	text := `[{"id": 6, "given_original_label": 3, "our_guessed_label": 5,
		"mturk": {"given": 1, "guessed": 4, "both": 0, "neither": 0}}]`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	for _, v := range must(labels.ReadVerdicts(file)) {
		fmt.Println("image", v.Index, "is", v.Outcome())
	}
	// Output: image 6 is correctable
}

func ExampleLinearHead() {
	photos := yours.Photos(40)
	features := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](must(photos.All())), 40, 64)
	fit := labels.LinearHead(features, photos.Labels(), 2, 1)
	out := must(fit([]int{0, 1, 2, 3, 4, 5}, []int{6, 7})) // learns from six, and is asked about two
	fmt.Println(out.Shape().Dimensions)
	// Output: [2 2]
}

func ExampleTraining() {
	photos := yours.Photos(20)
	recipe := learn.Recipe{Epochs: 2, BatchSize: 5, LearningRate: 0.02, Adam: true}
	net := must(learn.SmallCNN(yours.Spec(), 2, 1, 4))
	fit := labels.Training(recipe, net, must(photos.All()), photos.Labels())
	out := must(labels.CrossValidate(photos.Labels(), 2, 1, fit))
	fmt.Println(out.Shape().Dimensions)
	// Output: [20 2]
}

// One model is better by the labels that are right, and the other one by those that are wrong.
func ExampleRankReversal() {
	given, corrected := []int{0, 0, 0, 0}, []int{0, 0, 0, 1}
	careful := model.AnswersFromClasses("careful", []int{0, 0, 1, 1})
	eager := model.AnswersFromClasses("eager", []int{0, 0, 0, 0})
	b := must(labels.Rerank([]*model.Answers{careful, eager}, given, corrected))
	for _, r := range b.RankReversals(true) {
		fmt.Printf("%s is overtaken at %.0f%% of wrong labels\n", b.Models[r.Leader].Model, 100*r.Prevalence)
	}
	// Output: eager is overtaken at 25% of wrong labels
}

// Are models that are better on all else better on the examples whose label was wrong? Here they are worse.
func ExampleAccuracyCorrelation() {
	const n, wrong = 60, 10
	given, corrected := make([]int, n), make([]int, n)
	for i := range wrong {
		corrected[i] = 1
	}
	l := labels.AccuracyCorrelation{Given: given, Draws: 100}
	for m := range 8 {
		predicted := make([]int, n)
		for i := range predicted {
			switch {
			case i < wrong && i <= m: // a worse model is right here, the more often the larger m
				predicted[i] = 1
			case i >= wrong && i%10 < m:
				predicted[i] = 2
			}
		}
		l.Models = append(l.Models, model.AnswersFromClasses(fmt.Sprint(m), predicted))
	}
	claims := must(l.Of("corrections", corrected, []int{10, 13, 21, 22, 24, 30, 35, 41, 43, 56}))
	fmt.Println(claims[1].Name, claims[1].Value < -0.99)
	// Output: r, corrections, by the corrected labels true
}

// Are these the images that the others were asked about, and in the same order?
func ExampleAlignment() {
	given := []int{0, 0, 0, 0, 1, 1, 1, 1}
	answers := []int{1, 0, 0, 0, 1, 1, 0, 1} // wrong about the images 0 and 6
	others := model.AnswersFromClasses("theirs", answers)
	c := must(labels.Alignment("mine", answers, given, others))
	fmt.Println(c.Value, c.ControlValue) // wrong about what theirs gets wrong, and were all one image further on
	// Output: 1 0
}
