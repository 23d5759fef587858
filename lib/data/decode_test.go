package data

import (
	"math"
	"path"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// The oracle is Pillow: bench/oracles/images.py. JPEG's transform may be rounded otherwise there.
func TestImagesAreDecodedAsPillowDoes(t *testing.T) {
	for _, stored := range []bool{false, true} {
		d := must[*Dataset](t)(Zip("testdata/images.zip", Options{AsStored: stored}))
		if d.Len() != 19 {
			t.Fatalf("%d files", d.Len())
		}
		for i := range d.Len() {
			img := must[Image](t)(d.Image(i))
			name := d.Name(i)
			if stored {
				name += " stored"
			}
			want := oracle.Read[uint8](t, "testdata/images.npz", name)
			if len(want) != len(img.Pix) {
				t.Errorf("%s is %d x %d", name, img.Height, img.Width)
				continue
			}
			within := 0.0
			if path.Ext(d.Name(i)) == ".jpg" {
				within = 3
			}
			worst := 0.0
			for k, v := range want {
				worst = max(worst, math.Abs(float64(img.Pix[k])*255-float64(v)))
			}
			if !approx.Equal(worst, 0, within+1e-4) {
				t.Errorf("%s differs by %v of 255", name, worst)
			}
		}
	}
}
