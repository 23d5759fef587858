package missing

import (
	"fmt"
	"math/bits"
	"sort"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// answer is what a model says to an image of which something misses.
type answer struct {
	Class       int     // the likeliest
	Probability float64 // of the class asked about
	Logit       float64 // of that class
}

// ask is the model's answers to images of which segments miss: keep says for each mask of each image which segments
// stay. The answers come image by image and mask by mask; interrupted, those of the images that are done come beside
// the error.
//
// What goes to the device within the loop is which image and which segments; what comes back is read after the last
// batch of a group of images. Rows are put in the order of how many patches they keep, so that a vision transformer's
// sequences are short where they can be.
func ask(what string, m *model.Model, images *tensors.Tensor, segments *Segments, how Approximation, classes []int,
	keep func(image int) [][]bool) ([][]answer, error) {
	if how == nil {
		how = Fill{}
	}
	approximation, err := how.apply(m, images)
	if err != nil {
		return nil, err
	}
	n, most := len(classes), segments.Most()
	masks := len(keep(0))
	total := n * masks
	size := m.ChunkSize(total)
	// As many images as give a few batches lie on the device together.
	group := 1
	if masks < 4*size {
		group = 1 << bits.Len(uint(min(n, 1<<bits.Len(uint(4*size/masks)))-1)) // a power of two, so that a few programs do
	}
	fill := approximation.fill
	if fill == nil {
		fill = images // stands in for it, unused
	}
	answers := make([][]answer, 0, n)
	bar := progress.New(m.Name()+": "+what, total)
	defer bar.Close()
	for lo := 0; lo < n; lo += group {
		hi := min(lo+group, n)
		var fixed []any
		for _, t := range []*tensors.Tensor{images, fill, segments.Labels, model.ClassTensor(classes)} {
			part, err := rows.Take(t, lo, hi, group)
			if err != nil {
				return answers, fmt.Errorf("missing: %w", err)
			}
			fixed = append(fixed, part)
		}
		var wanted []row
		for i := lo; i < hi; i++ {
			patches := segments.behind(i, approximation.patches)
			for j, stays := range keep(i) {
				if len(stays) != segments.Counts[i] {
					return answers, fmt.Errorf("missing: a mask has %d segments, and image %d has %d", len(stays), i,
						segments.Counts[i])
				}
				wanted = append(wanted, row{i, j, stays, kept(patches, stays)})
			}
		}
		sort.SliceStable(wanted, func(a, b int) bool { return wanted[a].patches < wanted[b].patches })
		type batch struct {
			rows    []row
			results []*tensors.Tensor
		}
		var batches []batch
		for from := 0; from < len(wanted); from += size {
			if err := interrupt.Err(); err != nil {
				return answers, interrupt.After(err, "missing: "+what, len(answers), n, "images")
			}
			part := wanted[from:min(from+size, len(wanted))]
			capacity := capacityFor(part[len(part)-1].patches, approximation.patches)
			run, err := m.Exec(answerKey{approximation.fill == nil, capacity}, func(in []*graph.Node) []*graph.Node {
				return answerGraph(m, approximation, capacity, in)
			})
			if err != nil {
				return answers, err
			}
			at, stays := make([]int32, size), make([]float32, size*most)
			for i := range size {
				r := part[min(i, len(part)-1)]
				at[i] = int32(r.image - lo)
				for k, on := range r.keep {
					if on {
						stays[i*most+k] = 1
					}
				}
			}
			results, err := run.Call(append(fixed[:len(fixed):len(fixed)], tensors.FromFlatDataAndDimensions(at, size),
				tensors.FromFlatDataAndDimensions(stays, size, most))...)
			if err != nil {
				return answers, fmt.Errorf("missing: %s: %w", what, err)
			}
			batches = append(batches, batch{part, results})
			bar.Add(len(part))
		}
		of := make([][]answer, hi-lo)
		for i := range of {
			of[i] = make([]answer, masks)
		}
		for _, b := range batches {
			best, err := tensors.CopyFlatData[int32](b.results[0])
			if err != nil {
				return answers, fmt.Errorf("missing: %w", err)
			}
			probabilities, err := tensors.CopyFlatData[float32](b.results[1])
			if err != nil {
				return answers, fmt.Errorf("missing: %w", err)
			}
			logits, err := tensors.CopyFlatData[float32](b.results[2])
			if err != nil {
				return answers, fmt.Errorf("missing: %w", err)
			}
			for i, r := range b.rows {
				if p := probabilities[i]; p != p {
					return answers,
						fmt.Errorf("missing: what %s says to image %d with segments missing is not a number: the network overflows",
							m.Name(), r.image)
				}
				of[r.image-lo][r.mask] = answer{int(best[i]), float64(probabilities[i]), float64(logits[i])}
			}
		}
		answers = append(answers, of...)
	}
	return answers, nil
}

// answerKey is the program's: an approximation either fills or drops tokens.
type answerKey struct {
	drops    bool
	capacity int
}

// row is one mask of one image.
type row struct {
	image, mask int
	keep        []bool
	patches     int // how many tokens it keeps
}

// answerGraph is one batch. in are the images and what fills them, [G, H, W, C], their segments, [G, H, W] int32, and
// classes, [G] int32; which image each row of the batch is about, [B] int32, and which segments stay, [B, S] float32.
// It returns the likeliest classes, [B] int32, and the probabilities and the logits of the images' classes, [B].
func answerGraph(m *model.Model, a applied, capacity int, in []*graph.Node) []*graph.Node {
	images, fill, labels, classes, at, keep := in[0], in[1], in[2], in[3], graph.ExpandAxes(in[4], -1), in[5]
	g := images.Graph()
	size, most := keep.Shape().Dimensions[0], keep.Shape().Dimensions[1]
	x, segment, class := graph.Gather(images, at), graph.Gather(labels, at), graph.Gather(classes, at)
	if a.fill != nil {
		fill = graph.Gather(fill, at)
	}
	// Each pixel looks its segment up in its row of keep.
	row := graph.Mul(graph.Iota(g, segment.Shape().Clone(), 0), graph.Const(g, int32(most)))
	stay := graph.Gather(graph.Reshape(keep, size*most), graph.ExpandAxes(graph.Add(row, segment), -1))
	logits := a.logits(x, stay, fill, capacity)
	probability := m.ClassProbabilities(logits, class)
	single := func(x *graph.Node) *graph.Node { return graph.ConvertDType(x, dtypes.Float32) }
	return []*graph.Node{m.Likeliest(logits), single(probability), single(m.ClassLogits(logits, class))}
}

// behind are the segments that lie, if only in part, in each patch of a grid over image i; none for a grid of no
// patches.
func (s *Segments) behind(i int, grid model.Grid) [][]int32 {
	if grid.Patches() == 0 {
		return nil
	}
	h, w := s.dims()
	patches := make([][]int32, grid.Patches())
	for at, label := range s.of(i) {
		p := at/w*grid.Rows/h*grid.Columns + at%w*grid.Columns/w
		if list := patches[p]; len(list) == 0 || list[len(list)-1] != label {
			patches[p] = append(list, label)
		}
	}
	return patches
}

// kept counts the patches of which nothing misses.
func kept(patches [][]int32, stays []bool) int {
	count := 0
	for _, segments := range patches {
		whole := true
		for _, s := range segments {
			whole = whole && stays[s]
		}
		if whole {
			count++
		}
	}
	return count
}

// capacityFor rounds a number of patches up to quarters of them all, so that four programs at most are compiled.
func capacityFor(patches int, grid model.Grid) int {
	all := grid.Patches()
	if all == 0 {
		return 0
	}
	step := (all + 3) / 4
	return min(max((patches+step-1)/step, 1)*step, all)
}
