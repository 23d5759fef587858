package transfer

import (
	"fmt"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// KNN classifies by the nearest neighbours among a network's features, without any training: of the labelled images
// whose features have the greatest cosine with an image's, each votes for its class with the weight
// exp(cosine/temperature). Wu, Xiong, Yu and Lin, "Unsupervised feature learning via non-parametric instance
// discrimination", CVPR 2018, section 3.4. It is how runs without labels are watched:
//
//	Every: []learn.Hook{learn.Evaluate{Net: selfsup.Online, Name: "kNN", Measure: transfer.DefaultKNN.Measure(train, test)}}
type KNN struct {
	Neighbors   int
	Temperature float64
}

// DefaultKNN has the numbers of Wu et al.
var DefaultKNN = KNN{Neighbors: 200, Temperature: 0.07}

// asked is how many images are compared with all others at once.
const asked = 100

// Of returns what the labelled images of train say of those of test by a network's features. Their classes meet by
// name, where they have names: train's numbers count. It is an error if an image of train has no label, or if there
// are fewer of them than neighbours.
//
// Interrupted, it returns nil and the error.
func (k KNN) Of(m *model.Model, train, test model.Labeled) (*model.Answers, error) {
	if m == nil {
		return nil, fmt.Errorf("transfer: there is no network whose features are compared: it is nil")
	}
	if err := k.check(train, test); err != nil {
		return nil, err
	}
	names := model.ClassesOf(train)
	labels, err := model.Relabel(test, names, "the training images")
	if err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	known, classes := train.Labels(), len(names)
	for i, label := range known {
		if label < 0 {
			return nil, fmt.Errorf("transfer: image %d of the training images has no label, and neighbours vote by theirs", i)
		}
		classes = max(classes, label+1)
	}
	if err := model.CheckLabels(labels, test.Len(), classes); err != nil {
		return nil, fmt.Errorf("transfer: %w", err)
	}
	var features [2]*tensors.Tensor
	for i, ds := range []model.Labeled{train, test} {
		if features[i], err = m.FeaturesOf(ds); err != nil {
			if interrupt.Is(err) {
				return nil, interrupt.After(err, "transfer: neighbours by "+m.Name(), i, 2, "sets of features")
			}
			return nil, err
		}
	}
	votes, err := k.votes(features[0], known, classes, features[1])
	if err != nil {
		return nil, err
	}
	return model.AnswersFromProbabilities(fmt.Sprintf("%d neighbours by %s", k.Neighbors, m.Name()), votes, labels)
}

// Measure is the accuracy of [KNN.Of] as learn.Evaluate measures it.
func (k KNN) Measure(train, test model.Labeled) func(m *model.Model) (float64, error) {
	return func(m *model.Model) (float64, error) {
		answers, err := k.Of(m, train, test)
		if err != nil {
			return 0, err
		}
		accuracy, err := answers.Accuracy()
		return accuracy.Share(), err
	}
}

func (k KNN) check(train, test model.Labeled) error {
	if err := model.CheckDataset(train); err != nil {
		return fmt.Errorf("transfer: the training images: %w", err)
	}
	if err := model.CheckDataset(test); err != nil {
		return fmt.Errorf("transfer: the test images: %w", err)
	}
	if k.Neighbors < 1 || k.Neighbors > train.Len() {
		return fmt.Errorf("transfer: %d neighbours among %d images: there are 1 to as many as images", k.Neighbors,
			train.Len())
	}
	if !(k.Temperature > 0 && k.Temperature-k.Temperature == 0) {
		return fmt.Errorf("transfer: the neighbours' temperature is %v: it is a positive number", k.Temperature)
	}
	return nil
}

// votes are the shares of the votes for each class, [M, classes], by the features of labelled images, [N, D], for
// features, [M, D].
func (k KNN) votes(bank *tensors.Tensor, labels []int, classes int, features *tensors.Tensor) (*tensors.Tensor, error) {
	ids := make([]int32, len(labels))
	for i, label := range labels {
		ids[i] = int32(label)
	}
	placed, err := model.PlaceRows(bank, 0, len(labels), len(labels))
	if err != nil {
		return nil, err
	}
	defer model.Free(placed)
	exec, err := k.program(classes)
	if err != nil {
		return nil, err
	}
	m := features.Shape().Dimensions[0]
	join := rows.NewJoin(m)
	bar := progress.New("transfer: neighbours", m)
	defer bar.Close()
	size := min(asked, m)
	for lo := 0; lo < m; lo += size {
		if err := interrupt.Err(); err != nil {
			return nil, interrupt.After(err, "transfer: neighbours", lo, m, "images")
		}
		hi := min(lo+size, m)
		part, err := rows.Take(features, lo, hi, size)
		if err != nil {
			return nil, fmt.Errorf("transfer: %w", err)
		}
		out, err := exec.Call1(placed, part, ids)
		if err != nil {
			return nil, err
		}
		if err := join.Add(out, hi-lo); err != nil {
			return nil, fmt.Errorf("transfer: %w", err)
		}
		bar.Add(hi - lo)
	}
	return join.Tensor()
}

// voting are the programs of votes, which every epoch of a run asks for again.
var voting sync.Map // of a votingKey to its *model.Program

type votingKey struct {
	KNN
	classes int
}

// program is that of the votes for so many classes: of labelled features, [N, D], others, [M, D], and labels, [N].
func (k KNN) program(classes int) (*model.Program, error) {
	key := votingKey{k, classes}
	if kept, ok := voting.Load(key); ok {
		return kept.(*model.Program), nil
	}
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		flat := func(x *graph.Node) *graph.Node { return graphops.Unit(graph.Reshape(x, x.Shape().Dimensions[0], -1)) }
		cosines := graph.Einsum("md,nd->mn", flat(in[1]), flat(in[0]))
		nearest, at := graph.TopK(cosines, k.Neighbors, 1)
		// Divided by the greatest vote, which changes no share and lets no temperature overflow.
		vote := graph.Exp(graph.DivScalar(graph.Sub(nearest, graph.ReduceAndKeep(nearest, graph.ReduceMax, 1)),
			k.Temperature))
		of := graph.OneHot(graph.Gather(in[2], graph.ExpandAxes(at, -1)), classes, dtypes.Float32)
		sum := graph.Einsum("mk,mkc->mc", vote, of)
		return []*graph.Node{graph.Div(sum, graph.ReduceAndKeep(sum, graph.ReduceSum, 1))}
	})
	if err != nil {
		return nil, err
	}
	kept, _ := voting.LoadOrStore(key, exec)
	return kept.(*model.Program), nil
}
