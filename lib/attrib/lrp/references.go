package lrp

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Maximization searches a dataset for the images that show best what the channels of a layer stand for: those for which
// a channel is most relevant (relevance maximization, RelMax) and those for which it is most active (activation
// maximization, ActMax). Both come of one pass over the data.
//
// Achtibat et al., Nature Machine Intelligence 5 (2023), methods section "Selecting reference examples".
type Maximization struct {
	// CRP says how relevance is computed; its Parallel plays no part.
	CRP CRP
	// Count is how many images a channel keeps; 0 means 40.
	Count int
	// Largest ranks images by the largest value in the channel, instead of by the sum of its values.
	Largest bool
	// Normalize divides the channels' values of an image by the sum of their absolute values first.
	Normalize bool
	// Predicted explains the class that the model predicts, instead of the image's label where the dataset has one.
	Predicted bool
}

// Reference is an image that shows what a channel stands for.
type Reference struct {
	// Image is its number in the dataset, and Class the class whose logit was explained.
	Image, Class int
	// Value is what it was ranked by.
	Value float64
	// Row and Column are the place in the layer where the channel has its largest value; both 0 in layers without
	// places.
	Row, Column int
}

// References are the reference images of a layer: for each channel, the best first.
type References struct {
	Layer string
	// Relevance are those of relevance maximization, Activation those of activation maximization.
	Relevance, Activation [][]Reference

	ds         model.Dataset
	classNames []string
}

// Search goes through a dataset once and returns the references of each of the layers.
//
// Interrupted, it returns the references among the images that were seen beside the error; nil if none was.
func (x Maximization) Search(m *model.Model, ds model.Dataset, layers ...string) ([]*References, error) {
	composite, err := compositeFor(x.CRP.Composite, m)
	if err != nil {
		return nil, err
	}
	count := x.Count
	if count == 0 {
		count = 40
	}
	if count < 0 {
		return nil, fmt.Errorf("lrp: Count is %d: a channel keeps at least one image", count)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("lrp: name at least one layer to search references for, such as %q", m.SpatialLayer())
	}
	var all []concepts
	var found []*References
	for _, layer := range layers {
		c, err := conceptsOf(m, layer)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		found = append(found, &References{Layer: layer, Relevance: make([][]Reference, c.count),
			Activation: make([][]Reference, c.count), ds: ds, classNames: m.Classes()})
	}
	if ds.Len() == 0 {
		return nil, fmt.Errorf("lrp: the dataset has no images")
	}
	classes := make([]int32, ds.Len()) // -1 stands for the predicted one
	for i := range classes {
		classes[i] = -1
	}
	if labeled, ok := ds.(model.Labeled); ok && !x.Predicted {
		labels, err := m.LabelsOf(labeled)
		if err != nil {
			return nil, fmt.Errorf("lrp: %w; or set Predicted", err)
		}
		for i, label := range labels {
			classes[i] = int32(label)
		}
	}
	exec, err := m.Exec(referencesKey{composite.key(), fmt.Sprintf("%q", layers), x.Largest, x.Normalize},
		func(in []*graph.Node) []*graph.Node {
			images := m.Cast(in[0])
			out := m.Call(images)
			predicted := m.Likeliest(out.Logits)
			classes := graph.Where(graph.LessThan(in[1], graph.ZerosLike(in[1])), predicted, in[1])
			w := newWalk(composite, images, out)
			for _, layer := range layers {
				w.record[layer] = true
			}
			w.run(m.OnlyClass(out.Logits, classes))
			results := []*graph.Node{classes}
			for i, layer := range layers {
				results = append(results, x.rank(all[i].positions(w.recorded[layer]))...)
				results = append(results, x.rank(all[i].positions(out.Activations[layer]))...)
			}
			return results
		})
	if err != nil {
		return nil, err
	}
	n := ds.Len()
	size := m.ChunkSize(n)
	bar := progress.New(fmt.Sprintf("%s: reference images", m.Name()), n)
	defer bar.Close()
	for lo := 0; lo < n; lo += size {
		hi := min(lo+size, n)
		numbers := make([]int, hi-lo)
		for i := range numbers {
			numbers[i] = lo + i
		}
		var images *tensors.Tensor
		err := interrupt.Err()
		if err == nil {
			images, err = ds.Images(numbers...)
		}
		err = interrupt.After(err, "lrp: reference images", lo, n, "images")
		if interrupt.Is(err) && lo > 0 {
			return found, err
		}
		if err != nil {
			return nil, err
		}
		batch, err := rows.Take(images, 0, hi-lo, size)
		if err != nil {
			return nil, err
		}
		chosen, err := rows.Take(tensors.FromFlatDataAndDimensions(slices.Clone(classes[lo:hi]), hi-lo), 0, hi-lo, size)
		if err != nil {
			return nil, err
		}
		results, err := exec.Call(batch, chosen)
		if err != nil {
			return nil, ours(err)
		}
		explained := tensors.MustCopyFlatData[int32](results[0])
		for i, f := range found {
			merge(f.Relevance, results[1+4*i:], all[i], lo, hi-lo, count, explained)
			merge(f.Activation, results[3+4*i:], all[i], lo, hi-lo, count, explained)
		}
		bar.Add(hi - lo)
	}
	return found, nil
}

