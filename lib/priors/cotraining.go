package priors

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// Learner is a network with a prior, and how it learns.
type Learner struct {
	Name string
	// Net is the network, with the weights that it begins from, and Prior what it sees of images; nil is the images
	// themselves. The prior is computed once and lies on the device; Run's augmentations come after it.
	Net   *model.Model
	Prior Prior
	// Run is how it learns in an era: Sampler, Augment, Optimizer, Schedule, Epochs, Seed. It has no Nets, Data and
	// Step. The paper has SGD with a learning rate for each network and dataset, Nesterov off, momentum 0.9 and weight
	// decay 1e-4, batches of 128 (32x32 pixels) or 64 (96x96), Crop{Padding: 4, Black: true}, Flip and Rotate{Degrees:
	// 2}, and 300 epochs at most.
	Run learn.Run
}

// CoTraining lets networks with different priors label images for each other. In an era each learner labels all
// unlabelled images; of each predicted class those that it is surest of are taken, more from era to era (see [Surest]);
// these are merged ([Merge]); and each learner goes on from its weights, with a new optimizer, on the labelled images
// and the merged ones. One learner alone is self-training. The paper; Blum and Mitchell, COLT 1998. The
// steps of an era are compiled in the first one only.
type CoTraining struct {
	// Learners are one, for self-training, or more.
	Learners []Learner
	// Eras is how many there are, 0 meaning 20, and Fraction which share of the unlabelled images comes in with each, 0
	// meaning 0.05.
	Eras     int
	Fraction float64
	// Pure has each of two learners learn from the other's labels alone, in the place of the merged ones.
	Pure bool
	// Pretrained says that the networks have learnt from the labelled images already. Otherwise they do so first, by
	// their Run.
	Pretrained bool
	// Augmented labels the unlabelled images as the augmentations change them, other ones in each era, as the released
	// program does.
	Augmented bool
	// WholeEras trains all epochs of each era. Otherwise an era ends, as in the released program, when after 25 epochs
	// more the median loss of these is above that of the 25 before, and the accuracy in training is within half a
	// percent of 1.
	WholeEras bool
	// Final, unless nil, learns from the labelled images and the labels that all have given them at the end: the
	// network that is kept, without a prior in the paper.
	Final *Learner
}

// Era is what became of the unlabelled images in an era.
type Era struct {
	// Share is the share of the unlabelled images that is taken, and PerClass how many that is for each predicted
	// class.
	Share    float64
	PerClass int
	// Merged are the labels that all learners together have given, and Learnt those that each has learnt from: the
	// same, but for pure co-training. The labels after the last era, which a final network learns from, have no Learnt.
	Merged []PseudoLabel
	Learnt [][]PseudoLabel
	// All is how often each learner is right in all unlabelled images, Surest in those that it is surest of, and
	// MergedRight how many of Merged are right. They are empty where the true labels are not known.
	All, Surest []stats.Accuracy
	MergedRight stats.Accuracy
	// Trained is how each learner learnt in this era.
	Trained []*learn.Trained
}

// CoTrained is what [CoTraining] has made.
type CoTrained struct {
	Names []string
	// Nets are the learners' networks, which take images themselves: see [WithPrior].
	Nets []*model.Model
	// Seeing are the same networks without their priors, which take what [Apply] gives.
	Seeing []*model.Model
	// Eras are those that are whole, and what the learners say after the last one.
	Eras []Era
	// Final is the final network, and FinalTrained how it learnt; nil if there is none.
	Final        *model.Model
	FinalTrained *learn.Trained
}

func (c CoTraining) filled() CoTraining {
	if c.Eras == 0 {
		c.Eras = 20
	}
	if c.Fraction == 0 {
		c.Fraction = 0.05
	}
	return c
}

