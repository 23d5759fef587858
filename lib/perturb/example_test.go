package perturb_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/perturb"
)

func ExampleCorruption() {
	c, err := perturb.CorruptionNamed("fog")
	if err != nil {
		panic(err)
	}
	fmt.Println(c)
	// Output: fog
}
