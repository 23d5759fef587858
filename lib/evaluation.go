package loupe

import (
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/evaluate"
	"github.com/loupeml/loupe/lib/model"
)

// Evaluate asks a model about all images of a dataset, once and a batch at a time. What it returns shows a summary, and
// is asked for more without another pass:
//
//	e := loupe.Evaluate(m, ds)
//	e.Accuracy()       // with its interval; of ten classes or more also top-5
//	e.PerClass()       // accuracy, precision, recall and F1 of each class
//	e.Confusion()      // what is taken for what
//	e.ROC(), e.PrecisionRecall(), e.Calibration()
//	e.Mistakes(20)     // the most confident ones, with their pictures and files
//	e.LabelIssues()    // labels that look wrong, of a model that was not trained on these images
//	e.Unlike(20)       // the images most unlike what the model was trained on, as its logits tell
//	e.UnlikeTraining(20, training)  // the same by its features, beside the images that it was trained on
//
// Labels meet the model's classes by name: see model.LabelsOf. Interrupted, it shows the evaluation of the images that
// are done, which [Partial] returns.
func Evaluate(m *model.Model, images any) *evaluate.Evaluation {
	e, err := evaluate.Of(m, datasetOf(m, images))
	return whole(e, err)
}

// Compare asks two models about the same images: the accuracies and their difference with its interval, how often they
// agree and about which images they do not, and the calibration of both. See evaluate.Compare.
func Compare(first, second *model.Model, images any) *evaluate.Comparison {
	if path, ok := images.(string); ok { // opened once
		images = Open(path)
	}
	// A dataset that was prepared for the first is not the second's, so each prepares it as it was opened.
	one := datasetOf(first, images)
	two := datasetOf(second, images)
	e := must(evaluate.Of(first, one))
	return must(evaluate.Compare(e, must(evaluate.Of(second, two))))
}

// datasetOf are images as a dataset that the model takes: see [Images] for what they may be.
func datasetOf(m *model.Model, images any) *data.Dataset {
	images, _ = withNames(images)
	switch images := images.(type) {
	case *data.Dataset:
		return Prepare(m, images)
	case *tensors.Tensor:
		return must(data.FromTensor(images, nil, nil))
	}
	panic(notImages(images))
}
