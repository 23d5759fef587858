package display

import (
	"image"
	"image/color"
	"image/draw"
	"strings"

	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"

	"github.com/loupeml/loupe/lib/internal/picture"
)

// sans is the typeface of everything drawn, that of gonum's plots without its serifs.
var sans = font.Font{Typeface: "Liberation", Variant: "Sans"}

var ink = color.RGBA{0x26, 0x26, 0x26, 0xff}

// pixelRatio is how many pixels of a picture stand for one of the screen.
const pixelRatio = picture.PixelRatio

// face returns the typeface at a size in pixels of the screen.
func face(size float64, bold bool) xfont.Face {
	wanted := sans
	if bold {
		wanted.Weight = xfont.WeightBold
	}
	found := font.DefaultCache.Lookup(wanted, font.Length(size))
	f, err := opentype.NewFace(found.Face, &opentype.FaceOptions{Size: size * pixelRatio, DPI: 72,
		Hinting: xfont.HintingFull})
	if err != nil {
		panic("display: the built-in font does not parse: " + err.Error()) // compiled in: cannot fail
	}
	return f
}

// textWidth is the width of a line in the picture's pixels.
func textWidth(f xfont.Face, line string) int { return xfont.MeasureString(f, line).Ceil() }

// wrap breaks text into lines for which measure is at most width: between words, and within
// a word that alone is too long. Line ends in the text stay. Nothing of the text is lost.
func wrap(text string, width int, measure func(string) int) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			joined := strings.TrimSpace(line + " " + word)
			if measure(joined) <= width {
				line = joined
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			runes := []rune(word)
			for measure(string(runes)) > width && len(runes) > 1 {
				n := len(runes) - 1
				for n > 1 && measure(string(runes[:n])) > width {
					n--
				}
				lines = append(lines, string(runes[:n]))
				runes = runes[n:]
			}
			line = string(runes)
		}
		lines = append(lines, line)
	}
	return lines
}

func wrapFace(f xfont.Face, text string, width int) []string {
	if text == "" {
		return nil
	}
	return wrap(text, width, func(s string) int { return textWidth(f, s) })
}

// drawLine draws a line of text with its baseline at y into the width pixels from x on;
// align is -1 for left, 0 for centred, 1 for right.
func drawLine(dst draw.Image, f xfont.Face, line string, x, y, width, align int) {
	free := width - textWidth(f, line)
	d := xfont.Drawer{Dst: dst, Src: image.NewUniform(ink), Face: f, Dot: fixed.P(x+free*(align+1)/2, y)}
	d.DrawString(line)
}
