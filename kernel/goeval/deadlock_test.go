package goeval

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
)

// evaluate runs a cell of an evaluator.
func evaluate(t *testing.T, e *Evaluator, number int, source string) engine.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel) // and not before: what a cell leaves behind goes on
	return e.Eval(ctx, engine.Cell{Number: number, Source: source})
}

// Goroutines that wait for each other are told of, where nothing else can wake them.
func TestDeadlock(t *testing.T) {
	defer func(before time.Duration) { firstLook = before }(firstLook)
	firstLook = 20 * time.Millisecond
	e := newEvaluator(t)
	if r := evaluate(t, e, 1, "func wait(c chan int) int {\n\treturn <-c\n}\nvar group sync.WaitGroup"); r.Failure != nil {
		t.Fatal(r.Failure)
	}
	number := 1
	for _, c := range []struct {
		source string
		line   int
		where  string
	}{
		{"c := make(chan int)\ngo func() { c <- 1; c <- 2 }()\n<-c\n<-c\nwait(c)", 5, "in wait"},
		{"ch := make(chan int)\nch <- 1", 2, ""},
		{"var mu sync.Mutex\nmu.Lock()\nmu.Lock()", 3, ""},
		{"group.Add(1)\ngroup.Wait()", 2, ""},
		{"select {}", 0, ""},
		{"var none chan int\nfor range none {\n}", 2, ""},
		{"package main\n\nfunc main() {\n\tch := make(chan int)\n\tch <- 1\n}", 0, ""},
	} {
		number++
		r := evaluate(t, e, number, c.source)
		if r.Failure == nil || r.Failure.Name != "Deadlock" ||
			!strings.Contains(r.Failure.Message, "all goroutines are asleep") {
			t.Errorf("%q: %+v", c.source, r.Failure)
			continue
		}
		if r.Failure.Line != c.line || !strings.Contains(strings.Join(r.Failure.Traceback, "\n"), c.where) {
			t.Errorf("%q: line %d of\n%s", c.source, r.Failure.Line, strings.Join(r.Failure.Traceback, "\n"))
		}
	}
}

// What somebody else wakes is no deadlock: a clock, a signal, another cell's goroutine.
func TestNoDeadlock(t *testing.T) {
	defer func(before time.Duration) { firstLook = before }(firstLook)
	firstLook = 5 * time.Millisecond
	e := newEvaluator(t)
	for i, source := range []string{
		"<-time.After(50 * time.Millisecond)",
		"tick := time.After(50 * time.Millisecond)",
		"<-tick",
		"late := make(chan int)\ngo func() { time.Sleep(50 * time.Millisecond); late <- 1 }()",
		"<-late",
		"also := late\ntime.AfterFunc(50*time.Millisecond, func() { also <- 1 })",
		"<-also",
		"soon := make(chan int)\ntimer := time.AfterFunc(50*time.Millisecond, func() { soon <- 1 })",
		"n := <-soon\nn",
		"ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)",
		"<-ctx.Done()",
	} {
		if r := evaluate(t, e, i+1, source); r.Failure != nil {
			t.Fatalf("%q: %+v", source, r.Failure)
		}
	}
}