// Check tells what is wrong with the settings.
func (c CoTraining) Check() error {
	c = c.filled()
	switch {
	case len(c.Learners) == 0:
		return fmt.Errorf("priors: there is no learner: self-training has one, co-training two or more")
	case c.Eras < 1:
		return fmt.Errorf("priors: %d eras: there is at least one", c.Eras)
	case !(c.Fraction > 0 && c.Fraction <= 1):
		return fmt.Errorf(
			"priors: a fraction of %v of the unlabelled images comes in with each era: it lies above 0 and is at most 1",
			c.Fraction)
	case c.Pure && len(c.Learners) != 2:
		return fmt.Errorf("priors: in pure co-training each of two learners learns from the other: there are %d",
			len(c.Learners))
	}
	all := c.Learners
	if c.Final != nil {
		all = append(all[:len(all):len(all)], *c.Final)
	}
	for i, l := range all {
		if err := l.check(); err != nil {
			return err
		}
		if l.Net.NumClasses() != all[0].Net.NumClasses() {
			return fmt.Errorf("priors: %s tells %d classes apart and %s %d", all[0].name(0), all[0].Net.NumClasses(), l.name(i),
				l.Net.NumClasses())
		}
	}
	return nil
}

func (l Learner) check() error {
	r := l.Run
	switch {
	case l.Net == nil:
		return fmt.Errorf("priors: the learner %q has no network", l.Name)
	case l.Net.NumClasses() < 2:
		return fmt.Errorf("priors: %s is no classifier of two classes or more", l.Net.Name())
	case r.Nets != nil || r.Data != nil || r.Step != nil:
		return fmt.Errorf("priors: the Run of %q says how it learns: Nets, Data and Step belong to co-training", l.Name)
	case r.Checkpoint != "":
		return fmt.Errorf("priors: the Run of %q has a Checkpoint, which keeps one run and not several eras", l.Name)
	}
	return l.Net.NeedsSoftmax("priors: how sure a learner is")
}

func (l Learner) name(i int) string {
	if l.Name == "" {
		return fmt.Sprintf("learner %d", i+1)
	}
	return l.Name
}

const only = "net"

// settled ends an era by the released program's rule, where its flag is up.
type settled struct{ inEra *bool }

const settledAfter = 25

// Due implements [learn.Hook].
func (s settled) Due(steps, epoch, _ int) bool { return *s.inEra && steps%(settledAfter*epoch) == 0 }

// Do implements [learn.Hook].
func (s settled) Do(m *learn.RunState) error {
	epochs := m.History.Epochs()
	if done(epochs) && m.Step < m.Of {
		m.Stop("the loss has not become less")
	}
	return nil
}

// done is whether the median loss of the last 25 epochs is above that of the 25 before, and the last one's accuracy
// within half a percent of 1.
func done(epochs []learn.Epoch) bool {
	n := len(epochs)
	if n < 2*settledAfter {
		return false
	}
	median := func(of []learn.Epoch) float64 {
		var losses []float64
		for _, e := range of {
			losses = append(losses, e.Loss)
		}
		slices.Sort(losses)
		return losses[len(losses)/2]
	}
	now, before := median(epochs[n-settledAfter:]), median(epochs[n-2*settledAfter:n-settledAfter])
	return now > before && math.Abs(1-epochs[n-1].Accuracy) < 0.005
}

// student is a learner at work.
type student struct {
	Learner
	pool       *learn.Tensors // the labelled images and then the others, as its prior leaves them
	unlabelled *tensors.Tensor
	rounds     *learn.Rounds
	augmenter  *learn.Augmenter
	inEra      bool
	learnt     bool // something
}

func (c CoTraining) student(l Learner, labelled, unlabelled *tensors.Tensor) (*student, error) {
	s := &student{Learner: l}
	seen, err := Apply(l.Prior, labelled)
	if err != nil {
		return nil, err
	}
	if s.unlabelled, err = Apply(l.Prior, unlabelled); err != nil {
		return nil, err
	}
	both, err := joined(seen, s.unlabelled)
	if err != nil {
		return nil, err
	}
	if s.pool, err = learn.FromTensors(both, nil); err != nil {
		return nil, err
	}
	run := l.Run
	run.Nets = map[string]*model.Model{only: l.Net}
	run.Step = func(step *learn.Step) learn.Loss { return step.Classification(step.Call(only, step.Images()).Logits) }
	if !c.WholeEras {
		run.Every = append(run.Every[:len(run.Every):len(run.Every)], settled{&s.inEra})
	}
	if c.Augmented {
		if s.augmenter, err = learn.NewAugmenter(run.Augment...); err != nil {
			return nil, err
		}
	}
	s.rounds, err = run.Rounds()
	return s, err
}

