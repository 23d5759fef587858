package claim

import (
	"testing"

	"github.com/loupeml/loupe/internal/approx"
)

// r and its interval are of SciPy 1.17.1: scipy.stats.pearsonr([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) and its
// confidence_interval().
func TestCorrelation(t *testing.T) {
	c, err := Correlation("r", "models", 1, []float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range [][2]float64{{c.Value, 0.8}, {c.Low, -0.279640041969355}, {c.High, 0.9861961933012714}} {
		if !approx.Equal(of[0], of[1], 1e-9) {
			t.Errorf("r is %g (%g to %g)", c.Value, c.Low, c.High)
		}
	}
	if c.N != 5 || c.Unit != "models" || c.Control != "" {
		t.Errorf("the claim is %+v", c)
	}
	if _, err := Correlation("r", "models", 1, []float64{1, 2, 3, 4}, []float64{1, 1, 1, 1}); err == nil {
		t.Error("a value that is the same for all models correlates")
	}
}

func TestAControlThatIsAClaim(t *testing.T) {
	low, err := Correlation("r", "models", 1, []float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5})
	if err != nil {
		t.Fatal(err)
	}
	high, err := Share("share", "images", 1, 9, 10)
	if err != nil {
		t.Fatal(err)
	}
	c, err := low.AgainstClaim("of images", high)
	if err != nil || c.Value != low.Value || c.Control != "of images" || c.ControlValue != 0.9 ||
		c.ControlLow != high.Low || c.ControlHigh != high.High || c.Paired {
		t.Errorf("the claim is %+v (%v)", c, err)
	}
	if _, err := low.AgainstClaim("nothing", Claim{}); err == nil {
		t.Error("an empty claim is a control")
	}
}
