package attack_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/attack"
	"github.com/loupeml/loupe/lib/internal/yours"
)

// must is predeclared in cells.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ExamplePGD() {
	net, photos := yours.Network(), yours.Photos(10)
	small := attack.PGD{Norm: attack.LInf, Eps: 1.0 / 255, Steps: 5} // no pixel changes by more than one step of 255
	large := attack.PGD{Norm: attack.LInf, Eps: 0.5, Steps: 5}
	for _, by := range []attack.PGD{small, large} {
		r := must(by.Robustness(net, must(photos.All()), photos.Labels()))
		fmt.Println(r.Clean.Correct, r.Robust.Correct)
	}
	// Output:
	// 10 10
	// 10 0
}

func ExampleAPGD() {
	net, photos := yours.Network(), yours.Photos(10)
	r := must(attack.APGD{Norm: attack.L2, Eps: 5, Steps: 10}.Robustness(net, must(photos.All()), photos.Labels()))
	fmt.Println(r.Clean.Correct, r.Robust.Correct)
	// Output: 10 0
}

func ExampleAutoAttack() {
	net, photos := yours.Network(), yours.Photos(4)
	stood := must(attack.AutoAttack{Norm: attack.LInf, Eps: 0.01, Steps: 5, Queries: 20}.Run(net, must(photos.All()),
		photos.Labels()))
	fmt.Println(stood.Robust)
	// Output: 100.0% (39.8 to 100.0%), 4 of 4
}

func ExampleEvaluation() {
	net, photos := yours.Network(), yours.Photos(4)
	e := must(attack.AutoAttack{Norm: attack.LInf, Eps: 0.01, Steps: 5, Queries: 20}.Run(net, must(photos.All()),
		photos.Labels()))
	for i, by := range e.By {
		if by == attack.Robust {
			fmt.Println("photo", i, "stands all attacks")
		}
	}
	// Output:
	// photo 0 stands all attacks
	// photo 1 stands all attacks
	// photo 2 stands all attacks
	// photo 3 stands all attacks
}
