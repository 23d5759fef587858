package model

import (
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"github.com/gomlx/onnx-gomlx/onnx/parser"
	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// FromONNX makes a model of an ONNX file with one image input, [N, C, H, W] or [N, H, W, C]. Of the spec,
// Height, Width and Channels may be 0 where the file says them. The images are normalised by the spec's Mean
// and Std before the network gets them; a file that normalises by itself wants none. If the
// network ends in a softmax, its input is taken as the logits.
//
// The layers are the named values of the file that depend on the image, in the file's layout.
//
// A vision transformer's tokens are found where positions are added to them, and its attention by its softmaxes: see [Keep].
func FromONNX(path string, spec Spec) (*Model, error) {
	n, network, scope, err := readONNX(path, spec)
	if err != nil {
		return nil, err
	}
	features := n.file.penultimate(n.output)
	wanted := append(n.layers[:len(n.layers):len(n.layers)], n.output)
	if features != "" {
		wanted = append(wanted, features)
	}
	return prepared(&Model{
		spec:  n.spec,
		store: scope.Store(),
		architecture: &architecture{dtype: dtypes.Float32, build: func(b *Builder, x *graph.Node) *graph.Node {
			if b.grid = n.tokens.grid; b.kept != nil {
				return n.keeping(b, x, network, scope)
			}
			values := network.CallGraph(scope, b.g, map[string]*graph.Node{n.input: n.layout(x)}, wanted...)
			for i, name := range n.layers {
				b.record(name, values[i], n.lies[name])
			}
			if features != "" && values[len(n.layers)+1].Rank() == 2 {
				b.Features(values[len(n.layers)+1])
			}
			return values[len(n.layers)]
		}},
	})
}

// readONNX reads a file and makes of it what onnx-gomlx computes as ONNX says; what it does not is refused.
func readONNX(path string, spec Spec) (*onnxNetwork, onnx.Model, *gomlx.Scope, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("model: %w", err)
	}
	file, err := parseONNX(raw)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("model: %s is not a whole ONNX file: %s", path, failure.FirstLine(err))
	}
	if spec.Name == "" {
		spec.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	n := &onnxNetwork{path: path, file: file}
	if err := n.checkStructure(); err != nil {
		return nil, nil, nil, err
	}
	if err := n.checkTensors(); err != nil {
		return nil, nil, nil, err
	}
	if err := n.widen(); err != nil {
		return nil, nil, nil, err
	}
	if n.input, n.channelsLast, n.fixed, err = file.imageInput(&spec); err != nil {
		return nil, nil, nil, fmt.Errorf("model: %s: %w", path, err)
	}
	n.spec = spec
	if n.output = file.result(); spec.Output != "" {
		if _, ok := file.makers[spec.Output]; !ok {
			return nil, nil, nil, fmt.Errorf("model: %s has no value %q%s", path, spec.Output, nearest.DidYouMean(spec.Output, slices.Sorted(maps.Keys(file.makers))))
		}
		n.output = spec.Output
	}
	file.dropUnused(n.output)
	if err := n.rewrite(); err != nil {
		return nil, nil, nil, err
	}
	if err := n.check(file.nodes()); err != nil {
		return nil, nil, nil, err
	}
	n.ending, err = n.cutEnding()
	if err != nil {
		return nil, nil, nil, err
	}
	if n.spec.Activation, err = n.ending.activation(spec.Activation); err != nil {
		return nil, nil, nil, fmt.Errorf("model: %s: %w", path, err)
	}
	if err := n.freeBatch(); err != nil {
		return nil, nil, nil, err
	}
	network, scope, err := n.parse()
	if err != nil {
		return nil, nil, nil, err
	}
	n.layers, err = n.imageLayers(network, scope)
	return n, network, scope, err
}

// onnxNetwork is an ONNX file on its way to a model.
type onnxNetwork struct {
	path         string
	file         *onnxFile
	input        string // name of the image input
	channelsLast bool   // of the image input
	fixed        bool   // whether it takes one image at a time, see freeBatch
	spec         Spec
	ending       ending // what came behind the output in the file
	output       string
	layers       []string
	lies         map[string]Layout // of the layers of rank 4
	tokens       onnxTokens

	// cut is the network cut at its tokens, made when it is first needed.
	cutting  sync.Once
	cut      onnx.Model
	cutError error
}

