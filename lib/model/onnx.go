package model

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/internal/onnx"
)

// FromONNX makes a model of an ONNX file with one image input, [N, C, H, W] or [N, H, W, C]. Of the spec,
// Height, Width and Channels may be 0 where the file says them. The images are normalised by the spec's Mean
// and Std before the network gets them; a file that normalises by itself wants none. If the
// network ends in a softmax, its input is taken as the logits.
//
// The layers are the named values of the file that depend on the image, in the file's layout. The weights have the
// file's names, shapes and layout; training leaves its batch normalisations as they are. What a file has as further
// outputs with two spatial axes is in [Outputs] as Maps, unless the spec names an Output.
//
// A file that takes one image takes several if none of its operators mixes them; else they go through it one by one
// ([Model].BatchSize is 1), and a line on standard error says so.
//
// A vision transformer's tokens are found where positions are added to them, and its attention by its softmaxes: see
// [Keep].
func FromONNX(path string, spec Spec) (*Model, error) {
	n, err := onnx.Open(path, onnx.Options{Height: spec.Height, Width: spec.Width, Channels: spec.Channels,
		Output: spec.Output})
	if err != nil {
		return nil, err
	}
	spec.Height, spec.Width, spec.Channels = n.Height, n.Width, n.Channels
	if spec.Name == "" {
		spec.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if spec.Activation, err = activationOf(n.Ending, spec.Activation); err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	file, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	batch := 0
	if n.OneByOne {
		batch = 1
		fmt.Fprintf(os.Stderr, "loupe: %s takes one image at a time, so its images go through it one by one: a file that "+
			"was exported with a dynamic batch axis is faster\n", path)
	}
	return loaded(prepared(&Model{
		BatchSize: batch, spec: spec,
		weights: n.Weights,
		architecture: &architecture{dtype: dtypes.Float32, file: file, scaleOf: n.ScaleOf,
			build: func(b *Builder, x *graph.Node) *graph.Node {
				if b.grid = (Grid{n.Rows, n.Columns}); b.kept != nil {
					nodes := n.BuildKeeping(x, b.Weight, func(tokens *graph.Node) (left, attend *graph.Node) {
						return b.Tokens(tokens,
							n.Rows, n.Columns)
					})
					if nodes.Features != nil {
						b.Features(nodes.Features)
					}
					return nodes.Output
				}
				nodes := n.Build(x, b.Weight, b.plain)
				for i, l := range n.Layers {
					b.record(l.Name, nodes.Layers[i], layoutOf(l.Channels))
				}
				for i, m := range n.Maps {
					b.Map(m.Name, layoutOf(m.Channels).ToChannelsLast(nodes.Maps[i]))
				}
				if nodes.Features != nil {
					b.Features(nodes.Features)
				}
				return nodes.Output
			}},
	}))
}

// layoutOf is the layout of what has its channels along that axis.
func layoutOf(channels int) Layout {
	return map[int]Layout{1: ChannelsFirst, 3: ChannelsLast}[channels]
}

// activationOf is what the model needs to make the probabilities that the file makes. It is an error where asked says
// otherwise.
func activationOf(e onnx.Ending, asked Activation) (Activation, error) {
	found := Softmax
	if e == onnx.EndsInSigmoid {
		found = Sigmoid
	}
	switch {
	case e == onnx.EndsInLogits || asked == found:
		return asked, nil
	case asked == AutoActivation, asked == NoActivation:
		// it makes the probabilities itself, and from here on the model does
		return found, nil
	}
	return 0, fmt.Errorf("the file ends in %s, and the Spec's Activation is %s: leave it out", e, asked)
}
