package missing

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Ablation takes more and more of an image away and asks whether the model still says what it said to the whole image.
// It is no test of accuracy: the labels play no part. Jain et al., ICLR 2022, section 3; with Keep and the orders of
// explanations it is the top-K ablation of section 4.
type Ablation struct {
	// How segments are taken away; nil is black.
	How Approximation
	// Counts are the numbers of segments taken away, or kept, in ascending order.
	Counts []int
	// Keep keeps the first segments of the orders instead and takes the others away.
	Keep bool
}

// Curve is what [Ablation] finds.
type Curve struct {
	// Model and How are the names of what was asked.
	Model, How string
	// Counts and Keep are the ablation's, and Segments the mean number of an image's segments.
	Counts   []int
	Keep     bool
	Segments float64
	// Whole are the classes predicted for the whole images, and Predicted[i][c] those for image i at Counts[c].
	Whole     []int
	Predicted [][]int
	// Probability[i][c] is that of image i's Whole class at Counts[c].
	Probability [][]float64

	classes []string
}

// Run takes segments of images, [N, H, W, C] float32 in 0..1, away in each image's order.
//
// Interrupted, it returns the curve of the images that are done beside the error; nil if none is.
func (a Ablation) Run(m *model.Model, images *tensors.Tensor, segments *Segments, orders [][]int) (*Curve, error) {
	whole, err := m.TargetClasses(images, nil)
	if err != nil {
		return nil, err
	}
	return a.run(m, images, whole, segments, orders)
}

// run is Run of images that have been predicted whole.
func (a Ablation) run(m *model.Model, images *tensors.Tensor, whole []int, segments *Segments,
	orders [][]int) (*Curve, error) {
	if err := segments.check(images); err != nil {
		return nil, err
	}
	if len(a.Counts) == 0 || !slices.IsSorted(a.Counts) || a.Counts[0] < 0 {
		return nil, fmt.Errorf(
			"missing: an ablation takes numbers of segments in ascending order, such as 0, 5 and 10, not %v", a.Counts)
	}
	if err := segments.checkOrders(orders, a.Counts[len(a.Counts)-1]); err != nil {
		return nil, err
	}
	how := a.How
	if how == nil {
		how = Fill{}
	}
	answers, stopped := ask("ablation", m, images, segments, how, whole, func(i int) [][]bool {
		masks := make([][]bool, len(a.Counts))
		for c, count := range a.Counts {
			masks[c] = make([]bool, segments.Counts[i])
			for at := range masks[c] {
				masks[c][at] = !a.Keep
			}
			for _, segment := range orders[i][:min(count, len(orders[i]))] {
				masks[c][segment] = a.Keep
			}
		}
		return masks
	})
	if len(answers) == 0 {
		return nil, stopped
	}
	curve := &Curve{Model: m.Name(), How: how.Name(), Counts: slices.Clone(a.Counts), Keep: a.Keep,
		Whole: slices.Clone(whole[:len(answers)]), classes: m.Classes()}
	for i, of := range answers {
		curve.Segments += float64(segments.Counts[i]) / float64(len(answers))
		var classes []int
		var probabilities []float64
		for _, answer := range of {
			classes, probabilities = append(classes, answer.Class), append(probabilities, answer.Probability)
		}
		curve.Predicted, curve.Probability = append(curve.Predicted, classes), append(curve.Probability, probabilities)
	}
	return curve, stopped
}

// Len is the number of images.
func (c *Curve) Len() int { return len(c.Whole) }

// Agreement is the share of images of which the prediction is the same as for the whole image at Counts[step], with its
// exact 95% interval.
func (c *Curve) Agreement(step int) (float64, stats.Interval, error) {
	same, err := c.Same(step)
	if err != nil {
		return 0, stats.Interval{}, err
	}
	interval, err := stats.ClopperPearson(same, c.Len(), 0.05)
	return float64(same) / float64(c.Len()), interval, err
}

// Same is the number of images of which the prediction is the same as for the whole image at Counts[step].
func (c *Curve) Same(step int) (int, error) {
	if err := c.check(step); err != nil {
		return 0, err
	}
	same := 0
	for i, classes := range c.Predicted {
		if classes[step] == c.Whole[i] {
			same++
		}
	}
	return same, nil
}

// Given is the number of images that are taken for one of some classes, by their names, at Counts[step], and whole the
// number of those that were taken for one as whole images.
func (c *Curve) Given(step int, names ...string) (given, whole int, err error) {
	if err := c.check(step); err != nil {
		return 0, 0, err
	}
	among := make([]bool, len(c.classes))
	for _, name := range names {
		class := slices.Index(c.classes, name)
		if class < 0 {
			return 0, 0, fmt.Errorf("missing: %s has no class %q%s", c.Model, name, nearest.DidYouMean(name, c.classes))
		}
		among[class] = true
	}
	for i, classes := range c.Predicted {
		if among[classes[step]] {
			given++
		}
		if among[c.Whole[i]] {
			whole++
		}
	}
	return given, whole, nil
}

