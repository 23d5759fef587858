package missing

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/pixels"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// SLIC cuts images into superpixels, connected and of like colour: k-means over colour and place, each mean looking no
// further than twice the grid's step, and then pieces that are too small join a neighbour. Zero fields are the paper's
// settings. Achanta et al., TPAMI 2012; what that leaves open (the start, ties, the joining) is as in scikit-image,
// whose slic gives the same segments.
type SLIC struct {
	Segments    int     // about how many; 0 means 150
	Compactness float64 // weight of place against colour, in units of CIELAB; 0 means 10
	Sigma       float64 // of the Gaussian by which images are smoothed first, in pixels; 0 means 1, negative none
	Iterations  int     // at most; 0 means 10
}

// Segment cuts images, [N, H, W, 1 or 3] float32 in 0..1 or uint8; grey ones are taken as they are, colour as sRGB to
// CIELAB. The brightest and the darkest value of each image count as 1 and 0, so that Compactness means the same for
// all.
//
// Interrupted, it returns the segments of the images that are done beside the error; nil if none is.
func (s SLIC) Segment(images *tensors.Tensor) (*Segments, error) {
	if s.Segments == 0 {
		s.Segments = 150
	}
	if s.Compactness == 0 {
		s.Compactness = 10
	}
	if s.Sigma == 0 {
		s.Sigma = 1
	}
	if s.Iterations == 0 {
		s.Iterations = 10
	}
	b, err := pixels.Of("missing", images)
	if err != nil {
		return nil, err
	}
	switch {
	case b.C != 1 && b.C != 3:
		return nil, fmt.Errorf("missing: SLIC takes images of 1 or 3 channels, not %d", b.C)
	case s.Segments < 1 || s.Segments > b.H*b.W:
		return nil, fmt.Errorf("missing: %d superpixels of %d x %d pixels cannot be", s.Segments, b.H, b.W)
	case !(s.Compactness > 0) || math.IsInf(s.Compactness, 0):
		return nil, fmt.Errorf("missing: SLIC's compactness is %v, it is positive", s.Compactness)
	case s.Iterations < 1:
		return nil, fmt.Errorf("missing: SLIC with %d iterations", s.Iterations)
	}
	flat := make([]int32, b.N*b.H*b.W)
	bar := progress.New("superpixels", b.N)
	defer bar.Close()
	var stopped error
	for i := range b.N {
		if stopped = interrupt.Err(); stopped != nil {
			stopped = interrupt.After(stopped, "missing: superpixels", i, b.N, "images")
			if i == 0 {
				return nil, stopped
			}
			b.N = i
			break
		}
		copy(flat[i*b.H*b.W:], s.one(b.Image(i), b.H, b.W, b.C))
		bar.Add(1)
	}
	segments, err := newSegments(fmt.Sprintf("%d superpixels", s.Segments), flat[:b.N*b.H*b.W], b.N, b.H, b.W)
	if err != nil {
		return nil, err
	}
	return segments, stopped
}

// one segments one image.
func (s SLIC) one(image []float32, h, w, c int) []int32 {
	colour := stretched(image)
	if c == 3 {
		lab(colour)
	}
	if s.Sigma > 0 {
		pixels.GaussianBlur(colour, h, w, c, s.Sigma, int(4*s.Sigma+0.5), pixels.Mirror)
	}
	for i := range colour {
		colour[i] /= s.Compactness
	}
	startY, stepY, startX, stepX := grid(h, w, s.Segments)
	// A mean is a row, a column and a colour; the first colours are 0, so that at first only the place decides.
	means := []float64{}
	for y := startY; y < h; y += stepY {
		for x := startX; x < w; x += stepX {
			means = append(append(means, float64(y), float64(x)), make([]float64, c)...)
		}
	}
	count := len(means) / (2 + c)
	spatial := 1 / float64(max(stepY, stepX)*max(stepY, stepX))
	// the step for as many means as there are, which need not be as many as were asked for
	_, reachY, _, reachX := grid(h, w, count)
	labels := kMeans(colour, means, h, w, c, 2*reachY, 2*reachX, spatial, s.Iterations)
	size := float64(h*w) / float64(count)
	return connected(labels, h, w, int(0.5*size), int(3*size))
}

