package background

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// U²-Netp finds a disc, and says of each place what onnxruntime has it say, to 1e-3: bench/oracles/logits.py u2netp.
func TestU2NetpAgreesWithONNXRuntime(t *testing.T) {
	testenv.Heavy(t)
	testenv.Asset(t, "u2netp")
	const side = 320
	pixels := make([]float32, 0, side*side*3)
	disc := make([]bool, side*side)
	for p := range disc {
		y, x := p/side, p%side
		if disc[p] = (y-180)*(y-180)+(x-140)*(x-140) < 70*70; disc[p] {
			pixels = append(pixels, 0.9, 0.5, 0.2)
			continue
		}
		v := 0.2 + float32(0.3)*float32(y)/side
		pixels = append(pixels, v, v, v)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, 1, side, side, 3), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load("u2netp")
	if err != nil {
		t.Fatal(err)
	}
	masks, err := Saliency{Model: m}.Of(ds, side, side)
	if err != nil {
		t.Fatal(err)
	}
	flat := floats(masks)
	var every []float32
	for y := 0; y < side; y += 8 {
		for x := 0; x < side; x += 8 {
			every = append(every, flat[y*side+x])
		}
	}
	if err := approx.All(every, oracle.Read[float32](t, "testdata/u2netp.npz", "output"), 1e-3); err != nil {
		t.Error(err)
	}
	hard, err := Binary(masks, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for p, part := range tensors.MustCopyFlatData[int32](hard) {
		if disc[p] == (part > 0) {
			right++
		}
	}
	if right < side*side*98/100 {
		t.Errorf("%d of %d pixels are told right", right, side*side)
	}
}

// The transformer finds it too.
func TestViTFocusFindsADisc(t *testing.T) {
	testenv.Heavy(t)
	testenv.Asset(t, "vit-focus")
	const side = 224
	pixels := make([]float32, side*side*3)
	inside := func(p int) bool { y, x := p/side-120, p%side-100; return y*y+x*x < 55*55 }
	for p := range side * side {
		v := []float32{0.3, 0.4, 0.3}
		if inside(p) {
			v = []float32{0.9, 0.5, 0.2}
		}
		copy(pixels[3*p:], v)
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, 1, side, side, 3), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load("vit-focus")
	if err != nil {
		t.Fatal(err)
	}
	masks, err := Saliency{Model: m}.Of(ds, side, side)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for p, v := range floats(masks) {
		if inside(p) == (v >= 0.5) {
			right++
		}
	}
	if right < side*side*9/10 {
		t.Errorf("%d of %d pixels are told right", right, side*side)
	}
}
