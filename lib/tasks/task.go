// Package tasks asks which ways to split images in two a network learns alike whatever it begins from, and finds such
// tasks: Atanov et al., "Task Discovery: Finding the Tasks that Neural Networks Generalize on", NeurIPS 2022.
//
// A [Task] is a binary label for each image. Its agreement score is on how many new images two networks agree that have
// learnt it from the same images and began differently ([Agreement]): nearly all for what people label, half for coins.
// [Discovery] looks for tasks with a high score that people have not labelled, and [Split] uses one to divide a dataset
// so that a network fails on the test images.
package tasks

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/loupeml/loupe/lib/stats"
)

// Task is a binary label for each image of a dataset, 0 or 1.
type Task struct {
	Name   string
	Labels []int
}

func (t Task) String() string {
	return fmt.Sprintf("%s: %s of the images are 1", t.Name, t.Rate())
}

// Rate is how many labels are 1.
func (t Task) Rate() stats.Accuracy {
	a := stats.Accuracy{Total: len(t.Labels)}
	for _, label := range t.Labels {
		if label == 1 {
			a.Correct++
		}
	}
	return a
}

func (t Task) check(images int) error {
	if len(t.Labels) != images {
		return fmt.Errorf("tasks: the task %q has %d labels for %d images", t.Name, len(t.Labels), images)
	}
	for i, label := range t.Labels {
		if label != 0 && label != 1 {
			return fmt.Errorf("tasks: the task %q has the label %d for image %d: a task's labels are 0 and 1", t.Name, label, i)
		}
	}
	return nil
}

// Real are the tasks that tell one half of the classes from the other, by the images' labels from 0 to classes-1: of
// ten classes 126, five against five. The half with the class 0 has the label 1. They come in the order of their
// classes. Their number must be even, from 2 to 16.
func Real(labels []int, classes int) ([]Task, error) {
	if classes < 2 || classes > 16 || classes%2 != 0 {
		return nil, fmt.Errorf("tasks: %d classes are not split in halves: they are an even number from 2 to 16", classes)
	}
	for i, label := range labels {
		if label < 0 || label >= classes {
			return nil, fmt.Errorf("tasks: image %d has the label %d: the classes are 0 to %d", i, label, classes-1)
		}
	}
	var all []Task
	half := []int{0}
	var choose func(from int)
	choose = func(from int) {
		if len(half) == classes/2 {
			task, in := Task{Labels: make([]int, len(labels))}, map[int]bool{}
			var names []string
			for _, class := range half {
				in[class] = true
				names = append(names, fmt.Sprint(class))
			}
			for i, label := range labels {
				if in[label] {
					task.Labels[i] = 1
				}
			}
			task.Name = "classes " + strings.Join(names, ", ")
			all = append(all, task)
			return
		}
		for class := from; class < classes; class++ {
			half = append(half, class)
			choose(class + 1)
			half = half[:len(half)-1]
		}
	}
	choose(1)
	return all, nil
}

// Random is a fair coin for each of n images: a task that nothing can be known of for new images.
func Random(n int, seed uint64) Task {
	rng := rand.New(rand.NewPCG(seed, 0))
	t := Task{Name: fmt.Sprintf("coins %d", seed), Labels: make([]int, max(n, 0))}
	for i := range t.Labels {
		t.Labels[i] = rng.IntN(2)
	}
	return t
}

// Similarity is on how many images two tasks are the same, or the opposite of each other if that is more: from about
// half, for tasks that have nothing to do with each other, to all.
func Similarity(a, b Task) (stats.Accuracy, error) {
	if err := a.check(len(b.Labels)); err != nil {
		return stats.Accuracy{}, err
	}
	if err := b.check(len(a.Labels)); err != nil {
		return stats.Accuracy{}, err
	}
	same := stats.Accuracy{Total: len(a.Labels)}
	for i, label := range a.Labels {
		if label == b.Labels[i] {
			same.Correct++
		}
	}
	same.Correct = max(same.Correct, same.Total-same.Correct)
	return same, nil
}

// MeanSimilarity is how alike tasks are in the mean over all pairs of them ([Similarity]), as a share from about 0.5 to
// 1. There are two at least.
func MeanSimilarity(tasks ...Task) (float64, error) {
	if len(tasks) < 2 {
		return 0, fmt.Errorf("tasks: how alike are %d tasks? There are two at least", len(tasks))
	}
	sum, pairs := 0.0, 0
	for i, a := range tasks {
		for _, b := range tasks[:i] {
			alike, err := Similarity(a, b)
			if err != nil {
				return 0, err
			}
			sum, pairs = sum+alike.Share(), pairs+1
		}
	}
	return sum / float64(pairs), nil
}

