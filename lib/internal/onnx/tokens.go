package onnx

import (
	"github.com/gomlx/gomlx/core/graph"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// tokens are where an ONNX file's images become tokens and where these look at each other.
type tokens struct {
	rows, columns int
	value         string   // the tokens with their positions, [N, T, D]
	softmax       []string // the attentions, [N, heads, T, T]
	length        int      // T
}

// The inputs that a file gets where its tokens are to come from outside.
const (
	tokensInput = "loupe/tokens" // [N, T', D]
	attendInput = "loupe/attend" // [N, 1, 1, T'], which is added to the scores
)

// findTokens looks for the first addition of something that does not depend on the image to a sequence [N, T, D] of
// which the last tokens are the cells of a spatial value [N, D, rows, columns], and for the softmaxes over scores [N,
// heads, T, T]. Where either is missing there is no grid.
func (f *File) findTokens(layers []string, shapes map[string][]int, moved map[string]bool) tokens {
	var t tokens
	var rows, columns int
	for _, name := range layers {
		node, d := f.makers[name], shapes[name]
		switch {
		case t.value == "" && len(d) == 4:
			rows, columns = d[2], d[3]
		case t.value == "" && len(d) == 3 && node.op() == "Add" && rows*columns > 0:
			in := node.inputs()
			fixed := f.initial[in[0]] == nil && !moved[in[0]] || f.initial[in[1]] == nil && !moved[in[1]]
			positions := f.positions(in[0], d) || f.positions(in[1], d)
			// A class token, and registers as some transformers have: few.
			if others := d[1] - rows*columns; (fixed || positions) && others >= 0 && others <= 16 {
				t.rows, t.columns, t.value, t.length = rows, columns, name, d[1]
			}
		case t.value != "" && len(d) == 4 && node.op() == "Softmax" && d[2] == t.length && d[3] == t.length:
			t.softmax = append(t.softmax, name)
		}
	}
	if t.value == "" || len(t.softmax) == 0 {
		return tokens{}
	}
	return t
}

// positions tells whether a value is a constant of the file with a row for each token.
func (f *File) positions(name string, tokens []int) bool {
	constant := f.initial[name]
	if constant == nil {
		return false
	}
	d := integers(constant, "dims")
	return len(d) >= 2 && d[len(d)-2] == tokens[1] && d[len(d)-1] == tokens[2]
}

// BuildKeeping builds the network with tokens dropped: up to the tokens as ever, and from there with what drop leaves
// of them. attend is added to the attention's scores, [N, 1, 1, T'].
func (n *Network) BuildKeeping(x *graph.Node, weight func(name string) *graph.Node, drop func(tokens *graph.Node) (left, attend *graph.Node)) Nodes {
	n.cutting.Do(func() { n.cut, n.cutError = n.cutAtTokens() })
	if n.cutError != nil {
		panic(n.cutError)
	}
	left, attend := drop(n.call(n.runs, x, weight, nil, n.tokens.value)[0])
	return n.nodes(n.cut, x, weight, map[string]*graph.Node{tokensInput: left, attendInput: attend}, false)
}

// cutAtTokens is the file with its tokens and what attention adds to its scores as inputs of their own.
func (n *Network) cutAtTokens() (program, error) {
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
		sum := Node{list.AppendMutable().Message()}
		sum.Set(field(sum.Message, "name"), protoreflect.ValueOfString(name+"/attend"))
		sum.Set(field(sum.Message, "op_type"), protoreflect.ValueOfString("Add"))
		setWords(sum.Message, "input", []string{scores, attendInput})
		setWords(sum.Message, "output", []string{name + "/attend"})
		setWords(softmax.Message, "input", []string{name + "/attend"})
	}
	f.addInput(tokensInput, "loupe/N", "loupe/T", "loupe/D")
	f.addInput(attendInput, "loupe/N", "loupe/heads", "loupe/queries", "loupe/T")
	return n.parse(tokensInput, attendInput)
}
