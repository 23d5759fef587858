package model

import (
	"github.com/gomlx/gomlx/core/graph"
	gomlx "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/onnx-gomlx/onnx"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// onnxTokens are where an ONNX file's images become tokens and where these look at each other.
type onnxTokens struct {
	grid    Grid
	value   string   // the tokens with their positions, [N, T, D]
	softmax []string // the attentions, [N, heads, T, T]
	length  int      // T
}

// The inputs that a file gets where its tokens are to come from outside.
const (
	tokensInput = "loupe/tokens" // [N, T', D]
	attendInput = "loupe/attend" // [N, 1, 1, T'], which is added to the scores
)

// findTokens looks for the first addition of something that does not depend on the image to a sequence [N, T, D] of which the last tokens are
// the cells of a spatial value [N, D, rows, columns], and for the softmaxes over scores [N, heads, T, T]. Where either is missing there
// is no grid.
func (f *onnxFile) findTokens(layers []string, shapes map[string][]int, moved map[string]bool) onnxTokens {
	var t onnxTokens
	var grid Grid
	for _, name := range layers {
		node, d := f.makers[name], shapes[name]
		switch {
		case t.value == "" && len(d) == 4:
			grid = Grid{d[2], d[3]}
		case t.value == "" && len(d) == 3 && node.op() == "Add" && grid.Patches() > 0:
			in := node.inputs()
			fixed := f.initial[in[0]] == nil && !moved[in[0]] || f.initial[in[1]] == nil && !moved[in[1]]
			positions := f.positions(in[0], d) || f.positions(in[1], d)
			// A class token, and registers as some transformers have: few.
			if others := d[1] - grid.Patches(); (fixed || positions) && others >= 0 && others <= 16 {
				t.grid, t.value, t.length = grid, name, d[1]
			}
		case t.value != "" && len(d) == 4 && node.op() == "Softmax" && d[2] == t.length && d[3] == t.length:
			t.softmax = append(t.softmax, name)
		}
	}
	if t.value == "" || len(t.softmax) == 0 {
		return onnxTokens{}
	}
	return t
}

// positions tells whether a value is a constant of the file with a row for each token.
func (f *onnxFile) positions(name string, tokens []int) bool {
	constant := f.initial[name]
	if constant == nil {
		return false
	}
	d := integers(constant, "dims")
	return len(d) >= 2 && d[len(d)-2] == tokens[1] && d[len(d)-1] == tokens[2]
}

// keeping is the network with tokens dropped: up to the tokens as ever, and from there with what [Builder.Tokens] leaves of them.
func (n *onnxNetwork) keeping(b *Builder, x *graph.Node, network onnx.Model, scope *gomlx.Scope) *graph.Node {
	n.cutting.Do(func() { n.cut, n.cutError = n.cutAtTokens() })
	cut, err := n.cut, n.cutError
	if err != nil {
		panic(err)
	}
	tokens := network.CallGraph(scope, b.g, map[string]*graph.Node{n.input: n.layout(x)}, n.tokens.value)[0]
	tokens, attend := b.Tokens(tokens, n.tokens.grid.Rows, n.tokens.grid.Columns)
	features := n.file.penultimate(n.output)
	want := []string{n.output}
	if features != "" {
		want = append(want, features)
	}
	values := cut.CallGraph(scope, b.g, map[string]*graph.Node{n.input: n.layout(x), tokensInput: tokens, attendInput: attend}, want...)
	if features != "" && values[1].Rank() == 2 {
		b.Features(values[1])
	}
	return values[0]
}

// cutAtTokens is the file with its tokens and what attention adds to its scores as inputs of their own.
func (n *onnxNetwork) cutAtTokens() (onnx.Model, error) {
	f := n.file
	for _, node := range f.nodes() {
		in := node.inputs()
		for i := range in {
			if in[i] == n.tokens.value {
				in[i] = tokensInput
			}
		}
		setWords(node.Message, "input", in)
	}
	list := f.graph.Mutable(field(f.graph, "node")).List()
	for _, name := range n.tokens.softmax {
		softmax := f.makers[name]
		scores := softmax.inputs()[0]
		sum := onnxNode{list.AppendMutable().Message()}
		sum.Set(field(sum.Message, "name"), protoreflect.ValueOfString(name+"/attend"))
		sum.Set(field(sum.Message, "op_type"), protoreflect.ValueOfString("Add"))
		setWords(sum.Message, "input", []string{scores, attendInput})
		setWords(sum.Message, "output", []string{name + "/attend"})
		setWords(softmax.Message, "input", []string{name + "/attend"})
	}
	f.addInput(tokensInput, "loupe/N", "loupe/T", "loupe/D")
	f.addInput(attendInput, "loupe/N", "loupe/heads", "loupe/queries", "loupe/T")
	return n.parseInto(nil)
}
