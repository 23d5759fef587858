package attrib

import (
	"archive/zip"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// Two ONNX files of one network, with the channels of the last layer first and last, and means of 1 x 1 positions
// behind it in the first: bench/oracles/onnx_forms.py. The scores are W times the layer's means, so that the map is
// the layer's channels times W.
func TestGradCAMTakesTheLastLayerWithPositionsInItsLayout(t *testing.T) {
	archive, err := zip.OpenReader("../model/testdata/forms.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	pixels := make([]float32, 9*11*3)
	for i := range pixels {
		pixels[i] = float32(i*7%23) / 23
	}
	x := tensors.FromFlatDataAndDimensions(pixels, 1, 9, 11, 3)
	const class = 2
	var maps [][]float32
	for _, name := range []string{"layout_first.onnx", "layout_last.onnx"} {
		r, err := archive.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := model.FromONNX(path, model.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		head, err := m.Head()
		if err != nil {
			t.Fatal(err)
		}
		a, err := m.Activations("r", x)
		if err != nil {
			t.Fatal(err)
		}
		layer := tensors.MustCopyFlatData[float32](a)
		got, err := GradCAM{}.Attribute(m, x, []int{class})
		if err != nil {
			t.Fatal(err)
		}
		values := tensors.MustCopyFlatData[float32](got.Values)
		for p := range 99 {
			want := 0.0
			for k := range 4 {
				at := p*4 + k
				if name == "layout_first.onnx" {
					at = k*99 + p
				}
				want += float64(layer[at]) * head.Weights.At(class, k) / 99
			}
			if want = max(want, 0); !approx.Equal(values[p], want, 1e-6) {
				t.Fatalf("%s: position %d is %v, want %v", name, p, values[p], want)
			}
		}
		maps = append(maps, values)
	}
	lowest, highest := math.Inf(1), 0.0
	for p, v := range maps[0] {
		lowest, highest = min(lowest, float64(v)), max(highest, float64(v))
		if !approx.Equal(v, maps[1][p], 1e-6) {
			t.Errorf("position %d is %v with channels first and %v with channels last", p, v, maps[1][p])
		}
	}
	if !(highest-lowest >= 1e-4) {
		t.Errorf("the map lies between %v and %v", lowest, highest)
	}
}
