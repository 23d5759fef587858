// Package terminal shows bundles where there is no notebook: pictures as they are if the terminal has a protocol for
// that, in blocks of two colours if it can show colours, else by their description.
package terminal

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // large pictures of photographs are JPEG
	"image/png"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/BourgeoisBear/rasterm"
	"github.com/soniakeys/quant/median"
	"golang.org/x/image/draw"
	"golang.org/x/term"

	"github.com/loupeml/loupe/lib/mime"
)

// Terminal is a place on which bundles are shown. It implements sink.Sink.
type Terminal struct {
	file     *os.File
	graphics graphics
}

// New returns the terminal that a file is; where it is none, only text is written to it.
func New(file *os.File) *Terminal { return &Terminal{file: file, graphics: graphicsOf()} }

// MayTakeSixel reports whether the environment leaves open that the terminal takes sixel pictures. Whoever reads from
// the terminal can ask it, and then call TakeSixel.
func (t *Terminal) MayTakeSixel() bool {
	return t.graphics == blocks && t.Pictures() && !inMultiplexer()
}

// TakeSixel says that the terminal takes sixel pictures.
func (t *Terminal) TakeSixel() { t.graphics = sixel }

// Pictures reports whether pictures can be shown at all.
func (t *Terminal) Pictures() bool {
	return term.IsTerminal(int(t.file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Display shows a bundle. What is gone by cannot be replaced: an update shows nothing.
func (t *Terminal) Display(b mime.Bundle, update bool) {
	if update {
		return
	}
	kind := mime.PNG // a picture is one or the other
	if b.Data[kind] == "" {
		kind = mime.JPEG
	}
	if b.Data[kind] != "" && t.Pictures() {
		if columns, _, err := term.GetSize(int(t.file.Fd())); err == nil {
			if img, _, err := image.Decode(strings.NewReader(b.Data[kind])); err == nil {
				css, _ := b.Metadata[kind]["width"].(int)
				writePicture(t.file, img, css, columns, t.graphics)
				return
			}
		}
	}
	fmt.Fprintln(t.file, b.Data[mime.Text])
}

// Clear does nothing: what has been shown stays.
func (t *Terminal) Clear(bool) {}

// graphics is how a terminal takes pictures.
type graphics int

const (
	blocks graphics = iota // as text
	kitty                  // https://sw.kovidgoyal.net/kitty/graphics-protocol/
	iterm                  // https://iterm2.com/documentation-images.html
	sixel                  // https://vt100.net/docs/vt3xx-gp/chapter14.html
)

// graphicsOf tells by the environment what the terminal takes. Within tmux and screen it is none, since they swallow
// the pictures.
func graphicsOf() graphics {
	switch {
	case inMultiplexer():
		return blocks
	case rasterm.IsItermCapable(): // first: WezTerm takes both and has kitty's turned off
		return iterm
	case rasterm.IsKittyCapable():
		return kitty
	}
	return blocks
}

func inMultiplexer() bool { return rasterm.IsTmuxScreen() || os.Getenv("TMUX") != "" }

// cellWidth is how many of a screen's pixels a character is wide, about: terminals seldom tell.
const cellWidth = 8

// writePicture writes an image that is css pixels of a screen wide, 0 for its own size, at most columns characters
// wide.
func writePicture(to io.Writer, img image.Image, css, columns int, as graphics) error {
	if css <= 0 {
		css = img.Bounds().Dx()
	}
	wide := max(min(columns, (css+cellWidth-1)/cellWidth), 1)
	var err error
	switch as {
	case blocks:
		return WriteBlocks(to, img, columns)
	case sixel:
		size := img.Bounds().Size()
		width := min(size.X, wide*cellWidth)
		small := image.NewRGBA(image.Rect(0, 0, width, max(size.Y*width/max(size.X, 1), 1)))
		draw.ApproxBiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Over, nil)
		err = rasterm.SixelWriteImage(to, median.Quantizer(255).Paletted(small))
	default:
		// As PNG for both: given the image, the library sends iTerm a JPEG, in which lines and letters blur.
		var data bytes.Buffer
		if err := png.Encode(&data, img); err != nil {
			return err
		}
		if as == kitty {
			err = rasterm.KittyCopyPNGInline(to, &data, rasterm.KittyImgOpts{DstCols: uint32(wide)})
		} else {
			err = rasterm.ItermCopyFileInlineWithOptions(to, &data, rasterm.ItermImgOpts{Width: strconv.Itoa(wide),
				Size: int64(data.Len()), DisplayInline: true})
		}
	}
	if err == nil {
		_, err = fmt.Fprintln(to)
	}
	return err
}
