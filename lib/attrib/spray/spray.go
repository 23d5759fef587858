// Package spray is spectral relevance analysis (SpRAy): it looks at the heatmaps of many images of a class at once and
// groups them by what in the image the model uses. A small group far from the others is a strategy of its own, and
// often a "Clever Hans": a source tag, a watermark, a border. Lapuschkin, Wäldchen, Binder, Montavon, Samek and Müller,
// "Unmasking Clever Hans predictors and assessing what machines really learn", Nature Communications 2019.
//
//	analyses, err := spray.SpRAy{}.Classes(m, ds)
//	analyses[0].Sheet(ds, 8) // the most suspicious class
//
// [SpRAy.Suspects] is both, as a table and a picture.
package spray

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/manifold"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// SpRAy has the settings of an analysis. The zero value is the paper's chain with corelay's numbers: LRP heatmaps, made
// smaller, a graph of the 10 nearest neighbours with [manifold.Neighbors.BinaryAffinity], the spectrum of its
// normalised Laplacian, as many clusters as stand before the largest eigengap.
type SpRAy struct {
	Method attrib.Method // nil means lrp.LRP{}
	// heatmaps are averaged to [Side, Side]; 0 means 32, or the heatmaps' own size where that is less
	Side        int
	Neighbors   int // 0 means 10
	Eigenvalues int // 0 means 32, or as many as there are heatmaps
	Clusters    int // 0 lets the eigengap say, up to 10
	// Raw keeps the heatmaps' size. Otherwise each is divided by the root of its sum of squares, so that images are
	// told apart by where the relevance is, not by how much.
	Raw  bool
	Seed uint64 // of k-means
}

// mostClusters is how far the eigengap is looked for.
const mostClusters = 10

// Analysis is what was found of a set of heatmaps.
type Analysis struct {
	Class     int // -1 where it is unknown
	ClassName string
	Images    []int           // where in the dataset the images are, [N]
	Heatmaps  *tensors.Tensor // as the method made them, [N, H, W] float32
	Reduced   *tensors.Tensor // as they were compared, [N, Side, Side] float32

	Affinity *manifold.Affinity // the graph of neighbours
	Spectrum *manifold.Spectrum // of its Laplacian
	Clusters []int              // each image's cluster, 0 the largest, [N]
	// Strategies are the groups that stand apart, the one that does most first. They may overlap, but no two have half
	// of their members in common.
	Strategies []Strategy

	settings SpRAy
	files    []string // of the images; nil where they have no names
}

// Conductance is that of the group which stands apart most; 1 where there is none.
func (a *Analysis) Conductance() float64 {
	if len(a.Strategies) == 0 {
		return 1
	}
	return a.Strategies[0].Conductance
}

// Strategy is a group of images that the model treats unlike the others.
type Strategy struct {
	Members []bool // which of the analysed images belong to it, [N]; no more than half of them
	// Conductance is the share of its members' ties that lead out of the group, in 0..1: cut(S)/vol(S), the bottleneck
	// that a small second eigenvalue is the sign of (Cheeger's inequality: λ₂/2 is no more than the least).
	Conductance float64
}

// Size is the number of members.
func (s Strategy) Size() int {
	n := 0
	for _, m := range s.Members {
		if m {
			n++
		}
	}
	return n
}

