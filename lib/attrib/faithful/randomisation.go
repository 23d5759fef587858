package faithful

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/stats"
)

// Randomisation randomises a network's weights layer by layer from the last one on, so that in the end all are random,
// and asks how alike a method's heatmaps remain to those of the network itself. Heatmaps that stay the same cannot say
// what the network has learnt. Adebayo et al., NeurIPS 2018.
//
// A file does not say what weights its network began with, so each weight's own numbers are put in a random order: what
// was learnt is gone, and the numbers are as large as before. Fresh has other weights, such as those that a network of
// the same kind begins with, which is what the paper does.
type Randomisation struct {
	// Independent randomises each layer alone, and leaves the others as they were. It is the paper's second test; the
	// first, from the last layer on, is the default.
	Independent bool
	// Layers are those after whose randomisation heatmaps are compared, by names that [Layers] gives; nil is all. The
	// layers in between are randomised too, unless Independent.
	Layers []string
	// Fresh, if not nil, is a network of the same weights' names and shapes, whose weights are the random ones.
	Fresh *model.Model
	// By makes one number of the values of a pixel's channels.
	By attrib.Reduction
	// Seed draws the orders, of which each weight has one of its own.
	Seed uint64
}

// Randomised is what became of a method's heatmaps.
type Randomised struct {
	// Model and Method are the names of what was tested.
	Model, Method string
	Independent   bool
	// Layers are in the order in which they were randomised, from the last of the network on.
	Layers []string
	// Classes are the classes explained, [N], which are the same for all networks, and ClassNames their names.
	Classes    []int
	ClassNames []string
	// Correlation is Spearman's rank correlation of the heatmap of each image with that of the network itself, after
	// each layer, [Layers][N], and Absolute that of the heatmaps' absolute values. NaN is of a heatmap whose values are
	// all equal.
	Correlation, Absolute [][]float64
}

// Layer is a part of a network that is randomised as a whole.
type Layer struct {
	Name    string   `display:"layer"`
	Weights []string `display:"weights"`
}

// Layers are the layers of a network that have weights, from the last one on. A layer is a module of the checkpoint:
// its weights are NAME.weight, NAME.bias and the like. Where names tell no modules, as in some ONNX files, it is a
// matrix or kernel with the vectors that follow it. It is an error of a network without weights of its own, such as an
// ensemble.
func Layers(m *model.Model) ([]Layer, error) {
	if m == nil {
		return nil, fmt.Errorf("faithful: there is no model: it is nil")
	}
	weights := m.Weights()
	var layers []Layer
	places := map[string]int{} // of modules
	for _, name := range m.UsedWeights() {
		w := weights[name]
		if w == nil || !w.DType().IsFloat() {
			continue
		}
		module, known := "", false
		if at := strings.LastIndexByte(name, '.'); at > 0 {
			module, known = name[:at], true
		}
		at, there := places[module]
		switch {
		case known && there:
		case !known && len(layers) > 0 && w.Rank() < 2 && layers[len(layers)-1].unnamed():
			at = len(layers) - 1
		default:
			at = len(layers)
			layers = append(layers, Layer{Name: module})
			if places[module] = at; !known {
				layers[at].Name = name
			}
		}
		layers[at].Weights = append(layers[at].Weights, name)
	}
	if len(layers) == 0 {
		return nil, fmt.Errorf("faithful: %s has no weights of its own to randomise", m.Name())
	}
	slices.Reverse(layers)
	return layers, nil
}

// unnamed says that a layer is no module.
func (l Layer) unnamed() bool { return l.Name == l.Weights[0] }

