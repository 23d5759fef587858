// Package pretrained knows published networks by the names of their weights, so that a file of weights alone can be
// loaded: torchvision's and timm's ResNets (also ResNeXt, wide ones, ResNet-D, and those that weigh channels), VGG,
// AlexNet, SqueezeNet, DenseNet, MobileNetV2 and V3, EfficientNet (V1 and V2), ConvNeXt (V1 and V2), ViT, DeiT and
// Swin. How deep, how wide, for how many classes and for images of how many channels a network is, its weights tell.
// What they do not tell, the file's name may: see [Recognise].
//
// A file is only taken for a network if it has all of its weights and no others. Package model's Load asks this
// package.
package pretrained

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	_ "embed"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/imagenet"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/weightfile"
)

// A family are the networks whose weights are named alike.
type family struct {
	name string
	// marks are weights that each of the family has, together with no weight of another family.
	marks []string
	// title names one of them, such as "ResNet-50".
	title func(w shapes) string
	// size is the side of the images that they are made for, in pixels; nil means 224.
	size func(w shapes) int
	// ambiguous, unless nil, tells that the weights leave open which of two networks they are, and how to say it.
	ambiguous func(w shapes, hint string) error
	fromTF    bool // whether timm has networks of TensorFlow's under these names too
	build     func(n *net, x *graph.Node) *graph.Node
}

// families are tried in this order.
var families = []family{
	resNet, resNetD, vgg, timmVGG, alexNet, squeezeNet, denseNet, mobileNetV2, mobileNetV3, efficientNet,
	timmMobile, convNeXt,
	timmConvNeXt, viT, timmViT, swin, timmSwin,
}

// Network is the architecture of a model that was made here, as it is saved.
type Network struct {
	Family string
	// Same is TensorFlow's padding and its normalisations' epsilon, of the networks that timm calls tf_.
	Same bool
}

// shapes are those of the weights of a file, in PyTorch's layout.
type shapes map[string][]int

func (w shapes) has(name string) bool { return w[name] != nil }

// dim is a size of a weight, 0 if there is none.
func (w shapes) dim(name string, axis int) int {
	if d := w[name]; axis < len(d) {
		return d[axis]
	}
	return 0
}

// count is how many there are of a name with a number in it, from the first number on.
func (w shapes) count(first int, format string, before ...any) int {
	return count(w.has, first, format, before)
}

func count(has func(name string) bool, first int, format string, before []any) int {
	n := 0
	for has(fmt.Sprintf(format, append(slices.Clone(before), first+n)...)) {
		n++
	}
	return n
}

// Recognise makes the model that weights by name, in PyTorch's layout, belong to. hint is what else is known of them,
// such as the file's name or what a config.json beside it says of the architecture. It returns nil without an error if
// the weights are of no family here: [Nearest] then says which comes closest.
func Recognise(weights map[string]*tensors.Tensor, hint string) (*model.Model, error) {
	weights = plainNames(weights)
	n, spec, err := find(weights, hint)
	if n.Family == "" && err == nil {
		err = amongOthers(weights, hint)
	}
	if n.Family == "" || err != nil {
		return nil, err
	}
	return assembled(n, weightfile.KernelsLast(weights), spec)
}

// amongOthers is an error if some of the weights, those behind a prefix, are of a network, and others stand beside it,
// such as those of a loss.
func amongOthers(weights map[string]*tensors.Tensor, hint string) error {
	for _, p := range prefixes {
		inside, beside := map[string]*tensors.Tensor{}, []string{}
		for name, t := range weights {
			if short, ok := strings.CutPrefix(name, p); ok {
				inside[short] = t
			} else {
				beside = append(beside, name)
			}
		}
		n, spec, err := find(plainNames(inside), hint)
		if err != nil || n.Family == "" {
			continue
		}
		slices.Sort(beside)
		return fmt.Errorf("pretrained: %d weights, whose names begin with %s, are those of a %s, and %d others are not "+
			"(%s): save the former alone",
			len(inside), p, spec.Name, len(beside), shortList(beside))
	}
	return nil
}

// find says which network weights are of; none if the family has no name.
func find(weights map[string]*tensors.Tensor, hint string) (Network, model.Spec, error) {
	w := shapes{}
	for name, t := range weights {
		w[name] = t.Shape().Dimensions
	}
	i := slices.IndexFunc(families, func(f family) bool {
		return !slices.ContainsFunc(f.marks, func(name string) bool { return !w.has(name) })
	})
	if i < 0 {
		return Network{}, model.Spec{}, nil
	}
	f, size := families[i], 224
	if f.ambiguous != nil {
		if err := f.ambiguous(w, hint); err != nil {
			return Network{}, model.Spec{}, fmt.Errorf("pretrained: %w", err)
		}
	}
	spec := model.Spec{Name: f.name, Channels: 3, Mean: imagenet.Mean, Std: imagenet.Std}
	if f.title != nil {
		spec.Name = f.title(w)
	}
	if f.size != nil {
		size = f.size(w)
	}
	spec.Height, spec.Width, spec.Resize = size, size, resizeOf(size)
	// The first kernel tells how many channels images have; ImageNet's have three.
	at := slices.IndexFunc(f.marks, func(name string) bool { return len(w[name]) == 4 })
	if channels := w.dim(f.marks[max(at, 0)], 1); at >= 0 && channels != 3 {
		spec.Channels, spec.Mean, spec.Std = channels, nil, nil
	}
	return Network{Family: f.name, Same: f.fromTF && saysTF(hint)}, spec, nil
}

