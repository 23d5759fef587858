package display

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"os"
	"strings"

	"golang.org/x/image/draw"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/mime"
)

// terminal shows things where there is no notebook: pictures in blocks of two colours if
// the terminal can show colours, else by their description.
type terminal struct{ file *os.File }

func (t terminal) Display(b mime.Bundle, update bool) {
	if update {
		return // what is gone by cannot be replaced
	}
	data := b.Data[mime.PNG] + b.Data[mime.JPEG] // a picture is one or the other
	if data != "" && term.IsTerminal(int(t.file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		if columns, _, err := term.GetSize(int(t.file.Fd())); err == nil {
			if img, _, err := image.Decode(strings.NewReader(data)); err == nil {
				WriteBlocks(t.file, img, columns)
				return
			}
		}
	}
	fmt.Fprintln(t.file, b.Data[mime.Text])
}

func (t terminal) Clear(bool) {}

// WriteBlocks writes an image as text of 24-bit colours, at most columns wide and two pixels to a character.
func WriteBlocks(to io.Writer, img image.Image, columns int) error {
	size := img.Bounds().Size()
	width := min(columns, size.X)
	height := (size.Y*width/max(size.X, 1) + 1) / 2 * 2
	if width < 1 || height < 1 {
		return nil
	}
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	var out bytes.Buffer
	for y := 0; y < height; y += 2 {
		for x := range width {
			a, b := small.RGBAAt(x, y), small.RGBAAt(x, y+1)
			fmt.Fprintf(&out, "\x1b[38;2;%d;%d;%dm\x1b[48;2;%d;%d;%dm▀", a.R, a.G, a.B, b.R, b.G, b.B)
		}
		out.WriteString("\x1b[0m\n")
	}
	_, err := to.Write(out.Bytes())
	return err
}
