package universal

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Success is the attack success rate of perturbations: which share of the images that the network does not take for
// the target anyway it takes for it with the perturbation. Of perturbations that do nothing it is 0.
type Success struct {
	Targets []int            // the classes, ascending
	Rates   []stats.Accuracy // for each of them: Correct are the images that are taken for it, Total those that could be

	classes []string
}

// Success puts the perturbations onto a dataset's images: those of [Attack] every one onto every image, those of
// [BaseSets] each onto the images in the places of those that it was made from, be it these or others. The labels do
// not matter.
//
// Interrupted, it returns the rates over the images that are done beside the error; nil if none is.
func (p *Perturbations) Success(m *model.Model, ds model.Dataset) (*Success, error) {
	tried, stopped := p.try(m, ds, "success of perturbations", []view{whole})
	if tried == nil {
		return nil, stopped
	}
	return tried.success(0), stopped
}

// All is the rate over all targets together.
func (s *Success) All() stats.Accuracy {
	var all stats.Accuracy
	for _, r := range s.Rates {
		all = all.Add(r)
	}
	return all
}

// Of is the rate of one target; of a class that is none nothing is counted.
func (s *Success) Of(target int) stats.Accuracy {
	if i := slices.Index(s.Targets, target); i >= 0 {
		return s.Rates[i]
	}
	return stats.Accuracy{}
}

func (s *Success) className(target int) string {
	return (&Perturbations{Classes: s.classes}).className(target)
}

// Table has a row for each target.
func (s *Success) Table() table.Table {
	t := table.Table{Header: []string{"target", "success", "images"}}
	for i, target := range s.Targets {
		t.Add(s.className(target), s.Rates[i].Rate(), s.Rates[i].Total)
	}
	return t
}

func (s *Success) String() string {
	return fmt.Sprintf("success of %d targets: %s", len(s.Targets), s.All())
}

// Plot is the rate of each target.
func (s *Success) Plot() (display.Bars, error) {
	b := display.Bars{Title: "attack success rate", X: "% of the images", Format: "%.0f%%"}
	for i, target := range s.Targets {
		b.Add(s.className(target), 100*s.Rates[i].Share())
	}
	return b, nil
}

// Bundle shows the table.
func (s *Success) Bundle() mime.Bundle { return s.Table().Bundle() }

// view is what of a perturbation is put onto an image.
type view struct {
	dy, dx          int     // by how many pixels it is moved down and to the right; what leaves comes in on the other side
	top, left, side int     // the square that is kept, after that; a side of 0 is everything
	length          float64 // to which the rest is brought in the L2 norm; 0 leaves it
}

var whole = view{}

// tensor is a view as the program takes it, of perturbations of a size.
func (v view) tensor(height, width int) *tensors.Tensor {
	if v.side == 0 {
		v.top, v.left, v.side = 0, 0, max(height, width)
	}
	mod := func(a, n int) float32 { return float32(((a % n) + n) % n) }
	return tensors.FromValue([]float32{mod(-v.dy, height), mod(-v.dx, width), float32(v.top), float32(v.left),
		float32(v.side), float32(v.length)})
}

// tried is what came of putting views of perturbations onto images: for each view and each perturbation (of [BaseSets]
// for each image) how often it led to its target, how often it could have, and how long it was.
type tried struct {
	p           *Perturbations
	targets     []int
	hits, could [][]int
	norms       [][]float64
}

// success is that of one view, by targets.
func (t *tried) success(view int) *Success {
	s := &Success{classes: t.p.Classes, Targets: slices.Compact(slices.Sorted(slices.Values(t.targets)))}
	s.Rates = make([]stats.Accuracy, len(s.Targets))
	for i, target := range t.targets {
		k, _ := slices.BinarySearch(s.Targets, target)
		s.Rates[k] = s.Rates[k].Add(t.rate(view, i))
	}
	return s
}

func (t *tried) rate(view, i int) stats.Accuracy {
	return stats.Accuracy{Correct: t.hits[view][i], Total: t.could[view][i]}
}

