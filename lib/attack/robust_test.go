package attack

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/paced"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
)

// linear is a classifier of three classes, logits = Wx, and images about grey; both are far from the border of 0..1.
func linear(t *testing.T, n int) (m *model.Model, weights [][]float64, images *tensors.Tensor, pixels []float32) {
	t.Helper()
	const side = 5
	flat := make([]float32, 3*side*side)
	weights = make([][]float64, 3)
	for i := range flat {
		flat[i] = float32(math.Sin(float64(2*i*i + 1)))
		weights[i/(side*side)] = append(weights[i/(side*side)], float64(flat[i]))
	}
	m, err := model.FromFunc(model.Spec{Name: "linear", Height: side, Width: side, Channels: 1},
		func(x *graph.Node) *graph.Node {
			w := graph.Const(x.Graph(), tensors.FromFlatDataAndDimensions(flat, 3, side, side))
			return graph.Einsum("nhw,khw->nk", graph.Reshape(x, -1, side, side), w)
		})
	if err != nil {
		t.Fatal(err)
	}
	pixels = make([]float32, n*side*side)
	for i := range pixels {
		pixels[i] = float32(0.5 + 0.1*math.Sin(float64(3*i*i)))
	}
	return m, weights, tensors.FromFlatDataAndDimensions(pixels, n, side, side, 1), pixels
}