// Nearest is the one of several tasks that a task is most alike ([Similarity]), the first of them if there are more,
// and on how many images.
func Nearest(t Task, among []Task) (Task, stats.Accuracy, error) {
	if len(among) == 0 {
		return Task{}, stats.Accuracy{}, fmt.Errorf("tasks: there are no tasks that %q could be like", t.Name)
	}
	best, most := Task{}, stats.Accuracy{Correct: -1}
	for _, other := range among {
		alike, err := Similarity(t, other)
		if err != nil {
			return Task{}, stats.Accuracy{}, err
		}
		if alike.Correct > most.Correct {
			best, most = other, alike
		}
	}
	return best, most, nil
}

// Nearness is on which share of the images tasks are like their nearest ones among others ([Nearest]), in the mean over
// the tasks, from about 0.5 to 1.
func Nearness(among []Task, tasks ...Task) (float64, error) {
	if len(tasks) == 0 {
		return 0, fmt.Errorf("tasks: there is no task to find the nearest one of")
	}
	sum := 0.0
	for _, t := range tasks {
		_, alike, err := Nearest(t, among)
		if err != nil {
			return 0, err
		}
		sum += alike.Share()
	}
	return sum / float64(len(tasks)), nil
}

// PermuteLabels returns a task whose labels are dealt anew, at random, among the images of each class: as many images
// of a class have the label 1 as before, and nothing else is left of the task. classes are any numbers, one for each
// image: with the labels of the task that is asked for, a [Split] by it has the same sizes and the same share of each
// label as one by the task itself, and with the images' classes the same share of each class. So it is the control of a
// split.
func PermuteLabels(t Task, classes []int, seed uint64) (Task, error) {
	if err := t.check(len(classes)); err != nil {
		return Task{}, err
	}
	of := map[int][]int{}
	for i, class := range classes {
		of[class] = append(of[class], i)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	dealt := Task{Name: t.Name + ", dealt anew", Labels: make([]int, len(t.Labels))}
	for _, class := range slices.Sorted(maps.Keys(of)) {
		numbers := of[class]
		for k, from := range rng.Perm(len(numbers)) {
			dealt.Labels[numbers[k]] = t.Labels[numbers[from]]
		}
	}
	return dealt, nil
}

// Restrict returns tasks of the images with these numbers alone, such as those that were held out.
func Restrict(numbers []int, tasks ...Task) ([]Task, error) {
	var all []Task
	for _, t := range tasks {
		part := Task{t.Name, make([]int, len(numbers))}
		for i, k := range numbers {
			if k < 0 || k >= len(t.Labels) {
				return nil, fmt.Errorf("tasks: the task %q has no image %d: it has labels of %d", t.Name, k, len(t.Labels))
			}
			part.Labels[i] = t.Labels[k]
		}
		all = append(all, part)
	}
	return all, nil
}

// Halves are the numbers from 0 to n-1 in two parts at random, of which the first has a share, rounded.
func Halves(n int, share float64, seed uint64) (first, second []int, err error) {
	if !(share > 0 && share < 1) || n < 2 {
		return nil, nil, fmt.Errorf("tasks: %d images are not divided at a share of %v: it lies between 0 and 1", n, share)
	}
	order := rand.New(rand.NewPCG(seed, 1)).Perm(n)
	at := min(max(int(share*float64(n)+0.5), 1), n-1)
	return order[:at], order[at:], nil
}

// Split is the adversarial split of a dataset: a network learns from the images in which the task that it is asked for
// and another one, with a high agreement score, have the same label, and is tested on those in which they have not. It
// tends to learn the other task, and so to be wrong on the test images, though no pixel and no label was changed.
// It is an error where all images fall on one side.
func Split(asked, other Task) (train, test []int, err error) {
	if err := asked.check(len(other.Labels)); err != nil {
		return nil, nil, err
	}
	if err := other.check(len(asked.Labels)); err != nil {
		return nil, nil, err
	}
	for i, label := range asked.Labels {
		if label == other.Labels[i] {
			train = append(train, i)
		} else {
			test = append(test, i)
		}
	}
	if len(train) == 0 || len(test) == 0 {
		return nil, nil, fmt.Errorf("tasks: %q and %q are one task: %d images would be learnt from and %d tested on",
			asked.Name, other.Name, len(train), len(test))
	}
	return train, test, nil
}