// layout turns images [N, H, W, C] to what the file takes.
func (n *onnxNetwork) layout(x *graph.Node) *graph.Node {
	if n.channelsLast {
		return x
	}
	return graph.TransposeAllAxes(x, 0, 3, 1, 2)
}

// onnxLoads counts how often each file has been loaded.
var onnxLoads = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}

// parse gives the file, as rewritten so far, to onnx-gomlx, and its weights to a new store.
func (n *onnxNetwork) parse() (onnx.Model, *gomlx.Scope, error) {
	// Names of variables are names of parameters, so two models in a graph need different ones. They depend on the file, not on what else has been
	// loaded, so that the program is the same one in the next process.
	key := n.path + "|" + n.spec.Output
	onnxLoads.Lock()
	onnxLoads.of[key]++
	number := onnxLoads.of[key]
	onnxLoads.Unlock()
	digest := fnv.New64a()
	digest.Write([]byte(key))
	scope := gomlx.NewStore().Scope(fmt.Sprintf("/onnx%016x-%d", digest.Sum64(), number))
	network, err := n.parseInto(scope)
	return network, scope, err
}

// parseInto is parse with the weights' place given; nil leaves them out, for a network that shares another's.
func (n *onnxNetwork) parseInto(scope *gomlx.Scope) (onnx.Model, error) {
	raw, err := n.file.bytes()
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", n.path, err)
	}
	var network onnx.Model
	var failed error
	err = catchImporter(func() {
		if network, failed = parser.Parse(raw); failed != nil {
			return
		}
		network.WithBaseDir(filepath.Dir(n.path))
		network.DisableFusion() // XLA fuses, and a fused value is one that cannot be looked at
		if scope != nil {
			failed = network.VariablesToScope(scope)
		}
	})
	if err == nil && failed != nil {
		err = failure.Named(failed)
	}
	if err != nil {
		return nil, fmt.Errorf("model: %s: %s", n.path, strings.TrimPrefix(err.Error(), "model: "))
	}
	return network, nil
}

// shapes builds, without compiling it, the part of the network that values need, for a batch of images, and calls do with them.
func (n *onnxNetwork) probe(network onnx.Model, scope *gomlx.Scope, batch int, values []string, do func(nodes []*graph.Node)) error {
	b, err := backend.Get()
	if err != nil {
		return err
	}
	g := graph.NewGraph(b, "probe")
	defer g.Finalize()
	err = catchImporter(func() {
		x := graph.Parameter(g, "images", shapes.Make(dtypes.Float32, batch, n.spec.Height, n.spec.Width, n.spec.Channels))
		do(network.CallGraph(scope, g, map[string]*graph.Node{n.input: n.layout(x)}, values...))
	})
	if err != nil {
		return fmt.Errorf("model: %s cannot be run: %s", n.path, strings.TrimPrefix(err.Error(), "model: "))
	}
	return nil
}

// catchImporter is catch for calls of onnx-gomlx, which indexes what a file leaves out.
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

// imageLayers are the file's values that have a row for each image. Two images tell them from constants. Their shapes tell where tokens are.
func (n *onnxNetwork) imageLayers(network onnx.Model, scope *gomlx.Scope) ([]string, error) {
	candidates, moved := n.file.candidates(n.input, n.output)
	var layers []string
	shapes := map[string][]int{}
	err := n.probe(network, scope, 2, candidates, func(nodes []*graph.Node) {
		for i, node := range nodes {
			if node != nil && node.Shape().Size() > 2*sizeLimit {
				panic(fmt.Errorf("node %s makes %v of two images", n.file.makers[candidates[i]].name(), node.Shape().Dimensions))
			}
			if node != nil && node.DType() == dtypes.Float32 && node.Rank() >= 2 && node.Shape().Dimensions[0] == 2 {
				layers = append(layers, candidates[i])
				shapes[candidates[i]] = node.Shape().Dimensions
			}
		}
	})
	n.tokens = n.file.findTokens(layers, shapes, moved)
	n.lies = n.file.layouts(n.input, n.channelsLast)
	for name := range n.lies {
		if len(shapes[name]) != 4 {
			delete(n.lies, name)
		}
	}
	return layers, err
}
