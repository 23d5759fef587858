package attack

import (
	"math"
	"testing"
)

// What is robust of a linear classifier of three classes is known: the nearest border to another class is
// (z_y - z_j)/‖w_y - w_j‖ away, in the dual norm. The images are far from the border of 0..1.
func TestAutoAttackOnALinearClassifier(t *testing.T) {
	const n = 60
	m, w, images, pixels := linear(t, n)
	m.BatchSize = 16
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		labels[i] = (labels[i] + 1) % 3 // these are wrong
	}
	for _, c := range []struct {
		norm Norm
		eps  float64
	}{{L2, 0.12}, {LInf, 0.025}} {
		robust, near := map[int]bool{}, 0
		for i := range n {
			nearest := math.Inf(1)
			for j := range 3 {
				if j == labels[i] {
					continue
				}
				var gap, size float64
				for p := range w[0] {
					d := w[labels[i]][p] - w[j][p]
					gap += d * float64(pixels[i*len(w[0])+p])
					if c.norm == L2 {
						size += d * d
					} else {
						size += math.Abs(d)
					}
				}
				if c.norm == L2 {
					size = math.Sqrt(size)
				}
				nearest = min(nearest, gap/size)
			}
			robust[i] = nearest > c.eps
			if math.Abs(nearest-c.eps) < 0.01*c.eps {
				near++
			}
		}
		e, err := AutoAttack{Norm: c.norm, Eps: c.eps, Steps: 20, Queries: 100}.Run(m, images, labels)
		if err != nil {
			t.Fatal(err)
		}
		off := 0
		for i, by := range e.By {
			if robust[i] != (by == Robust) {
				off++
			}
		}
		t.Log(e, e.Attempts, near)
		if off > near || near > 5 {
			t.Errorf("%v: of %d images the wrong thing is said, %d are near", c.norm, off, near)
		}
	}
}
