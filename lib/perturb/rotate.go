package perturb

import (
	"fmt"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/internal/pixels"
)

// Rotate returns images, [N, H, W, C] float32 or uint8, in float32, turned counter-clockwise about their centre by an
// angle in degrees, in the size that they have: what is turned out of it is cut off, and what comes into it is 0.
// Pixels between pixels are those of a cubic spline, which overshoots at edges, so that values leave 0..1 by a little.
// These are the shifted digits of Ovadia et al., "Can You Trust Your Model's Uncertainty?", NeurIPS 2019, section 4.1:
// scipy.ndimage.rotate, whose result is as large as the turned image, and the middle of that. Where its size and the
// image's are not both even or both odd the middle lies half a pixel off, as in their code.
//
// Interrupted, it returns the images that are done beside the error; nil if none is.
func Rotate(images *tensors.Tensor, degrees float64) (*tensors.Tensor, error) {
	if math.IsNaN(degrees) || math.IsInf(degrees, 0) {
		return nil, fmt.Errorf("perturb: images cannot be turned by %v degrees", degrees)
	}
	b, err := pixels.Of("perturb", images)
	if err != nil {
		return nil, err
	}
	sin, cos := sincos(degrees)
	height, width := float64(b.H), float64(b.W)
	// The turned image's size, and where the middle of it begins.
	turnedHeight, turnedWidth := int(math.Abs(cos)*height+math.Abs(sin)*width+0.5),
		int(math.Abs(sin)*height+math.Abs(cos)*width+0.5)
	top, left := turnedHeight/2-b.H/2, turnedWidth/2-b.W/2
	middleY, middleX := float64(turnedHeight-1)/2, float64(turnedWidth-1)/2
	return b.Each(fmt.Sprintf("perturb: rotation by %g°", degrees), func(i int) {
		image := b.Image(i)
		plane := make([]float64, b.H*b.W)
		for c := range b.C {
			for j := range plane {
				plane[j] = float64(image[j*b.C+c])
			}
			s := newSpline(plane, b.H, b.W)
			for y := range b.H {
				for x := range b.W {
					dy, dx := float64(top+y)-middleY, float64(left+x)-middleX
					image[(y*b.W+x)*b.C+c] = float32(s.at(cos*dy+sin*dx+(height-1)/2, -sin*dy+cos*dx+(width-1)/2))
				}
			}
		}
	})
}

// sincos is exact for quarter turns, by which every pixel comes to lie on another.
func sincos(degrees float64) (sin, cos float64) {
	switch math.Mod(degrees, 360) {
	case 0:
		return 0, 1
	case 90, -270:
		return 1, 0
	case 180, -180:
		return 0, -1
	case 270, -90:
		return -1, 0
	}
	return math.Sincos(degrees * math.Pi / 180)
}

// Roll returns images, [N, H, W, C] float32 or uint8, in float32, moved to the right by a number of pixels; what leaves
// at one side comes in at the other. A negative number moves to the left. They are the translated digits of Ovadia et
// al., NeurIPS 2019, section 4.1: numpy.roll along the width.
func Roll(images *tensors.Tensor, by int) (*tensors.Tensor, error) {
	b, err := pixels.Of("perturb", images)
	if err != nil {
		return nil, err
	}
	by = (by%b.W + b.W) % b.W
	row := make([]float32, b.W*b.C)
	for at := 0; at < len(b.Data); at += len(row) {
		of := b.Data[at : at+len(row)]
		copy(row, of)
		copy(of[by*b.C:], row)
		copy(of, row[(b.W-by)*b.C:])
	}
	return b.Tensor(), nil
}

// spline is the cubic spline through the pixels of a plane, which goes on mirrored at the outermost ones: B-splines by
// their coefficients. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing Magazine
// 16 (1999).
type spline struct {
	coefficients  []float64 // row-major
	height, width int
}

// newSpline takes the plane's values and makes coefficients of them in their place.
func newSpline(plane []float64, height, width int) spline {
	line := make([]float64, max(height, width))
	for y := range height {
		splineFilter(plane[y*width : (y+1)*width])
	}
	column := line[:height]
	for x := range width {
		for y := range column {
			column[y] = plane[y*width+x]
		}
		splineFilter(column)
		for y, v := range column {
			plane[y*width+x] = v
		}
	}
	return spline{coefficients: plane, height: height, width: width}
}

// splineFilter turns the values of a line into the coefficients of the cubic B-splines through them: a recursive filter
// forwards and one backwards.
func splineFilter(line []float64) {
	n := len(line)
	if n < 2 {
		return
	}
	pole := math.Sqrt(3) - 2
	for i := range line {
		line[i] *= 6
	}
	// Before its first value the line is that of its mirror image, which has a period of 2(n-1).
	power, last := pole, math.Pow(pole, float64(n-1))
	first := line[0] + last*line[n-1]
	for i := 1; i < n-1; i++ {
		first += power * (line[i] + last*line[n-1-i])
		power *= pole
	}
	line[0] = first / (1 - last*last)
	for i := 1; i < n; i++ {
		line[i] += pole * line[i-1]
	}
	line[n-1] = (pole*line[n-2] + line[n-1]) * pole / (pole*pole - 1)
	for i := n - 2; i >= 0; i-- {
		line[i] = pole * (line[i+1] - line[i])
	}
}

// at is the spline's value at a place; 0 beyond the outermost pixels.
func (s spline) at(y, x float64) float64 {
	if y < 0 || x < 0 || y > float64(s.height-1) || x > float64(s.width-1) {
		return 0
	}
	top, rows := cubic(y)
	left, columns := cubic(x)
	sum := 0.0
	for i, u := range rows {
		row := s.coefficients[mirrored(top+i, s.height)*s.width:]
		for j, v := range columns {
			sum += u * v * row[mirrored(left+j, s.width)]
		}
	}
	return sum
}

// mirrored is pixels.Reflect, for lines of one pixel too.
func mirrored(i, n int) int {
	if n == 1 {
		return 0
	}
	return pixels.Reflect(i, n)
}

// cubic are the values at a place of the four B-splines that reach there, and the number of the first.
func cubic(at float64) (first int, weights [4]float64) {
	whole := math.Floor(at)
	t := at - whole
	u := 1 - t
	return int(whole) - 1, [4]float64{u * u * u / 6, 2./3 - t*t*(2-t)/2, 2./3 - u*u*(2-u)/2, t * t * t / 6}
}
