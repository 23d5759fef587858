package lrp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/lib/model"
)

// walk is one way back through a network, from its output to the image.
type walk struct {
	composite Composite
	network   *network
	// names are the recorded names of a value.
	names map[*graph.Node][]string
	// masks are what the relevance of a layer is multiplied by.
	masks map[string]*graph.Node
	// only drops, at each masked layer, the relevance that does not come through it.
	only bool
	// record are the layers whose relevance is to be kept, and recorded what was found: after masking.
	record   map[string]bool
	recorded map[string]*graph.Node
	visited  map[string]bool // masked layers that relevance came to
	ruled    map[string]bool // names of layers that a rule was chosen for
}

func newWalk(c Composite, image *graph.Node, out model.Outputs) *walk {
	w := &walk{
		composite: c,
		names:     map[*graph.Node][]string{},
		masks:     map[string]*graph.Node{},
		record:    map[string]bool{},
		recorded:  map[string]*graph.Node{},
		visited:   map[string]bool{},
		ruled:     map[string]bool{},
	}
	named := map[*graph.Node]bool{}
	for _, name := range out.Layers {
		node := out.Activations[name]
		w.names[node] = append(w.names[node], name)
		named[node] = true
	}
	w.network = newNetwork(image, out.Logits, named)
	return w
}

// run takes the relevance of the output, in its shape, back to the image.
func (w *walk) run(relevance *graph.Node) *graph.Node {
	n := w.network
	waiting := map[*graph.Node]*graph.Node{n.Output: relevance}
	for _, node := range slices.Backward(n.Nodes) {
		r := waiting[node]
		if r == nil || node == n.Image {
			continue
		}
		delete(waiting, node)
		s := n.step(node)
		masked := false
		for _, at := range append([]*graph.Node{node}, s.between...) {
			// Of two names for one value the later is nearer to the output.
			for _, name := range slices.Backward(w.names[at]) {
				if mask := w.masks[name]; mask != nil {
					r = graph.Mul(r, mask)
					masked, w.visited[name] = true, true
				}
				if w.record[name] {
					w.recorded[name] = plus(w.recorded[name], r)
				}
			}
		}
		if masked && w.only {
			clear(waiting)
		}
		for i, back := range w.back(s, r) {
			from := s.from[i]
			waiting[from] = plus(waiting[from], back)
		}
	}
	w.checkVisited()
	if waiting[n.Image] == nil {
		return graph.ZerosLike(n.Image)
	}
	return waiting[n.Image]
}

func (w *walk) back(s *step, r *graph.Node) []*graph.Node {
	if s.layer == nil {
		return s.back(r, w.composite.stabilizer())
	}
	l := *s.layer
	for _, at := range append([]*graph.Node{l.Out}, s.between...) {
		l.Names = append(l.Names, w.names[at]...)
	}
	l.NonNegative = w.network.nonNegative(l.In)
	l.First = l.Kind != Pooling && !w.network.hasLayer(l.In)
	l.image = func(images *graph.Node) *graph.Node { return w.network.Through(l.In, images)[l.In] }
	l.images = w.network.Image
	if w.composite.ZeroBias && l.bias != nil {
		l.unbiased = graph.Sub(l.Out, l.bias)
		l.bias = nil
	}
	for _, name := range l.Names {
		w.ruled[name] = true
	}
	return []*graph.Node{w.composite.rule(&l).Propagate(&l, r)}
}

// checkVisited panics if a layer that was named was not on the way.
func (w *walk) checkVisited() {
	for name := range w.composite.Named {
		if !w.ruled[name] && len(w.masks) == 0 { // with masks it may lie where no relevance comes to
			panic(fmt.Errorf("lrp: the composite's rule for %q is never used: no layer with weights makes that value. Use "+
				"the name of the layer before it", name))
		}
	}
	for name := range w.masks {
		if !w.visited[name] {
			panic(w.missed(name))
		}
	}
	for name := range w.record {
		if w.recorded[name] == nil {
			panic(w.missed(name))
		}
	}
}

func (w *walk) missed(name string) error {
	others := make([]string, 0, len(w.masks))
	for other := range w.masks {
		if other != name {
			others = append(others, other)
		}
	}
	slices.Sort(others)
	if len(others) > 0 && w.only {
		return fmt.Errorf("lrp: no relevance of layer %q comes through %s: it lies beside it or after it. Set Parallel, "+
			"or choose layers that follow each other", name, strings.Join(others, " and "))
	}
	return fmt.Errorf("lrp: layer %q has no relevance of its own: it is part of an activation function, a gate that is "+
		"held constant, or does not lead to the output; choose another", name)
}
