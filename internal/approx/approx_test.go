package approx

import (
	"math"
	"strings"
	"testing"
)

func TestEqual(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		got, want, within float64
		near              bool
	}{
		{1, 1.5, 0.5, true}, {1, 1.5, 0.4, false}, {1.5, 1, 0.5, true}, {2, 2, 0, true},
		{nan, 1, 1, false}, {1, nan, 1, false}, {nan, nan, inf, false}, {1, 1, nan, true}, {1, 2, nan, false},
		{inf, inf, 0, true}, {inf, -inf, 1, false}, {inf, 1, inf, false}, {1, inf, inf, false},
	} {
		if Equal(c.got, c.want, c.within) != c.near {
			t.Errorf("%v: it is not so", c)
		}
	}
	if !Equal(float32(0.5), 1, 0.5) {
		t.Error("numbers of other types cannot be compared")
	}
}

func TestAll(t *testing.T) {
	want := []float64{1, 2, 3}
	for _, c := range []struct {
		got  []float32
		said string
	}{
		{[]float32{1, 2, 3.1}, ""},
		{[]float32{1, 2}, "2 values, want 3"},
		{[]float32{1, 2, 3, 4}, "4 values, want 3"},
		{[]float32{1.5, 4, 2}, "3 of 3 values are more than 0.2 off, the worst at 1: 4, want 2"},
		{[]float32{9, float32(math.NaN()), 3}, "the worst at 1: NaN, want 2"},
	} {
		err := All(c.got, want, 0.2)
		if said := c.said != ""; said != (err != nil) || said && !strings.Contains(err.Error(), c.said) {
			t.Errorf("%v: %v, want %q", c.got, err, c.said)
		}
	}
}