type referencesKey struct {
	composite          compositeKey
	layers             string // quoted
	largest, normalize bool
}

// rank gives for values [N, P, C] what each channel of each image is ranked by, [N, C], and the position of the
// channel's largest value.
func (x Maximization) rank(values *graph.Node) []*graph.Node {
	value := graph.ReduceSum(values, 1)
	if x.Largest {
		value = graph.ReduceMax(values, 1)
	}
	if x.Normalize {
		sum := graph.AddScalar(graph.ReduceAndKeep(graph.Abs(value), graph.ReduceSum, -1), 1e-10)
		value = graph.Div(value, sum)
	}
	return []*graph.Node{single(value), graph.ArgMax(values, 1, dtypes.Int32)}
}

// merge adds the images of a batch, numbered from first on, to the best of each channel. Of equals the earlier image
// comes first.
func merge(best [][]Reference, results []*tensors.Tensor, c concepts, first, n, count int, classes []int32) {
	values, places := tensors.MustCopyFlatData[float32](results[0]), tensors.MustCopyFlatData[int32](results[1])
	width := c.columns()
	for channel := range c.count {
		for i := range n {
			at := i*c.count + channel
			r := Reference{first + i, int(classes[i]), float64(values[at]), int(places[at]) / width, int(places[at]) % width}
			list := best[channel]
			if len(list) == count && !(r.Value > list[count-1].Value) {
				continue
			}
			to, _ := slices.BinarySearchFunc(list, r, func(a, b Reference) int {
				if a.Value >= b.Value {
					return -1
				}
				return 1
			})
			best[channel] = slices.Insert(list, to, r)[:min(len(list)+1, count)]
		}
	}
}

// Overlap is the share of images that relevance and activation maximization have in common among the first k references
// of a channel: the size of the intersection over that of the union (Jaccard).
func (r *References) Overlap(channel, k int) (float64, error) {
	if channel < 0 || channel >= len(r.Relevance) || k < 1 {
		return 0, fmt.Errorf("lrp: layer %q has the channels 0 to %d, and k is at least 1; not %d and %d", r.Layer,
			len(r.Relevance)-1, channel, k)
	}
	in := map[int]int{}
	for _, list := range [][]Reference{r.Relevance[channel], r.Activation[channel]} {
		for _, reference := range list[:min(k, len(list))] {
			in[reference.Image]++
		}
	}
	both := 0
	for _, count := range in {
		if count == 2 {
			both++
		}
	}
	return float64(both) / float64(len(in)), nil
}
