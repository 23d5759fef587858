package notebook

import (
	"strings"
	"testing"
)

func TestParameterValuesAreGos(t *testing.T) {
	for text, want := range map[string]string{
		"n=5": "5", "n=-1.5e3": "-1.5e3", "n=0x1F": "0x1F", "on=true": "true", "v=nil": "nil", `s="a b"`: `"a b"`,
		"v=[]int{1, 2}": "[]int{1, 2}", `m=map[string]float64{"a": 1}`: `map[string]float64{"a": 1}`,
		"s=cat.jpg": `"cat.jpg"`, "s=a=b": `"a=b"`, "s=": `""`, "s=it's": `"it's"`, "s=2024-01-02": `"2024-01-02"`,
		"s=seeds":      `"seeds"`,
		"s=os.Exit(1)": `"os.Exit(1)"`, "s=[]int{os.Getpid()}": `"[]int{os.Getpid()}"`, "s=1; panic(1)": `"1; panic(1)"`,
	} {
		if p, err := ParseParameter(text, false); err != nil || p.Value != want {
			t.Errorf("%s is %s, want %s (%v)", text, p.Value, want, err)
		}
	}
	if p, err := ParseParameter("s=007", true); err != nil || p.Value != `"007"` {
		t.Error(p, err)
	}
	for _, text := range []string{"", "seeds", "=5", "a b=5", "5=a", "func=1"} {
		if _, err := ParseParameter(text, false); err == nil {
			t.Errorf("%q is taken for a parameter", text)
		}
	}
}

// sources are the code cells' texts, the injected ones in brackets.
func sources(nb *Notebook) string {
	var all []string
	for _, c := range nb.Cells {
		text := strings.ReplaceAll(c.Source, "\n", "; ")
		if c.Tagged(injectedTag) {
			text = "[" + text + "]"
		}
		all = append(all, text)
	}
	return strings.Join(all, " | ")
}

func code(tag string, source string) *Cell {
	c := &Cell{Type: Code, Source: source}
	if tag != "" {
		c.Metadata = map[string]any{"tags": []any{tag}}
	}
	return c
}

func TestParametersAreSetBehindTheirDefinition(t *testing.T) {
	text := func() *Cell { return &Cell{Type: Markdown, Source: "seeds := 1"} }
	for name, c := range map[string]struct {
		cells []*Cell
		set   []string
		want  string // or what the error says, after "error: "
	}{
		"first that defines": {[]*Cell{text(), code("", "seeds, images := 3, 600"), code("", "run(seeds)")},
			[]string{"seeds=5", "images=10"},
			"seeds := 1 | seeds, images := 3, 600 | [seeds = 5; images = 10] | run(seeds)"},
		"two cells": {[]*Cell{code("", "a := 1"), code("", "var b, c = 2, 3")}, []string{"c=5", "a=2"},
			"a := 1 | [a = 2] | var b, c = 2, 3 | [c = 5]"},
		"tagged": {[]*Cell{code("", "a := 1; b := a"), code(parametersTag, "a := 2; b := a")}, []string{"a=3"},
			"a := 1; b := a | a := 2; b := a | [a = 3]"},
		"replaced": {[]*Cell{code("", "a := 1"), code(injectedTag, "a = 7")}, []string{"a=3"}, "a := 1 | [a = 3]"},
		"magic":    {[]*Cell{code("", "%env X=1\na := 1")}, []string{"a=3"}, "%env X=1; a := 1 | [a = 3]"},
		"beside a function": {[]*Cell{code("", "func double(x int) int { return 2 * x }\na := 1\ntype t struct{}")},
			[]string{"a=3"},
			"func double(x int) int { return 2 * x }; a := 1; type t struct{} | [a = 3]"},
		"a field": {[]*Cell{code("", "a := 1\nx.a = 2")}, []string{"a=3"}, "a := 1; x.a = 2 | [a = 3]"},
		"used":    {[]*Cell{code("", "a := 1\nb := a+1")}, []string{"a=3"}, "error: cell 1 uses a itself"},
		"inside": {[]*Cell{code("", "if true { a := 1; _ = a }"), code("", "b := 1")}, []string{"a=3"},
			"error: no cell defines a variable a"},
		"unknown": {[]*Cell{code("", "seeds, images := 3, 600")}, []string{"seed=5"},
			"error: no cell defines a variable seed; there are seeds, images"},
		"duration": {[]*Cell{code("", "d, n := 3 * time.Second, 2\nvar e time.Duration\nvar f = -time.Duration(5)")},
			[]string{"d=1h30m", "n=7", "e=1500ms", "f=0"}, "d, n := 3 * time.Second, 2; var e time.Duration; " +
				"var f = -time.Duration(5) | [d = 90 * time.Minute; n = 7; e = 1500 * time.Millisecond; f = 0]"},
		"no unit": {[]*Cell{code("", "d := time.Minute")}, []string{"d=3"},
			"error: the parameter d: 3 is no duration: write a number and its unit"},
		"no duration": {[]*Cell{code("", "d := time.Second.Seconds(); s := \"5m\"")}, []string{"d=3", "s=3s"},
			"d := time.Second.Seconds(); s := \"5m\" | [d = 3; s = \"3s\"]"},
		"twice":   {[]*Cell{code("", "a := 1")}, []string{"a=3", "a=4"}, "error: the parameter a is given twice"},
		"nothing": {[]*Cell{text()}, []string{"a=3"}, "error: no cell defines a variable a"},
	} {
		nb := &Notebook{Cells: c.cells, Minor: 5}
		var parameters []Parameter
		for _, s := range c.set {
			p, err := ParseParameter(s, false)
			if err != nil {
				t.Fatal(err)
			}
			parameters = append(parameters, p)
		}
		err := nb.Set(parameters...)
		if says, wrong := strings.CutPrefix(c.want, "error: "); wrong {
			if err == nil || !strings.Contains(err.Error(), says) || len(nb.Cells) != len(c.cells) {
				t.Errorf("%s: %v, want %q; the cells are %s", name, err, says, sources(nb))
			}
			continue
		}
		if got := sources(nb); err != nil || got != c.want {
			t.Errorf("%s: %s, want %s (%v)", name, got, c.want, err)
		}
	}
}
