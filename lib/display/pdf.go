package display

import (
	"bytes"
	"fmt"

	xfont "golang.org/x/image/font"
	"golang.org/x/text/encoding/charmap"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgpdf"
)

// PDF returns the picture of v as a PDF of one page: a plot as lines and letters, anything else that [Picture] knows
// as pixels, and so a plot with letters that gonum's PDFs cannot write, those outside of Western European languages.
func PDF(v any) ([]byte, error) {
	p, l, err := plotOf(v)
	if err == nil {
		c := drawn(p, l, func(width, height vg.Length) *pdfCanvas { return &pdfCanvas{Canvas: vgpdf.New(width, height)} })
		if !c.foreign {
			return pdfBytes(c.Canvas)
		}
	}
	img, err := Picture(v)
	if err != nil {
		return nil, err
	}
	size := img.Bounds().Size()
	page := vg.Rectangle{Max: vg.Point{X: vg.Length(size.X) / pixelRatio, Y: vg.Length(size.Y) / pixelRatio}}
	c := vgpdf.New(page.Max.X, page.Max.Y)
	c.DrawImage(page, img)
	return pdfBytes(c)
}

func pdfBytes(c *vgpdf.Canvas) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := c.WriteTo(&buf); err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	return buf.Bytes(), nil
}

// pdfCanvas mends two faults of gonum's: it writes the bytes of UTF-8 as if they were letters of the code page 1252,
// and does not find bold fonts, in the place of which it gets those of normal weight.
type pdfCanvas struct {
	*vgpdf.Canvas
	foreign bool // there were letters outside of the code page
}

func (c *pdfCanvas) FillString(face font.Face, at vg.Point, text string) {
	encoded, err := charmap.Windows1252.NewEncoder().String(text)
	if err != nil {
		c.foreign = true
		return
	}
	if face.Font.Weight == xfont.WeightBold {
		face.Font.Weight = xfont.WeightNormal
		face = font.DefaultCache.Lookup(face.Font, face.Font.Size)
	}
	c.Canvas.FillString(face, at, encoded)
}
