package ui_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/ui"
)

// A slider that is a cell's value is shown. What its callback prints appears below it.
func ExampleSlider() {
	eps := ui.Slider("ε", 0, 8, func(v float64) { fmt.Println("attacked within", v) })
	fmt.Println(eps.Set(2).Value()) // as a person would move it, before it is shown
	// Output: 2
}

func ExampleIntSlider() {
	patches := ui.IntSlider("patches", 0, 16, nil)
	fmt.Println(patches.Set(4).Value())
	// Output: 4
}

func ExampleChoice() {
	filler := ui.Choice("filled with", []string{"black", "mean"}, nil)
	fmt.Println(filler.Value()) // the first, until a person chooses
	// Output: black
}

func ExampleColumn() {
	shown := ui.Column(ui.Slider("ε", 0, 8, nil), ui.HTML("<b>of 255</b>"))
	fmt.Println(len(shown.Bundle().Data) > 0)
	// Output: true
}