// Claim is the share of images that keep their prediction at Counts[step], of independent images of one network,
// against that of another curve.
func (c *Curve) Claim(name string, step int, control *Curve) (claim.Claim, error) {
	same, err := c.Same(step)
	if err != nil {
		return claim.Claim{}, err
	}
	if control == nil {
		return claim.Claim{}, fmt.Errorf("missing: the control of %q is nil", name)
	}
	other, err := control.Same(step)
	if err != nil {
		return claim.Claim{}, err
	}
	by := control.How
	if control.Model != c.Model {
		by = control.Model + ", " + by
	}
	claimed, err := claim.Share(name, "images", 1, same, c.Len())
	if err != nil {
		return claimed, err
	}
	return claimed.AgainstShare(by, other, control.Len())
}

// GivenClaim is the share of images that are taken for one of some classes, by their names, at Counts[step], against
// that of the whole images.
func (c *Curve) GivenClaim(name string, step int, names ...string) (claim.Claim, error) {
	given, whole, err := c.Given(step, names...)
	if err != nil {
		return claim.Claim{}, err
	}
	claimed, err := claim.Share(name, "images", 1, given, c.Len())
	if err != nil {
		return claimed, err
	}
	return claimed.AgainstShare("whole images", whole, c.Len())
}

// Entropy is that of the classes predicted at Counts[step], in nats:
//
//	-Σ p ln p
//
// p being the share of images that are given a class. It falls when images of all kinds are taken for the same few
// things.
func (c *Curve) Entropy(step int) (float64, error) {
	if err := c.check(step); err != nil {
		return 0, err
	}
	var entropy float64
	for _, f := range c.flips(step, true) {
		entropy -= f.Share * math.Log(f.Share)
	}
	return entropy, nil
}

// Similarity is how alike in meaning the class predicted at Counts[step] is to that of the whole image, the mean over
// the images, and over those of them that have another class, each with Student's 95% interval; similarity gives it for
// two classes, and [imagenet.Similarity] does for ImageNet's. A mean of fewer than two images is NaN. It returns
// similarity's errors. Jain et al., ICLR 2022, section 3.
func (c *Curve) Similarity(step int, similarity func(a, b int) (float64, error)) (all, flipped Similarity, err error) {
	if err := c.check(step); err != nil {
		return Similarity{}, Similarity{}, err
	}
	var values, others []float64
	for i, classes := range c.Predicted {
		v, err := similarity(c.Whole[i], classes[step])
		if err != nil {
			return Similarity{}, Similarity{}, err
		}
		values = append(values, v)
		if classes[step] != c.Whole[i] {
			others = append(others, v)
		}
	}
	if all, err = meanSimilarity(values); err != nil {
		return all, flipped, err
	}
	flipped, err = meanSimilarity(others)
	return all, flipped, err
}

func meanSimilarity(values []float64) (s Similarity, err error) {
	if s.Images = len(values); s.Images < 2 {
		nan := math.NaN()
		s.Mean, s.Interval = nan, stats.Interval{Low: nan, High: nan}
		return s, nil
	}
	s.Mean, s.Interval, err = stats.MeanInterval(values, 0.05)
	return s, err
}

// Similarity is a mean over images.
type Similarity struct {
	Mean     float64        `display:"mean"`
	Interval stats.Interval `display:"95% interval"`
	Images   int            `display:"images"`
}

// Flip is a class that predictions went over to.
type Flip struct {
	Class  int     `display:"class"`
	Name   string  `display:"name"`
	Images int     `display:"images"`
	Share  float64 `display:"share,percent"` // of all images
}

// Flips are the classes given at Counts[step] to images which had another as a whole, the most frequent first.
func (c *Curve) Flips(step int) ([]Flip, error) {
	if err := c.check(step); err != nil {
		return nil, err
	}
	return c.flips(step, false), nil
}

func (c *Curve) flips(step int, all bool) []Flip {
	counts := map[int]int{}
	for i, classes := range c.Predicted {
		if all || classes[step] != c.Whole[i] {
			counts[classes[step]]++
		}
	}
	var flips []Flip
	for class, count := range counts {
		flips = append(flips, Flip{class, c.classes[class], count, float64(count) / float64(c.Len())})
	}
	sort.Slice(flips, func(a, b int) bool {
		if flips[a].Images != flips[b].Images {
			return flips[a].Images > flips[b].Images
		}
		return flips[a].Class < flips[b].Class
	})
	return flips
}

func (c *Curve) check(step int) error {
	if step < 0 || step >= len(c.Counts) {
		return fmt.Errorf("missing: the curve has the steps 0 to %d, not %d", len(c.Counts)-1, step)
	}
	return nil
}

// Percent is Counts[step] as percent of an image's segments.
func (c *Curve) Percent(step int) float64 { return min(100*float64(c.Counts[step])/c.Segments, 100) }

// Series is the agreement as a line with its interval, for display.Lines, named name.
func (c *Curve) Series(name string) (display.Series, error) {
	s := display.Series{Name: name}
	for step := range c.Counts {
		share, interval, err := c.Agreement(step)
		if err != nil {
			return s, err
		}
		s.X, s.Y = append(s.X, c.Percent(step)), append(s.Y, 100*share)
		s.Low, s.High = append(s.Low, 100*interval.Low), append(s.High, 100*interval.High)
	}
	return s, nil
}
