package universal

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Patches are random squares of perturbations, whose rest is left out: what is left of an attack that acts by what it
// shows in one place still acts. Park et al. take 64 squares of 80 of 224 pixels.
type Patches struct {
	Side  int // in pixels; 0 means 80/224 of the shorter side, rounded
	Count int // squares, the same ones for all perturbations and images; 0 means 64
	// Length is the L2 norm to which every square is brought, so that none has more of an effect by being larger; 0 leaves
	// them as they are.
	Length float64
	Seed   uint64 // of the squares' places
}

// Patch is a square of a perturbation.
type Patch struct {
	Target int            `display:"target"`
	Top    int            `display:"top"` // its place, in pixels
	Left   int            `display:"left"`
	Norm   float64        `display:"L2"`      // of what is left of the perturbation
	Rate   stats.Accuracy `display:"success"` // see [Success]
}

// Locality is how often squares of perturbations alone lead to the target.
type Locality struct {
	Side int
	// Patches are those of all perturbations, square by square; of [BaseSets] those of all images.
	Patches []Patch

	of *Perturbations
}

// On puts the squares onto a dataset's images as [Perturbations.Success] puts the whole.
//
// Interrupted, it returns what the images that are done say beside the error; nil if there is none.
func (s Patches) On(m *model.Model, ds model.Dataset, of *Perturbations) (*Locality, error) {
	if err := of.check(); err != nil {
		return nil, err
	}
	d := of.Deltas.Shape().Dimensions
	height, width := d[1], d[2]
	if s.Side == 0 {
		s.Side = max(int(math.Round(80./224*float64(min(height, width)))), 1)
	}
	if s.Count == 0 {
		s.Count = 64
	}
	switch {
	case s.Side < 1 || s.Side > min(height, width):
		return nil, fmt.Errorf("universal: squares of %d pixels in perturbations of %d x %d", s.Side, height, width)
	case s.Count < 1:
		return nil, fmt.Errorf("universal: %d squares tell nothing", s.Count)
	case !(s.Length >= 0) || math.IsInf(s.Length, 0):
		return nil, fmt.Errorf("universal: squares are brought to a length above 0, or left with 0, not to %g", s.Length)
	}
	rng := rand.New(rand.NewPCG(s.Seed, 1))
	var views []view
	for range s.Count {
		views = append(views, view{top: rng.IntN(height - s.Side + 1), left: rng.IntN(width - s.Side + 1), side: s.Side,
			length: s.Length})
	}
	tried, stopped := of.try(m, ds, "squares of perturbations", views)
	if tried == nil {
		return nil, stopped
	}
	l := &Locality{Side: s.Side, of: of}
	for v, view := range views {
		for i, target := range tried.targets {
			l.Patches = append(l.Patches, Patch{target, view.top, view.left, tried.norms[v][i], tried.rate(v, i)})
		}
	}
	return l, stopped
}

// All is the rate over all squares.
func (l *Locality) All() stats.Accuracy {
	var all stats.Accuracy
	for _, p := range l.Patches {
		all = all.Add(p.Rate)
	}
	return all
}

// Series is the rate by the norm of the squares, in bins that hold as many squares each: a line for a plot, with the
// squares' norms as they are on average. Squares that could not lead anywhere, for the network says so anyway, do not
// count.
func (l *Locality) Series(name string, bins int) (display.Series, error) {
	var counted []Patch
	for _, p := range l.Patches {
		if p.Rate.Total > 0 {
			counted = append(counted, p)
		}
	}
	if bins < 1 || len(counted) < bins {
		return display.Series{},
			fmt.Errorf("universal: %d bins of %d squares: there is at least one bin, with at least one square", bins,
				len(counted))
	}
	slices.SortStableFunc(counted, func(a, b Patch) int {
		switch {
		case a.Norm < b.Norm:
			return -1
		case a.Norm > b.Norm:
			return 1
		}
		return 0
	})
	s := display.Series{Name: name}
	for i := range bins {
		bin := counted[i*len(counted)/bins : (i+1)*len(counted)/bins]
		var norm float64
		var rate stats.Accuracy
		for _, p := range bin {
			norm, rate = norm+p.Norm/float64(len(bin)), rate.Add(p.Rate)
		}
		s.X, s.Y = append(s.X, norm), append(s.Y, 100*rate.Share())
	}
	return s, nil
}

