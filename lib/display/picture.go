package display

import (
	"errors"
	"fmt"
	"image"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/plot"

	"github.com/loupeml/loupe/lib/internal/picture"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// drawingBundle returns a drawing as PNG; scale is the number of its pixels to one of the screen's.
func drawingBundle(img image.Image, scale int, text string) mime.Bundle {
	data, err := picture.PNG(img)
	if err != nil {
		return mime.TextOf("display: " + err.Error())
	}
	return encoded(img, mime.PNG, data, scale, text)
}

// manyPixels is from where on photographs are shown as JPEG.
const manyPixels = 300 * 300

// pictureBundle is drawingBundle for what holds photographs.
func pictureBundle(img image.Image, scale int, text string) mime.Bundle {
	size := img.Bounds().Size()
	if size.X*size.Y < manyPixels {
		return drawingBundle(img, scale, text)
	}
	data, err := picture.JPEG(img)
	if err != nil {
		return mime.TextOf("display: " + err.Error())
	}
	return encoded(img, mime.JPEG, data, scale, text)
}

func encoded(img image.Image, kind string, data []byte, scale int, text string) mime.Bundle {
	size := img.Bounds().Size()
	return mime.Bundle{
		Data:     map[string]string{kind: string(data), mime.Text: "<" + text + ">"},
		Metadata: map[string]map[string]any{kind: {"width": size.X / scale, "height": size.Y / scale}},
	}
}

// The sizes of an image alone, in pixels of the screen.
const (
	mostShown  = 640 // larger images are shown smaller
	leastShown = 160 // smaller ones larger, by a whole factor that keeps their pixels square
)

// imageBundle shows an image alone. Picture gives it as it is.
func imageBundle(img image.Image) mime.Bundle {
	size := img.Bounds().Size()
	text := imageText(img)
	largest := max(size.X, size.Y)
	switch {
	case size.X == 0 || size.Y == 0:
		return mime.TextOf("<" + text + ">")
	case largest <= picture.MaxPixelArt:
		return drawingBundle(picture.Resized(img, largest*max(leastShown/largest, 1)*pixelRatio), pixelRatio, text)
	case largest > mostShown*pixelRatio:
		return pictureBundle(picture.Resized(img, mostShown*pixelRatio), pixelRatio, text)
	case largest > mostShown:
		return pictureBundle(img, pixelRatio, text)
	}
	return pictureBundle(img, 1, text)
}

func imageText(img image.Image) string {
	return fmt.Sprintf("image %d x %d", img.Bounds().Dx(), img.Bounds().Dy())
}

// Picture returns what is shown of v, an image, a plot, a grid, what has a method Plot or Grid, …, as an image; an
// error if v is not shown as one.
func Picture(v any) (image.Image, error) {
	if table.IsNil(v) {
		return nil, fmt.Errorf("display: the %T is nil, so there is no picture", v)
	}
	if img, ok := picture.Of(v); ok {
		return img, nil
	}
	switch v := v.(type) {
	case Grid:
		if v.err != nil {
			return nil, v.err
		}
		if !slices.ContainsFunc(v.Rows, func(row []Tile) bool { return len(row) > 0 }) {
			return nil, errors.New("display: the grid has no pictures")
		}
		return v.Draw(), nil
	case *plot.Plot:
		return drawPlot(v, defaultLayout), nil
	case []image.Image:
		return Picture(Gallery(v))
	case *tensors.Tensor:
		return Picture(Gallery(v))
	case interface{ Image() (image.Image, error) }:
		return v.Image()
	case interface{ Draw() image.Image }:
		return v.Draw(), nil
	}
	if drawn, ok, err := drawing(v); ok {
		if err != nil {
			return nil, err
		}
		return Picture(drawn)
	}
	b := BundleOf(v)
	for _, kind := range []string{mime.PNG, mime.JPEG} {
		if data, ok := b.Data[kind]; ok {
			img, _, err := image.Decode(strings.NewReader(data))
			return img, err
		}
	}
	return nil, fmt.Errorf("display: a %T has no picture: neither a method Plot nor Grid", v)
}

// drawing is what a result's method Plot or Grid gives; ok is false if it has neither. Each result draws with a type of
// its own, so there is no interface for it.
func drawing(v any) (drawn any, ok bool, err error) {
	for _, name := range []string{"Plot", "Grid"} {
		m := reflect.ValueOf(v).MethodByName(name)
		if !m.IsValid() || m.Type().NumIn() > 1 || m.Type().NumIn() == 1 && !m.Type().IsVariadic() {
			continue
		}
		switch out := m.Type(); {
		case out.NumOut() == 1:
			return m.Call(nil)[0].Interface(), true, nil
		case out.NumOut() == 2 && out.Out(1) == reflect.TypeFor[error]():
			results := m.Call(nil)
			err, _ := results[1].Interface().(error)
			return results[0].Interface(), true, err
		}
	}
	return nil, false, nil
}

// Images turns a tensor [N, H, W, C] or [H, W, C], float32 in 0..1 with one or three channels, into
// images. Values a little outside are clipped; it is an error if they are far outside, or not numbers.
func Images(t *tensors.Tensor) ([]image.Image, error) { return firstImages(t, math.MaxInt) }

// firstImages is [Images] for at most that many of a batch.
func firstImages(t *tensors.Tensor, most int) ([]image.Image, error) {
	if t == nil {
		return nil, errors.New("display: the tensor is nil")
	}
	if err := t.CheckValid(); err != nil {
		return nil, fmt.Errorf("display: the tensor holds nothing: %w", err)
	}
	dims := t.Shape().Dimensions
	if len(dims) == 3 {
		dims = append([]int{1}, dims...)
	}
	if len(dims) != 4 || t.DType() != dtypes.Float32 || dims[3] != 1 && dims[3] != 3 {
		return nil, fmt.Errorf("display: images are [N, H, W, C] float32 with one or three channels, not %s", t.Shape())
	}
	h, w, c := dims[1], dims[2], dims[3]
	out := make([]image.Image, min(dims[0], most))
	var wrong error
	err := tensors.ConstFlatData(t, func(flat []float32) {
		for i := range out {
			if out[i], wrong = pixelsImage(flat[i*h*w*c:(i+1)*h*w*c], h, w, c); wrong != nil {
				wrong = fmt.Errorf("display: image %d has %w", i, wrong)
				return
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("display: %w", err)
	}
	if wrong != nil {
		return nil, wrong
	}
	return out, nil
}

// pixelsImage makes an image of h x w pixels with c channels.
func pixelsImage(flat []float32, h, w, c int) (image.Image, error) {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for p := range h * w {
		for ch := range 3 {
			v := float64(flat[p*c+ch*(c-1)/2])
			if !(v > -0.01 && v < 1.01) {
				return nil, fmt.Errorf("the value %v at row %d, column %d; images are in 0..1", v, p/w, p%w)
			}
			img.Pix[4*p+ch] = uint8(math.Round(255 * min(max(v, 0), 1)))
		}
		img.Pix[4*p+3] = 255
	}
	return img, nil
}

// asImages accepts what a person may call images.
func asImages(v any) ([]image.Image, error) {
	if table.IsNil(v) {
		return nil, fmt.Errorf("display: a nil %T is not an image", v)
	}
	if img, ok := picture.Of(v); ok {
		return []image.Image{img}, nil
	}
	switch v := v.(type) {
	case []image.Image:
		if slices.ContainsFunc(v, isNoPicture) {
			return nil, errors.New("display: among the images there are rectangles, or images of one colour without end")
		}
		return v, nil
	case *tensors.Tensor:
		return Images(v)
	case *plot.Plot:
		return []image.Image{drawPlot(v, defaultLayout)}, nil
	case interface{ Image() (image.Image, error) }:
		img, err := v.Image()
		return []image.Image{img}, err
	case []any:
		var out []image.Image
		for _, e := range v {
			images, err := asImages(e)
			if err != nil {
				return nil, err
			}
			out = append(out, images...)
		}
		return out, nil
	}
	return nil, fmt.Errorf("display: a %T is not an image", v)
}
