package loupe

import (
	"fmt"

	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/transfer"
)

// Spurious asks what a class rests on: the components of its logit, by class-wise neural PCA, with the images that
// have most of each and where in these it is. The images are those of the dataset that have the class's label, or all
// of a dataset without labels. Settings are at most one; see spurious.NeuralPCA.Of, and spurious.SpuFix, which takes
// components out. Interrupted, it shows the components that are drawn, which [Partial] returns. Neuhaus et al., ICCV
// 2023.
func Spurious(m *model.Model, images any, class int, settings ...spurious.NeuralPCA) *spurious.ComponentSheet {
	g, err := atMostOne("settings of a look", settings).Of(m, datasetOf(m, images), class)
	return whole(g, err)
}

// Spuriosity ranks the images of each class by how much they have of what the model wrongly knows the class by, and
// says how much better it is on those that have most: of a labelled dataset half of the images, drawn by the seed,
// choose the features, and the other half is ranked. A gap alone is no sign of a bias, since features may be what makes
// the class: the images show which. Settings are at most one; see spurious.Ranker.Half. Moayeri et al., NeurIPS 2023.
func Spuriosity(m *model.Model, ds *data.Dataset, seed uint64, settings ...spurious.Ranker) *spurious.HalfRanking {
	return must(atMostOne("settings of a ranking", settings).Half(m, datasetOf(m, ds), seed))
}

// SpRAy looks in the heatmaps of each class of a labelled dataset for a group of images that the model recognises by
// something else than the others, by spectral relevance analysis, and shows the class where a group stands most apart.
// Settings are at most one: the zero spray.SpRAy has those of Lapuschkin et al., Nature Communications 2019.
// Interrupted, it shows the classes that are done, which [Partial] returns.
func SpRAy(m *model.Model, ds *data.Dataset, settings ...spray.SpRAy) *spray.Suspects {
	s, err := atMostOne("settings of an analysis", settings).Suspects(m, datasetOf(m, ds))
	return whole(s, err)
}

// Concepts asks what the model sees in each image, and not only where: the channels of a layer that are most relevant
// for the predicted class, where in the image each is, and which matters most in each part. With
// lrp.AtlasOptions{From: ds} the images of ds that a channel is most relevant for stand below it. Settings are at most
// one; see lrp.AtlasOptions.Of. Interrupted, it shows the images that are done, which [Partial] returns. Achtibat et
// al., Nature Machine Intelligence 2023.
func Concepts(m *model.Model, images any, settings ...lrp.AtlasOptions) *lrp.Atlases {
	o := atMostOne("settings of an atlas", settings)
	if from, ok := o.From.(*data.Dataset); ok {
		o.From = Prepare(m, from)
	}
	a, err := o.Of(m, Images(m, images))
	return whole(a, err)
}

// Transfer asks how much of what the model has learnt is of use for other images: a linear classifier on its features,
// which stay as they are, is fitted to labelled images and measured on others. Settings are at most one: the zero
// transfer.LinearProbe has those of Kornblith et al., CVPR 2019; see transfer.LinearProbe.Of.
func Transfer(m *model.Model, train, test *data.Dataset, settings ...transfer.LinearProbe) *transfer.Result {
	for _, ds := range []*data.Dataset{train, test} {
		if ds == nil {
			panic(fmt.Errorf("loupe: Transfer fits to one dataset and measures on another, and one is nil"))
		}
	}
	return must(atMostOne("settings of a transfer", settings).Of(m, datasetOf(m, train), datasetOf(m, test)))
}
