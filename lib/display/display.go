// Package display shows things: image grids, heatmaps, plots and tables.
//
// Everything that can be shown is a value with a Bundle method, the same thing in several forms: a PNG at
// twice the size for sharp screens, HTML, and plain text. Where it goes is the business of the
// sink in use: a notebook through the kernel, or the terminal.
package display

import (
	"fmt"
	"image"
	"os"
	"reflect"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/plot"

	"github.com/loupeml/loupe/lib/display/terminal"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
)

// Bundler is anything that can show itself.
type Bundler interface {
	Bundle() mime.Bundle
}

// Show shows each value at once, however many a cell shows.
func Show(values ...any) {
	to, ok := sink.Current()
	if !ok {
		to = terminal.New(os.Stdout)
	}
	for _, v := range values {
		to.Display(BundleOf(v), false)
	}
}

// updated are the displays that [Update] has shown.
var updated sync.Map

// Update shows a value under a name of your choice or, once there is something of that name, puts it in its place, wherever that is: from a
// later cell, a goroutine, a callback. In a terminal each is shown below the one before.
func Update(id string, v any) {
	to, ok := sink.Current()
	if !ok {
		Show(v)
		return
	}
	b := BundleOf(v)
	b.ID = id
	_, there := updated.LoadOrStore(id, true)
	to.Display(b, there)
}

// Clear removes what the cell has shown so far; with wait set, only when the next thing comes, so that an
// animation does not flicker. In a terminal what is gone by stays.
func Clear(wait bool) {
	sink.Clear(wait)
}

// BundleOf returns the forms in which a value is shown. It knows bundles and [Bundler]s, images, plots,
// image batches (tensors [N, H, W, C] or [H, W, C] float32 with one or three channels and values in
// 0..1) and other tensors; everything else is text.
func BundleOf(v any) mime.Bundle {
	if isNil(v) {
		return mime.TextOf("nil")
	}
	switch v := v.(type) {
	case mime.Bundle:
		return v
	case Bundler:
		return v.Bundle()
	case image.Image:
		return imageBundle(v)
	case []image.Image:
		return Gallery(v).Bundle()
	case *plot.Plot:
		return plotBundle(v, defaultLayout)
	case *tensors.Tensor:
		return tensorBundle(v)
	}
	return mime.TextOf(Text(v))
}

// maxText is where the text form of a value is cut off.
const maxText = 4000

// Text returns the text form of a value: strings quoted, structs with the names of their fields, long ones cut off.
func Text(v any) string {
	var s string
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		s = fmt.Sprintf("%q", v)
	case error, fmt.Stringer:
		if isNil(v) {
			return "nil"
		}
		s = fmt.Sprint(v) // which survives a method that panics
	default:
		r := reflect.ValueOf(v)
		switch r.Kind() {
		case reflect.Func:
			return r.Type().String()
		case reflect.Slice, reflect.Array:
			const most = 200
			if r.Len() > most {
				head := make([]string, most)
				for i := range head {
					head[i] = fmt.Sprintf("%+v", r.Index(i))
				}
				s = fmt.Sprintf("[%s … %d in all]", strings.Join(head, " "), r.Len())
			} else if r.Type().Elem().Kind() == reflect.String {
				s = fmt.Sprintf("%q", v)
			} else {
				s = fmt.Sprintf("%+v", v)
			}
		case reflect.Pointer:
			if !r.IsNil() && r.Elem().Kind() == reflect.Struct {
				s = fmt.Sprintf("%+v", v)
			} else {
				s = fmt.Sprintf("%v", v)
			}
		default:
			s = fmt.Sprintf("%+v", v)
		}
	}
	if runes := []rune(s); len(runes) > maxText {
		s = fmt.Sprintf("%s… (%d characters in all)", string(runes[:maxText]), len(runes))
	}
	return s
}

// mostTiles is how many images of a tensor are shown.
const mostTiles = 40

func tensorBundle(t *tensors.Tensor) mime.Bundle {
	if err := t.CheckValid(); err != nil {
		return mime.TextOf("display: the tensor holds nothing: " + err.Error())
	}
	pictures, err := firstImages(t, mostTiles)
	if err != nil || len(pictures) == 0 || min(pictures[0].Bounds().Dx(), pictures[0].Bounds().Dy()) < 4 {
		return mime.TextOf(t.Summary(4)) // no images, or too small to be meant as such
	}
	b := Gallery(pictures).Bundle()
	b.Data[mime.Text] = fmt.Sprintf("%s, shown as images", t.Shape())
	if n := t.Shape().Dimensions[0]; t.Rank() == 4 && n > len(pictures) {
		b.Data[mime.Text] = fmt.Sprintf("%s, the first %d of %d shown as images", t.Shape(), len(pictures), n)
	}
	return b
}
