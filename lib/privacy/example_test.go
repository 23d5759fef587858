package privacy_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/privacy"
)

// What is spent by 1,000 steps of which each has an example with a probability of 1 in 100, and noise as large as the
// norm that gradients are clipped to.
func ExampleAccount() {
	a := privacy.Account{}.Add(privacy.Phase{Noise: 1, Rate: 0.01, Steps: 1000})
	spent, err := a.Epsilon(1e-5)
	fmt.Printf("ε %.2f %v\n", spent.Epsilon, err)
	// Output: ε 2.10 <nil>
}

func ExampleAccount_NoiseFor() {
	p, err := privacy.Account{}.NoiseFor(privacy.Phase{Rate: 0.01, Steps: 1000}, 3, 1e-5)
	fmt.Println(p.Noise > 0.5 && p.Noise < 1, err)
	// Output: true <nil>
}