// all is the rate of one view over everything.
func (t *tried) all(view int) (all stats.Accuracy) {
	for i := range t.targets {
		all = all.Add(t.rate(view, i))
	}
	return all
}

// triedKey is what shapes the programs.
type triedKey struct{ own bool }

// try puts views of the perturbations onto images. The images that go through the network at once meet all views before
// the next ones are read.
func (p *Perturbations) try(m *model.Model, ds model.Dataset, what string, views []view) (*tried, error) {
	images, err := imagesFor(m, ds)
	if err != nil {
		return nil, err
	}
	if err := p.fit(m, images); err != nil {
		return nil, err
	}
	own := p.Size > 0
	exec, err := m.Exec(triedKey{own}, func(images, clean, counts, deltas, targets, view *graph.Node) []*graph.Node {
		return tryGraph(m, own, images, clean, counts, deltas, targets, view)
	})
	if err != nil {
		return nil, err
	}
	n, most := ds.Len(), mostImages(m)
	// deltas together, and images with each; of own ones as many as images.
	d := min(p.len(), max(most/16, 1))
	b := min(max(most/d, 1), n)
	if own {
		b = min(most, n)
		d = b
	}
	t := &tried{p: p}
	if !own {
		t.targets = p.Targets
		t.grow(len(views), len(p.Targets))
	}
	bar := progress.New(m.Name()+": "+what, n)
	defer bar.Close()
	for lo := 0; lo < n; lo += b {
		hi := min(lo+b, n)
		found, err := p.tryChunk(m, exec, images, views, own, lo, hi, b, d)
		if err != nil {
			stopped := interrupt.After(err, "universal: "+what, lo, n, "images")
			if !interrupt.Is(stopped) || lo == 0 {
				return nil, stopped
			}
			return t, stopped
		}
		if own {
			t.targets = append(t.targets, found.targets...)
			if t.hits == nil {
				t.grow(len(views), 0)
			}
		}
		for v := range views {
			if own {
				t.hits[v], t.could[v], t.norms[v] = append(t.hits[v], found.hits[v]...), append(t.could[v], found.could[v]...),
					append(t.norms[v], found.norms[v]...)
				continue
			}
			for i := range found.targets {
				t.hits[v][i] += found.hits[v][i]
				t.could[v][i] += found.could[v][i]
				t.norms[v][i] = found.norms[v][i]
			}
		}
		bar.Add(hi - lo)
	}
	return t, nil
}

func (t *tried) grow(views, n int) {
	for range views {
		t.hits, t.could, t.norms = append(t.hits, make([]int, n)), append(t.could, make([]int, n)),
			append(t.norms, make([]float64, n))
	}
}

