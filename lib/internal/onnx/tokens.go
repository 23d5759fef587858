package onnx

import (
	"github.com/gomlx/gomlx/core/graph"
)

// tokens are where an ONNX file's images become tokens and where these look at each other.
type tokens struct {
	rows, columns int
	value         string   // the tokens with their positions, [N, T, D]
	softmax       []string // the attentions, [N, heads, T, T]
	length        int      // T
}

// findTokens looks for the first addition of something that does not depend on the image to a sequence [N, T, D] of
// which the last tokens are the cells of a spatial value [N, D, rows, columns], and for the softmaxes over scores [N,
// heads, T, T]. Where either is missing there is no grid.
func (n *Network) findTokens(layers []string, shapes map[string][]int, moved map[string]bool) tokens {
	var t tokens
	var rows, columns int
	for _, name := range layers {
		node, d := n.makers[name], shapes[name]
		switch {
		case t.value == "" && len(d) == 4:
			rows, columns = d[2], d[3]
		case t.value == "" && len(d) == 3 && node.op == "Add" && rows*columns > 0:
			in := node.inputs
			fixed := n.initial[in[0]] == nil && !moved[in[0]] || n.initial[in[1]] == nil && !moved[in[1]]
			positions := n.positions(in[0], d) || n.positions(in[1], d)
			// A class token, and registers as some transformers have: few.
			if others := d[1] - rows*columns; (fixed || positions) && others >= 0 && others <= 16 {
				t.rows, t.columns, t.value, t.length = rows, columns, name, d[1]
			}
		case t.value != "" && len(d) == 4 && node.op == "Softmax" && d[2] == t.length && d[3] == t.length:
			t.softmax = append(t.softmax, name)
		}
	}
	if t.value == "" || len(t.softmax) == 0 {
		return tokens{}
	}
	return t
}

// positions tells whether a value is a constant of the file with a row for each token.
func (n *Network) positions(name string, tokens []int) bool {
	constant := n.initial[name]
	if constant == nil {
		return false
	}
	d := constant.dims
	return len(d) >= 2 && int(d[len(d)-2]) == tokens[1] && int(d[len(d)-1]) == tokens[2]
}

// BuildKeeping builds the network with tokens dropped: up to the tokens as ever, and from there with what drop leaves
// of them. attend is added to the attention's scores, [N, 1, 1, T'].
func (n *Network) BuildKeeping(x *graph.Node, weight func(name string) *graph.Node,
	drop func(tokens *graph.Node) (left, attend *graph.Node)) Nodes {
	return n.build(x, weight, func(s *scope, b *builder) {
		var attend *graph.Node
		attention := map[string]bool{}
		for _, name := range n.tokens.softmax {
			attention[name] = true
		}
		before := b.edit
		b.made = func(name string, v *value) *value {
			if name == n.tokens.value {
				v.node, attend = drop(b.nodeOf(v))
			}
			return v
		}
		b.edit = func(node *nodeProto, in []*value) []*value {
			if attention[node.outputs[0]] {
				in[0] = &value{node: graph.Add(b.nodeOf(in[0]), attend), moved: true}
			}
			return before(node, in)
		}
	}, false)
}
