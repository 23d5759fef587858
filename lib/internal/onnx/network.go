// Package onnx reads ONNX files of image networks and builds them in a graph. onnx-gomlx does the arithmetic; what it
// takes otherwise than ONNX says is replaced by something equal or refused by name.
package onnx

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/onnx-gomlx/onnx"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// Options are what a person says of a file.
type Options struct {
	Height, Width, Channels int // of the images; 0 as the file says
	// Output is the value to take as the network's output; empty means the file's first, and its others besides.
	Output string
}

// Network is an ONNX file with one image input.
type Network struct {
	Options
	Ending  Ending // what came behind the output in the file
	Layers  []Value
	Maps    []Value                    // further outputs that have rows and columns
	Weights map[string]*tensors.Tensor // by the names in the file
	// Rows and Columns are those of a vision transformer's patches; 0 unless tokens can be dropped.
	Rows, Columns int

	path         string
	file         *File
	input        string            // name of the image input
	channelsLast bool              // of the image input
	fixed        bool              // whether it takes one image at a time, see freeBatch
	statistics   map[string]string // see ScaleOf
	features     string            // what goes into the last linear layer; empty if there is none
	runs         program
	tokens       tokens

	// cut is the network cut at its tokens, made when it is first needed.
	cutting  sync.Once
	cut      program
	cutError error
}

// program is a network as onnx-gomlx builds it.
type program struct {
	onnx.Model
	weights []string // which it gets as inputs
}

// Value is a named value of the file. Channels is the axis of its channels, 1 or 3, if two others are known to be rows
// and columns, else 0.
type Value struct {
	Name     string
	Channels int
}

// Nodes are a network's values in a graph.
type Nodes struct {
	Output   *graph.Node
	Features *graph.Node   // what goes into the last linear layer, [N, D]; nil if there is none
	Layers   []*graph.Node // as the network's Layers
	Maps     []*graph.Node // as the network's Maps
}

// Open reads a file, makes of it what onnx-gomlx computes as ONNX says, and refuses what it does not.
func Open(path string, o Options) (*Network, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	file, err := parseFile(raw)
	if err != nil {
		return nil, fmt.Errorf("model: %s is not a whole ONNX file: %s", path, failure.FirstLine(err))
	}
	n := &Network{Options: o, path: path, file: file}
	if err := n.checkStructure(); err != nil {
		return nil, err
	}
	if err := n.checkTensors(); err != nil {
		return nil, err
	}
	if err := n.widen(); err != nil {
		return nil, err
	}
	if err := n.imageInput(); err != nil {
		return nil, fmt.Errorf("model: %s: %w", path, err)
	}
	if n.Output == "" {
		n.Output = file.result()
		n.Maps = file.furtherOutputs(n.Output)
	} else if _, ok := file.makers[n.Output]; !ok {
		return nil, fmt.Errorf("model: %s has no value %q%s", path, n.Output, nearest.DidYouMean(n.Output, file.values()))
	}
	if err := n.prepare(); err != nil {
		if len(n.Maps) > 0 {
			return nil, fmt.Errorf("%w (the file has %d further outputs, such as %s: Spec{Output: %q} leaves them out)", err, len(n.Maps), n.Maps[0].Name, file.result())
		}
		return nil, err
	}
	return n, nil
}

// prepare makes the graph one that can be run, and finds what is in it.
func (n *Network) prepare() (err error) {
	n.dropUnused()
	if err := n.rewrite(); err != nil {
		return err
	}
	if err := n.check(n.file.nodes()); err != nil {
		return err
	}
	if n.Ending, err = n.cutEnding(); err != nil {
		return err
	}
	if err := n.freeBatch(); err != nil {
		return err
	}
	n.statistics = n.file.statistics()
	n.features = n.file.penultimate(n.Output)
	if n.runs, err = n.parse(); err != nil {
		return err
	}
	if n.Weights, err = n.readWeights(); err != nil {
		return err
	}
	return n.findLayers()
}

// dropUnused takes the nodes away that neither the output nor the maps need.
func (n *Network) dropUnused() {
	needed := []string{n.Output}
	for _, m := range n.Maps {
		needed = append(needed, m.Name)
	}
	n.file.dropUnused(needed...)
}

// ScaleOf is the name of the scale of the batch normalisation that a weight is the running mean or variance of; empty if
// it is neither.
func (n *Network) ScaleOf(weight string) string { return n.statistics[weight] }

// Build builds the network for images x, [N, Height, Width, Channels]. weight gives the node of a weight.
func (n *Network) Build(x *graph.Node, weight func(name string) *graph.Node) Nodes {
	return n.nodes(n.runs, x, weight, nil, true)
}

