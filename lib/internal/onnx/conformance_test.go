package onnx

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/internal/failure"
)

// initialInto puts the tensors that a case's file holds into a scope. It panics with what is wrong with one.
func initialInto(s *scope, m *modelProto) {
	for _, t := range m.graph.initial {
		known, err := t.load("")
		if err != nil {
			panic(err)
		}
		s.values[t.name] = &value{known: known}
	}
}

// runCase computes one of ONNX's cases; some of its inputs may be known before anything runs.
func runCase(m *modelProto, inputs []*tensors.Tensor, isKnown func(t *tensors.Tensor) bool) (out []*tensors.Tensor,
	err error) {
	back, err := backend.Get()
	if err != nil {
		return nil, err
	}
	g := graph.NewGraph(back, "case")
	defer g.Finalize()
	b := newBuilder(g, m, func(t *tensorProto) (*tensors.Tensor, error) { return t.load("") })
	s := &scope{values: map[string]*value{}}
	var given []any
	var nodes []*graph.Node
	failed := failure.Catch(func() {
		initialInto(s, m)
		for i, in := range m.graph.inputs {
			if i >= len(inputs) || inputs[i] == nil {
				continue
			}
			if isKnown(inputs[i]) {
				s.values[in.name] = &value{known: inputs[i], kind: in.kind}
			} else {
				s.values[in.name] = &value{node: graph.Parameter(g, in.name, inputs[i].Shape()), kind: in.kind, moved: true}
				given = append(given, inputs[i])
			}
		}
		b.run(m.graph.nodes, s, nil, true)
		if len(b.refused) > 0 {
			panic(errors.Join(b.refused...))
		}
		for _, o := range m.graph.outputs {
			v := s.find(o.name)
			if v == nil || v.lost {
				panic(fmt.Errorf("no output %s", o.name))
			}
			nodes = append(nodes, graph.Identity(b.nodeOf(v)))
		}
		if err = g.Compile(nodes...); err == nil {
			out = g.Run(given...)
		}
	})
	if failed != nil {
		return nil, failed
	}
	return out, err
}

// onnxCase is one of ONNX's own cases.
type onnxCase struct {
	model      []byte
	in, out    [][]byte
	rtol, atol float64
}

// casesOf are those of an archive, by their names.
func casesOf(t *testing.T, path string) map[string]*onnxCase {
	t.Helper()
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	cases := map[string]*onnxCase{}
	for _, entry := range archive.File {
		r, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, file, _ := strings.Cut(entry.Name, "/")
		if cases[name] == nil {
			cases[name] = &onnxCase{}
		}
		switch c := cases[name]; {
		case file == "model.onnx":
			c.model = raw
		case file == "tolerance":
			if _, err := fmt.Sscan(string(raw), &c.rtol, &c.atol); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(file, "in_"):
			c.in = append(c.in, raw)
		default:
			c.out = append(c.out, raw)
		}
	}
	return cases
}

func readTensor(raw []byte) (values *tensors.Tensor, kind int, err error) {
	t, err := parseTensor(raw)
	if err != nil {
		return nil, 0, err
	}
	values, err = t.load("")
	return values, t.kind, err
}

