package shift

import (
	"testing"

	"github.com/loupeml/loupe/lib/claim"
)

// By hand, of four images labelled 0, 1, 0, 1: a is wrong about the last two, b about the last three, of which a is
// right about one.
func TestMistakesPassOn(t *testing.T) {
	labels := []int{0, 1, 0, 1}
	zero, one := [3]float32{0.8, 0.1, 0.1}, [3]float32{0.1, 0.8, 0.1}
	a := says(t, "a", labels, zero, one, one, zero)
	b := says(t, "b", labels, zero, zero, one, zero)
	claims := ok[claim.Claims](t)(Transfers(a, b))
	if len(claims) != 2 {
		t.Fatalf("%d claims", len(claims))
	}
	if c := claims[0]; c.Name != "b right on what a gets wrong" || c.Value != 0 || c.N != 2 ||
		c.Control != "on what it gets right" || c.ControlValue != 0.5 {
		t.Errorf("%+v", c)
	}
	if c := claims[1]; c.Name != "a right on what b gets wrong" || c.N != 3 || c.Value != 1./3 || c.ControlValue != 1 {
		t.Errorf("%+v", c)
	}
	if _, err := Transfers(a); err == nil {
		t.Error("the mistakes of one model pass on")
	}
	if _, err := Transfers(a, says(t, "c", labels, zero, one, zero, one)); err == nil {
		t.Error("a model without mistakes has some")
	}
}