func (s *student) close() {
	s.rounds.Close()
	s.augmenter.Close()
}

// learn is a round on the labelled images and these guesses.
func (s *student) learn(labels []int, guesses []PseudoLabel) (*learn.Trained, error) {
	numbers, classes := make([]int, len(labels)), slices.Clone(labels)
	for i := range labels {
		numbers[i] = i
	}
	for _, g := range guesses {
		numbers, classes = append(numbers, len(labels)+g.Image), append(classes, g.Class)
	}
	some, err := s.pool.Select(numbers, classes)
	if err != nil {
		return nil, err
	}
	trained, err := s.rounds.Do(some)
	s.learnt = s.learnt || trained != nil
	if err != nil && !interrupt.Is(err) {
		return trained, fmt.Errorf("priors: %s: %w", s.Name, err)
	}
	return trained, err
}

// answers are what the learner says of the unlabelled images in an era.
func (s *student) answers(era int, truth []int) (*model.Answers, error) {
	images := s.unlabelled
	if s.augmenter != nil {
		var err error
		if images, err = s.augmenter.Of(images, s.Run.Seed+uint64(era)); err != nil {
			return nil, err
		}
	}
	a, err := s.rounds.Net(only).AnswersTo(images, truth)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Do trains on labelled images, [N, H, W, C] float32 in 0..1 with a label for each, and on unlabelled ones, [M, H, W,
// C]. truth are the labels of the latter, which nothing is learnt from and only accuracies are computed with; nil where
// they are not known. An epoch leaves out what does not fill a last batch; in the released program this is a smaller
// batch.
//
// Interrupted, or ended by another error once something is learnt, such as a loss that is no number, it returns the
// eras that are whole and the networks as they are beside the error.
func (c CoTraining) Do(labelled *tensors.Tensor, labels []int, unlabelled *tensors.Tensor, truth []int) (*CoTrained,
	error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
	classes := c.Learners[0].Net.NumClasses()
	if labels == nil {
		return nil, fmt.Errorf("priors: the labelled images have no labels")
	}
	if err := checkImages(labelled, labels, classes); err != nil {
		return nil, err
	}
	if err := checkImages(unlabelled, truth, classes); err != nil {
		return nil, err
	}
	var students []*student
	defer func() {
		for _, s := range students {
			s.close()
		}
	}()
	made := &CoTrained{}
	for i, l := range c.Learners {
		l.Name = l.name(i)
		s, err := c.student(l, labelled, unlabelled)
		if err != nil {
			return nil, err
		}
		students, made.Names = append(students, s), append(made.Names, l.Name)
	}
	stopped := c.train(made, students, labels, truth)
	if stopped != nil && !slices.ContainsFunc(students, func(s *student) bool { return s.learnt }) {
		return nil, stopped
	}
	for _, s := range students {
		net := s.rounds.Net(only)
		whole, err := WithPrior(s.Prior, net)
		if err != nil {
			return nil, err
		}
		made.Seeing, made.Nets = append(made.Seeing, net), append(made.Nets, whole)
	}
	if c.Final != nil && stopped == nil {
		stopped = c.final(made, labelled, labels, unlabelled)
	}
	return left.Beside(made, stopped)
}

// train does the eras.
func (c CoTraining) train(made *CoTrained, students []*student, labels, truth []int) error {
	if !c.Pretrained {
		for _, s := range students {
			if _, err := s.learn(labels, nil); err != nil {
				return err
			}
		}
	}
	for era := range c.Eras {
		e, sets, err := c.label(students, era, truth)
		if err != nil {
			return err
		}
		for i, s := range students {
			learnt := e.Merged
			if c.Pure {
				learnt = Merge(s.Net.NumClasses(), sets[1-i])
			}
			e.Learnt = append(e.Learnt, learnt)
		}
		for i, s := range students {
			s.inEra = true
			trained, err := s.learn(labels, e.Learnt[i])
			s.inEra = false
			if err != nil {
				return err
			}
			e.Trained = append(e.Trained, trained)
		}
		made.Eras = append(made.Eras, *e)
	}
	last, _, err := c.label(students, c.Eras, truth)
	if err != nil {
		return err
	}
	made.Eras = append(made.Eras, *last)
	return nil
}

// label is the labelling of an era.
func (c CoTraining) label(students []*student, era int, truth []int) (*Era, [][]PseudoLabel, error) {
	n, classes := students[0].unlabelled.Shape().Dimensions[0], students[0].Net.NumClasses()
	e := &Era{Share: Share(c.Fraction, era)}
	e.PerClass = PerClass(e.Share, n, classes)
	var sets [][]PseudoLabel
	for _, s := range students {
		answers, err := s.answers(era, truth)
		if err != nil {
			return nil, nil, err
		}
		set, err := Surest(answers, e.PerClass)
		if err != nil {
			return nil, nil, err
		}
		if sets = append(sets, set); truth != nil {
			all, err := answers.Accuracy()
			if err != nil {
				return nil, nil, err
			}
			e.All, e.Surest = append(e.All, all), append(e.Surest, right(set, truth))
		}
	}
	e.Merged = Merge(classes, sets...)
	if truth != nil {
		e.MergedRight = right(e.Merged, truth)
	}
	return e, sets, nil
}

// right is how many guesses are, of those about images whose class is known.
func right(guesses []PseudoLabel, truth []int) (a stats.Accuracy) {
	for _, g := range guesses {
		if truth[g.Image] < 0 {
			continue
		}
		if a.Total++; truth[g.Image] == g.Class {
			a.Correct++
		}
	}
	return a
}

// final trains the final network.
func (c CoTraining) final(made *CoTrained, labelled *tensors.Tensor, labels []int, unlabelled *tensors.Tensor) error {
	l := *c.Final
	if l.Name == "" {
		l.Name = "final"
	}
	c.WholeEras, c.Augmented = true, false
	s, err := c.student(l, labelled, unlabelled)
	if err != nil {
		return err
	}
	defer s.close()
	if made.FinalTrained, err = s.learn(labels, made.Eras[len(made.Eras)-1].Merged); err != nil &&
		made.FinalTrained == nil {
		return err
	}
	net, failed := WithPrior(l.Prior, s.rounds.Net(only))
	made.Final = net
	return errors.Join(err, failed)
}

// joined are the images of two tensors.
func joined(a, b *tensors.Tensor) (*tensors.Tensor, error) {
	x, err := tensors.CopyFlatData[float32](a)
	if err != nil {
		return nil, fmt.Errorf("priors: images are float32 in 0..1: %w", err)
	}
	y, err := tensors.CopyFlatData[float32](b)
	if err != nil {
		return nil, fmt.Errorf("priors: images are float32 in 0..1: %w", err)
	}
	d := slices.Clone(a.Shape().Dimensions)
	if !slices.Equal(d[1:], b.Shape().Dimensions[1:]) {
		return nil, fmt.Errorf("priors: the labelled images are %s and the unlabelled ones %s: they are of one size",
			a.Shape(), b.Shape())
	}
	d[0] += b.Shape().Dimensions[0]
	return tensors.FromFlatDataAndDimensions(append(x, y...), d...), nil
}

func checkImages(images *tensors.Tensor, labels []int, classes int) error {
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 || images.Size() == 0 {
		return fmt.Errorf("priors: labelled and unlabelled images are tensors of the shape [N, H, W, C]")
	}
	if labels == nil {
		return nil
	}
	return model.CheckLabels(labels, images.Shape().Dimensions[0], classes)
}
