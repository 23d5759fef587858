package perturb

import (
	"strings"
	"testing"
)

// The four families are the benchmark's fifteen corruptions.
func TestFamiliesAreTheBenchmark(t *testing.T) {
	list, err := CorruptionsNamed(Families()...)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range Common() {
		if i >= len(list) || list[i].Name != c.Name {
			t.Fatalf("the families are %v, want %v", list, Common())
		}
	}
	if len(list) != 15 {
		t.Errorf("%d corruptions", len(list))
	}
	some, err := CorruptionsNamed("spatter", "blur", "zoom_blur")
	if err != nil || len(some) != 5 || some[0].Name != "spatter" || some[4].Name != "zoom_blur" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := CorruptionsNamed("wether"); err == nil ||
		!strings.Contains(err.Error(), "did you mean weather?; the families are noise, blur, weather, digital") {
		t.Errorf("%v", err)
	}
}
