package claim

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// What was noted is compared unit by unit, and what was not noted for both is an error.
func TestMeasures(t *testing.T) {
	m := Measures{Unit: "networks"}
	for i, v := range []float64{3, 5, 4} {
		m.Note("accuracy, %", "method", v)
		m.Note("accuracy, %", "control", v-float64(i))
		m.Note("accuracy, %", "other", 1)
		m.Note("loss", "method", -v)
	}
	if of := m.Of("accuracy, %", "control"); !slices.Equal(of, []float64{3, 4, 2}) || m.Of("accuracy, %", "none") != nil {
		t.Errorf("noted are %v", of)
	}
	all, err := m.Compared([]string{"accuracy, %"}, "control", 3, "method", "other")
	if err != nil || len(all) != 2 || all[1].Name != "accuracy, %: other and control" {
		t.Fatal(all, err)
	}
	c := all[0]
	// The differences are 0, 1 and 2: Student's interval of three has 4.303 standard errors, of 1/√3 each.
	if c.Name != "accuracy, %: method and control" || c.Control != "control" || c.Value != 4 || c.ControlValue != 3 ||
		!c.Paired || c.Unit != "networks" || c.N != 3 ||
		math.Abs(c.DifferenceHigh-c.Difference-4.303/math.Sqrt(3)) > 1e-3 || c.Difference != 1 {
		t.Errorf("the claim is %+v", c)
	}
	m.Note("loss", "control", 1, 2, 3)
	every, err := m.Compared(nil, "control", 3, "method")
	if err != nil || len(every) != 2 || every[0].Name != c.Name ||
		every[1].Name != "loss: method and control" || every[1].Difference != -6 {
		t.Errorf("of all measures: %v, %v", every, err)
	}
	m.Note("accuracy, %", "control", 1)
	m.Note("loss", "control", 1)
	for want, measure := range map[string]string{"has 3 values, its control 4": "accuracy, %", "loss: method": "loss",
		"no such: method": "no such"} {
		if _, err := m.Compared([]string{measure}, "control", 3, "method"); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
}

// The table has means over units: of 3, 5 and 4 Student's interval is 4 ± 4.303/√3 (R: t.test(c(3, 5, 4))).
func TestForgottenMeasuresAreMeasuredAnew(t *testing.T) {
	m := Measures{Unit: "networks"}
	m.Note("accuracy", "plain", 1, 2)
	m.Note("accuracy", "noise", 3)
	m.Note("loss", "noise", 4)
	m.Forget("noise")
	if got := append(m.Of("accuracy", "noise"), m.Of("loss", "noise")...); len(got) > 0 {
		t.Errorf("forgotten, and there is %v", got)
	}
	m.Note("accuracy", "noise", 5)
	if got := m.Of("accuracy", "noise"); !slices.Equal(got, []float64{5}) {
		t.Errorf("measured anew: %v", got)
	}
	if got := m.Of("accuracy", "plain"); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("of another kind: %v", got)
	}
}

func TestMeasuresTable(t *testing.T) {
	m := Measures{Unit: "networks"}
	m.Note("accuracy, %", "second by name", 3, 5, 4)
	m.Note("accuracy, %", "first by name", 7)
	m.Note("loss", "first by name", 1, 1, 4)
	got, err := m.Table("method", "accuracy, %", "loss")
	if err != nil {
		t.Fatal(err)
	}
	text := got.String()
	for _, want := range []string{"method", "4 (1.52 to 6.48)", "2 (-2.3 to 6.3)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no %q:\n%s", want, text)
		}
	}
	if got.Rows[0][0] != "second by name" || got.Rows[0][2] != nil || got.Rows[1][1] != 7.0 {
		t.Errorf("the rows are %v", got.Rows)
	}
	if _, err := m.Table("method", "accuracy, %", "no such"); err == nil || !strings.Contains(err.Error(), `"no such"`) {
		t.Errorf("want an error that names what was not noted, got %v", err)
	}
	if _, err := (*Measures)(nil).Table("method", "loss"); err == nil || !strings.Contains(err.Error(), "they are nil") {
		t.Errorf("want an error for measures that are nil, got %v", err)
	}
}