// Classes analyses each class's images by what the model uses for that class, and returns the analyses, the class first
// of which a group stands most apart: whose [Analysis.Conductance] is least. classes are those to look at; without them
// all that have a few more images than neighbours are. An interrupted run returns the classes done so far.
func (s SpRAy) Classes(m *model.Model, ds model.Labeled, classes ...int) ([]*Analysis, error) {
	s, err := s.withDefaults()
	if err != nil {
		return nil, err
	}
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, fmt.Errorf("spray: %w", err)
	}
	of := map[int][]int{}
	for i, l := range labels {
		of[l] = append(of[l], i)
	}
	if len(classes) == 0 {
		for c := range m.NumClasses() {
			if len(of[c]) > s.Neighbors+1 {
				classes = append(classes, c)
			}
		}
		if len(of[-1]) == len(labels) {
			return nil, fmt.Errorf("spray: none of the %d images has a label: it is the images of each class that are analysed",
				len(labels))
		}
		if len(classes) == 0 {
			return nil, fmt.Errorf("spray: no class has more than %d images with its label: give more, or fewer Neighbors",
				s.Neighbors+1)
		}
	}
	var images, explained []int // the images class by class, and the classes
	for _, c := range classes {
		if c < 0 || c >= m.NumClasses() {
			return nil, fmt.Errorf("spray: class %d does not exist: %s has the classes 0 to %d", c, m.Name(), m.NumClasses()-1)
		}
		if len(of[c]) < s.Neighbors+2 {
			return nil, fmt.Errorf(
				"spray: class %s: %d images are too few for %d neighbours each: give more images, or fewer Neighbors",
				m.ClassName(c), len(of[c]), s.Neighbors)
		}
		images = append(images, of[c]...)
		explained = append(explained, slices.Repeat([]int{c}, len(of[c]))...)
	}
	p := progress.New("SpRAy: classes", len(classes))
	defer p.Close()
	var done []*Analysis
	begun := 0 // where the heatmaps of the next class begin
	err = s.heatmaps(m, ds, images, explained, func(heat []float32, h, w int) error {
		for len(done) < len(classes) {
			c := classes[len(done)]
			n := len(of[c])
			if len(heat) < (begun+n)*h*w {
				return nil
			}
			if err := interrupt.Err(); err != nil {
				return err
			}
			a, err := s.Heatmaps(tensors.FromFlatDataAndDimensions(slices.Clone(heat[begun*h*w:(begun+n)*h*w]), n, h, w))
			if err != nil {
				return fmt.Errorf("spray: class %s: %w", m.ClassName(c), err)
			}
			a.Class, a.ClassName, a.Images = c, m.ClassName(c), of[c]
			if named, ok := ds.(interface{ Name(i int) string }); ok {
				for _, i := range a.Images {
					a.files = append(a.files, named.Name(i))
				}
			}
			done = append(done, a)
			begun += n
			p.Add(1)
		}
		return nil
	})
	return bySuspicion(done), interrupt.After(err, "spray", len(done), len(classes), "classes")
}

// blockSize is how many images are on the host at once.
const blockSize = 512

// heatmaps explains images block by block, blocks of one size so that one program does for all classes, and calls more
// with all heatmaps so far.
func (s SpRAy) heatmaps(m *model.Model, ds model.Dataset, indices, classes []int,
	more func(heat []float32, h, w int) error) error {
	n := len(indices)
	block := min(n, blockSize)
	var heat []float32
	for lo := 0; lo < n; lo += block {
		first := min(lo, n-block)
		images, err := ds.Images(indices[first : first+block]...)
		if err != nil {
			return err
		}
		maps, err := s.explain(m, images, classes[first:first+block])
		if err != nil {
			return err
		}
		flat, err := tensors.CopyFlatData[float32](maps)
		if err != nil {
			return fmt.Errorf("spray: %w", err)
		}
		d := maps.Shape().Dimensions
		heat = append(heat, flat[(lo-first)*d[1]*d[2]:]...)
		if err := more(heat, d[1], d[2]); err != nil {
			return err
		}
	}
	return nil
}

// explain returns the method's heatmaps, [N, H, W] float32.
func (s SpRAy) explain(m *model.Model, images *tensors.Tensor, classes []int) (*tensors.Tensor, error) {
	attribution, err := s.Method.Attribute(m, images, classes)
	if err != nil {
		return nil, err
	}
	return attribution.Heatmap()
}

func bySuspicion(all []*Analysis) []*Analysis {
	slices.SortStableFunc(all, func(a, b *Analysis) int { return cmp.Compare(a.Conductance(), b.Conductance()) })
	return all
}

