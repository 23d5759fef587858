package shift

import (
	"strings"
	"testing"
)

// By hand: 40 and 8 of 100 and 20 images are 48 of 120; a model that misses one of them has none.
func TestConditionsTogether(t *testing.T) {
	r := NewResults()
	for _, c := range []Cell{
		{"a", "noise 1", of(40, 100)}, {"a", "noise 2", of(8, 20)}, {"a", "blur", of(1, 100)},
		{"b", "noise 1", of(30, 100)}, {"b", "blur", of(2, 100)},
	} {
		if err := r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	noise := func(condition string) bool { return strings.HasPrefix(condition, "noise") }
	for range 2 { // again it says the same, and does not count itself
		if n, err := r.Pool("noise", noise); n != 1 || err != nil {
			t.Fatalf("%d models have been tried under all (%v)", n, err)
		}
	}
	if c, tried := r.Cell("a", "noise"); !tried || c.Accuracy != of(48, 120) {
		t.Errorf("together they are %v", c)
	}
	if _, tried := r.Cell("b", "noise"); tried {
		t.Error("a model that was not tried under one of them has a result")
	}
	for name, is := range map[string]func(string) bool{
		"none of them": func(string) bool { return false },
		"too few":      func(c string) bool { return c == "noise 2" || c == "none" },
	} {
		if _, err := r.Pool("nothing "+name, is); (err == nil) != (name == "too few") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