// nodes builds a network; further are inputs besides the images and the weights.
func (n *Network) nodes(network program, x *graph.Node, weight func(name string) *graph.Node, further map[string]*graph.Node, layers bool) Nodes {
	wanted := []string{n.Output}
	if n.features != "" {
		wanted = append(wanted, n.features)
	}
	if layers {
		for _, m := range n.Maps {
			wanted = append(wanted, m.Name)
		}
		for _, l := range n.Layers {
			wanted = append(wanted, l.Name)
		}
	}
	values := n.call(network, x, weight, further, wanted...)
	nodes := Nodes{Output: values[0]}
	values = values[1:]
	if n.features != "" {
		if values[0].Rank() == 2 {
			nodes.Features = values[0]
		}
		values = values[1:]
	}
	if layers {
		nodes.Maps, nodes.Layers = values[:len(n.Maps)], values[len(n.Maps):]
	}
	return nodes
}

// call is onnx-gomlx's, with the weights among the inputs.
func (n *Network) call(network program, x *graph.Node, weight func(name string) *graph.Node, further map[string]*graph.Node, wanted ...string) []*graph.Node {
	inputs := map[string]*graph.Node{n.input: n.layout(x)}
	for name, node := range further {
		inputs[name] = node
	}
	for _, name := range network.weights {
		inputs[name] = weight(name)
	}
	return network.CallGraph(nil, x.Graph(), inputs, wanted...)
}

// layout turns images [N, H, W, C] to what the file takes.
func (n *Network) layout(x *graph.Node) *graph.Node {
	if n.channelsLast {
		return x
	}
	return graph.TransposeAllAxes(x, 0, 3, 1, 2)
}

// parse gives the file, as rewritten so far, to onnx-gomlx. further are inputs besides the images that stay.
func (n *Network) parse(further ...string) (program, error) {
	raw, weights, err := n.file.runnable(append(further, n.input))
	if err != nil {
		return program{}, fmt.Errorf("model: %s: %w", n.path, err)
	}
	network, err := n.parseRaw(raw)
	return program{network, weights}, err
}

// probe builds, without compiling it, the part of the network that values need, for a batch of images, and calls do
// with them. The weights have no values.
func (n *Network) probe(network program, batch int, values []string, do func(nodes []*graph.Node)) error {
	b, err := backend.Get()
	if err != nil {
		return err
	}
	g := graph.NewGraph(b, "probe")
	defer g.Finalize()
	err = catchImporter(func() {
		x := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, batch, n.Height, n.Width, n.Channels))
		do(n.call(network, x, func(name string) *graph.Node {
			return graph.Parameter(g, "weight/"+name, shapeOf(n.file.initial[name]))
		}, nil, values...))
	})
	if err != nil {
		return fmt.Errorf("model: %s cannot be run: %s", n.path, strings.TrimPrefix(err.Error(), "model: "))
	}
	return nil
}

// catchImporter is failure.Catch for calls of onnx-gomlx, which indexes what a file leaves out.
func catchImporter(f func()) error {
	return failure.Catch(func() {
		defer func() {
			switch r := recover().(type) {
			case nil:
			case runtime.Error:
				panic(fmt.Errorf("onnx-gomlx fails on it (%v)", r))
			default:
				panic(r)
			}
		}()
		f()
	})
}

// sizeLimit is how many numbers a value of one image may have: a gigabyte.
const sizeLimit = 1 << 28

// findLayers finds the file's values that have a row for each image. Two images tell them from constants. Their shapes
// tell where tokens are.
func (n *Network) findLayers() error {
	candidates, moved := n.file.candidates(n.input, n.Output)
	values := slices.Clone(candidates)
	for _, m := range n.Maps {
		values = append(values, m.Name)
	}
	var layers []string
	dims := map[string][]int{}
	err := n.probe(n.runs, 2, values, func(nodes []*graph.Node) {
		for i, node := range nodes {
			if node == nil {
				continue
			}
			if node.Shape().Size() > 2*sizeLimit {
				panic(fmt.Errorf("node %s makes %v of two images", n.file.makers[values[i]].name(), node.Shape().Dimensions))
			}
			if node.DType() == dtypes.Float32 && node.Rank() >= 2 && node.Shape().Dimensions[0] == 2 {
				dims[values[i]] = node.Shape().Dimensions
				if i < len(candidates) {
					layers = append(layers, values[i])
				}
			}
		}
	})
	if err != nil {
		return err
	}
	n.tokens = n.file.findTokens(layers, dims, moved)
	n.Rows, n.Columns = n.tokens.rows, n.tokens.columns
	channels := n.file.channelAxes(n.input, n.channelsLast)
	spatial := func(name string) int {
		if len(dims[name]) != 4 {
			return 0
		}
		return channels[name]
	}
	for _, name := range layers {
		n.Layers = append(n.Layers, Value{name, spatial(name)})
	}
	for i, m := range n.Maps {
		n.Maps[i].Channels = spatial(m.Name)
	}
	n.Maps = slices.DeleteFunc(n.Maps, func(m Value) bool { return m.Channels == 0 })
	return nil
}