// Images analyses images, [N, H, W, C] float32 in 0..1, by what the model uses for one class.
func (s SpRAy) Images(m *model.Model, images *tensors.Tensor, class int) (*Analysis, error) {
	s, err := s.withDefaults()
	if err != nil {
		return nil, err
	}
	heat, err := s.explain(m, images, []int{class})
	if err != nil {
		return nil, err
	}
	a, err := s.Heatmaps(heat)
	if err != nil {
		return nil, err
	}
	a.Class, a.ClassName = class, m.ClassName(class)
	return a, nil
}

// Heatmaps analyses heatmaps, [N, H, W] float32, whatever made them.
func (s SpRAy) Heatmaps(heat *tensors.Tensor) (*Analysis, error) {
	s, err := s.withDefaults()
	if err != nil {
		return nil, err
	}
	reduced, err := s.reduce(heat)
	if err != nil {
		return nil, err
	}
	n := heat.Shape().Dimensions[0]
	if n < s.Neighbors+2 {
		return nil, fmt.Errorf(
			"spray: %d heatmaps are too few for %d neighbours each: give more heatmaps, or fewer Neighbors", n, s.Neighbors)
	}
	if s.Clusters > n {
		return nil, fmt.Errorf("spray: %d heatmaps cannot form %d clusters", n, s.Clusters)
	}
	nn, err := manifold.NearestNeighbors(reduced, s.Neighbors)
	if err != nil {
		return nil, err
	}
	a := &Analysis{Class: -1, Heatmaps: heat, Reduced: reduced, settings: s}
	for i := range n {
		a.Images = append(a.Images, i)
	}
	a.Affinity = nn.BinaryAffinity()
	if a.Spectrum, err = a.Affinity.Laplacian(min(n, max(s.Eigenvalues, s.Clusters+1))); err != nil {
		return nil, err
	}
	count := s.Clusters
	if count == 0 {
		count = eigengap(a.Spectrum.Values)
	}
	a.Clusters = a.Cut(count)
	a.Strategies = a.strategies()
	return a, nil
}

func (s SpRAy) withDefaults() (SpRAy, error) {
	if s.Method == nil {
		s.Method = lrp.LRP{}
	}
	if s.Side == 0 {
		s.Side = 32
	}
	if s.Neighbors == 0 {
		s.Neighbors = 10
	}
	if s.Eigenvalues == 0 {
		s.Eigenvalues = 32
	}
	if s.Side < 1 || s.Neighbors < 1 || s.Eigenvalues < 2 || s.Clusters < 0 {
		return s, fmt.Errorf("spray: Side %d, Neighbors %d, Eigenvalues %d and Clusters %d must be positive, and there "+
			"must be two eigenvalues for a gap", s.Side, s.Neighbors, s.Eigenvalues, s.Clusters)
	}
	return s, nil
}

// eigengap is the number of eigenvalues before the largest gap (von Luxburg 2007, section 8.3).
func eigengap(values []float64) int {
	best := 1
	for m := 2; m < len(values) && m <= mostClusters; m++ {
		if values[m]-values[m-1] > values[best]-values[best-1] {
			best = m
		}
	}
	return best
}

