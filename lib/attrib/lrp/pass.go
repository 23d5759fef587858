package lrp

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
)

// Pass hands the relevance of each output to the input at its place. It fits only layers whose input and output have
// one shape; activation functions and normalisations get it without being asked.
type Pass struct{}

// Propagate implements [Rule].
func (Pass) Propagate(l *Layer, relevance *graph.Node) *graph.Node {
	if !sameShape(l.In, l.Out) {
		panic(fmt.Errorf("lrp: Pass needs an input of the shape of the output, and %s makes %s of %s: give it another rule",
			l, l.Out.Shape(), l.In.Shape()))
	}
	return relevance
}
