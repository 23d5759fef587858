// Package oracle reads the figures of oracles, which lie in the packages' testdata, and compares with them.
package oracle

import (
	"encoding/csv"
	"math"
	"os"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/sbinet/npyio/npz"
)

// Read returns an array of an .npz file.
func Read[T any](t testing.TB, file, array string) []T {
	t.Helper()
	z, err := npz.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if h := z.Header(array + ".npy"); h != nil && h.Descr.Fortran && len(h.Descr.Shape) > 1 {
		t.Fatalf("%s, %s: it lies column by column (Fortran order), which npyio does not tell: save it with "+
			"numpy.ascontiguousarray", file, array)
	}
	var values []T
	if err := z.Read(array+".npy", &values); err != nil {
		t.Fatalf("%s, %s: %v", file, array, err)
	}
	return values
}

// Unit returns pixels of 8 bits as values in 0..1.
func Unit(bytes []uint8) []float32 {
	values := make([]float32, len(bytes))
	for i, v := range bytes {
		values[i] = float32(v) / 255
	}
	return values
}

// Rows returns the rows of a .csv file, its header first.
func Rows(t testing.TB, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return rows
}

// Every takes every keep-th row and column of [N, H, W, C], as oracles do of large images.
func Every(t *tensors.Tensor, keep int) []float32 {
	d := t.Shape().Dimensions
	flat := tensors.MustCopyFlatData[float32](t)
	var kept []float32
	for i := range d[0] {
		for y := 0; y < d[1]; y += keep {
			for x := 0; x < d[2]; x += keep {
				at := ((i*d[1]+y)*d[2] + x) * d[3]
				kept = append(kept, flat[at:at+d[3]]...)
			}
		}
	}
	return kept
}

// Difference returns the largest difference, which is no number where one of got is none and infinite where there are
// more or fewer of them, and the largest absolute value wanted.
func Difference(got, want []float32) (worst, largest float64) {
	if len(got) != len(want) {
		return math.Inf(1), 0
	}
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i])-float64(want[i])))
		largest = max(largest, math.Abs(float64(want[i])))
	}
	return worst, largest
}
