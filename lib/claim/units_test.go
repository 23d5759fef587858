package claim

import (
	"fmt"
	"testing"
)

func TestUnits(t *testing.T) {
	m := Measures{Unit: "networks"}
	for _, v := range []float64{1.5, 2.5} {
		m.Note("accuracy, %", "twin", v)
	}
	m.Note("accuracy, %", "first", 4)
	m.Note("other, %", "first", 5)
	if got := m.Units("accuracy, %"); fmt.Sprintf("%q", got.Header) != `["networks" "first" "twin"]` ||
		fmt.Sprint(got.Rows) != "[[1 4 1.5] [2  2.5]]" || got.Title != "accuracy, %" {
		t.Errorf("the table is %v", got)
	}
	if got := m.Units("accuracy, %", "twin", "none"); fmt.Sprint(got.Rows) != "[[1 1.5 ] [2 2.5 ]]" {
		t.Errorf("the table is %v", got)
	}
	if got := m.Units("speed"); len(got.Rows) != 0 {
		t.Errorf("the table is %v", got)
	}
}
