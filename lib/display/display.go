// Package display shows things: image grids, heatmaps, plots and tables.
//
// Everything that can be shown is a value with a Bundle method, the same thing in several forms: a PNG at
// twice the size for sharp screens, HTML, and plain text. Where it goes is the business of the
// sink in use: a notebook through the kernel, or the terminal.
package display

import (
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/plot"

	"github.com/loupeml/loupe/lib/display/terminal"
	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
	"github.com/loupeml/loupe/lib/table"
)

// Bundler is anything that can show itself.
type Bundler interface {
	Bundle() mime.Bundle
}

// Show shows each value at once, however many a cell shows. Where more than one is given the last may be nil, which is
// not shown: Show(f()) gets it from a function that returns a value and an error.
func Show(values ...any) {
	if n := len(values); n > 1 && values[n-1] == nil {
		values = values[:n-1]
	}
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

// Update shows a value under a name of your choice or, once there is something of that name, puts it in its place,
// wherever that is: from a later cell, a goroutine, a callback. In a terminal each is shown below the one before.
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

// BundleOf returns the forms in which a value is shown. It knows bundles and [Bundler]s, slices of these, images,
// plots, image batches (tensors [N, H, W, C] or [H, W, C] float32 with one or three channels and values in 0..1) and
// other tensors, and what has `display` tags (see [table.OfTagged]); everything else is text.
func BundleOf(v any) mime.Bundle {
	if table.IsNil(v) {
		return mime.TextOf(table.Text(v))
	}
	switch v := v.(type) {
	case mime.Bundle:
		return v
	case Bundler:
		return v.Bundle()
	case Pictured:
		return picturedBundle(v)
	case []image.Image:
		if !slices.ContainsFunc(v, isNoPicture) {
			return Gallery(v).Bundle()
		}
	case *plot.Plot:
		return plotBundle(v, defaultLayout)
	case *tensors.Tensor:
		return tensorBundle(v)
	}
	if img, ok := picture.Of(v); ok {
		return imageBundle(img)
	}
	if t, ok := table.OfTagged(v); ok {
		return t.Bundle()
	}
	if shown, ok := several(v); ok {
		return shown
	}
	return mime.TextOf(table.Text(v))
}

// TextOf returns what [BundleOf] has as text, and draws nothing where that is known without.
func TextOf(v any) string {
	if !table.IsNil(v) {
		if _, bundler := v.(Bundler); !bundler {
			if img, ok := picture.Of(v); ok {
				return "<" + imageText(img) + ">"
			}
		}
		if _, ok := v.(Pictured); ok {
			if said, ok := v.(fmt.Stringer); ok {
				return said.String()
			}
		}
	}
	return BundleOf(v).Data[mime.Text]
}

func isNoPicture(img image.Image) bool {
	_, ok := picture.Of(img)
	return !ok && !table.IsNil(img)
}

// Pictured is what has pictures and belongs to a package that does not draw: datasets, batches, images.
type Pictured interface {
	// Pictures are the first pictures, at most so many, with a title each.
	Pictures(most int) (pictures []image.Image, titles []string, err error)
}

// picturedBundle shows the pictures, and as text what the value says of itself.
func picturedBundle(v Pictured) mime.Bundle {
	pictures, titles, err := v.Pictures(mostPictured)
	if err != nil {
		return mime.TextOf(err.Error())
	}
	b := Gallery(pictures, titles...).Bundle()
	if said, ok := v.(fmt.Stringer); ok {
		b.Data[mime.Text] = said.String()
		if html := htmlOf(b); html != "" {
			b.Data[mime.HTML] = "<div>" + escape(said.String()) + "</div>\n<div>" + html + "</div>"
		}
	}
	return b
}

// mostPictured is how many pictures of a dataset are shown.
const mostPictured = 20

// Shown is how a result shows itself as its plot or grid: func (r Result) Bundle() mime.Bundle { return
// display.Shown(r.Plot()) }. Where there is an error it shows that.
func Shown[T any](v T, err error) mime.Bundle {
	if err != nil {
		return mime.TextOf(err.Error())
	}
	return BundleOf(v)
}

// mostSeveral is how many values of a slice are shown one below the other.
const mostSeveral = 20

// several shows a slice of values that show themselves, or say in words what they are, one below the other.
func several(v any) (mime.Bundle, bool) {
	list := reflect.ValueOf(v)
	if list.Kind() != reflect.Slice || list.Len() == 0 {
		return mime.Bundle{}, false
	}
	if lines, ok := sayings(list); ok {
		return mime.TextOf(strings.Join(lines, "\n")), true
	}
	if !list.Type().Elem().Implements(reflect.TypeFor[Bundler]()) {
		return mime.Bundle{}, false
	}
	var bundles []mime.Bundle
	for i := range min(list.Len(), mostSeveral) {
		bundles = append(bundles, BundleOf(list.Index(i).Interface()))
	}
	if left := list.Len() - mostSeveral; left > 0 {
		bundles = append(bundles, mime.TextOf(fmt.Sprintf("… and %d more", left)))
	}
	return Stack(bundles...), true
}

// sayings are what structs of a slice say of themselves, a line each; those of a slice of slices are in one line.
func sayings(list reflect.Value) (lines []string, ok bool) {
	if of := list.Type().Elem(); of.Kind() == reflect.Slice && say(of.Elem()) &&
		!of.Implements(reflect.TypeFor[Bundler]()) {
		for i := range min(list.Len(), mostLines) {
			lines = append(lines, strings.Join(said(list.Index(i)), ", "))
		}
		if more := list.Len() - mostLines; more > 0 {
			lines = append(lines, fmt.Sprintf("… and %d more", more))
		}
	} else if say(of) {
		lines = said(list)
	} else {
		return nil, false
	}
	return lines, true
}

// say reports whether a type is a struct, or a pointer, that says in words what it is.
func say(of reflect.Type) bool {
	return of.Implements(reflect.TypeFor[fmt.Stringer]()) &&
		(of.Kind() == reflect.Struct || of.Kind() == reflect.Pointer) && !of.Implements(reflect.TypeFor[Bundler]())
}

// said are the words of the first of a slice.
func said(list reflect.Value) (words []string) {
	for i := range min(list.Len(), mostLines) {
		words = append(words, fmt.Sprint(list.Index(i).Interface()))
	}
	if more := list.Len() - mostLines; more > 0 {
		words = append(words, fmt.Sprintf("… and %d more", more))
	}
	return words
}

const mostLines = 200

// Stack shows bundles one below the other.
func Stack(bundles ...mime.Bundle) mime.Bundle {
	var texts, pages []string
	for _, b := range bundles {
		texts = append(texts, b.Data[mime.Text])
		pages = append(pages, "<div>"+htmlOf(b)+"</div>")
	}
	return mime.Bundle{Data: map[string]string{mime.Text: strings.Join(texts, "\n"), mime.HTML: strings.Join(pages, "\n")}}
}

func escape(text string) string { return html.EscapeString(text) }

// htmlOf is a bundle as a piece of a page.
func htmlOf(b mime.Bundle) string {
	if page := b.Data[mime.HTML]; page != "" {
		return page
	}
	for _, kind := range []string{mime.PNG, mime.JPEG} {
		if data := b.Data[kind]; data != "" {
			size := ""
			if width, ok := b.Metadata[kind]["width"].(int); ok {
				size = fmt.Sprintf(` style="width:%dpx"`, width)
			}
			return fmt.Sprintf(`<img alt="%s"%s src="data:%s;base64,%s">`, escape(b.Data[mime.Text]), size, kind,
				base64.StdEncoding.EncodeToString([]byte(data)))
		}
	}
	return "<pre>" + escape(b.Data[mime.Text]) + "</pre>"
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
