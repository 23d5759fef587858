package evaluate_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/model"
)

// What a model said of six images, of two classes.
func ExampleFromAnswers() {
	probabilities := tensors.FromFlatDataAndDimensions([]float32{.9, .1, .8, .2, .3, .7, .2, .8, .1, .9, .6, .4}, 6, 2)
	answers, err := model.AnswersFromProbabilities("birds", probabilities, []int{0, 0, 0, 1, 1, 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	answers.Classes = []string{"hen", "owl"}
	e, err := evaluate.FromAnswers(answers, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	accuracy, _ := e.Accuracy()
	mistakes, _ := e.Mistakes(1)
	roc, _ := e.ROC()
	fmt.Println(accuracy)
	fmt.Println("image", mistakes.Index[0], "is the surest mistake")
	fmt.Printf("area under the ROC curve %.3f\n", roc.Macro)
	// Output:
	// 66.7% (22.3 to 95.7%), 4 of 6
	// image 2 is the surest mistake
	// area under the ROC curve 0.889
}

func ExampleOf() {
	photos := yours.Photos(20)
	e, err := evaluate.Of(yours.Network(), photos)
	fmt.Println(e, err)
	// Output: balance on tensor: 20 images, accuracy 100.0% (83.2 to 100.0%), 20 of 20 <nil>
}

func ExampleCompare() {
	photos := yours.Photos(20)
	first, err := evaluate.Of(yours.Network(), photos)
	if err != nil {
		panic(err)
	}
	second, err := evaluate.Of(yours.CNN(photos), photos)
	if err != nil {
		panic(err)
	}
	compared, err := evaluate.Compare(first, second)
	fmt.Println(compared.Accuracy.Total(), "images", err)
	// Output: 20 images <nil>
}
