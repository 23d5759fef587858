package sweep

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/stats"
)

// Trial is what a method looks at: a model, and the pictures of a condition.
type Trial struct {
	Model  *model.Model
	Images model.Dataset
	// Among are the classes that the model chooses among; nil is all.
	Among []int
}

// Method says something of each picture of a trial.
type Method struct {
	// Run returns arrays whose first axis is the pictures, [N] or [N, k], by name. It does not know labels, so that they
	// can be corrected later. What it returns depends on the trial alone: a cell that is computed twice is the same.
	Run func(t Trial) (map[string]*tensors.Tensor, error)
	// Measure sums the arrays up. labels [N] are the pictures' in the model's numbering, -1 where a picture does not
	// count.
	Measure func(arrays map[string]*tensors.Tensor, labels []int) ([]Measure, error)
}

// Measure is a number that sums up a cell.
type Measure struct {
	Name  string  `json:"name" display:"measure"`
	Value float64 `json:"value" display:"value"`
	// Correct and Total are the counts of which Value is the share; 0 where it is none.
	Correct int `json:"correct,omitempty" display:"correct"`
	Total   int `json:"total,omitempty" display:"of"`
}

// Predictions is the method that keeps the likeliest five classes of each picture with their probabilities. Its
// measures are accuracy, top-5 accuracy, the mean confidence and the expected calibration error with 15 bins of equal
// width (Guo et al., ICML 2017, equation 3), which all follow labels that are corrected.
const Predictions = "predictions"

// Faithfulness begins the name of a method that keeps for each picture the area under the curves of insertion and
// deletion (Petsiuk et al., "RISE", BMVC 2018) of a method of attribution, for the predicted class:
// faithfulness:Grad-CAM is one of [Methods].
const Faithfulness = "faithfulness:"

// kept is how many classes of a picture are kept.
const kept = 5

var (
	methods     = map[string]Method{}
	methodsLock sync.Mutex
)

// Register adds a method under a name. The program that plans and the workers' program need it both. It is an error
// where there is one of that name.
func Register(name string, m Method) error {
	methodsLock.Lock()
	defer methodsLock.Unlock()
	if m.Run == nil || m.Measure == nil {
		return fmt.Errorf("sweep: the method %s lacks Run or Measure", name)
	}
	if _, there := builtin()[name]; there || methods[name].Run != nil {
		return fmt.Errorf("sweep: there is a method %s already", name)
	}
	if err := checkName("method", name, map[string]bool{}); err != nil {
		return err
	}
	methods[name] = m
	return nil
}

// Methods are the names of all methods.
func Methods() []string {
	methodsLock.Lock()
	defer methodsLock.Unlock()
	all := builtin()
	maps.Copy(all, methods)
	return slices.Sorted(maps.Keys(all))
}

func methodNamed(name string) (Method, error) {
	methodsLock.Lock()
	m, ok := methods[name]
	methodsLock.Unlock()
	if !ok {
		m, ok = builtin()[name]
	}
	if !ok {
		return m, fmt.Errorf("sweep: there is no method %q: there are %s", name, strings.Join(Methods(), ", "))
	}
	return m, nil
}

func builtin() map[string]Method {
	all := map[string]Method{Predictions: {predict, measurePredictions}}
	for _, m := range attrib.Methods() {
		all[Faithfulness+m.Name()] = faithfulness(m)
	}
	return all
}

// amongs are what a condition may be among, empty is all classes.
var amongs = map[string]func() []int{
	"": func() []int { return nil }, "imagenet-a": shift.ImageNetAClasses, "imagenet-r": shift.ImageNetRClasses,
}

// predict keeps the likeliest classes, likeliest first.
func predict(t Trial) (map[string]*tensors.Tensor, error) {
	answers, err := t.Model.Answers(t.Images)
	if err != nil {
		return nil, err
	}
	probabilities, err := answers.Probabilities()
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return nil, err
	}
	n, k := answers.Len(), answers.NumClasses()
	if len(flat) == n && k == 2 { // one output: the probability of the second class
		both := make([]float32, 0, 2*n)
		for _, p := range flat {
			both = append(both, 1-p, p)
		}
		flat = both
	}
	if width := len(flat) / max(n, 1); width != k {
		return nil, fmt.Errorf("sweep: %s gives %d probabilities for %d classes", t.Model.Name(), width, k)
	}
	among := t.Among
	if among == nil {
		among = make([]int, k)
		for class := range among {
			among[class] = class
		}
	}
	top := min(kept, len(among))
	classes, shares := make([]int32, 0, n*top), make([]float32, 0, n*top)
	order := make([]int, len(among))
	for i := range n {
		row := flat[i*k : (i+1)*k]
		sum := 0.0
		for _, class := range among {
			if class >= k {
				return nil, fmt.Errorf("sweep: the condition is among ImageNet's classes, and %s has %d", t.Model.Name(), k)
			}
			if p := float64(row[class]); math.IsNaN(p) {
				return nil, fmt.Errorf("sweep: %s gives picture %d the probability NaN", t.Model.Name(), i)
			}
			sum += float64(row[class])
		}
		copy(order, among)
		for place := range top { // a few of many: no need to sort them all
			best := place
			for j := place + 1; j < len(order); j++ {
				if a, b := row[order[j]], row[order[best]]; a > b || a == b && order[j] < order[best] {
					best = j
				}
			}
			order[place], order[best] = order[best], order[place]
			share := row[order[place]]
			if t.Among != nil && sum > 0 {
				share = float32(float64(share) / sum)
			}
			classes, shares = append(classes, int32(order[place])), append(shares, share)
		}
	}
	return map[string]*tensors.Tensor{
		"classes":       tensors.FromFlatDataAndDimensions(classes, n, top),
		"probabilities": tensors.FromFlatDataAndDimensions(shares, n, top),
	}, nil
}

