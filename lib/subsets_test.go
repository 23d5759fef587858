package loupe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/mask"
)

func TestSubsetsShowThePixelsThatAreLeft(t *testing.T) {
	m := redness()
	x := spots()
	o := BackSelect(m, x, mask.BatchedGradientSIS{K: 1}, 0)
	s := LastSubsets(m, x, o, 1.0/64)
	for i, at := range [][2]int{{5, 3}, {1, 6}} { // column and row of each image's red pixel
		for y := range 8 {
			for column := range 8 {
				r, _, b, _ := s.left[i].At(column, y).RGBA()
				if red := r>>8 == 255 && b == 0; red != (column == at[0] && y == at[1]) {
					t.Errorf("image %d shows a red pixel in row %d, column %d: %v", i, y, column, red)
				}
			}
		}
	}
	g := s.Grid()
	if len(g.Rows) != 2 || len(g.Rows[0]) != 2 || !strings.Contains(g.Rows[1][0].Title, "73.1%") {
		t.Errorf("the grid is %v", fmt.Sprint(g.Rows))
	}
	if left := tensors.MustCopyFlatData[float32](KeepLast(x, o, 1.0/64)); left[(0*64+3*8+5)*3] != 1 {
		t.Error("the pixel masked last is not kept")
	}
	chance := tensors.MustCopyFlatData[float32](KeepRandom(x, 0.5, mask.Constant(1), 1))
	white := 0
	for _, v := range chance {
		if v == 1 {
			white++
		}
	}
	if white < 190 || white > 194 { // half of 2·64 pixels of 3 channels, and the red ones
		t.Errorf("%d values are filled", white)
	}
}
