package display_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/yours"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExampleLines() {
	falls := display.Lines{Title: "accuracy", X: "severity", Y: "percent", Series: []display.Series{
		{Name: "fog", X: []float64{1, 2, 3}, Y: []float64{90, 80, 60}}}}
	fmt.Println(must(display.Picture(falls)).Bounds().Dx() > 0) // as the last value of a cell it shows itself
	// Output: true
}

func ExampleBars() {
	bars := display.Bars{Title: "recognised", Format: "%.0f%%"}
	bars.Add("cat", 90)
	bars.Add("dog", 70)
	fmt.Println(bars.Names, bars.Values)
	// Output: [cat dog] [90 70]
}

func ExampleGallery() {
	grid := display.Gallery(must(yours.Photos(4).All()), "left", "right", "left", "right")
	fmt.Println(len(grid.Rows), "row of", len(grid.Rows[0]))
	// Output: 1 row of 4
}

func ExampleRowsOf() {
	photos := must(yours.Photos(2).All())
	grid := display.RowsOf(60, display.Row{Label: "before", Images: photos}, display.Row{Label: "after", Images: photos})
	fmt.Println(grid.Labels)
	// Output: [before after]
}

func ExampleImages() {
	pictures := must(display.Images(must(yours.Photos(2).All()))) // of a tensor, as image.Image
	fmt.Println(len(pictures), pictures[0].Bounds())
	// Output: 2 (0,0)-(8,8)
}

func ExampleTiles() {
	grid := display.Grid{Rows: [][]display.Tile{display.Tiles(must(display.Images(must(yours.Photos(3).All()))))}}
	fmt.Println(len(grid.Rows[0]), "tiles")
	// Output: 3 tiles
}

func ExampleTableOf() {
	fmt.Println(must(display.TableOf([]struct {
		Name   string
		Images int
	}{{"cat", 2}, {"dog", 1}})).Header)
	// Output: [Name Images]
}
