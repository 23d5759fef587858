package tasks

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// The names of a run's two networks.
const (
	First  = "first"
	Second = "second"
)

// AgreementScore is on how many images two networks have one likeliest class: the agreement score, if they have learnt
// one task from the same images, began differently, and these are other images.
func AgreementScore(a, b *model.Answers) (stats.Accuracy, error) {
	if a == nil || b == nil || a.Len() != b.Len() {
		return stats.Accuracy{},
			fmt.Errorf("tasks: two networks agree on the same images: answers are missing, or to another number of images")
	}
	x, err := a.Predicted()
	if err != nil {
		return stats.Accuracy{}, err
	}
	y, err := b.Predicted()
	if err != nil {
		return stats.Accuracy{}, err
	}
	return stats.AccuracyOf(x, y)
}

// CrossAgree is the soft form: the mean of the two cross entropies between the networks' probabilities p and q,
// -½ Σ_k (p_k log q_k + q_k log p_k), in nats, over the images. It is less where they agree more.
func CrossAgree(a, b *model.Answers) (float64, error) {
	if a == nil || b == nil || a.Len() != b.Len() || a.NumClasses() != b.NumClasses() {
		return 0, fmt.Errorf(
			"tasks: two networks agree on the same images and classes: answers are missing, or to other ones")
	}
	x, err := logs(a)
	if err != nil {
		return 0, err
	}
	y, err := logs(b)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i := range x {
		sum -= 0.5 * (math.Exp(x[i])*y[i] + math.Exp(y[i])*x[i])
	}
	return sum / float64(a.Len()), nil
}

// logs are the logarithms of an answer's probabilities, from its logits.
func logs(a *model.Answers) ([]float64, error) {
	logits, err := a.SoftmaxLogits("tasks: the agreement of probabilities")
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](logits)
	if err != nil {
		return nil, fmt.Errorf("tasks: %w", err)
	}
	k := a.NumClasses()
	out := make([]float64, len(flat))
	for i := 0; i < len(flat); i += k {
		most, sum := math.Inf(-1), 0.0
		for _, v := range flat[i : i+k] {
			if v-v != 0 {
				return nil, fmt.Errorf("tasks: a logit of image %d is %v in %s", i/k, v, a.Model)
			}
			most = max(most, float64(v))
		}
		for _, v := range flat[i : i+k] {
			sum += math.Exp(float64(v) - most)
		}
		for c, v := range flat[i : i+k] {
			out[i+c] = float64(v) - most - math.Log(sum)
		}
	}
	return out, nil
}

// crossAgreement is [CrossAgree] of logits, [N, K], in a graph, a scalar.
func crossAgreement(a, b *graph.Node) *graph.Node {
	x, y := graph.LogSoftmax(a), graph.LogSoftmax(b)
	both := graph.Add(graph.Mul(graph.Exp(x), y), graph.Mul(graph.Exp(y), x))
	return graph.MulScalar(graph.ReduceAllMean(graph.ReduceSum(both, -1)), -0.5)
}

// Agreement measures the agreement scores of tasks: two networks learn each task from the same images in the same order
// and are asked about others. The paper has ResNet-18, Adam at 0.001, batches of 512, 100 epochs, and a tenth of the
// images held out.
type Agreement struct {
	// Make makes a network of two classes with random weights of a seed.
	Make func(seed uint64) (*model.Model, error)
	// Run is how each learns: Sampler, Augment, Optimizer, Schedule, Epochs. It has no Nets, Data and Step.
	Run learn.Run
	// Seed is that of the first network; the second has the next one.
	Seed uint64
}

// Score is what became of a task.
type Score struct {
	Task Task
	// Agreement is on how many test images the networks agree, and Cross the mean cross entropy between them in nats.
	Agreement stats.Accuracy
	Cross     float64
	// Expected is on which share of the images they would agree if their answers had nothing to do with each other, by
	// how often each gives each of them, as in Cohen's kappa: much, where nearly all answers are one.
	Expected float64
	// First and Second are how often each network is right on the test images.
	First, Second stats.Accuracy
}

// Scores are the agreement scores of several tasks.
type Scores []Score

// Of measures tasks on images, [N, H, W, C] float32 in 0..1 with a label of each task: learnt from those with the
// numbers train, and asked about those with the numbers test. Nothing is compiled again from task to task.
//
// Interrupted, or ended by another error such as a loss that is no number, it returns the tasks that are done beside
// it.
func (a Agreement) Of(images *tensors.Tensor, train, test []int, tasks ...Task) (Scores, error) {
	var all []divided
	for _, t := range tasks {
		all = append(all, divided{t, train, test})
	}
	return a.of(images, all)
}

// divided is a task with the numbers of the images to learn it from and to ask about.
type divided struct {
	task        Task
	train, test []int
}

