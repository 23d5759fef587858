package networks

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// The networks here say what they see at each pixel: their outputs are [N, H, W, K], H and W the image's, and besides
// in Outputs.Maps under the name "segmentation".

// UNet is the U-Net with padded convolutions, batch normalisation and transposed convolutions on the way up:
// Ronneberger et al., MICCAI 2015. Names, initialisation and parameters are those of milesial/Pytorch-UNet, whose Width
// is 64 and whose Downs are 4.
type UNet struct {
	Width int // channels at full size, doubled at each step down; 0 means 64
	Downs int // steps down, each of which halves the sides; 0 means 4
	Norm  Norm
}

// Make makes it with random weights.
func (n UNet) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

func (n UNet) name() string  { return "U-Net" }
func (n UNet) norm() Norm    { return n.Norm }
func (n UNet) init() initial { return plain }

func (n UNet) check(model.Spec) error {
	if n.Width < 0 || n.Downs < 0 || n.Downs > 16 {
		return fmt.Errorf("%d channels and %d steps down cannot be", n.Width, n.Downs)
	}
	return nil
}

func (n UNet) forward(l *layers, x value, classes int) value {
	width, downs := or(n.Width, 64), or(n.Downs, 4)
	double := func(name string, x value, out int) value {
		defer l.in(name + ".double_conv.")()
		x = l.convNormReLU("0", "1", "2", x, out, 3, convolution{padding: 1})
		return l.convNormReLU("3", "4", "5", x, out, 3, convolution{padding: 1})
	}
	x = double("inc", x, width)
	levels := []value{x}
	for i := range downs {
		name := fmt.Sprintf("down%d.maxpool_conv.", i+1)
		x = double(name+"1", l.maxPool(name+"0", x, 2, 2, 0), width<<(i+1))
		levels = append(levels, x)
	}
	for i := range downs {
		name := fmt.Sprintf("up%d.", i+1)
		level := levels[downs-1-i]
		up := l.padded(l.upConvolved(name+"up", x, level.channels), level.height, level.width)
		x = double(name+"conv", l.concatenated(level, up), level.channels)
	}
	return l.segmentation(l.conv("outc.conv", x, l.outputs("outc.conv.bias", classes), 1, convolution{bias: true}))
}

// outputs is how many there are by the weights, where these are there.
func (l *layers) outputs(bias string, classes int) int {
	if l.b != nil {
		return l.b.Weight(l.prefix + bias).Shape().Size()
	}
	return classes
}

func (l *layers) segmentation(x value) value {
	if l.b != nil {
		x.node = l.b.Map("segmentation", x.node)
	}
	return x
}

// upConvolved is PyTorch's ConvTranspose2d with a 2x2 kernel and stride 2: each place becomes four.
func (l *layers) upConvolved(name string, x value, out int) value {
	if l.b == nil {
		// PyTorch has the kernel as [in, out, 2, 2] and takes its second axis for the inputs when it draws.
		l.weight(name+".weight", l.initial.conv(4*out, 4*x.channels), 2, 2, out, x.channels)
		l.weight(name+".bias", l.initial.bias(4*out), out)
	} else {
		w := l.b.Weight(l.prefix + name + ".weight")
		d := x.node.Shape().Dimensions
		spread := graph.Einsum("nhwi,aboi->nhawbo", x.node, w)
		y := graph.Reshape(spread, d[0], 2*d[1], 2*d[2], out)
		x.node = l.b.Record(l.prefix+name, graph.Add(y, graph.Reshape(l.b.Weight(l.prefix+name+".bias"), 1, 1, 1, out)))
	}
	return value{node: x.node, channels: out, height: 2 * x.height, width: 2 * x.width}
}

// Backbone is a network of this package whose last maps a head can be put on: all but the transformer and those for
// segmentation.
type Backbone interface {
	network
	// trunk is the network up to its last maps.
	trunk(l *layers, x value) value
}

