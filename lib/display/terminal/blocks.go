package terminal

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"os"
	"strings"

	"golang.org/x/image/draw"
)

// WriteBlocks writes an image as text, at most columns wide and two pixels to a character: in 24-bit colours, or in the
// 256 that older terminals have.
func WriteBlocks(to io.Writer, img image.Image, columns int) error {
	size := img.Bounds().Size()
	width := min(columns, size.X)
	height := (size.Y*width/max(size.X, 1) + 1) / 2 * 2
	if width < 1 || height < 1 {
		return nil
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	code := trueColor
	if !hasTrueColor() {
		code = paletteColor
	}
	var out bytes.Buffer
	for y := 0; y < height; y += 2 {
		for x := range width {
			fmt.Fprintf(&out, "\x1b[38;%sm\x1b[48;%sm▀", code(small.RGBAAt(x, y)), code(small.RGBAAt(x, y+1)))
		}
		out.WriteString("\x1b[0m\n")
	}
	_, err := to.Write(out.Bytes())
	return err
}

func trueColor(c color.RGBA) string { return fmt.Sprintf("2;%d;%d;%d", c.R, c.G, c.B) }

// paletteColor chooses from the six levels a channel, or the 24 greys, that the 256 colours have.
func paletteColor(c color.RGBA) string {
	level := func(v uint8) int { return (int(v)*5 + 127) / 255 }
	r, g, b := level(c.R), level(c.G), level(c.B)
	if r == g && g == b {
		if grey := (int(c.R) + int(c.G) + int(c.B)) / 3; grey > 8 && grey < 238 {
			return fmt.Sprintf("5;%d", 232+(grey-8)/10)
		}
	}
	return fmt.Sprintf("5;%d", 16+36*r+6*g+b)
}

// hasTrueColor tells by the environment whether the terminal has 24-bit colours; by default it has, as nearly all do
// now.
func hasTrueColor() bool {
	name := os.Getenv("TERM")
	if c := os.Getenv("COLORTERM"); c == "truecolor" || c == "24bit" {
		return true
	}
	return os.Getenv("TERM_PROGRAM") != "Apple_Terminal" && !strings.HasPrefix(name, "linux") && name != "xterm" &&
		name != "screen"
}