// strategies are the clusters of all cuts that stand apart. A natural division of a class, such as bags with and
// without a handle, may come before the odd group in the spectrum, so that no one number of clusters is right for every
// class.
func (a *Analysis) strategies() []Strategy {
	const most = 5
	var all, kept []Strategy
	for clusters := 2; clusters <= min(mostClusters, len(a.Spectrum.Values)); clusters++ {
		cut := a.Cut(clusters)
		for c := range clusters {
			s := Strategy{Members: make([]bool, len(cut))}
			for i, of := range cut {
				s.Members[i] = of == c
			}
			// With fewer than its neighbours a group is tied to others whatever it is.
			if size := s.Size(); size <= a.settings.Neighbors || size > len(cut)/2 {
				continue
			}
			s.Conductance = a.conductance(s.Members)
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(x, y Strategy) int { return cmp.Compare(x.Conductance, y.Conductance) })
	for _, s := range all {
		if len(kept) < most && !slices.ContainsFunc(kept, s.alike) {
			kept = append(kept, s)
		}
	}
	return kept
}

// alike says whether half of the members of both are members of each.
func (s Strategy) alike(other Strategy) bool {
	both, either := 0, 0
	for i, m := range s.Members {
		if m || other.Members[i] {
			either++
		}
		if m && other.Members[i] {
			both++
		}
	}
	return 2*both >= either
}

func (a *Analysis) conductance(members []bool) float64 {
	var out, all float64
	a.Affinity.Each(func(i, j int, v float64) {
		if members[i] {
			all += v
			if !members[j] {
				out += v
			}
		}
	})
	return out / all
}

// reduce averages heatmaps over the cells of a grid and scales each.
func (s SpRAy) reduce(heat *tensors.Tensor) (*tensors.Tensor, error) {
	if heat == nil || heat.Rank() != 3 {
		return nil, fmt.Errorf("spray: heatmaps have the shape [N, H, W]")
	}
	d := heat.Shape().Dimensions
	flat, err := tensors.CopyFlatData[float32](heat)
	if err != nil {
		return nil, fmt.Errorf("spray: heatmaps are float32: %w", err)
	}
	n, h, w := d[0], d[1], d[2]
	rows, columns := min(s.Side, h), min(s.Side, w)
	out := make([]float32, 0, n*rows*columns)
	for i := range n {
		cells := make([]float64, 0, rows*columns)
		var squares float64
		for r := range rows {
			for c := range columns {
				v := mean(flat[i*h*w:(i+1)*h*w], w, r*h/rows, ((r+1)*h+rows-1)/rows, c*w/columns, ((c+1)*w+columns-1)/columns)
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("spray: heatmap %d has a value that is %v", i, v)
				}
				cells = append(cells, v)
				squares += v * v
			}
		}
		scale := 1.0
		if !s.Raw && squares > 0 {
			scale = 1 / math.Sqrt(squares)
		}
		for _, v := range cells {
			out = append(out, float32(v*scale))
		}
	}
	return tensors.FromFlatDataAndDimensions(out, n, rows, columns), nil
}

// mean averages rows top to bottom and columns left to right of a heatmap.
func mean(heat []float32, w, top, bottom, left, right int) float64 {
	var sum float64
	for y := top; y < bottom; y++ {
		for _, v := range heat[y*w+left : y*w+right] {
			sum += float64(v)
		}
	}
	return sum / float64((bottom-top)*(right-left))
}

// Cut divides the images into another number of clusters, 0 the largest: k-means on the rows of the first eigenvectors,
// each row scaled to length 1 (Ng, Jordan and Weiss 2002).
func (a *Analysis) Cut(clusters int) []int {
	n, k := a.Spectrum.Vectors.Dims()
	clusters = max(1, min(clusters, k))
	rows := mat.DenseCopyOf(a.Spectrum.Vectors.Slice(0, n, 0, clusters))
	for i := range n {
		row := rows.RawRowView(i)
		length := mat.Norm(mat.NewVecDense(clusters, row), 2)
		if length > 0 {
			for c := range row {
				row[c] /= length
			}
		}
	}
	return kMeans(rows, clusters, a.settings.Seed)
}

// Count is the number of clusters.
func (a *Analysis) Count() int { return slices.Max(a.Clusters) + 1 }

// Members returns the places, among the analysed images, of a cluster's, the most typical first: those whose heatmaps
// lie nearest to the cluster's mean.
func (a *Analysis) Members(cluster int) []int {
	flat := tensors.MustCopyFlatData[float32](a.Reduced)
	size := len(flat) / len(a.Clusters)
	var members []int
	centre := make([]float64, size)
	for i, c := range a.Clusters {
		if c == cluster {
			members = append(members, i)
			for j, v := range flat[i*size : (i+1)*size] {
				centre[j] += float64(v)
			}
		}
	}
	far := make(map[int]float64, len(members))
	for _, i := range members {
		for j, v := range flat[i*size : (i+1)*size] {
			d := float64(v) - centre[j]/float64(len(members))
			far[i] += d * d
		}
	}
	slices.SortStableFunc(members, func(x, y int) int { return cmp.Compare(far[x], far[y]) })
	return members
}
