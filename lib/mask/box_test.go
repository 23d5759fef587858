package mask

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/lib/mime"
)

func TestInsideAgreesWithQuantus(t *testing.T) {
	const file = "testdata/inside.npz"
	var boxes []Box
	flat := oracle.Read[int64](t, file, "boxes")
	for i := 0; i < len(flat); i += 4 {
		boxes = append(boxes, Box{int(flat[i]), int(flat[i+1]), int(flat[i+2]), int(flat[i+3])})
	}
	heatmaps := tensors.FromFlatDataAndDimensions(oracle.Read[float32](t, file, "heatmaps"), len(boxes), 12, 14)
	found, err := Inside(heatmaps, boxes...)
	if err != nil {
		t.Fatal(err)
	}
	if err := approx.All(found.Share, oracle.Read[float64](t, file, "share"), 1e-9); err != nil {
		// Quantus adds 1e-9 to the sum
		t.Error(err)
	}
	hits := 0
	for i, want := range oracle.Read[int64](t, file, "hit") {
		if found.Hit[i] != (want == 1) {
			t.Errorf("heatmap %d: hit is %v, want %d", i, found.Hit[i], want)
		}
		hits += int(want)
	}
	if found.Hits().Correct != hits || found.Area[5] != 1.0/(12*14) {
		t.Errorf("%v hits, areas %v", found.Hits(), found.Area)
	}
	if text := found.Table().Title; !strings.Contains(text, "inside the box") {
		t.Errorf("the title is %q", text)
	}
}

func TestInsideAtTheEdges(t *testing.T) {
	below := tensors.FromFlatDataAndDimensions([]float32{-1, -2, -3, -4}, 1, 2, 2)
	found, err := Inside(below, Box{0, 0, 1, 1})
	if err != nil || !math.IsNaN(found.Share[0]) || !found.Hit[0] {
		t.Errorf("%+v, %v", found, err)
	}
	if text := found.Bundle().Data[mime.Text]; !strings.Contains(text, "none of 1 heatmaps") {
		t.Errorf("it shows %q", text)
	}
	nan := tensors.FromFlatDataAndDimensions([]float32{1, float32(math.NaN()), 0, 0}, 1, 2, 2)
	for want, do := range map[string]func() error{
		"does not lie":      func() error { _, err := Inside(below, Box{1, 1, 2, 1}); return err },
		"of 0 x 0":          func() error { _, err := Inside(below, Box{}); return err },
		"0 boxes":           func() error { _, err := Inside(below); return err },
		"2 boxes":           func() error { _, err := Inside(below, Box{0, 0, 1, 1}, Box{0, 0, 1, 1}); return err },
		"NaN at row 0, col": func() error { _, err := Inside(nan, Box{0, 0, 1, 1}); return err },
		"[N, H, W]":         func() error { _, err := Inside(nil, Box{0, 0, 1, 1}); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error that says %q", err, want)
		}
	}
}