// tryChunk is try for the images from lo to hi (excluded), filled up to b, with d perturbations together.
func (p *Perturbations) tryChunk(m *model.Model, exec *model.Program, images *images, views []view, own bool, lo, hi, b,
	d int) (*tried, error) {
	read, err := images.between(lo, hi)
	if err != nil {
		return nil, err
	}
	predicted, err := m.Predict(read)
	if err != nil {
		return nil, err
	}
	clean, counts := make([]int32, b), make([]float32, b)
	for i, class := range predicted {
		clean[i], counts[i] = int32(class), 1
	}
	x, err := model.PlaceRows(read, 0, hi-lo, b)
	if err != nil {
		return nil, err
	}
	defer model.Free(x)
	deltas, out := p.Deltas, &tried{targets: p.Targets}
	if own {
		var at []int
		out.targets = nil
		for i := lo; i < hi; i++ {
			at = append(at, i/p.Size)
			out.targets = append(out.targets, p.Targets[i/p.Size])
		}
		if deltas, err = rows.Pick(p.Deltas, at); err != nil {
			return nil, fmt.Errorf("universal: %w", err)
		}
	}
	out.grow(len(views), len(out.targets))
	for first := 0; first < len(out.targets); first += d {
		end := min(first+d, len(out.targets))
		err := func() error {
			placed, err := model.PlaceRows(deltas, first, end, d)
			if err != nil {
				return err
			}
			defer model.Free(placed)
			targets := make([]int32, d)
			for i := range targets {
				targets[i] = int32(out.targets[min(first+i, end-1)])
			}
			for v, view := range views {
				if err := interrupt.Err(); err != nil {
					return err
				}
				results, err := exec.Call(x, clean, counts, placed, targets, view.tensor(images.shape[0], images.shape[1]))
				if err != nil {
					return fmt.Errorf("universal: %w", err)
				}
				flat, err := tensors.CopyFlatData[float32](results[0])
				model.Free(results...)
				if err != nil {
					return fmt.Errorf("universal: %w", err)
				}
				for i := first; i < end; i++ {
					row := flat[3*(i-first):]
					out.hits[v][i], out.could[v][i], out.norms[v][i] = int(row[0]), int(row[1]), float64(row[2])
				}
			}
			return nil
		}()
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// tryGraph puts a view of perturbations, [D, H, W, C], onto images, [B, H, W, C], each on each, or if they are the
// images' own, D = B, one on one. The result is [D, 3]: images that are taken for the target, those that could be, and
// the length of the view.
func tryGraph(m *model.Model, own bool, images, clean, counts, deltas, targets, view *graph.Node) []*graph.Node {
	dims := deltas.Shape().Dimensions
	d, height, width := dims[0], dims[1], dims[2]
	at := func(i int) *graph.Node { return graph.Reshape(graph.Slice(view, graph.AxisElem(i))) }
	whole := func(i int) *graph.Node { return graph.ConvertDType(at(i), dtypes.Int32) }
	// The torus, and from it what begins at the shift.
	g := view.Graph()
	zero := graph.ScalarZero(g, dtypes.Int32)
	twice := graph.Concatenate([]*graph.Node{deltas, deltas}, 1)
	twice = graph.Concatenate([]*graph.Node{twice, twice}, 2)
	part := graph.DynamicSlice(twice, []*graph.Node{zero, whole(0), whole(1), zero}, dims)
	inside := func(axis int, first *graph.Node) *graph.Node {
		place := graph.Iota(g, shapes.Make(view.DType(), height, width), axis)
		return graph.LogicalAnd(graph.GreaterOrEqual(place, first), graph.LessThan(place, graph.Add(first, at(4))))
	}
	kept := graph.LogicalAnd(inside(0, at(2)), inside(1, at(3)))
	part = graph.Mul(part, graph.Reshape(graph.ConvertDType(kept, part.DType()), 1, height, width, 1))
	far := attack.L2.Length(part)
	wanted := graph.Where(graph.GreaterThan(at(5), graph.ZerosLike(at(5))), at(5), graph.OnesLike(at(5)))
	scale := graph.Where(graph.BroadcastToDims(graph.GreaterThan(at(5), graph.ZerosLike(at(5))), d, 1, 1, 1),
		graph.Div(wanted, graph.AddScalar(far, 1e-12)), graph.OnesLike(far))
	part = graph.Mul(part, scale)

	var x *graph.Node
	if own {
		x = graph.ClipScalar(graph.Add(images, part), 0, 1)
	} else {
		x = put(images, part)
		b := images.Shape().Dimensions[0]
		x = graph.Reshape(x, d*b, dims[1], dims[2], dims[3])
		targets = graph.BroadcastToDims(graph.ExpandAxes(targets, -1), d, b)
		clean, counts = graph.BroadcastToDims(graph.ExpandAxes(clean, 0), d, b),
			graph.BroadcastToDims(graph.ExpandAxes(counts, 0), d, b)
	}
	predicted := graph.Reshape(m.Likeliest(m.Call(m.Cast(x)).Logits), targets.Shape().Dimensions...)
	could := graph.Mul(graph.ConvertDType(graph.NotEqual(clean, targets), dtypes.Float32), counts)
	hits := graph.Mul(graph.ConvertDType(graph.Equal(predicted, targets), dtypes.Float32), could)
	if !own {
		hits, could = graph.ReduceSum(hits, -1), graph.ReduceSum(could, -1)
	}
	return []*graph.Node{graph.Stack([]*graph.Node{hits, could, graph.Reshape(graph.Mul(far, scale), d)}, -1)}
}