// verdict is empty where a case passes to its own tolerance, and else says why it is refused or what is wrong.
func (o *onnxCase) verdict() (refused, wrong string) {
	m, err := parseModel(o.model)
	if err != nil {
		return err.Error(), ""
	}
	var inputs []*tensors.Tensor
	for _, raw := range o.in {
		in, _, err := readTensor(raw)
		if err != nil {
			return err.Error(), ""
		}
		inputs = append(inputs, in)
	}
	var out []*tensors.Tensor
	for _, known := range []func(t *tensors.Tensor) bool{ // what the form of a graph depends on is known in real files
		func(*tensors.Tensor) bool { return false },
		func(t *tensors.Tensor) bool { return !t.DType().IsFloat() },
		func(*tensors.Tensor) bool { return true },
	} {
		if out, err = runCase(m, inputs, known); err == nil || !strings.Contains(err.Error(), "computed from the image") {
			break
		}
	}
	if err != nil {
		return strings.TrimPrefix(err.Error(), "model: "), ""
	}
	for i, got := range out {
		want, kind, err := readTensor(o.out[i])
		if err != nil {
			return err.Error(), ""
		}
		if !slices.Equal(got.Shape().Dimensions, want.Shape().Dimensions) || got.DType() != want.DType() {
			return "", fmt.Sprintf("output %d is %s, want %s", i, got.Shape(), want.Shape())
		}
		// Half precision is computed in single precision here: the case's values have been rounded.
		rtol := max(o.rtol, map[int]float64{kindFloat16: 2e-3, kindBFloat16: 1e-2}[kind])
		a, _ := numbers(got)
		b, _ := numbers(want)
		for k := range b {
			if math.IsNaN(b[k]) && math.IsNaN(a[k]) || a[k] == b[k] {
				continue
			}
			if !(math.Abs(a[k]-b[k]) <= o.atol+rtol*math.Abs(b[k])+1e-6) {
				return "", fmt.Sprintf("output %d has %g at %d, want %g", i, a[k], k, b[k])
			}
		}
	}
	return "", ""
}

// ONNX's own cases of operators: each passes or is refused, none is wrong, and which is which is in testdata/cases.txt,
// written anew with LOUPE_WRITE_CASES=1. Of the operators that are handled at least 95% pass.
func TestONNXsOwnCases(t *testing.T) {
	cases := casesOf(t, "testdata/cases.zip")
	names := slices.Sorted(maps.Keys(cases))
	table, err := os.ReadFile("testdata/cases.txt")
	writes := os.Getenv("LOUPE_WRITE_CASES") != ""
	if err != nil && !writes {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(table)) {
		name, what, _ := strings.Cut(strings.TrimSpace(line), ": ")
		listed[name] = what
	}
	var written strings.Builder
	passed, handled := 0, 0
	for i, name := range names {
		if !writes && !testenv.Some(i, 8) {
			continue
		}
		refused, wrong := cases[name].verdict()
		what := "passes"
		switch {
		case wrong != "":
			t.Errorf("%s is wrong: %s", name, wrong)
			what = "wrong: " + wrong
		case refused != "":
			what = "refused: " + strings.ReplaceAll(refused, "\n", "; ")
		}
		fmt.Fprintf(&written, "%s: %s\n", name, what)
		if !writes && listed[name] != what {
			t.Errorf("%s: %s; the table says %s", name, what, listed[name])
		}
	}
	if writes {
		if err := os.WriteFile("testdata/cases.txt", []byte(written.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		listed = map[string]string{}
		for line := range strings.Lines(written.String()) {
			name, what, _ := strings.Cut(strings.TrimSpace(line), ": ")
			listed[name] = what
		}
	}
	for _, name := range names {
		m, err := parseModel(cases[name].model)
		if err != nil || strings.HasSuffix(name, "_expanded") ||
			slices.ContainsFunc(m.graph.nodes, func(n *nodeProto) bool {
				return operations[operationKey(n.domain, n.op)] == nil
			}) {
			continue
		}
		if strings.Contains(listed[name], "which is not read") || strings.Contains(listed[name], "which is not handled") &&
			strings.Contains(listed[name], "has the type") {
			continue // of numbers of few bits, complex ones, or text, which no image network has
		}
		if handled++; listed[name] == "passes" {
			passed++
		}
	}
	t.Logf("of %d cases of operators that are handled %d pass", handled, passed)
	if float64(passed) < 0.95*float64(handled) {
		t.Errorf("of %d cases of operators that are handled only %d pass", handled, passed)
	}
	testenv.RestIsHeavy(t, 8)
}
