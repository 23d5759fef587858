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

// Grouped is [Of] with the digits of the number in groups, as a page for people has them: "5,000 images".
func Grouped(n int, noun string) string {
	_, noun, _ = strings.Cut(Of(n, noun), " ")
	return Thousands(n) + " " + noun
}

// Thousands is a number that is not below 0 with its digits in groups of three.
func Thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Is is "is" of one and "are" of others.
func Is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