// kMeans gives each pixel the nearest of the means that reach it. spatial is the weight of squared pixels against
// squared colour.
func kMeans(colour, means []float64, h, w, c, reachY, reachX int, spatial float64, iterations int) []int32 {
	width := 2 + c
	count := len(means) / width
	labels := make([]int32, h*w)
	distance := make([]float64, h*w)
	for range iterations {
		for i := range distance {
			distance[i] = math.MaxFloat64
		}
		for k := range count {
			mean := means[k*width : (k+1)*width]
			if math.IsNaN(mean[0]) {
				continue // it has lost all its pixels
			}
			// Within float64 the bounds are cut to whole pixels only after the addition.
			top, bottom := int(max(mean[0]-float64(reachY), 0)), int(min(mean[0]+float64(reachY)+1, float64(h)))
			left, right := int(max(mean[1]-float64(reachX), 0)), int(min(mean[1]+float64(reachX)+1, float64(w)))
			for y := top; y < bottom; y++ {
				dy := (mean[0] - float64(y)) * (mean[0] - float64(y))
				for x := left; x < right; x++ {
					at := y*w + x
					d := (dy + (mean[1]-float64(x))*(mean[1]-float64(x))) * spatial
					var apart float64
					for ch := range c {
						v := colour[at*c+ch] - mean[2+ch]
						apart += v * v
					}
					if d += apart; distance[at] > d {
						distance[at], labels[at] = d, int32(k)
					}
				}
			}
		}
		sizes := make([]float64, count)
		clear(means)
		for at, k := range labels {
			mean := means[int(k)*width : (int(k)+1)*width]
			mean[0] += float64(at / w)
			mean[1] += float64(at % w)
			for ch := range c {
				mean[2+ch] += colour[at*c+ch]
			}
			sizes[k]++
		}
		for k, size := range sizes {
			for j := range width {
				means[k*width+j] /= size
			}
		}
	}
	return labels
}

// connected numbers connected pieces anew in the order of reading: one of fewer than least pixels joins the piece that
// its search met last, and one of most pixels is cut off there.
func connected(labels []int32, h, w, least, most int) []int32 {
	out := make([]int32, len(labels))
	for i := range out {
		out[i] = -1
	}
	var next int32
	for start := range labels {
		if out[start] >= 0 {
			continue
		}
		var adjacent int32
		label := labels[start]
		out[start] = next
		piece := []int{start}
	search:
		for visited := 0; visited < len(piece) && len(piece) < most; visited++ {
			y, x := piece[visited]/w, piece[visited]%w
			for _, step := range [4][2]int{{0, 1}, {0, -1}, {1, 0}, {-1, 0}} {
				yy, xx := y+step[0], x+step[1]
				if yy < 0 || yy >= h || xx < 0 || xx >= w {
					continue
				}
				at := yy*w + xx
				switch {
				case labels[at] == label && out[at] < 0:
					out[at] = next
					if piece = append(piece, at); len(piece) >= most {
						break search
					}
				case out[at] >= 0 && out[at] != next:
					adjacent = out[at]
				}
			}
		}
		if len(piece) < least {
			for _, at := range piece {
				out[at] = adjacent
			}
		} else {
			next++
		}
	}
	return out
}

// grid is where a regular grid of about n points starts in an image, and its steps: skimage.util.regular_grid for two
// axes.
func grid(h, w, n int) (startY, stepY, startX, stepX int) {
	if h*w <= n {
		return 0, 1, 0, 1
	}
	step := math.Sqrt(float64(h*w) / float64(n))
	y, x := step, step
	if short := float64(min(h, w)); short < step { // a strip: one row or column of points
		long := float64(max(h, w)) / float64(n)
		if h <= w {
			y, x = short, long
		} else {
			y, x = long, short
		}
	}
	return int(y / 2), int(math.RoundToEven(y)), int(x / 2), int(math.RoundToEven(x))
}

// stretched brings an image's values to 0..1.
func stretched(image []float32) []float64 {
	low, high := float64(image[0]), float64(image[0])
	for _, v := range image {
		low, high = min(low, float64(v)), max(high, float64(v))
	}
	out := make([]float64, len(image))
	for i, v := range image {
		if out[i] = float64(v) - low; high > low {
			out[i] /= high - low
		}
	}
	return out
}

// lab turns sRGB in 0..1 to CIELAB with the white of D65, in place. https://www.w3.org/Graphics/Color/srgb and CIE 15.
func lab(pixels []float64) {
	for at := 0; at < len(pixels); at += 3 {
		var linear [3]float64
		for i, v := range pixels[at : at+3] {
			if v > 0.04045 {
				linear[i] = math.Pow((v+0.055)/1.055, 2.4)
			} else {
				linear[i] = v / 12.92
			}
		}
		r, g, b := linear[0], linear[1], linear[2]
		f := func(t float64) float64 {
			if t > 0.008856 {
				return math.Cbrt(t)
			}
			return 7.787*t + 16.0/116
		}
		x := f((0.412453*r + 0.357580*g + 0.180423*b) / 0.95047)
		y := f(0.212671*r + 0.715160*g + 0.072169*b)
		z := f((0.019334*r + 0.119193*g + 0.950227*b) / 1.08883)
		pixels[at], pixels[at+1], pixels[at+2] = 116*y-16, 500*(x-y), 200*(y-z)
	}
}
