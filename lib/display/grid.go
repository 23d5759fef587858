package display

import (
	"fmt"
	"image"
	"image/draw"
	"math"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Tile is one picture of a grid.
type Tile struct {
	Image image.Image // nil, of any type, leaves the place empty
	Title string      // below the picture; goes on in the next line where it is too long, and at \n
}

// Tiles are pictures as tiles without titles.
func Tiles(pictures []image.Image) []Tile {
	tiles := make([]Tile, len(pictures))
	for i, p := range pictures {
		tiles[i].Image = p
	}
	return tiles
}

// Grid is a table of pictures.
type Grid struct {
	Title   string
	Rows    [][]Tile
	Columns []string // labels above the columns; nil for none
	Labels  []string // labels left of the rows; nil for none
	// Side is the size of a tile in pixels of the screen; 0 chooses by their number.
	Side int
	// Bar is a colour bar on the right; nil for none.
	Bar *ColorBar

	err error // why there is nothing to show
}

// Gallery lays images out in rows, with titles in the same order. images is a tensor [N, H, W, C]
// float32 in 0..1, an image.Image, a plot or a slice of them; for anything else the grid shows what is wrong.
func Gallery(images any, titles ...string) Grid {
	pictures, err := asImages(images)
	if err != nil {
		return Grid{err: err}
	}
	columns := len(pictures)
	if columns > 6 {
		columns = min(10, int(math.Ceil(math.Sqrt(2.2*float64(columns)))))
		rows := (len(pictures) + columns - 1) / columns
		columns = (len(pictures) + rows - 1) / rows
	}
	var g Grid
	for i, img := range pictures {
		if i%columns == 0 {
			g.Rows = append(g.Rows, nil)
		}
		t := Tile{Image: img}
		if i < len(titles) {
			t.Title = titles[i]
		}
		last := len(g.Rows) - 1
		g.Rows[last] = append(g.Rows[last], t)
	}
	return g
}

// The widths that text takes at most, in pixels of the screen; what is longer goes on in the next line.
const (
	labelRoom = 130
	titleRoom = 200 // or the grid's width if that is more
)

// Draw renders the grid at twice the size of the screen's pixels.
func (g Grid) Draw() image.Image {
	columns := max(len(g.Columns), 1)
	for _, row := range g.Rows {
		columns = max(columns, len(row))
	}
	side := g.Side
	if side <= 0 {
		side = min(max(900/columns, 64), 180)
	}
	const r = pixelRatio
	side *= r
	small, bold := face(11, false), face(12, true)
	line := 14 * r
	gap := 6 * r

	// Text is broken into lines first, the sizes follow from it.
	left := gap
	labels := make([][]string, len(g.Rows))
	for i := range min(len(g.Rows), len(g.Labels)) {
		labels[i] = wrapFace(small, g.Labels[i], labelRoom*r)
		for _, part := range labels[i] {
			left = max(left, textWidth(small, part)+2*gap)
		}
	}
	barAt := left + columns*(side+gap)
	width := barAt
	if g.Bar != nil {
		width += 76 * r
	}
	title := wrapFace(bold, g.Title, max(width-2*gap, titleRoom*r))
	for _, part := range title {
		width = max(width, textWidth(bold, part)+2*gap)
	}
	heads := make([][]string, len(g.Columns))
	headLines := 0
	for c, name := range g.Columns {
		heads[c] = wrapFace(bold, name, side)
		headLines = max(headLines, len(heads[c]))
	}
	top := gap
	if len(title) > 0 {
		top += len(title)*line + gap
	}
	if headLines > 0 {
		top += headLines*line + gap/2
	}
	titles := make([][][]string, len(g.Rows))
	heights := make([]int, len(g.Rows)) // of a row with what is written in it
	height := top
	for i, row := range g.Rows {
		titles[i] = make([][]string, len(row))
		lines := 0
		for c, t := range row {
			titles[i][c] = wrapFace(small, t.Title, side)
			lines = max(lines, len(titles[i][c]))
		}
		heights[i] = max(side+lines*line, len(labels[i])*line)
		height += heights[i] + gap
	}
	barHeight := max(min(height-gap-top, 220*r), 40*r)
	if g.Bar != nil {
		height = max(height, top+barHeight+gap)
	}

	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
	for n, part := range title {
		drawLine(dst, bold, part, gap, gap+n*line+line*4/5, width-2*gap, -1)
	}
	for c, parts := range heads {
		for n, part := range parts { // the last line of each stands right above the pictures
			drawLine(dst, bold, part, left+c*(side+gap), top-gap-(len(parts)-1-n)*line, side, 0)
		}
	}
	y := top
	for i, row := range g.Rows {
		at := y + max((side-len(labels[i])*line)/2, 0) + line*3/4
		for n, part := range labels[i] {
			drawLine(dst, small, part, gap, at+n*line, left-2*gap, 1)
		}
		for c, t := range row {
			x := left + c*(side+gap)
			if !table.IsNil(t.Image) {
				img := picture.Resized(t.Image, side)
				size := img.Bounds().Size()
				at := image.Pt(x+(side-size.X)/2, y+(side-size.Y)/2)
				draw.Draw(dst, image.Rectangle{at, at.Add(size)}, img, img.Bounds().Min, draw.Over)
			}
			for n, part := range titles[i][c] {
				drawLine(dst, small, part, x, y+side+(n+1)*line-line/5, side, 0)
			}
		}
		y += heights[i] + gap
	}
	if g.Bar != nil {
		g.Bar.draw(dst, image.Rect(barAt+gap, top, barAt+gap+12*r, top+barHeight), small)
	}
	return dst
}

// Bundle shows the grid as a picture.
func (g Grid) Bundle() mime.Bundle {
	if g.err != nil {
		return mime.TextOf(g.err.Error())
	}
	n := 0
	var titles []string
	for _, row := range g.Rows {
		for _, t := range row {
			if !table.IsNil(t.Image) {
				n++
			}
			if t.Title != "" {
				titles = append(titles, strings.ReplaceAll(t.Title, "\n", " "))
			}
		}
	}
	text := fmt.Sprintf("grid of %s", plural.Of(n, "image"))
	if g.Title != "" {
		text = g.Title + ": " + text
	}
	if len(titles) > 0 {
		text += ": " + strings.Join(titles, "; ")
	}
	return pictureBundle(g.Draw(), pixelRatio, text)
}