// resizeOf is the length of a photograph's shorter side before its centre is cut out: 256 for 224, as torchvision has
// it; images of CIFAR's size are not cut.
func resizeOf(size int) int {
	if size < 96 {
		return 0
	}
	return (size*256 + 112) / 224
}

// assembled is a network of weights, kernels last. It refuses weights that it has no use for.
func assembled(n Network, weights map[string]*tensors.Tensor, spec model.Spec) (*model.Model, error) {
	f := n.family()
	if f == nil {
		return nil, fmt.Errorf("pretrained: there is no network %q", n.Family)
	}
	m, err := model.FromArchitecture(n, weights, spec, n.build)
	if err != nil {
		return nil, fmt.Errorf("pretrained: the weights look like those of a %s and are not: %s", spec.Name,
			strings.TrimPrefix(err.Error(), "model: "))
	}
	if more := m.UnusedWeights(); len(more) > 0 {
		return nil, fmt.Errorf("pretrained: the weights are those of a %s with %d more, which it has no use for (%s): "+
			"this is another network; export it to ONNX",
			spec.Name, len(more), shortList(more))
	}
	if spec.Classes != nil {
		return m, nil
	}
	if classes := imagenet.ClassesOf(m.NumClasses()); classes != nil {
		return m.WithClasses(classes)
	}
	return m, nil
}

func (n Network) family() *family {
	for i := range families {
		if families[i].name == n.Family {
			return &families[i]
		}
	}
	return nil
}

func (n Network) build(b *model.Builder, x *graph.Node) *graph.Node {
	return n.family().build(&net{b: b, same: n.Same}, x)
}

func shortList(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:3], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// prefixes are what training programs put before all names.
var prefixes = []string{"module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder."}

// plainNames takes off what stands before all names, and gives a DenseNet the names that it has today.
func plainNames(weights map[string]*tensors.Tensor) map[string]*tensors.Tensor {
	renamed := func(to func(name string) string) {
		before := weights
		weights = map[string]*tensors.Tensor{}
		for name, t := range before {
			if !strings.HasSuffix(name, ".attn_mask") { // which a Swin of older versions keeps, and its windows tell
				weights[to(name)] = t
			}
		}
	}
	for {
		all := slices.Collect(maps.Keys(weights))
		i := slices.IndexFunc(prefixes, func(p string) bool {
			return len(all) > 0 && !slices.ContainsFunc(all, func(name string) bool { return !strings.HasPrefix(name, p) })
		})
		if i < 0 {
			break
		}
		renamed(func(name string) string { return strings.TrimPrefix(name, prefixes[i]) })
	}
	renamed(func(name string) string { return oldDenseNet.ReplaceAllString(name, "$1$2") })
	return weights
}

// oldDenseNet is how torchvision's own files still name the layers of a DenseNet.
var oldDenseNet = regexp.MustCompile(`(denselayer\d+\.(?:norm|conv))\.(\d)`)

// Nearest says which network comes closest to weights of these names, what of it is missing and what is left over. It
// is empty if none comes close.
func Nearest(names []string) string {
	have := patterns(names)
	best, score := "", 0.2
	for family, want := range known {
		both := 0
		for p := range want {
			if have[p] {
				both++
			}
		}
		if s := float64(both) / float64(len(want)+len(have)-both); s > score || s == score && family < best {
			best, score = family, s
		}
	}
	if best == "" {
		return ""
	}
	want := known[best]
	missing, over := []string{}, []string{}
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if !have[p] {
			missing = append(missing, p)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(have)) {
		if !want[p] {
			over = append(over, p)
		}
	}
	text := "nearest is " + best
	if len(missing) > 0 {
		text += fmt.Sprintf(", of which is missing %s", shortList(missing))
	}
	if len(over) > 0 {
		text += fmt.Sprintf("; it has no %s", shortList(over))
	}
	return text
}

//go:embed names.json
var namesFile []byte

// known are the patterns of the names that networks of each family have, which bench/oracles/pretrained.py wrote down.
var known = func() map[string]map[string]bool {
	var lists map[string][]string
	if err := json.Unmarshal(namesFile, &lists); err != nil {
		panic(fmt.Errorf("pretrained: names.json: %w", err))
	}
	all := map[string]map[string]bool{}
	for family, list := range lists {
		all[family] = patterns(list)
	}
	return all
}()

// patterns are names with # in the place of numbers.
func patterns(names []string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		parts := strings.Split(name, ".")
		for i, p := range parts {
			if strings.Trim(p, "0123456789") == "" {
				parts[i] = "#"
			}
		}
		all[strings.Join(parts, ".")] = true
	}
	return all
}

func init() {
	model.RegisterRecogniser(model.Recogniser{Recognise: Recognise, Nearest: Nearest})
	model.RegisterArchitecture(model.Architecture{
		Name: "pretrained.Network",
		Of: func(settings any) (string, bool) {
			n, ok := settings.(Network)
			text, err := json.Marshal(n)
			return string(text), ok && err == nil
		},
		Make: func(spec model.Spec, weights map[string]*tensors.Tensor, settings string) (*model.Model, error) {
			var n Network
			if err := json.Unmarshal([]byte(settings), &n); err != nil {
				return nil, fmt.Errorf("pretrained: the settings of a network, %s, cannot be read: %w", settings, err)
			}
			return assembled(n, weights, spec)
		},
	})
}
