package claim_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/claim"
	"github.com/loupeml/loupe/lib/stats"
)

func ExampleShare() {
	c, err := claim.Share("the mark is found", "networks", 3, 8, 10)
	fmt.Println(c.Value, err)
	// Output: 0.8 <nil>
}

func ExampleMean() {
	c, err := claim.Mean("accuracy", "networks", 3, []float64{80, 82, 84})
	fmt.Println(c.Value, err)
	// Output: 82 <nil>
}

func ExampleAccuracy() {
	c, err := claim.Accuracy("the network's accuracy", stats.Accuracy{Correct: 9, Total: 10})
	fmt.Println(c.Value, c.Unit, err)
	// Output: 0.9 images <nil>
}

// Are models that are better under one condition better under another?
func ExampleCorrelation() {
	before, after := []float64{60, 65, 70, 75}, []float64{50, 56, 60, 65}
	c, err := claim.Correlation("r of before and after", "networks", 1, before, after)
	fmt.Printf("%.2f of %d %s, %v\n", c.Value, c.N, c.Unit, err)
	// Output: 1.00 of 4 networks, <nil>
}
