package report

import (
	"errors"
	"fmt"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/ood"
	"github.com/loupeml/loupe/lib/stats"
)

// unlike is whether the images lie further from those of the training than these lie from each other. Where the
// training's images are not at hand it shows those that look least like them, and claims nothing.
func unlike(r *run) error {
	if err := r.needAnswers(); err != nil {
		return err
	}
	if n := r.report.Images; n <= mostShown {
		return fmt.Errorf("it takes more than %d images, and there %s %s", mostShown, plural.Is(n),
			plural.Grouped(n, "image"))
	}
	if r.training != nil {
		return unlikeTraining(r)
	}
	picked, err := r.e.Unlike(mostShown)
	if err != nil {
		return err
	}
	shown, err := r.ofImages("", picked)
	if err != nil {
		return err
	}
	r.nothing(Finding{
		Sentence: fmt.Sprintf("Unlike training: these %d look least like what the network knows; whether they are unlike "+
			"it, only the training's images tell, and they are not given.", picked.Len()),
		Value: nan, Low: nan, High: nan, Evidence: []Evidence{shown},
		Sure: "Some images always look least like it, so nothing is claimed. With the training's images " +
			"(`loupe report --train`, or Options.Training) they are compared with these.",
		Cell: r.evaluation() + fmt.Sprintf(".Unlike(%d)", mostShown),
	})
	return nil
}

// The number of images of the training that are compared with.
const (
	leastTraining = 40
	mostTraining  = 4000
)

// unlikeTraining compares the distances of the images from one half of the training's with those of its other half.
func unlikeTraining(r *run) error {
	n, err := r.affordTraining()
	if err != nil {
		return err
	}
	half := n / 2
	order := r.training.Shuffle(r.seed + 2)
	known, held := order.Take(half), order.Skip(half).Take(n-half)
	knn, err := ood.FitKNN(r.m, known, 1)
	if err != nil {
		return err
	}
	usual, err := knn.Scores(held)
	if err != nil {
		return err
	}
	asked := r.photos.Take(r.report.Images)
	scores, err := knn.Scores(asked)
	if err != nil {
		return err
	}
	picked, err := r.e.UnlikeBy(mostShown, knn)
	if err != nil {
		return err
	}
	shown, err := r.ofImages(fmt.Sprintf("The furthest from %s of the training", plural.Grouped(half, "image")), picked)
	if err != nil {
		return err
	}
	code := fmt.Sprintf("order := training.Shuffle(%d)\nby := ood.FitKNN(net, loupe.Prepare(net, order.Take(%d)), 1)\n"+
		"held := by.Scores(loupe.Prepare(net, order.Skip(%d).Take(%d)))\nscores := by.Scores(loupe.Prepare(net, %s))\n",
		r.seed+2, half, half, n-half, "photos")
	r.learnt(scores, usual, half, code)
	area, err := stats.AUROC(scores, usual)
	if err != nil {
		return err
	}
	iv, err := ood.AUROCInterval(scores, usual, r.seed)
	if err != nil {
		return err
	}
	r.measure("like_training", 1-area, 1-iv.High, 1-iv.Low)
	f := Finding{
		Value: area, Low: iv.Low, High: iv.High, Unit: "area", Evidence: []Evidence{shown},
		Cell: code + fmt.Sprintf("loupe.Show(stats.AUROC(scores, held), ood.AUROCInterval(scores, held, %d), "+
			"%s.UnlikeBy(%d, by))",
			r.seed, r.evaluation(), mostShown),
		Sure: fmt.Sprintf("The distance of the network's features from those of the nearest of %s of the training, compared "+
			"with that of %s others of the training; the interval is over both. 50%% would mean that they are alike. A network "+
			"sees what it has learnt as more alike than what is new to it, so for the sharpest answer compare with images "+
			"like the training's that it has not learnt.", plural.Grouped(half, "image"), plural.Thousands(n-half)),
	}
	both := fmt.Sprintf("of two images, one of these and one of the training, the one of these lies further from the "+
		"training's others in %s of all pairs (95%% interval %s to %s; 50%% if they are alike)", percent(area),
		number(iv.Low), percent(iv.High))
	if iv.Low <= 0.5 {
		f.Sentence = fmt.Sprintf("Unlike training: nothing shows that these images are: %s.", both)
		r.nothing(f)
		return nil
	}
	f.Sentence = fmt.Sprintf("Unlike training: %s.", both)
	f.Weight = unlikeWeight * 2 * (iv.Low - 0.5)
	r.found(f)
	return nil
}

// unlikeWeight is what it weighs that all images are unlike those of the training: what it costs, the accuracy tells.
const unlikeWeight = 0.2

// learnt takes down how many of the images have the features of an image of the training, such as a copy.
func (r *run) learnt(scores, usual []float64, known int, code string) {
	// Distances of the same features are 0 but for rounding.
	const same = 1e-6
	count := func(of []float64) (n int) {
		for _, distance := range of {
			if distance <= same {
				n++
			}
		}
		return n
	}
	n, among := count(scores), count(usual)
	if n == 0 {
		return
	}
	share := float64(n) / float64(len(scores))
	r.found(Finding{
		Sentence: fmt.Sprintf("Unlike training: %s of %s have the very features of an image of the training that they are "+
			"compared with: if the network has learnt them, its accuracy here says less than it seems to.",
			plural.Thousands(n), plural.Grouped(len(scores), "image")),
		Value: share, Low: share, High: share, Unit: "share", Weight: share,
		Sure: fmt.Sprintf("A count, no estimate, against %s of the training. Of %s others of the training it are %s.",
			plural.Grouped(known, "image"), plural.Thousands(len(usual)), plural.Thousands(among)),
		Evidence: []Evidence{{Header: []string{"", "images", "the same as one of the training"}, Rows: [][]string{
			{"these", plural.Thousands(len(scores)), plural.Thousands(n)},
			{"others of the training", plural.Thousands(len(usual)), plural.Thousands(among)}}}},
		Cell: code + "ood.Detect(scores, held)",
	})
}

// affordTraining is how many images of the training can be asked about.
func (r *run) affordTraining() (int, error) {
	most := min(r.training.Len(), mostTraining)
	if most < leastTraining {
		return 0, fmt.Errorf("it takes %s of the training, and there %s %s", plural.Grouped(leastTraining, "image"),
			plural.Is(most), plural.Thousands(most))
	}
	// The images are asked about twice: for the comparison, and for those that are shown.
	again := 2 * r.report.Images
	n, err := r.affordOf(1, 0.4, leastTraining+again, most+again)
	return n - again, err
}

// trainingOf are the images of the training as the network takes them.
func trainingOf(m *model.Model, training *data.Dataset) (*data.Dataset, error) {
	if training == nil {
		return nil, nil
	}
	if training.Len() == 0 {
		return nil, errors.New("report: the dataset of the training has no images")
	}
	prepared, err := m.Prepared(training)
	if err != nil {
		return nil, fmt.Errorf("report: the images of the training: %w", err)
	}
	return prepared, nil
}