func measurePredictions(arrays map[string]*tensors.Tensor, labels []int) ([]Measure, error) {
	classes, width, err := column[int32](arrays, "classes", len(labels))
	if err != nil {
		return nil, err
	}
	shares, of, err := column[float32](arrays, "probabilities", len(labels))
	if err != nil {
		return nil, err
	}
	if of != width {
		return nil, fmt.Errorf("sweep: a cell has %d classes and %d probabilities of a picture", width, of)
	}
	var top1, top5 stats.Accuracy
	var confidence float64
	const bins = 15
	var hits, sums [bins]float64
	for i, label := range labels {
		if label < 0 {
			continue
		}
		top1.Total++
		first := float64(shares[i*width])
		confidence += first
		// Bins are open below and closed above, as in Guo et al.
		bin := min(max(int(math.Ceil(first*bins))-1, 0), bins-1)
		sums[bin] += first
		if int(classes[i*width]) == label {
			top1.Correct++
			hits[bin]++
		}
		if slices.Contains(classes[i*width:(i+1)*width], int32(label)) {
			top5.Correct++
		}
	}
	top5.Total = top1.Total
	if top1.Total == 0 {
		return nil, fmt.Errorf("sweep: none of the %d pictures counts: they have no labels, or none of the condition's "+
			"classes", len(labels))
	}
	n := float64(top1.Total)
	var ece float64
	for b := range bins {
		ece += math.Abs(hits[b]-sums[b]) / n
	}
	return []Measure{
		{"accuracy", top1.Share(), top1.Correct, top1.Total},
		{"top-5 accuracy", top5.Share(), top5.Correct, top5.Total},
		{Name: "confidence", Value: confidence / n},
		{Name: "ECE", Value: ece},
	}, nil
}

// explainedAtOnce is how many pictures are explained at a time.
const explainedAtOnce = 16

func faithfulness(method attrib.Method) Method {
	return Method{
		Run: func(t Trial) (map[string]*tensors.Tensor, error) {
			if t.Among != nil {
				return nil, fmt.Errorf("sweep: faithfulness is of the model's own classes, and the condition is among some")
			}
			var insertion, deletion []float32
			for first := 0; first < t.Images.Len(); first += explainedAtOnce {
				var numbers []int
				for i := first; i < min(first+explainedAtOnce, t.Images.Len()); i++ {
					numbers = append(numbers, i)
				}
				images, err := t.Images.Images(numbers...)
				if err != nil {
					return nil, err
				}
				a, err := method.Attribute(t.Model, images, nil)
				if err != nil {
					return nil, err
				}
				in, err := faithful.Insertion{}.Of(t.Model, images, a)
				if err != nil {
					return nil, err
				}
				out, err := faithful.Deletion{}.Of(t.Model, images, a)
				if err != nil {
					return nil, err
				}
				for i := range numbers {
					insertion, deletion = append(insertion, float32(in.Areas[i])), append(deletion, float32(out.Areas[i]))
				}
			}
			n := len(insertion)
			return map[string]*tensors.Tensor{
				"insertion": tensors.FromFlatDataAndDimensions(insertion, n),
				"deletion":  tensors.FromFlatDataAndDimensions(deletion, n),
			}, nil
		},
		Measure: Means,
	}
}

// Means is a [Method]'s Measure: the mean of each float32 array over the pictures that count.
func Means(arrays map[string]*tensors.Tensor, labels []int) ([]Measure, error) {
	var all []Measure
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		if arrays[name].DType() != dtypes.Float32 {
			continue
		}
		values, width, err := column[float32](arrays, name, len(labels))
		if err != nil {
			return nil, err
		}
		sum, n := 0.0, 0
		for i, label := range labels {
			if label >= 0 {
				for _, v := range values[i*width : (i+1)*width] {
					sum, n = sum+float64(v), n+1
				}
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("sweep: none of the %d pictures counts: they have no labels", len(labels))
		}
		all = append(all, Measure{Name: name, Value: sum / float64(n)})
	}
	return all, nil
}

// column is an array of a cell, with how many values a picture has in it.
func column[T float32 | int32](arrays map[string]*tensors.Tensor, name string, pictures int) (flat []T, width int,
	err error) {
	t := arrays[name]
	if t == nil {
		return nil, 0, fmt.Errorf("sweep: a cell has no array %q", name)
	}
	if t.Rank() < 1 || t.Shape().Dimensions[0] != pictures || pictures == 0 {
		return nil, 0, fmt.Errorf("sweep: the array %q is %s, and there are %d pictures", name, t.Shape(), pictures)
	}
	if flat, err = tensors.CopyFlatData[T](t); err != nil {
		return nil, 0, fmt.Errorf("sweep: the array %q: %w", name, err)
	}
	return flat, len(flat) / pictures, nil
}
