package augment

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// A row of the images, one for each operation, and one for each draw; the network's distortions likewise.
func TestSheetsHaveARowForEach(t *testing.T) {
	flat := make([]float32, 2*16*16*3)
	for i := range flat {
		flat[i] = float32(i%17) / 16
	}
	x := tensors.FromFlatDataAndDimensions(flat, 2, 16, 16, 3)
	g, err := AugMix{}.Sheet(x, 2)
	if err != nil || len(g.Rows) != 1+len(Operations())+2 || len(g.Rows[0]) != 2 || g.Labels[1] != Operations()[0].Name ||
		g.Labels[len(g.Labels)-1] != "AugMix" {
		t.Errorf("%d rows of %q (%v)", len(g.Rows), g.Labels, err)
	}
	if _, err := (AugMix{Severity: 11}).Sheet(x, 1); err == nil {
		t.Error("a severity of 11 has a sheet")
	}
	network, err := TrainAutoencoder(x, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if g, err = (DeepAugment{Network: network}).Sheet(x, 1); err != nil || len(g.Rows) != 2+len(WeightDistortions())+
		len(CodeDistortions())+1 || g.Labels[1] != "autoencoder" || g.Labels[len(g.Labels)-1] != "all" {
		t.Errorf("%d rows of %q (%v)", len(g.Rows), g.Labels, err)
	}
	one := CodeDistortions()[:1]
	if g, err = (DeepAugment{Network: network, Distortions: one}).Sheet(x, 0); err != nil || len(g.Rows) != 3 ||
		g.Labels[2] != one[0].Name {
		t.Errorf("%d rows of %q (%v)", len(g.Rows), g.Labels, err)
	}
}
