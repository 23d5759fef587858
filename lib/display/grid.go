package display

import (
	"fmt"
	"image"
	"image/draw"
	"math"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"

	"github.com/loupeml/loupe/lib/mime"
)

// Tile is one picture of a grid.
type Tile struct {
	Image image.Image // nil leaves the place empty
	Title string      // below the picture; lines are separated by \n
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
}

// Gallery lays images out in rows, with titles in the same order. images is a tensor [N, H, W, C]
// float32 in 0..1, an image.Image or a slice of them; what is none is shown as its error.
func Gallery(images any, titles ...string) Grid {
	pictures, err := asImages(images)
	if err != nil {
		return Grid{Title: err.Error()}
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

// label draws one line of text with its baseline at y, within width pixels from x, cut off with an ellipsis.
// align is -1 for left, 0 for centred, 1 for right.
func label(dst draw.Image, f font.Face, text string, x, y, width, align int) {
	for runes := []rune(text); font.MeasureString(f, text).Ceil() > width && len(runes) > 1; {
		runes = runes[:len(runes)-1]
		text = strings.TrimSpace(string(runes)) + "…"
	}
	free := width - font.MeasureString(f, text).Ceil()
	d := font.Drawer{Dst: dst, Src: image.NewUniform(ink), Face: f, Dot: fixed.P(x+free*(align+1)/2, y)}
	d.DrawString(text)
}

// Draw renders the grid at twice the size of the screen's pixels.
func (g Grid) Draw() image.Image {
	columns := len(g.Columns)
	for _, row := range g.Rows {
		columns = max(columns, len(row))
	}
	if columns == 0 {
		columns = 1
	}
	side := g.Side
	if side == 0 {
		side = min(max(900/columns, 64), 180)
	}
	const r = pixelRatio
	side *= r
	small, bold := face(11, false), face(12, true)
	line := 14 * r
	gap := 6 * r

	left := gap
	for _, l := range g.Labels {
		for _, part := range strings.Split(l, "\n") {
			left = max(left, min(font.MeasureString(small, part).Ceil(), 150*r)+2*gap)
		}
	}
	top := gap
	if g.Title != "" {
		top += line + gap
	}
	if len(g.Columns) > 0 {
		top += line + gap/2
	}
	titleLines := make([]int, len(g.Rows))
	height := top
	for i, row := range g.Rows {
		for _, t := range row {
			if t.Title != "" {
				titleLines[i] = max(titleLines[i], strings.Count(t.Title, "\n")+1)
			}
		}
		height += side + titleLines[i]*line + gap
	}
	width := left + columns*(side+gap)
	if g.Title != "" {
		width = max(width, font.MeasureString(bold, g.Title).Ceil()+2*gap)
	}
	barAt := width
	if g.Bar != nil {
		width += 70 * r
	}
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
	if g.Title != "" {
		label(dst, bold, g.Title, gap, gap+line*4/5, width-2*gap, -1)
	}
	for c, name := range g.Columns {
		label(dst, bold, name, left+c*(side+gap), top-gap, side, 0)
	}
	y := top
	for i, row := range g.Rows {
		if i < len(g.Labels) {
			parts := strings.Split(g.Labels[i], "\n")
			at := y + (side-len(parts)*line)/2 + line*3/4
			for _, part := range parts {
				label(dst, small, part, gap, at, left-2*gap, 1)
				at += line
			}
		}
		for c, t := range row {
			x := left + c*(side+gap)
			if t.Image != nil {
				img := resized(t.Image, side)
				size := img.Bounds().Size()
				at := image.Pt(x+(side-size.X)/2, y+(side-size.Y)/2)
				draw.Draw(dst, image.Rectangle{at, at.Add(size)}, img, img.Bounds().Min, draw.Over)
			}
			for n, part := range strings.Split(t.Title, "\n") {
				label(dst, small, part, x, y+side+(n+1)*line-line/5, side, 0)
			}
		}
		y += side + titleLines[i]*line + gap
	}
	if g.Bar != nil {
		g.Bar.draw(dst, image.Rect(barAt+gap, top, barAt+gap+12*r, max(min(height-gap, top+220*r), top+40*r)), small)
	}
	return dst
}

// Bundle shows the grid as PNG.
func (g Grid) Bundle() mime.Bundle {
	n := 0
	var titles []string
	for _, row := range g.Rows {
		for _, t := range row {
			if t.Image != nil {
				n++
			}
			if t.Title != "" {
				titles = append(titles, strings.ReplaceAll(t.Title, "\n", " "))
			}
		}
	}
	text := fmt.Sprintf("grid of %d images", n)
	if g.Title != "" {
		text = g.Title + ": " + text
	}
	if len(titles) > 0 {
		text += ": " + strings.Join(titles, "; ")
	}
	return pictureBundle(g.Draw(), pixelRatio, text)
}