// of is Of for tasks with images of their own each.
func (a Agreement) of(images *tensors.Tensor, tasks []divided) (scores Scores, err error) {
	defer func() {
		if err != nil && len(scores) > 0 {
			left.Keep(scores)
		}
	}()
	if images == nil || images.CheckValid() != nil || images.Rank() != 4 {
		return nil, fmt.Errorf("tasks: images are a tensor of the shape [N, H, W, C]")
	}
	if a.Make == nil {
		return nil, fmt.Errorf("tasks: set Make, which makes a network of a seed")
	}
	if a.Run.Nets != nil || a.Run.Data != nil || a.Run.Step != nil {
		return nil, fmt.Errorf("tasks: Run says how the networks learn: Nets, Data and Step belong to the agreement")
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("tasks: there are no tasks to learn")
	}
	n := images.Shape().Dimensions[0]
	for _, t := range tasks {
		if len(t.train) == 0 || len(t.test) == 0 {
			return nil, fmt.Errorf("tasks: %q has %d images to learn from and %d to ask about: there are some of each",
				t.task.Name, len(t.train), len(t.test))
		}
		if err := t.task.check(n); err != nil {
			return nil, err
		}
	}
	begin := map[string]*model.Model{}
	for i, name := range []string{First, Second} {
		m, err := a.Make(a.Seed + uint64(i))
		if err != nil {
			return nil, err
		}
		if m == nil || m.NumClasses() != 2 {
			return nil, fmt.Errorf("tasks: Make makes a network of two classes, the labels of a task")
		}
		begin[name] = m
	}
	pool, err := learn.FromTensors(images, nil)
	if err != nil {
		return nil, err
	}
	run := a.Run
	run.Nets, run.Step = begin, twoLearn
	rounds, err := run.Rounds()
	if err != nil {
		return nil, err
	}
	defer rounds.Close()
	for _, t := range tasks {
		if err := rounds.Begin(begin); err != nil {
			return scores, err
		}
		some, err := pool.Select(t.train, pick(t.task.Labels, t.train))
		if err != nil {
			return scores, err
		}
		if _, err := rounds.Do(some); err != nil {
			if interrupt.Is(err) {
				return scores, err
			}
			return scores, fmt.Errorf("tasks: %s: %w", t.task.Name, err)
		}
		asked, err := rows.Pick(images, t.test)
		if err != nil {
			return scores, fmt.Errorf("tasks: %w", err)
		}
		score, err := compared(t.task, rounds.Net(First), rounds.Net(Second), asked, pick(t.task.Labels, t.test))
		if err != nil {
			return scores, err
		}
		scores = append(scores, *score)
	}
	return scores, nil
}

// twoLearn is the step of two networks that learn the same labels.
func twoLearn(s *learn.Step) learn.Loss {
	first, second := s.Call(First, s.Images()).Logits, s.Call(Second, s.Images()).Logits
	return learn.Loss{Each: graph.Add(s.CrossEntropy(first), s.CrossEntropy(second)), Metrics: map[string]*graph.Node{
		"agreement": learn.Correct(first, graph.ArgMax(second, -1)),
	}}
}

func pick(labels, numbers []int) []int {
	out := make([]int, len(numbers))
	for i, k := range numbers {
		if k >= 0 && k < len(labels) {
			out[i] = labels[k]
		}
	}
	return out
}

func compared(t Task, first, second *model.Model, images *tensors.Tensor, labels []int) (*Score, error) {
	a, err := first.AnswersTo(images, labels)
	if err != nil {
		return nil, err
	}
	b, err := second.AnswersTo(images, labels)
	if err != nil {
		return nil, err
	}
	s := &Score{Task: t}
	if s.Agreement, err = AgreementScore(a, b); err != nil {
		return nil, err
	}
	if s.Cross, err = CrossAgree(a, b); err != nil {
		return nil, err
	}
	if s.Expected, err = expected(a, b); err != nil {
		return nil, err
	}
	if s.First, err = a.Accuracy(); err != nil {
		return nil, err
	}
	s.Second, err = b.Accuracy()
	return s, err
}

// expected is the agreement of two networks of two classes whose answers are independent.
func expected(a, b *model.Answers) (float64, error) {
	product, neither := 1.0, 1.0
	for _, answers := range []*model.Answers{a, b} {
		labels, err := answers.Predicted()
		if err != nil {
			return 0, err
		}
		ones := Task{Labels: labels}.Rate().Share()
		product, neither = product*ones, neither*(1-ones)
	}
	return product + neither, nil
}

// Kappa is Cohen's kappa of the networks' answers, (agreement - expected) / (1 - expected): 0 where they agree as by
// chance, 1 where they always do, and NaN where neither ever gives another answer than the other's only one.
func (s Score) Kappa() float64 { return (s.Agreement.Share() - s.Expected) / (1 - s.Expected) }

// Accuracy is how often the two networks are right on the test images, in the mean, as a share.
func (s Score) Accuracy() float64 { return (s.First.Share() + s.Second.Share()) / 2 }

// Table has a row for each task.
func (s Scores) Table() (table.Table, error) {
	t := table.Table{Header: []string{"task", "labels that are 1", "agreement score", "by chance", "cross entropy, nats",
		"first is right", "second is right"}}
	for _, one := range s {
		t.Add(one.Task.Name, one.Task.Rate().Rate(), one.Agreement.Rate(), table.Percent(one.Expected), one.Cross,
			one.First.Rate(), one.Second.Rate())
	}
	return t, nil
}

// Agreement is the mean agreement score of the tasks, as a share; NaN without any.
func (s Scores) Agreement() float64 {
	return s.mean(func(one Score) float64 { return one.Agreement.Share() })
}

// Accuracy is how often the networks are right on the test images, in the mean over the tasks, as a share; NaN without
// any.
func (s Scores) Accuracy() float64 { return s.mean(Score.Accuracy) }

func (s Scores) mean(of func(Score) float64) float64 {
	sum := 0.0
	for _, one := range s {
		sum += of(one)
	}
	return sum / float64(len(s))
}

// Mean is the mean agreement score with its 95% interval over the tasks, two at least.
func (s Scores) Mean() (float64, stats.Interval, error) {
	var shares []float64
	for _, one := range s {
		shares = append(shares, one.Agreement.Share())
	}
	return stats.MeanInterval(shares, 0.05)
}

// Bundle shows the table.
func (s Scores) Bundle() mime.Bundle { return table.Shown(s.Table()) }
