package lrp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// CRP is concept relevance propagation: layer-wise relevance propagation in which, at chosen layers, only the
// relevance of chosen channels goes on. It says not only where a model looks but what it sees there.
//
// Relevance starts as the logit of each image's class. Achtibat et al., "From attribution maps to human-understandable
// explanations through Concept Relevance Propagation", Nature Machine Intelligence 5 (2023).
type CRP struct {
	// Composite says which rule goes where; the zero value means [EpsilonPlusFlat], as in the paper.
	Composite Composite
	// Parallel lets through what flows beside the layers of a condition, such as on a shortcut around them. By default
	// only what comes through the concepts counts.
	Parallel bool
}

// Heatmaps returns, for each image and condition, how much of the logit's relevance came to each pixel by way of the
// condition's concepts, [N, len(conditions), H, W] float32; a pixel's channels are summed. classes are as for
// [attrib.Method]. All conditions on the same layers run in one program. Interrupted, it returns the images that are
// done, with all conditions, beside the error; nil if none is.
func (c CRP) Heatmaps(m *model.Model, images *tensors.Tensor, classes []int, conditions ...Condition) (*tensors.Tensor,
	error) {
	heat, _, err := c.conditional(m, images, classes, conditions, "")
	return heat, err
}

// Concepts returns, for each image and condition, the relevance of each channel of a layer, summed over positions:
// [N, len(conditions), C] float32. Without conditions it is that of the unconditional explanation, [N, 1, C].
//
// The rows do not sum to the logit where relevance flows beside the layer; [Shares] makes them comparable. Interrupted,
// it returns the images that are done, with all conditions, beside the error; nil if none is.
func (c CRP) Concepts(m *model.Model, images *tensors.Tensor, classes []int, layer string,
	conditions ...Condition) (*tensors.Tensor, error) {
	if len(conditions) == 0 {
		conditions = []Condition{nil}
	}
	if _, err := conceptsOf(m, layer); err != nil {
		return nil, err
	}
	_, relevance, err := c.conditional(m, images, classes, conditions, layer)
	return relevance, err
}

// Shares divides each row of relevances, the last axis of a tensor, by the sum of its absolute values.
func Shares(relevance *tensors.Tensor) (*tensors.Tensor, error) {
	if relevance == nil || relevance.Rank() == 0 {
		return nil, fmt.Errorf("lrp: relevances are a tensor with an axis of channels at its end, not nothing")
	}
	flat, err := tensors.CopyFlatData[float32](relevance)
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	d := relevance.Shape().Dimensions
	for at, width := 0, d[len(d)-1]; at < len(flat); at += width {
		normalise(flat[at : at+width])
	}
	return tensors.FromFlatDataAndDimensions(flat, d...), nil
}

// normalise divides values by the sum of their absolute values.
func normalise(row []float32) {
	sum := 1e-10
	for _, v := range row {
		sum += max(float64(v), -float64(v))
	}
	for i := range row {
		row[i] = float32(float64(row[i]) / sum)
	}
}

type (
	relevanceKey struct {
		composite compositeKey
		layer     string
	}
	conditionalKey struct {
		composite compositeKey
		layers    string // quoted
		concepts  string
		parallel  bool
	}
)

