package universal

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/numpy"
	"github.com/loupeml/loupe/lib/internal/safetensors"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Perturbations are what is added to images so that a network takes them for other classes: by [Attack] one for each
// class, for any image; by [BaseSets] one for each few images. They are saved as .safetensors or .npz, which [Read]
// reads.
type Perturbations struct {
	Deltas  *tensors.Tensor // [P, H, W, C] float32, in the units of the images
	Targets []int           // the class that each leads to, [P]
	// Size is how many images share a perturbation: image i of those that they were made from has perturbation i/Size.
	// 0 means that every one is for all images.
	Size    int
	Norm    attack.Norm
	Eps     float64
	Classes []string // names of the model's classes; nil if they have none
	// Histories are how the making of [Attack] went, one for as many perturbations as were made together: the mean loss
	// of the batches, and the share of the perturbed images that are taken for the target, "reached".
	Histories []*learn.History
}

// check returns an error for perturbations that do not fit together.
func (p *Perturbations) check() error {
	_, err := p.values()
	return err
}

// values are the checked perturbations, flat.
func (p *Perturbations) values() ([]float32, error) {
	if p == nil || p.Deltas == nil {
		return nil, errors.New("universal: there are no perturbations: the argument is nil or empty")
	}
	if err := p.Deltas.CheckValid(); err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	switch {
	case p.Deltas.Rank() != 4 || p.Deltas.DType() != dtypes.Float32 || p.Deltas.Size() == 0:
		return nil, fmt.Errorf("universal: perturbations are [P, H, W, C] float32, not %s", p.Deltas.Shape())
	case len(p.Targets) != p.len():
		return nil, fmt.Errorf("universal: %d targets for %d perturbations", len(p.Targets), p.len())
	case p.Size < 0:
		return nil, fmt.Errorf("universal: a perturbation for %d images", p.Size)
	case p.Norm != attack.L2 && p.Norm != attack.LInf:
		return nil, fmt.Errorf("universal: there is no norm %d: L2 and LInf are", int(p.Norm))
	}
	flat, err := tensors.CopyFlatData[float32](p.Deltas)
	if err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	for i, v := range flat {
		if v-v != 0 { // NaN, or infinite
			return nil, fmt.Errorf("universal: perturbation %d has the value %g", i*p.len()/len(flat), v)
		}
	}
	return flat, nil
}

func (p *Perturbations) len() int { return p.Deltas.Shape().Dimensions[0] }

// fit checks that the perturbations fit a model, and images that they are to be put on.
func (p *Perturbations) fit(m *model.Model, of *images) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := checkTargets(m, p.Targets); err != nil {
		return err
	}
	d := p.Deltas.Shape().Dimensions
	if [3]int(d[1:]) != of.shape {
		return fmt.Errorf("universal: perturbations [%d, %d, %d] for a model that takes images %v", d[1], d[2],
			d[3], of.shape)
	}
	return p.fitImages(of.ds.Len())
}

func (p *Perturbations) fitImages(n int) error {
	if p.Size > 0 && (n > p.len()*p.Size || n <= (p.len()-1)*p.Size) {
		return fmt.Errorf(
			"universal: %d images for %d perturbations of %d images each: they belong to as many images as they were made from",
			n, p.len(), p.Size)
	}
	return nil
}

// Norms are the L2 norms of the perturbations, [P], over all pixels and channels.
func (p *Perturbations) Norms() ([]float64, error) {
	lengths, _, err := p.lengths()
	return lengths, err
}

// lengths are the perturbations' L2 and L∞ norms.
func (p *Perturbations) lengths() (two, most []float64, err error) {
	flat, err := p.values()
	if err != nil {
		return nil, nil, err
	}
	two, most = make([]float64, p.len()), make([]float64, p.len())
	for i, v := range flat {
		k := i * p.len() / len(flat)
		two[k] += float64(v) * float64(v)
		most[k] = max(most[k], math.Abs(float64(v)))
	}
	for k := range two {
		two[k] = math.Sqrt(two[k])
	}
	return two, most, nil
}

// Noise is a control: random perturbations in the place of these, for the same images and targets, each as long as the
// one in whose place it is. In L2 their directions are uniform, in L∞ every pixel goes up or down by the same.
func (p *Perturbations) Noise(seed uint64) (*Perturbations, error) {
	two, most, err := p.lengths()
	if err != nil {
		return nil, err
	}
	n := p.Deltas.Size() / p.len()
	flat := make([]float32, 0, p.Deltas.Size())
	noise := make([]float64, n)
	for k := range p.len() {
		rng := rand.New(rand.NewPCG(seed, uint64(k)))
		var square float64
		for i := range noise {
			noise[i] = rng.NormFloat64()
			square += noise[i] * noise[i]
		}
		for _, v := range noise {
			if p.Norm == attack.LInf {
				flat = append(flat, float32(math.Copysign(most[k], v)))
			} else {
				flat = append(flat, float32(v*two[k]/math.Sqrt(square)))
			}
		}
	}
	out := *p
	out.Deltas, out.Histories = tensors.FromFlatDataAndDimensions(flat, p.Deltas.Shape().Dimensions...), nil
	return &out, nil
}

