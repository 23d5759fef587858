package perturb

import (
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // the photographs' format
	_ "image/png"  // the same
	"math"
	"path/filepath"
	"sync"

	ximage "golang.org/x/image/draw"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/internal/pixels"
)

// frostAsset holds the photographs. The authors have six and draw from the first five.
const frostAsset = "imagenet-c-frost"

var frostFiles = [5]string{"frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"}

// rimed is a photograph of frost, row-major [h, w, 3] in 8 bits.
type rimed struct {
	pix  []uint8
	h, w int
}

func (p rimed) row(y int) []uint8 { return p.pix[y*p.w*3 : (y+1)*p.w*3] }

// frostPhotographs are decoded once a process, 4 MB.
var frostPhotographs struct {
	sync.Mutex
	all *[5]rimed // nil until they have been read
	// fitted are those in use, of which every step-th pixel is taken, and which are larger than h x w.
	fitted     [5]rimed
	step, h, w int
}

// frostReady reads the photographs.
func frostReady() error {
	frostPhotographs.Lock()
	defer frostPhotographs.Unlock()
	if frostPhotographs.all != nil {
		return nil
	}
	dir, err := assets.Path(frostAsset)
	if err != nil {
		return fmt.Errorf("perturb: frost needs photographs of frost: %w", err)
	}
	var all [5]rimed
	for i, name := range frostFiles {
		if all[i], err = photograph(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("perturb: a photograph of frost: %w; `loupe fetch %s` gets it again", err, frostAsset)
		}
	}
	frostPhotographs.all = &all
	return nil
}

// frostPhotograph is photograph i, fit for images of h x w. Those of the size that was asked for last are kept.
func frostPhotograph(i, step, h, w int) rimed {
	f := &frostPhotographs
	f.Lock()
	defer f.Unlock()
	if f.step != step || f.h != h || f.w != w {
		f.fitted, f.step, f.h, f.w = [5]rimed{}, step, h, w
	}
	if f.fitted[i].pix == nil {
		p := f.all[i]
		if step > 1 {
			p = p.every(step)
		}
		if p.h <= h || p.w <= w {
			p = p.enlarge(h, w)
		}
		f.fitted[i] = p
	}
	return f.fitted[i]
}

func photograph(path string) (rimed, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return rimed{}, err
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return rimed{}, fmt.Errorf("%s: %w", path, err)
	}
	return rimedOf(img), nil
}

func rimedOf(img image.Image) rimed {
	b := img.Bounds()
	p := rimed{make([]uint8, 0, b.Dx()*b.Dy()*3), b.Dy(), b.Dx()}
	row := image.NewRGBA(image.Rect(0, 0, b.Dx(), 1))
	for y := b.Min.Y; y < b.Max.Y; y++ {
		draw.Draw(row, row.Rect, img, image.Pt(b.Min.X, y), draw.Src)
		for at := 0; at < len(row.Pix); at += 4 {
			p.pix = append(p.pix, row.Pix[at:at+3]...)
		}
	}
	return p
}

// frost lays a random cut from a random photograph over the image.
func frost(p picture, amount ice, r chance) { lay(p, amount, 1, r) }

// smallFrost has of the photograph every fifth pixel.
func smallFrost(p picture, amount ice, r chance) { lay(p, amount, 5, r) }

func lay(p picture, amount ice, step int, r chance) {
	photo := frostPhotograph(r.IntN(len(frostFiles)), step, p.h, p.w)
	top, left := r.IntN(photo.h-p.h), r.IntN(photo.w-p.w)
	for y := range p.h {
		row, over := p.row(y), photo.row(top + y)[left*3:]
		if p.c == 3 {
			for i, v := range over[:len(row)] {
				row[i] = float32(amount.image*row[i]) + amount.frost*pixels.Unit8[v]
			}
			continue
		}
		for x := range row {
			row[x] = float32(amount.image*row[x]) + amount.frost*grey(pixels.Unit8[over[3*x]], pixels.Unit8[over[3*x+1]],
				pixels.Unit8[over[3*x+2]])
		}
	}
}

// every is OpenCV's bilinear resizing to a step-th of the size for an odd step: it falls on the middle pixel of each
// block.
func (p rimed) every(step int) rimed {
	h, w := int(math.RoundToEven(float64(p.h)/float64(step))), int(math.RoundToEven(float64(p.w)/float64(step)))
	small := rimed{make([]uint8, 0, h*w*3), h, w}
	for y := range h {
		row := p.row(min(y*step+step/2, p.h-1))
		for x := range w {
			at := min(x*step+step/2, p.w-1) * 3
			small.pix = append(small.pix, row[at:at+3]...)
		}
	}
	return small
}

// enlarge brings a photograph to a tenth more than an image needs, which is what the PyPI package does where the
// authors have none.
func (p rimed) enlarge(h, w int) rimed {
	scale := 1.1 * max(float64(h)/float64(p.h), float64(w)/float64(p.w), 1)
	to := image.NewRGBA(image.Rect(0, 0, int(math.Ceil(float64(p.w)*scale)), int(math.Ceil(float64(p.h)*scale))))
	from := image.NewRGBA(image.Rect(0, 0, p.w, p.h))
	for i := range p.h * p.w {
		copy(from.Pix[4*i:], p.pix[3*i:3*i+3])
		from.Pix[4*i+3] = 255
	}
	ximage.CatmullRom.Scale(to, to.Bounds(), from, from.Bounds(), ximage.Src, nil)
	return rimedOf(to)
}