// The robust accuracy of a linear classifier is known: the nearest border to another class is (z_y - z_j)/‖w_y - w_j‖
// away.
func TestRobustnessOfALinearClassifier(t *testing.T) {
	const n, eps = 60, 0.12
	m, w, images, pixels := linear(t, n)
	labels, err := m.Predict(images)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		labels[i] = (labels[i] + 1) % 3 // these are wrong
	}
	robust, near := 0, 0
	for i := range n {
		nearest := math.Inf(1)
		for j := range 3 {
			if j == labels[i] {
				continue
			}
			var gap, length float64
			for p := range w[0] {
				d := w[labels[i]][p] - w[j][p]
				gap, length = gap+d*float64(pixels[i*len(w[0])+p]), length+d*d
			}
			nearest = min(nearest, gap/math.Sqrt(length))
		}
		if nearest > eps {
			robust++
		}
		if math.Abs(nearest-eps) < 0.002 {
			near++
		}
	}
	if robust < 10 || robust > 40 {
		t.Fatalf("%d of %d images are robust: this shows little", robust, n)
	}
	r, err := APGD{Eps: eps, Steps: 40}.Robustness(m, images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(float64(r.Robust.Correct-robust)) > float64(near) || r.Robust.Total != n ||
		(r.Clean != stats.Accuracy{Correct: 50, Total: n}) {
		t.Errorf("%v of the images are robust and %v are right, want %d and 50 (%d are near)", r.Robust, r.Clean,
			robust, near)
	}
	if found := r.Attacked.Images.Shape().Dimensions; !slices.Equal(found, []int{n, 5, 5, 1}) {
		t.Errorf("the attacked images are %v", found)
	}
	for want, do := range map[string]func() error{
		"there are 59 labels": func() error { _, err := APGD{Eps: 1}.Robustness(m, images, labels[:59]); return err },
		"there are 0 labels":  func() error { _, err := APGD{Eps: 1}.Robustness(m, nil, nil); return err },
		"class 3": func() error {
			_, err := APGD{Eps: 1}.Robustness(m, images,
				slices.Repeat([]int{3}, n))
			return err
		},
		"radius": func() error { _, err := APGD{}.Robustness(m, images, labels); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// The margins with which robustness is told, against the definition, with ties for the largest logit too.
func TestMargins(t *testing.T) {
	rows := [][]float32{{1, 5, 2, -3}, {4, 4, 1, 0}, {-1, -2, -3, -9}, {0, 0, 0, 0}}
	exec, err := model.NewExec(margins)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Call1(rows)
	if err != nil {
		t.Fatal(err)
	}
	got := tensors.MustCopyFlatData[float32](out)
	for i, row := range rows {
		for k, z := range row {
			others := slices.Delete(slices.Clone(row), k, k+1)
			if want := slices.Max(others) - z; !approx.Equal(got[i*4+k], want, 1e-6) {
				t.Errorf("row %d, class %d: %g, want %g", i, k, got[i*4+k], want)
			}
		}
	}
}

// An interrupted attack returns the images of the batches that it has come to, within their balls and no worse than at
// the start; an uninterrupted one does not depend on how many rounds go in a call.
func TestInterruptedAttacks(t *testing.T) {
	m, _, images, pixels := linear(t, 20)
	m.BatchSize = 8 // three batches
	const eps = 0.3
	whole, err := APGD{Eps: eps, Steps: 35}.Maximize(m, images, []int{1})
	if err != nil {
		t.Fatal(err)
	}
	defer paced.Fix(10)()
	lengths := map[int]bool{}
	values, err := m.Logits(images)
	if err != nil {
		t.Fatal(err)
	}
	start := tensors.MustCopyFlatData[float32](values)
	for questions := range 16 {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		found, err := APGD{Eps: eps, Steps: 35, Start: images}.Maximize(m, images, []int{1})
		release()
		if err == nil {
			lengths[20] = true
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if found == nil {
			continue
		}
		n := len(found.Values)
		lengths[n] = true
		if d := found.Images.Shape().Dimensions; d[0] != n || n != 8 && n != 16 && n != 20 {
			t.Fatalf("after %d questions there are %d values and images %v", questions, n, d)
		}
		got := tensors.MustCopyFlatData[float32](found.Images)
		for i, v := range found.Values {
			var far float64
			for p := range 25 {
				far += math.Pow(float64(got[i*25+p]-pixels[i*25+p]), 2)
			}
			if !(math.Sqrt(far) <= eps*1.0001) || !(v > float64(start[i*3+1])) || !(v <= whole.Values[i]+1e-3) {
				t.Errorf("after %d questions image %d is %g away, its value goes from %g to %g, and in the end to %g", questions, i,
					math.Sqrt(far), start[i*3+1], v, whole.Values[i])
			}
		}
	}
	if !lengths[8] || !lengths[16] || !lengths[20] {
		t.Errorf("interrupted attacks have the lengths %v", lengths)
	}
	partial := false
	for questions := range 12 {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		r, err := APGD{Eps: eps, Steps: 35}.Robustness(m, images, slices.Repeat([]int{1}, 20))
		release()
		if err == nil || r == nil {
			continue
		}
		partial = partial || len(r.Attacked.Values) == 8 && errors.Is(err, context.Canceled)
	}
	if !partial {
		t.Error("no interrupted robustness has the figures of the first batch")
	}
	// The feature attack, and rounds that do not fill the last call.
	long, err := FeatureAttack{Size: 0.05, Steps: 13}.Maximize(m, images, []int{2})
	if err != nil {
		t.Fatal(err)
	}
	short := images
	for _, steps := range []int{4, 9} {
		found, err := FeatureAttack{Size: 0.05, Steps: steps}.Maximize(m, short, []int{2})
		if err != nil {
			t.Fatal(err)
		}
		short = found.Images
	}
	a, b := tensors.MustCopyFlatData[float32](long.Images), tensors.MustCopyFlatData[float32](short)
	for i := range a {
		if !approx.Equal(a[i], b[i], 1e-6) {
			t.Fatalf("13 steps give %g for pixel %d, 4 and 9 steps %g", a[i], i, b[i])
		}
	}
	release := interrupt.Use(testenv.CancelledAfter(3))
	some, err := FeatureAttack{Size: 0.05, Steps: 13}.Maximize(m, images, []int{2})
	release()
	if !errors.Is(err, context.Canceled) || some == nil || len(some.Values) != 16 && len(some.Values) != 8 {
		t.Errorf("an interrupted feature attack gives %v, %v", some, err)
	}
}

// How many rounds a call of the device does changes nothing.
func TestRoundsDoNotDependOnTheirCalls(t *testing.T) {
	m, _, images, _ := linear(t, 20)
	var want []float32
	for _, rounds := range []int{50, 1, 7, 0} { // 0: by time
		release := paced.Fix(rounds)
		attacked, err := APGD{Eps: 0.5, Steps: 35}.Maximize(m, images, []int{1})
		if err != nil {
			t.Fatal(err)
		}
		changed, err := FeatureAttack{Size: 0.05, Steps: 13}.Maximize(m, images, []int{2})
		release()
		if err != nil {
			t.Fatal(err)
		}
		got := append(tensors.MustCopyFlatData[float32](attacked.Images),
			tensors.MustCopyFlatData[float32](changed.Images)...)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %d rounds a call the images are others than with 50", rounds)
		}
	}
}

// Carlini and Wagner's attack has succeeded as soon as another logit is as high, f <= 0 in their paper: a tie is not
// robust, though the first class is still predicted.
func TestATieIsNotRobust(t *testing.T) {
	m, err := model.FromFunc(model.Spec{Height: 1, Width: 1, Channels: 1}, func(x *graph.Node) *graph.Node {
		v := graph.Reshape(x, -1, 1)
		return graph.Concatenate([]*graph.Node{v, v}, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := APGD{Norm: LInf, Eps: 0.1, Steps: 3}.Robustness(m, tensors.FromFlatDataAndDimensions([]float32{0.5, 0.25}, 2,
		1, 1, 1), []int{0, 0})
	if err != nil || r.Clean != (stats.Accuracy{Correct: 2, Total: 2}) ||
		r.Robust != (stats.Accuracy{Correct: 0, Total: 2}) {
		t.Errorf("%+v (%v)", r, err)
	}
}
