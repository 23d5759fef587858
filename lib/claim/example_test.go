package claim_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/claim"
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
