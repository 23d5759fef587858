package display

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/BourgeoisBear/rasterm"
	"golang.org/x/image/draw"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/mime"
)

// terminal shows things where there is no notebook: pictures as they are if the terminal has a protocol for
// that, in blocks of two colours if it can show colours, else by their description.
type terminal struct{ file *os.File }

func (t terminal) Display(b mime.Bundle, update bool) {
	if update {
		return // what is gone by cannot be replaced
	}
	kind := mime.PNG // a picture is one or the other
	if b.Data[kind] == "" {
		kind = mime.JPEG
	}
	if b.Data[kind] != "" && term.IsTerminal(int(t.file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		if columns, _, err := term.GetSize(int(t.file.Fd())); err == nil {
			if img, _, err := image.Decode(strings.NewReader(b.Data[kind])); err == nil {
				css, _ := b.Metadata[kind]["width"].(int)
				writePicture(t.file, img, css, columns, graphicsOf())
				return
			}
		}
	}
	fmt.Fprintln(t.file, b.Data[mime.Text])
}

func (t terminal) Clear(bool) {}

// graphics is how a terminal takes pictures.
type graphics int

const (
	blocks graphics = iota // as text
	kitty                  // https://sw.kovidgoyal.net/kitty/graphics-protocol/
	iterm                  // https://iterm2.com/documentation-images.html
)

// graphicsOf tells by the environment what the terminal takes. Sixel is not among it: to know it, one has to ask the terminal
// and read the answer from the input, where it takes what the person has typed ahead. Neither is anything within
// tmux and screen, which swallow the pictures.
func graphicsOf() graphics {
	switch {
	case rasterm.IsTmuxScreen() || os.Getenv("TMUX") != "":
		return blocks
	case rasterm.IsItermCapable(): // first: WezTerm takes both and has kitty's turned off
		return iterm
	case rasterm.IsKittyCapable():
		return kitty
	}
	return blocks
}

// cellWidth is how many of a screen's pixels a character is wide, about: terminals seldom tell.
const cellWidth = 8

// writePicture writes an image that is css pixels of a screen wide, 0 for its own size, at most columns characters wide.
func writePicture(to io.Writer, img image.Image, css, columns int, as graphics) error {
	if css <= 0 {
		css = img.Bounds().Dx()
	}
	wide := max(min(columns, (css+cellWidth-1)/cellWidth), 1)
	if as == blocks {
		return WriteBlocks(to, img, columns)
	}
	// As PNG for both: given the image, the library sends iTerm a JPEG, in which lines and letters blur.
	data, err := encodePNG(img)
	if err != nil {
		return err
	}
	if as == kitty {
		err = rasterm.KittyCopyPNGInline(to, bytes.NewReader(data), rasterm.KittyImgOpts{DstCols: uint32(wide)})
	} else {
		err = rasterm.ItermCopyFileInlineWithOptions(to, bytes.NewReader(data), rasterm.ItermImgOpts{Width: strconv.Itoa(wide), Size: int64(len(data)), DisplayInline: true})
	}
	if err == nil {
		_, err = fmt.Fprintln(to)
	}
	return err
}

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
