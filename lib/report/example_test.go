package report_test

import (
	"fmt"
	"time"

	"github.com/loupeml/loupe/lib/internal/yours"
	"github.com/loupeml/loupe/lib/report"
)

// save.Write keeps the report as a page, report.html, and as report.json.
func ExampleOf() {
	photos := yours.Photos(30)
	r, err := report.Of(yours.Network(), photos, report.Options{Budget: 20 * time.Second})
	if err != nil {
		panic(err)
	}
	for _, m := range r.Measures {
		if m.Name == "accuracy" {
			fmt.Println(m.Name, m.Value)
		}
	}
	below, err := r.Below("accuracy", 0.9) // what --fail-under asks
	fmt.Printf("%q %v\n", below, err)
	// Output:
	// accuracy 1
	// "" <nil>
}

func ExampleChecks() {
	fmt.Println(report.Checks()[:3])
	// Output: [accuracy classes confusion]
}