// DeepLab is a head for segmentation on the last maps of a network: convolutions of several dilations and the image's
// mean beside one another, then one of 1x1, one of 3x3 and one to the classes, brought to the image's size. Chen et
// al., arXiv 1706.05587, section 3.3, without dropout. Names, initialisation and parameters are those of torchvision,
// whose DeepLabV3 without the auxiliary classifier has the backbone ResNet{Depth: 50, Stride: 8}.
type DeepLab struct {
	Backbone Backbone // nil means ResNet{Depth: 50, Stride: 8}; see On for any other network
	// Rates are the dilations; where all are 0, they are 12, 24 and 36, which are for maps of 50 places and more.
	Rates [3]int
	Width int  // channels of the head; 0 means 256
	Norm  Norm // of the head
}

// Make makes it with random weights, those of the backbone too, which are named "backbone." and so on.
func (n DeepLab) Make(spec model.Spec, classes int, seed uint64) (*model.Model, error) {
	return made(n, spec, classes, seed)
}

// On puts the head, with random weights, on a layer of a network that is there already, [N, H, W, C], such as one that
// was trained to classify: [model.Model.SpatialLayer] is its last. The network's weights stay as they are. Such a model
// cannot be saved as one file; save its weights.
func (n DeepLab) On(m *model.Model, layer string, classes int, seed uint64) (*model.Model, error) {
	if m == nil {
		return nil, fmt.Errorf("networks: there is no network to put a DeepLab head on")
	}
	if n.Backbone != nil {
		return nil, fmt.Errorf("networks: the head goes on %s, and its settings name %s besides: leave out the Backbone",
			m.Name(), n.Backbone.name())
	}
	at, err := m.Layer(layer)
	if err != nil {
		return nil, err
	}
	if at.Layout == model.NotSpatial {
		return nil, fmt.Errorf("networks: layer %s of %s has the shape %v for an image: a head takes maps", layer,
			m.Name(), at.Shape)
	}
	spec := m.Spec()
	if err := n.check(spec); err != nil {
		return nil, fmt.Errorf("networks: DeepLab: %w", err)
	}
	if classes < 1 {
		return nil, fmt.Errorf("networks: DeepLab with %d classes cannot be", classes)
	}
	maps := value{height: at.Shape[0], width: at.Shape[1], channels: at.Shape[2]}
	if at.Layout == model.ChannelsFirst {
		maps = value{height: at.Shape[1], width: at.Shape[2], channels: at.Shape[0]}
	}
	l := newLayers(n, seed)
	n.head(l, maps, classes, spec.Height, spec.Width)
	if l.failed != nil {
		return nil, fmt.Errorf("networks: DeepLab: %w", l.failed)
	}
	return m.Extend("DeepLab on "+m.Name(), nil, l.weights, func(b *model.Builder, out model.Outputs) *graph.Node {
		maps := maps
		maps.node = at.Layout.ToChannelsLast(out.Activations[layer])
		return n.head(&layers{b: b, norm: n.Norm}, maps, classes, spec.Height, spec.Width).node
	})
}

func (n DeepLab) backbone() Backbone {
	if n.Backbone == nil {
		return ResNet{Depth: 50, Stride: 8}
	}
	return n.Backbone
}

func (n DeepLab) name() string { return "DeepLab on " + n.backbone().name() }
func (n DeepLab) norm() Norm   { return n.Norm }

// init is that of the head: PyTorch's.
func (n DeepLab) init() initial { return plain }

func (n DeepLab) check(spec model.Spec) error {
	if n.Width < 0 || slices.Min(n.Rates[:]) < 0 || n.Rates != [3]int{} && slices.Min(n.Rates[:]) == 0 {
		return fmt.Errorf("a width of %d and dilations of %v cannot be", n.Width, n.Rates)
	}
	return checked(n.backbone(), spec)
}

func (n DeepLab) forward(l *layers, x value, classes int) value {
	image := x
	out := l.in("backbone.")
	head := *l
	l.norm, l.initial = n.backbone().norm(), n.backbone().init()
	x = n.backbone().trunk(l, x)
	l.norm, l.initial = head.norm, head.initial
	out()
	return n.head(l, x, classes, image.height, image.width)
}

