package claim

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

func made(t *testing.T) func(Claim, error) Claim {
	return func(c Claim, err error) Claim {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// The values are SciPy 1.17.1's: ttest_1samp(v, 0).confidence_interval(0.95) of [3, 5, 10], of [1, 4, 4] and of their
// differences, and binomtest(9, 10).proportion_ci(0.95, "exact").
func TestClaimsHaveTheirIntervals(t *testing.T) {
	mean := made(t)(made(t)(Mean("gain, points", "networks", 3, []float64{3, 5, 10})).Against("random images",
		[]float64{1, 4, 4}))
	share := made(t)(made(t)(Share("right", "images", 1, 9, 10)).AgainstValue("chance", 0.1))
	for _, r := range []struct {
		name      string
		got, want [3]float64
	}{
		{"value", [3]float64{mean.Value, mean.Low, mean.High}, [3]float64{6, -2.956686, 14.956686}},
		{"control", [3]float64{mean.ControlValue, mean.ControlLow, mean.ControlHigh}, [3]float64{3, -1.302653, 7.302653}},
		{"difference", [3]float64{mean.Difference, mean.DifferenceLow, mean.DifferenceHigh},
			[3]float64{3, -3.572411, 9.572411}},
		{"share", [3]float64{share.Value, share.Low, share.High}, [3]float64{0.9, 0.5549839, 0.9974714}},
		{"chance", [3]float64{share.ControlValue, share.ControlLow, share.ControlHigh}, [3]float64{0.1, 0.1, 0.1}},
	} {
		for i := range r.got {
			if !(math.Abs(r.got[i]-r.want[i]) < 1e-6) {
				t.Errorf("%s: %v, want %v", r.name, r.got, r.want)
			}
		}
	}
}

func TestClaimsAreReadBack(t *testing.T) {
	a := made(t)(made(t)(Mean("gain", "networks", 2, []float64{1, 2})).Against("random", []float64{0, 0}))
	b := made(t)(made(t)(Share("right", "images", 1, 3, 4)).AgainstShare("random", 1, 4))
	text := "before\n" + Claims{a, b}.Bundle().Data[mime.Text] + "\nafter"
	if n := strings.Count(text, prefix); n != 1 {
		t.Errorf("%d lines of JSON in\n%s", n, text)
	}
	read, err := Read(text)
	if err != nil {
		t.Fatal(err)
	}
	a.values = nil
	if len(read) != 2 || !same(read["gain"], a) || !same(read["right"], b) {
		t.Errorf("read %+v, want %+v and %+v", read, a, b)
	}
	if _, err := Read(text + "\n" + a.Bundle().Data[mime.Text]); err == nil {
		t.Error("two claims of one name were read")
	}
	if _, err := Read("nothing"); err == nil {
		t.Error("claims were read where there are none")
	}
}

func same(a, b Claim) bool {
	a.values, b.values = nil, nil
	return a.Bundle().Data[mime.Text] == b.Bundle().Data[mime.Text]
}

func TestClaimsThatCannotBe(t *testing.T) {
	good := made(t)(Mean("gain", "networks", 2, []float64{1, 2}))
	for name, made := range map[string]func() (Claim, error){
		"one value":            func() (Claim, error) { return Mean("gain", "networks", 1, []float64{1}) },
		"not a number":         func() (Claim, error) { return Mean("gain", "networks", 1, []float64{1, math.NaN()}) },
		"no unit":              func() (Claim, error) { return Mean("gain", "", 1, []float64{1, 2}) },
		"no seeds":             func() (Claim, error) { return Share("right", "images", 0, 1, 2) },
		"no name":              func() (Claim, error) { return Share("", "images", 1, 1, 2) },
		"more than all":        func() (Claim, error) { return Share("right", "images", 1, 3, 2) },
		"other units":          func() (Claim, error) { return good.Against("random", []float64{1, 2, 3}) },
		"a control of nothing": func() (Claim, error) { return good.AgainstValue("chance", math.NaN()) },
	} {
		if c, err := made(); err == nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	// One that was written down by hand is not shown as if it were measured.
	if text := (Claim{Name: "gain", Value: 5, Low: 6, High: 7, Unit: "networks", N: 2,
		Seeds: 2}).Bundle().Data[mime.Text]; !strings.HasPrefix(text, "claim: gain: value is 5") {
		t.Errorf("a value outside its interval is shown as %s", text)
	}
}

// The numbers are those of TestClaimsHaveTheirIntervals, rounded by hand.
func TestTheTableHasWhatAClaimHas(t *testing.T) {
	paired := made(t)(made(t)(Mean("gain", "networks", 3, []float64{3, 5, 10})).Against("random", []float64{1, 4, 4}))
	alone := made(t)(Share("right", "images", 1, 9, 10))
	known := made(t)(alone.AgainstValue("chance", 0.1))
	want := [][]any{
		{"gain", "6.0 (-3.0 to 15.0)", "random", "3.00 (-1.30 to 7.30)", "3.00 (-3.57 to 9.57)", "3 networks", 3},
		{"right", "0.900 (0.555 to 0.997)", "none", "", "", "10 images", 1},
		{"right", "0.900 (0.555 to 0.997)", "chance", "0.100", "", "10 images", 1},
	}
	for i, row := range (Claims{paired, alone, known}).Table().Rows {
		if !slices.Equal(row, want[i]) {
			t.Errorf("row %d is %v, want %v", i, row, want[i])
		}
	}
}

func TestDecimals(t *testing.T) {
	for want, s := range map[string]span{
		"41.8 (30.1 to 53.6)":     {value: 41.83, low: 30.11, high: 53.62},
		"0.123 (-0.500 to 0.700)": {value: 0.1234, low: -0.5, high: 0.7},
		"3.21 (1.00 to 5.43)":     {value: 3.211, low: 1, high: 5.431},
		"0.100":                   {value: 0.1, low: 0.1, high: 0.1},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