// Relevance returns the relevance of every value of a layer, [N, ...] float32 in the shape of its activations.
// Interrupted, it returns the images that are done beside the error; nil if none is.
func (c CRP) Relevance(m *model.Model, images *tensors.Tensor, classes []int, layer string) (*tensors.Tensor, error) {
	composite, err := compositeFor(c.Composite, m)
	if err != nil {
		return nil, err
	}
	if err := m.CheckLayer(layer); err != nil {
		return nil, err
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	results, stopped := m.Map("relevance of "+layer, relevanceKey{composite.key(), layer},
		func(in []*graph.Node) []*graph.Node {
			x := m.Cast(in[0])
			out := m.CallAs(x, model.CallOptions{Plain: true})
			w := newWalk(composite, x, out)
			w.record[layer] = true
			w.run(m.OnlyClass(out.Logits, in[1]))
			return []*graph.Node{single(w.recorded[layer])}
		}, images, model.ClassTensor(classes))
	if results == nil {
		return nil, ours(stopped)
	}
	return results[0], stopped
}

// conditional is the work of Heatmaps and Concepts: heatmaps [N, K, H, W] and, of layer, if it is not empty, relevances
// [N, K, C].
func (c CRP) conditional(m *model.Model, images *tensors.Tensor, classes []int, conditions []Condition,
	layer string) (heat, relevance *tensors.Tensor, err error) {
	composite, err := compositeFor(c.Composite, m)
	if err != nil {
		return nil, nil, err
	}
	if len(conditions) == 0 {
		return nil, nil, fmt.Errorf("lrp: no conditions: give at least one, such as lrp.Condition{%q: {0}}", m.SpatialLayer())
	}
	for _, condition := range conditions {
		if err := condition.check(m); err != nil {
			return nil, nil, err
		}
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, nil, err
	}
	n, k := len(classes), len(conditions)
	groups := sameLayers(conditions)
	// Each group has a program of its own. Several take turns, so that at any time images are done and not some
	// conditions of all images. The blocks of images have one size, for which the programs are compiled: the last
	// begins earlier if it must.
	block := n
	var bar *progress.Bar // of several programs; a single one shows its own
	if len(groups) > 1 {
		block = min(n, m.ChunkSize(n))
		bar = progress.New(m.Name()+": relevance of concepts", n*k)
		defer bar.Close()
	}
	heats, relevances := newScatter(n, k), newScatter(n, k)
	for lo := 0; lo < n; lo += block {
		first := min(lo, n-block)
		part, err := rows.Take(images, first, first+block, block)
		if err != nil {
			return nil, nil, fmt.Errorf("lrp: %w", err)
		}
		for g, group := range groups {
			var chosen []Condition
			for _, at := range group {
				chosen = append(chosen, conditions[at])
			}
			results, stopped := c.oneProgram(composite, m, part, classes[first:first+block], chosen, layer)
			done := lo
			if results != nil {
				have, err := heats.put(results[0], first, group)
				if err != nil {
					return nil, nil, err
				}
				if layer != "" {
					if _, err := relevances.put(results[1], first, group); err != nil {
						return nil, nil, err
					}
				}
				if g == len(groups)-1 {
					done = max(lo, have)
				}
			}
			if stopped != nil {
				return heats.tensor(done), relevances.tensor(done), interrupt.After(stopped, "lrp: CRP", done, n, "images")
			}
			if bar != nil {
				bar.Add((first + block - lo) * len(group))
			}
		}
	}
	return heats.tensor(n), relevances.tensor(n), nil
}

// oneProgram runs conditions on the same layers. Its results have a row for each condition of each image, as far as it
// came.
func (c CRP) oneProgram(composite Composite, m *model.Model, images *tensors.Tensor, classes []int,
	conditions []Condition, layer string) ([]*tensors.Tensor, error) {
	layers := conditions[0].layers()
	repeated, err := repeatRows(images, len(conditions))
	if err != nil {
		return nil, err
	}
	var explained []int
	for _, class := range classes {
		explained = append(explained, slices.Repeat([]int{class}, len(conditions))...)
	}
	inputs := []*tensors.Tensor{model.ClassTensor(explained)}
	for _, name := range layers {
		mask, err := masks(m, name, conditions, len(classes))
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, mask)
	}
	what := "CRP"
	if len(layers) > 0 {
		what += " through " + strings.Join(layers, " and ")
	}
	key := conditionalKey{composite.key(), fmt.Sprintf("%q", layers), layer, c.Parallel}
	results, stopped := m.Map(what, key, func(in []*graph.Node) []*graph.Node {
		x := m.Cast(in[0])
		out := m.CallAs(x, model.CallOptions{Plain: true})
		w := newWalk(composite, x, out)
		w.only = !c.Parallel
		for i, name := range layers {
			concepts, err := conceptsOf(m, name)
			if err != nil {
				panic(err)
			}
			w.masks[name] = m.Cast(concepts.broadcast(in[2+i]))
		}
		if layer != "" {
			w.record[layer] = true
		}
		r := w.run(m.OnlyClass(out.Logits, in[1]))
		results := []*graph.Node{single(graph.ReduceSum(r, 3))}
		if layer != "" {
			concepts, err := conceptsOf(m, layer)
			if err != nil {
				panic(err)
			}
			results = append(results, single(graph.ReduceSum(concepts.positions(w.recorded[layer]), 1)))
		}
		return results
	}, repeated, inputs...)
	return results, ours(stopped)
}

// sameLayers groups the numbers of conditions on the same layers, in order.
func sameLayers(conditions []Condition) [][]int {
	var groups [][]int
	for i, c := range conditions {
		at := slices.IndexFunc(groups, func(g []int) bool { return slices.Equal(conditions[g[0]].layers(), c.layers()) })
		if at < 0 {
			groups = append(groups, nil)
			at = len(groups) - 1
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

// repeatRows repeats each image a number of times, one after the other.
func repeatRows(images *tensors.Tensor, times int) (*tensors.Tensor, error) {
	if times == 1 {
		return images, nil
	}
	flat, err := tensors.CopyFlatData[float32](images)
	if err != nil {
		return nil, fmt.Errorf("lrp: %w", err)
	}
	dims := slices.Clone(images.Shape().Dimensions)
	size := len(flat) / dims[0]
	wide := make([]float32, 0, times*len(flat))
	for i := range dims[0] {
		for range times {
			wide = append(wide, flat[i*size:(i+1)*size]...)
		}
	}
	dims[0] *= times
	return tensors.FromFlatDataAndDimensions(wide, dims...), nil
}

// scatter puts results of groups of conditions to their places.
type scatter struct {
	n, k int
	flat []float32
	dims []int
}

func newScatter(n, k int) *scatter { return &scatter{n: n, k: k} }

// put places part, whose rows are the group's conditions of each image from first on, and returns how many images have
// theirs now.
func (s *scatter) put(part *tensors.Tensor, first int, group []int) (int, error) {
	flat, err := tensors.CopyFlatData[float32](part)
	if err != nil {
		return 0, fmt.Errorf("lrp: %w", err)
	}
	d := part.Shape().Dimensions
	size, images := len(flat)/d[0], d[0]/len(group)
	if s.flat == nil {
		s.flat = make([]float32, s.n*s.k*size)
		s.dims = append([]int{s.n, s.k}, d[1:]...)
	}
	for i := range images {
		for j, at := range group {
			from := (i*len(group) + j) * size
			copy(s.flat[((first+i)*s.k+at)*size:], flat[from:from+size])
		}
	}
	return first + images, nil
}

// tensor is the results of the first images; nil of none.
func (s *scatter) tensor(images int) *tensors.Tensor {
	if s.flat == nil || images == 0 {
		return nil
	}
	return tensors.FromFlatDataAndDimensions(s.flat[:len(s.flat)/s.n*images], append([]int{images}, s.dims[1:]...)...)
}