func (n DeepLab) head(l *layers, x value, classes, height, width int) value {
	defer l.in("classifier.")()
	channels, rates := or(n.Width, 256), n.Rates
	if rates == [3]int{} {
		rates = [3]int{12, 24, 36}
	}
	unit := func(name string, x value, kernel, dilation int) value {
		around := kernel / 2 * dilation
		return l.convNormReLU(name+".0", name+".1", name+".2", x, channels, kernel,
			convolution{padding: around, dilation: dilation})
	}
	beside := []value{unit("0.convs.0", x, 1, 1)}
	for i, rate := range rates {
		beside = append(beside, unit(fmt.Sprintf("0.convs.%d", i+1), x, 3, rate))
	}
	mean := value{channels: x.channels, height: 1, width: 1}
	if l.b != nil {
		mean.node = graph.ReduceAndKeep(x.node, graph.ReduceMean, 1, 2)
	}
	// The names in torchvision count the pooling.
	mean = l.convNormReLU("0.convs.4.1", "0.convs.4.2", "0.convs.4.3", mean, channels, 1, convolution{})
	if mean.height, mean.width = x.height, x.width; l.b != nil {
		d := x.node.Shape().Dimensions
		mean.node = graph.BroadcastToDims(mean.node, d[0], d[1], d[2], channels)
	}
	x = unit("0.project", l.concatenated(append(beside, mean)...), 1, 1)
	x = l.convNormReLU("1", "2", "3", x, channels, 3, convolution{padding: 1})
	x = l.conv("4", x, l.outputs("4.bias", classes), 1, convolution{bias: true})
	return l.segmentation(l.resized(x, height, width))
}

// resized brings maps to another size, bilinearly, as PyTorch's interpolate without aligned corners.
func (l *layers) resized(x value, height, width int) value {
	if l.b != nil {
		rows, columns := bilinear(l.b.Graph(), x.node, x.height, height), bilinear(l.b.Graph(), x.node, x.width, width)
		x.node = graph.Einsum("nhwc,gh->ngwc", x.node, rows)
		x.node = graph.Einsum("ngwc,vw->ngvc", x.node, columns)
	}
	x.height, x.width = height, width
	return x
}

// bilinear is the matrix [to, from] of one axis: place i, half a place in, looks at (i + 1/2)·from/to - 1/2.
func bilinear(g *graph.Graph, like *graph.Node, from, to int) *graph.Node {
	weights := make([][]float64, to)
	for i := range weights {
		weights[i] = make([]float64, from)
		at := min(max((float64(i)+0.5)*float64(from)/float64(to)-0.5, 0), float64(from-1))
		low := int(at)
		weights[i][low] += 1 - (at - float64(low))
		weights[i][min(low+1, from-1)] += at - float64(low)
	}
	return graph.ConstAsDType(g, like.DType(), weights)
}

// savedDeepLab is how the settings are written: the backbone with its kind.
type savedDeepLab struct {
	Kind     string          `json:",omitempty"`
	Backbone json.RawMessage `json:",omitempty"`
	Rates    [3]int
	Width    int
	Norm     Norm
}

// MarshalJSON writes the settings as they stand in saved models.
func (n DeepLab) MarshalJSON() ([]byte, error) {
	s := savedDeepLab{Rates: n.Rates, Width: n.Width, Norm: n.Norm}
	if n.Backbone != nil {
		text, err := json.Marshal(n.Backbone)
		if err != nil {
			return nil, fmt.Errorf("networks: %w", err)
		}
		s.Kind, s.Backbone = reflect.TypeOf(n.Backbone).Name(), text
	}
	return json.Marshal(s)
}

// UnmarshalJSON reads them.
func (n *DeepLab) UnmarshalJSON(text []byte) error {
	var s savedDeepLab
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("networks: %w", err)
	}
	*n = DeepLab{Rates: s.Rates, Width: s.Width, Norm: s.Norm}
	if s.Kind == "" {
		return nil
	}
	of, err := read(s.Kind, s.Backbone)
	if err != nil {
		return err
	}
	backbone, ok := of.(Backbone)
	if !ok {
		return fmt.Errorf("networks: a %s is no backbone", s.Kind)
	}
	n.Backbone = backbone
	return nil
}
