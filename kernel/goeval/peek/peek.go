// Package peek says what values are by their own methods, which are code of cells and may do anything.
package peek

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/goeval/goroutines"
)

// lookTime is how long the methods of a value may take to say what it is, where it is only looked at.
const lookTime = 2 * time.Second

// Endless is why methods that recurse without end say nothing.
const Endless = "call each other without end"

// Text has show say what a value is. The value's own methods are code of cells, and may do anything: they run in a
// goroutine of their own, which is left behind where it takes too long. Where they do not say anything, why tells the
// reason.
func Text(show func() string) (text, why string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	of := &cell.Run{Context: ctx}
	of.Begin()
	deep := of.Watch()
	type said struct{ text, why string }
	done := make(chan said, 2) // the first counts
	// A panic in a goroutine that a method has started is lost.
	of.Ends(func(int) {
		select {
		case done <- said{why: "want to end the program"}:
		default:
		}
	}, func(any, []uintptr) {})
	go func() {
		of.Enter()
		debug.SetPanicOnFault(true) // goroutines that cells have left behind may be changing the value
		answer := said{why: "end their goroutine"}
		defer func() {
			if recover() != nil {
				answer = said{why: "panic"}
			}
			cell.Leave() // whoever asks next which goroutines of cells run is not to find this one, as it ends
			select {
			case done <- answer:
			default:
			}
		}()
		answer = said{text: show()}
	}()
	late := time.NewTimer(lookTime)
	defer late.Stop()
	var answer said
	select {
	case answer = <-done:
		if deep() {
			answer.why = Endless
		}
	case <-late.C:
		answer.why = fmt.Sprintf("take longer than %d seconds", lookTime/time.Second)
		of.Stop()
		wait := lookTime // most end now
		if deep() {
			answer.why = Endless
			wait *= 10 // it is on its way out, through many calls
		}
		late.Reset(wait)
		select {
		case <-done:
		case <-late.C:
		}
		go goroutines.AwaitEnd([]*cell.Run{of})
	}
	of.End()
	of.Forget()
	return answer.text, answer.why
}

// Value says what a variable's value is by describe, as far as it can be told without harm.
func Value(v reflect.Value, describe func(v any) string) string {
	if v.Kind() <= reflect.Complex128 && v.Type().NumMethod() == 0 {
		return describe(v.Interface()) // a number
	}
	if mayChange(v.Type(), map[reflect.Type]bool{}) && goroutines.LeftBehind() {
		return "(a goroutine of a cell is running, and may be changing it)"
	}
	text, why := Text(func() string { return describe(v.Interface()) })
	if why != "" {
		return Silent(v.Type(), why)
	}
	return text
}

// Silent is what is shown of a value whose methods do not say what it is.
func Silent(t reflect.Type, why string) string {
	return fmt.Sprintf("<%s whose methods %s>", t, why)
}

// mayChange reports whether there may be a map in values of a type: to look into one while it is written to ends the
// process.
func mayChange(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Map, reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return mayChange(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if mayChange(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