// Best is the rate, on the images of another Locality, of the squares that are best for each target on the images of
// this one. To count the best of many on the images that they were picked on would flatter them. The squares must be
// the same: made by the same [Patches] of the same perturbations, which are for all images.
func (l *Locality) Best(on *Locality) (best stats.Accuracy, err error) {
	if l == nil || on == nil || l.of == nil || l.of.Size > 0 || len(l.Patches) != len(on.Patches) {
		return best, errors.New("universal: squares are picked on some images and counted on others: they are the same " +
			"ones, of perturbations that are for all images")
	}
	for i, p := range l.Patches {
		if q := on.Patches[i]; p.Target != q.Target || p.Top != q.Top || p.Left != q.Left || l.Side != on.Side {
			return best, fmt.Errorf("universal: square %d is another one on the other images", i)
		}
	}
	count := len(l.of.Targets)
	for first := range count {
		top := first
		for i := first; i < len(l.Patches); i += count {
			if l.Patches[i].Rate.Share() > l.Patches[top].Rate.Share() {
				top = i
			}
		}
		best = best.Add(on.Patches[top].Rate)
	}
	return best, nil
}

// plotBins is how many points the plot has at most.
const plotBins = 10

// Plot is the rate by the norm of the squares.
func (l *Locality) Plot() (display.Lines, error) {
	if l == nil || len(l.Patches) == 0 {
		return display.Lines{}, errors.New("universal: there are no squares to show")
	}
	s, err := l.Series("squares", min(plotBins, len(l.Patches)))
	if err != nil {
		return display.Lines{}, err
	}
	return display.Lines{Title: "success of squares alone", X: "L2 norm of the square", Y: "% of the images",
		Series: []display.Series{s}}, nil
}

// Grid shows, of perturbations that are for all images, each one with its most and its least successful square.
func (l *Locality) Grid() (display.Grid, error) {
	if l == nil || len(l.Patches) == 0 {
		return display.Grid{}, errors.New("universal: there are no squares to show")
	}
	if l.of.Size > 0 {
		return display.Grid{},
			errors.New("universal: squares of single images' perturbations are too many to show: their Plot says what comes " +
				"of them")
	}
	shown, err := pictures(l.of.Deltas, mostShown)
	if err != nil {
		return display.Grid{}, err
	}
	flat, err := tensors.CopyFlatData[float32](shown)
	if err != nil {
		return display.Grid{}, fmt.Errorf("universal: %w", err)
	}
	d := shown.Shape().Dimensions
	row := d[1] * d[2] * d[3]
	g := display.Grid{Title: "perturbations, and their most and least successful squares",
		Labels: []string{"whole", "most", "least"}, Rows: make([][]display.Tile, 3)}
	for i := range d[0] {
		var most, least *Patch
		for k := i; k < len(l.Patches); k += len(l.of.Targets) {
			p := &l.Patches[k]
			if most == nil || p.Rate.Share() > most.Rate.Share() {
				most = p
			}
			if least == nil || p.Rate.Share() < least.Rate.Share() {
				least = p
			}
		}
		for k, p := range []*Patch{nil, most, least} {
			pixels, title := slices.Clone(flat[i*row:(i+1)*row]), l.of.className(l.of.Targets[i])
			if p != nil {
				title = fmt.Sprintf("%.0f%%", 100*p.Rate.Share())
				for at := range pixels {
					y, x := at/d[3]/d[2], at/d[3]%d[2]
					if y < p.Top || y >= p.Top+l.Side || x < p.Left || x >= p.Left+l.Side {
						pixels[at] = 0.5
					}
				}
			}
			picture, err := display.Images(tensors.FromFlatDataAndDimensions(pixels, 1, d[1], d[2], d[3]))
			if err != nil {
				return display.Grid{}, err
			}
			g.Rows[k] = append(g.Rows[k], display.Tile{Image: picture[0], Title: title})
		}
	}
	return g, nil
}

// Table has a row for each square.
func (l *Locality) Table() table.Table {
	t := table.Table{Header: []string{"target", "top", "left", "L2", "success"}}
	for _, p := range l.Patches {
		t.Add(l.of.className(p.Target), p.Top, p.Left, p.Norm, p.Rate.Rate())
	}
	return t
}

func (l *Locality) String() string {
	return fmt.Sprintf("success of %d squares of %d pixels: %s", len(l.Patches), l.Side, l.All())
}

// Bundle shows the squares of perturbations for all images, and else the rate by the norm.
func (l *Locality) Bundle() mime.Bundle {
	if l.of != nil && l.of.Size == 0 {
		return display.Shown(l.Grid())
	}
	return display.Shown(l.Plot())
}
