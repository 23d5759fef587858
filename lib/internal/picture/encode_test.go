package picture

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

// What is like a photograph becomes a JPEG, and what has few colours or is transparent stays a PNG, bit for bit.
func TestSmallestKeepsWhatIsNoPhotograph(t *testing.T) {
	photograph, drawing, clear := image.NewRGBA(image.Rect(0, 0, 192, 192)), image.NewRGBA(image.Rect(0, 0, 192, 192)),
		image.NewNRGBA(image.Rect(0, 0, 192, 192))
	rng := rand.New(rand.NewPCG(1, 2))
	for y := range 192 {
		for x := range 192 {
			grain := func(v int) uint8 { return uint8(v + rng.IntN(12)) }
			c := color.NRGBA{grain(x), grain(y), grain((x + y) / 2), 255}
			photograph.Set(x, y, c)
			c.A = grain(x)
			clear.SetNRGBA(x, y, c)
			drawing.Set(x, y, color.Gray{uint8(x / 64 * 100)})
		}
	}
	for name, of := range map[string]struct {
		img  image.Image
		kind string
	}{"photograph": {photograph, mime.JPEG}, "drawing": {drawing, mime.PNG}, "transparent": {clear, mime.PNG}} {
		data, kind, err := Smallest(of.img)
		if err != nil || kind != of.kind {
			t.Errorf("%s: %s, %v", name, kind, err)
			continue
		}
		got, format, err := image.Decode(bytes.NewReader(data))
		if err != nil || "image/"+format != kind {
			t.Fatalf("%s: %s decodes as %s, %v", name, kind, format, err)
		}
		whole, err := PNG(of.img)
		if err != nil {
			t.Fatal(err)
		}
		if kind == mime.JPEG {
			if 2*len(data) >= len(whole) {
				t.Errorf("%s: %d bytes, and %d as PNG", name, len(data), len(whole))
			}
			continue
		}
		want, err := png.Decode(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		for y := range 192 {
			for x := range 192 {
				if got.At(x, y) != want.At(x, y) {
					t.Fatalf("%s: %v at %d, %d, want %v", name, got.At(x, y), x, y, want.At(x, y))
				}
			}
		}
	}
}