// className is the name of a class, or its number.
func (p *Perturbations) className(class int) string {
	if class >= 0 && class < len(p.Classes) {
		return p.Classes[class]
	}
	return fmt.Sprint(class)
}

// mostShown is how many perturbations are shown.
const mostShown = 40

// pictures are the first perturbations as images: grey is 0, and black and white are the largest value of each.
func pictures(deltas *tensors.Tensor, most int) (*tensors.Tensor, error) {
	flat, err := tensors.CopyFlatData[float32](deltas)
	if err != nil {
		return nil, fmt.Errorf("universal: %w", err)
	}
	d := deltas.Shape().Dimensions
	row := len(flat) / d[0]
	n := min(d[0], most)
	flat = flat[:n*row]
	for i := range n {
		one := flat[i*row : (i+1)*row]
		var largest float32
		for _, v := range one {
			largest = max(largest, max(v, -v))
		}
		for k := range one {
			if largest > 0 {
				one[k] /= 2 * largest
			}
			one[k] += 0.5
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, n, d[1], d[2], d[3]), nil
}

// Grid shows the perturbations, each by itself brought to the range from black to white; grey is no change. Of many it
// shows the first.
func (p *Perturbations) Grid() (display.Grid, error) {
	two, most, err := p.lengths()
	if err != nil {
		return display.Grid{}, err
	}
	shown, err := pictures(p.Deltas, mostShown)
	if err != nil {
		return display.Grid{}, err
	}
	var titles []string
	for i := range shown.Shape().Dimensions[0] {
		titles = append(titles, fmt.Sprintf("%s\nL2 %.3g, L∞ %.3g", p.className(p.Targets[i]), two[i], most[i]))
	}
	g := display.Gallery(shown, titles...)
	g.Title = "perturbations, each from black to white; grey is no change"
	if n := p.len(); n > mostShown {
		g.Title += fmt.Sprintf(" (the first %d of %d)", mostShown, n)
	}
	return g, nil
}

// Table has a row for each perturbation.
func (p *Perturbations) Table() (table.Table, error) {
	two, most, err := p.lengths()
	if err != nil {
		return table.Table{}, err
	}
	t := table.Table{Header: []string{"perturbation", "target", "L2", "L∞"}}
	for i, target := range p.Targets {
		t.Add(i, p.className(target), two[i], most[i])
	}
	return t, nil
}

// Bundle shows the pictures.
func (p *Perturbations) Bundle() mime.Bundle { return display.Shown(p.Grid()) }

// savedKey is the metadata that perturbations are known by.
const savedKey = "loupe.perturbations"

// saved is what is saved besides the arrays.
type saved struct {
	Norm    attack.Norm `json:"norm"`
	Eps     float64     `json:"eps"`
	Size    int         `json:"size"`
	Classes []string    `json:"classes,omitempty"`
}

// Arrays are what perturbations are saved as: perturbations, [P, H, W, C] float32, and targets, [P] int64.
func (p *Perturbations) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	about, err := json.Marshal(saved{p.Norm, p.Eps, p.Size, p.Classes})
	if err != nil {
		return nil, nil, fmt.Errorf("universal: %w", err)
	}
	targets := make([]int64, len(p.Targets))
	for i, t := range p.Targets {
		targets[i] = int64(t)
	}
	return map[string]*tensors.Tensor{
		perturbations: p.Deltas, "targets": tensors.FromFlatDataAndDimensions(targets, len(targets)),
	}, map[string]string{savedKey: string(about)}, nil
}

// Read reads perturbations that were saved as .safetensors or .npz, without the histories.
func Read(path string) (*Perturbations, error) {
	var arrays map[string]*tensors.Tensor
	var metadata map[string]string
	var err error
	switch strings.ToLower(filepath.Ext(path)) {
	case ".safetensors":
		arrays, metadata, _, err = safetensors.Read(path)
	case ".npz":
		arrays, metadata, err = numpy.ReadArchive(path)
	default:
		err = errors.New("perturbations are saved as .safetensors or .npz")
	}
	if err != nil {
		return nil, fmt.Errorf("universal: %s: %w", path, err)
	}
	var about saved
	if metadata[savedKey] == "" {
		return nil, fmt.Errorf("universal: %s does not hold perturbations: it has no %s", path, savedKey)
	}
	if err := json.Unmarshal([]byte(metadata[savedKey]), &about); err != nil {
		return nil, fmt.Errorf("universal: %s: what it says of its perturbations cannot be read: %w", path, err)
	}
	p := &Perturbations{Deltas: arrays[perturbations], Size: about.Size, Norm: about.Norm, Eps: about.Eps,
		Classes: about.Classes}
	if t := arrays["targets"]; t != nil {
		flat, err := tensors.CopyFlatData[int64](t)
		if err != nil {
			return nil, fmt.Errorf("universal: %s: the targets: %w", path, err)
		}
		for _, v := range flat {
			p.Targets = append(p.Targets, int(v))
		}
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w in %s", err, path)
	}
	return p, nil
}
