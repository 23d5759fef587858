package sweep

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/rows"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	_ "github.com/loupeml/loupe/lib/pretrained" // published networks by the names of their weights
	"github.com/loupeml/loupe/lib/shift"
)

// Runner computes cells. It keeps the models that it has loaded and the pictures that it has read, so that cells that
// share them cost less. It is not for several goroutines at once.
type Runner struct {
	// Keep is how many models stay loaded; 0 means 2.
	Keep int
	// Local finds the files of a model or of data on this machine, by their identity. Nil takes them where the plan says
	// that they lie.
	Local func(identity, path string) (Local, error)

	loaded []loadedModel // the one used last comes last
	opened map[string]*data.Dataset
	seen   pictureCache
}

// Local is where files of a model or of data lie on a machine.
type Local struct {
	Path   string // of the model's file, or of the data
	Labels string // of a table of labels; empty is where the plan says
	Names  string // of a file of class names; empty is where the plan says
}

// With says where a file with a role lies.
func (l Local) With(f File, path string) Local {
	switch f.Role {
	case LabelsRole:
		l.Labels = path
	case NamesRole:
		l.Names = path
	}
	return l
}

type loadedModel struct {
	token string
	model *model.Model
}

// pictureCache holds pictures as a model takes them, while cells ask for the same ones.
type pictureCache struct {
	of     string
	images *tensors.Tensor
}

// held is up to how many bytes of pictures stay in memory.
const held = 256 << 20

// Normalisations are what a [Model]'s Normalisation may say.
func Normalisations() []string { return []string{"imagenet", "half", "none"} }

var normalisations = map[string]model.Option{
	"imagenet": model.ImageNet, "half": model.HalfHalf, "none": model.Unnormalized,
}

// Has tells whether a model is loaded: [Model.Token].
func (r *Runner) Has(token string) bool {
	for _, l := range r.loaded {
		if l.token == token {
			return true
		}
	}
	return false
}

// Run computes a cell.
func (r *Runner) Run(j Job) (*Outcome, error) {
	method, err := methodNamed(j.Method)
	if err != nil {
		return nil, err
	}
	m, err := r.model(j.Of)
	if err != nil {
		return nil, err
	}
	images, err := r.images(m, j)
	if err != nil {
		return nil, err
	}
	truth, err := truthOf(m, j)
	if err != nil {
		return nil, err
	}
	arrays, err := method.Run(Trial{m, images, amongs[j.Under.Among]()})
	if err != nil {
		return nil, err
	}
	for name, a := range arrays {
		if a.Rank() < 1 || a.Shape().Dimensions[0] != images.Len() {
			return nil, fmt.Errorf("sweep: %s gives %q as %s for %d pictures", j.Method, name, a.Shape(), images.Len())
		}
	}
	return &Outcome{arrays, truth}, nil
}

func (r *Runner) local(identity, path string) (Local, error) {
	if r.Local == nil {
		return Local{Path: path}, nil
	}
	return r.Local(identity, path)
}

func (r *Runner) model(of Model) (*model.Model, error) {
	for i, l := range r.loaded {
		if l.token == of.Token() {
			r.loaded = append(append(r.loaded[:i:i], r.loaded[i+1:]...), l)
			return l.model, nil
		}
	}
	keep := r.Keep
	if keep == 0 {
		keep = 2
	}
	for len(r.loaded) >= keep {
		r.loaded = append([]loadedModel(nil), r.loaded[1:]...) // so that its weights can be collected
	}
	m, err := r.load(of)
	if err != nil {
		return nil, fmt.Errorf("the model %s does not load: %w", of.Name, err)
	}
	r.loaded = append(r.loaded, loadedModel{of.Token(), m})
	return m, nil
}

func (r *Runner) load(of Model) (*model.Model, error) {
	at, err := r.local(of.Identity, of.File)
	if err != nil {
		return nil, err
	}
	var options []model.Option
	if of.Normalisation != "" {
		options = append(options, normalisations[of.Normalisation])
	}
	if of.Classes != "" {
		options = append(options, model.ClassNames(cmp.Or(at.Names, of.Classes)))
	}
	m, err := model.Load(at.Path, options...)
	if err != nil {
		return nil, err
	}
	if m.NumClasses() == 0 {
		return nil, fmt.Errorf("it is not a classifier")
	}
	return m, nil
}

