// Package plural writes how many there are of something.
package plural

import (
	"fmt"
	"strings"
)

// Of is "1 image", "0 images", "20 classes": the noun is given in the singular, one that forms its plural by s, es or
// ies.
func Of(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "ch"):
		return fmt.Sprint(n, " ", noun, "es")
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprint(n, " ", strings.TrimSuffix(noun, "y"), "ies")
	}
	return fmt.Sprint(n, " ", noun, "s")
}