// Run explains the class of each image, [N, H, W, C] float32 in 0..1, by a method, for the network itself and after
// each layer is randomised. classes may be nil for those that the network itself predicts, one for all, or one for each
// image.
//
// Interrupted, it returns the layers that are done beside the error; nil if none is.
func (r Randomisation) Run(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (*Randomised,
	error) {
	layers, err := Layers(m)
	if err != nil {
		return nil, err
	}
	if err := r.checkLayers(m, layers); err != nil {
		return nil, err
	}
	if classes, err = m.TargetClasses(images, classes); err != nil {
		return nil, err
	}
	whole, err := r.heat(m, images, classes, method)
	if err != nil {
		return nil, err
	}
	out := &Randomised{Model: m.Name(), Method: method.Name(), Independent: r.Independent, Classes: classes}
	for _, class := range classes {
		out.ClassNames = append(out.ClassNames, m.ClassName(class))
	}
	compared := len(layers)
	if r.Layers != nil {
		compared = len(r.Layers)
	}
	bar := progress.New(m.Name()+": randomising layers under "+method.Name(), compared)
	defer bar.Close()
	random := m
	for _, layer := range layers {
		from := random
		if r.Independent {
			from = m
		}
		changed := map[string]*tensors.Tensor{}
		for _, name := range layer.Weights {
			if changed[name], err = r.randomised(m, name); err != nil {
				return nil, err
			}
		}
		if random, err = from.WithWeights(changed); err != nil {
			return nil, fmt.Errorf("faithful: %w", err)
		}
		if r.Layers != nil && !slices.Contains(r.Layers, layer.Name) {
			continue
		}
		alike, err := r.compare(random, images, classes, method, whole)
		if err != nil {
			stopped := interrupt.After(err, "faithful: randomisation", len(out.Layers), compared, "layers")
			if len(out.Layers) == 0 || !interrupt.Is(err) {
				return nil, stopped
			}
			return out, stopped
		}
		out.Layers = append(out.Layers, layer.Name)
		out.Correlation, out.Absolute = append(out.Correlation, alike[0]), append(out.Absolute, alike[1])
		bar.Add(1)
	}
	return out, nil
}

func (r Randomisation) checkLayers(m *model.Model, layers []Layer) error {
	var all []string
	for _, layer := range layers {
		all = append(all, layer.Name)
	}
	if r.Layers != nil && len(r.Layers) == 0 {
		return fmt.Errorf("faithful: there are no layers to randomise: give nil for all")
	}
	for i, name := range r.Layers {
		if !slices.Contains(all, name) {
			return fmt.Errorf("faithful: %s has no layer %q with weights%s; faithful.Layers lists all %d",
				m.Name(), name, nearest.DidYouMean(name, all), len(all))
		}
		if slices.Contains(r.Layers[:i], name) {
			return fmt.Errorf("faithful: the layer %q is named twice", name)
		}
	}
	if r.Fresh == nil {
		return nil
	}
	weights, fresh := m.Weights(), r.Fresh.Weights()
	for _, layer := range layers {
		for _, name := range layer.Weights {
			if w := fresh[name]; w == nil {
				return fmt.Errorf("faithful: %s has a weight %q, and the fresh network, %s, has none", m.Name(), name,
					r.Fresh.Name())
			} else if !w.Shape().Equal(weights[name].Shape()) {
				return fmt.Errorf("faithful: the weight %q of %s is %s, and that of the fresh network, %s, %s",
					name, m.Name(), weights[name].Shape(), r.Fresh.Name(), w.Shape())
			}
		}
	}
	return nil
}

// randomised is a weight without what was learnt.
func (r Randomisation) randomised(m *model.Model, name string) (*tensors.Tensor, error) {
	if r.Fresh != nil {
		return r.Fresh.Weights()[name], nil
	}
	w := m.Weights()[name]
	rng := rand.New(rand.NewPCG(r.Seed, uint64(crc32.ChecksumIEEE([]byte(name)))))
	order := rng.Perm(w.Size())
	out := tensors.FromShape(w.Shape())
	var inner error
	err := w.ConstBytes(func(from []byte) {
		width := len(from) / max(len(order), 1)
		inner = out.MutableBytes(func(to []byte) {
			for i, at := range order {
				copy(to[i*width:(i+1)*width], from[at*width:])
			}
		})
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, fmt.Errorf("faithful: weight %q: %w", name, err)
	}
	return out, nil
}

// heat is the heatmap of each image, and its absolute values, [2][N][H·W].
func (r Randomisation) heat(m *model.Model, images *tensors.Tensor, classes []int, method attrib.Method) (
	maps [2][][]float64, err error) {
	a, err := attribute(m, images, classes, method)
	if err != nil {
		return maps, err
	}
	heat, err := a.Heatmap(r.By)
	if err != nil {
		return maps, err
	}
	flat, err := tensors.CopyFlatData[float32](heat)
	if err != nil {
		return maps, fmt.Errorf("faithful: %w", err)
	}
	size := len(flat) / len(classes)
	for i := range classes {
		signed, absolute := make([]float64, size), make([]float64, size)
		for j, v := range flat[i*size : (i+1)*size] {
			signed[j], absolute[j] = float64(v), math.Abs(float64(v))
		}
		maps[0], maps[1] = append(maps[0], signed), append(maps[1], absolute)
	}
	return maps, nil
}

// compare is how alike the heatmaps of a random network are to those of the whole one, [2][N].
func (r Randomisation) compare(random *model.Model, images *tensors.Tensor, classes []int, method attrib.Method,
	whole [2][][]float64) (alike [2][]float64, err error) {
	maps, err := r.heat(random, images, classes, method)
	if err != nil {
		return alike, err
	}
	for k := range maps {
		for i := range maps[k] {
			rho, err := stats.Spearman(whole[k][i], maps[k][i])
			if err != nil {
				return alike, fmt.Errorf("faithful: image %d: %w", i, err)
			}
			alike[k] = append(alike[k], rho)
		}
	}
	return alike, nil
}

// Len is the number of images.
func (r *Randomised) Len() int { return len(r.Classes) }

// Mean is the mean correlation of the images after the randomisation of Layers[layer], with Student's 95% interval over
// the images: see [stats.MeanInterval]. It is an error of fewer than two that have one.
func (r *Randomised) Mean(layer int) (float64, stats.Interval, error) {
	if layer < 0 || layer >= len(r.Layers) {
		return 0, stats.Interval{}, fmt.Errorf("faithful: %d layers were randomised, and %d is none of them",
			len(r.Layers), layer)
	}
	return mean(r.Correlation[layer])
}