// data opens data and checks that they are those of the plan.
func (r *Runner) data(d Data) (*data.Dataset, error) {
	if ds, ok := r.opened[d.Identity]; ok {
		return ds, nil
	}
	at, err := r.local(d.Identity, d.Path)
	if err != nil {
		return nil, err
	}
	here := d
	here.Path, here.Labels = at.Path, cmp.Or(at.Labels, d.Labels)
	ds, err := here.open()
	if err != nil {
		return nil, fmt.Errorf("the data %s do not open: %w", d.Name, err)
	}
	if p := picturesOf(ds); len(p.Names) != d.Pictures || namesDigest(p.Names) != d.Named {
		return nil, fmt.Errorf("the data %s have other pictures in %s than where the sweep was planned: %d here, %d there",
			d.Name, here.Path, len(p.Names), d.Pictures)
	}
	if r.opened == nil {
		r.opened = map[string]*data.Dataset{}
	}
	r.opened[d.Identity] = ds
	return ds, nil
}

// images are a condition's pictures as the model takes them.
func (r *Runner) images(m *model.Model, j Job) (model.Dataset, error) {
	ds, err := r.data(j.Seen)
	if err != nil {
		return nil, err
	}
	prepared, err := m.Prepared(ds)
	if err != nil {
		return nil, err
	}
	plain, err := r.read(m, j.Seen, prepared)
	if err != nil {
		return nil, err
	}
	if j.Under.Corruption == "" {
		return plain, nil
	}
	c, err := perturb.CorruptionNamed(j.Under.Corruption)
	if err != nil {
		return nil, err
	}
	if err := c.Ready(); err != nil {
		return nil, err
	}
	return shift.Corrupted(unlabelled{plain}, c, j.Under.Severity, j.Under.Seed).Data, nil
}

// read reads the pictures once where they are few enough to be kept.
func (r *Runner) read(m *model.Model, d Data, prepared *data.Dataset) (model.Dataset, error) {
	spec := m.Spec()
	if 4*prepared.Len()*spec.Height*spec.Width*spec.Channels > held {
		return prepared, nil
	}
	var steps []string
	for _, step := range m.Prepare() {
		steps = append(steps, step.Name)
	}
	of := d.Identity + " " + strings.Join(steps, ", ")
	if r.seen.of != of {
		all, err := prepared.All()
		if err != nil {
			return nil, err
		}
		if old := r.seen.images; old != nil {
			old.FinalizeAll()
		}
		r.seen = pictureCache{of, all}
	}
	return inMemory{r.seen.images}, nil
}

// inMemory are pictures [N, H, W, C] that are read already.
type inMemory struct{ all *tensors.Tensor }

func (m inMemory) Len() int { return m.all.Shape().Dimensions[0] }

func (m inMemory) Images(numbers ...int) (*tensors.Tensor, error) { return rows.Pick(m.all, numbers) }

// unlabelled are pictures whose labels no one here asks for.
type unlabelled struct{ model.Dataset }

func (u unlabelled) Labels() []int { return slices.Repeat([]int{-1}, u.Len()) }

// oneOfEach stands for data that has one picture of each label, to ask a model which of its classes these are.
type oneOfEach struct{ j Job }

func (o oneOfEach) Len() int          { return o.j.Labelled.Labels }
func (o oneOfEach) Title() string     { return o.j.Seen.Name }
func (o oneOfEach) Classes() []string { return o.j.Labelled.Classes }
func (oneOfEach) Images(...int) (*tensors.Tensor, error) {
	return nil, fmt.Errorf("sweep: there are no pictures")
}
func (o oneOfEach) Labels() (labels []int) {
	for i := range o.j.Labelled.Labels {
		labels = append(labels, i)
	}
	return labels
}

// truthOf are the model's numbers of the data's labels.
func truthOf(m *model.Model, j Job) ([]int, error) { return m.LabelsOf(oneOfEach{j}) }
