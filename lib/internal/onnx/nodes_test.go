package onnx

import (
	"maps"
	"slices"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// Nodes with attributes, inputs and types drawn at random, bench/oracles/onnx_nodes.py: what they make is what
// onnxruntime makes of them, or they are refused, which few are.
func TestNodesDrawnAtRandom(t *testing.T) {
	cases := casesOf(t, "testdata/nodes.zip")
	passed, refused := 0, 0
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		if !testenv.Some(i, 4) {
			continue
		}
		switch why, wrong := cases[name].verdict(); {
		case wrong != "":
			t.Errorf("%s is wrong: %s", name, wrong)
		case why != "":
			refused++
			t.Logf("%s: %s", name, why)
		default:
			passed++
		}
	}
	if passed < 19*refused {
		t.Errorf("%d pass and %d are refused", passed, refused)
	}
	testenv.RestIsHeavy(t, 4)
}
