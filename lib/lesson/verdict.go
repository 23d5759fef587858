// Package lesson has what a tutorial needs: questions that are asked before the answer is shown, and checks that say
// of an exercise's answer not only that it is wrong but what is likely wrong with it.
package lesson

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/mime"
)

// Verdict is what a check says of an answer. As the last value of a cell it shows itself.
type Verdict struct {
	// Right says that the answer is right.
	Right bool
	// Open says that nobody has answered yet.
	Open bool
	// Says is one or two sentences: why it is right, or what is likely wrong.
	Says string
}

// Right is a verdict on a right answer. The values are formatted as by fmt.Sprintf.
func Right(says string, values ...any) Verdict {
	return Verdict{Right: true, Says: fmt.Sprintf(says, values...)}
}

// Wrong is a verdict on a wrong answer; it should say what to look at. The values are formatted as by fmt.Sprintf.
func Wrong(says string, values ...any) Verdict {
	return Verdict{Says: fmt.Sprintf(says, values...)}
}

// NotYet is a verdict where nobody has answered. The values are formatted as by fmt.Sprintf.
func NotYet(says string, values ...any) Verdict {
	return Verdict{Open: true, Says: fmt.Sprintf(says, values...)}
}

// mark is the sign before a verdict, and its colour, which can be read on white and on black.
func (v Verdict) mark() (sign, colour string) {
	switch {
	case v.Right:
		return "✓", "#2e9e4f"
	case v.Open:
		return "○", "#808080"
	}
	return "✗", "#d1602b"
}

// String is the verdict in a line.
func (v Verdict) String() string {
	sign, _ := v.mark()
	return sign + " " + v.Says
}

// Bundle shows the verdict: green where the answer is right, red where it is wrong, grey where there is none.
func (v Verdict) Bundle() mime.Bundle {
	sign, colour := v.mark()
	b := mime.TextOf(v.String())
	b.Data[mime.HTML] = fmt.Sprintf(`<div style="border-left:4px solid %[1]s;padding:2px 8px">`+
		`<b style="color:%[1]s">%s</b> %s</div>`, colour, sign, html.EscapeString(v.Says))
	return b
}

// Mistake is a wrong answer that people give, and what to say of it.
type Mistake struct {
	// Value is the wrong answer.
	Value float64
	// Says is what is wrong with it.
	Says string
}

// Number checks a number: it is right if it is no further than tolerance from want. If it is as near to a mistake, the
// verdict says what that mistake says. Otherwise it says whether a number that should be below 1 is in percent, and
// whether it is too large or too small. A tolerance below 0, or a want that is no number, is a fault of the lesson and
// panics.
func Number(got, want, tolerance float64, mistakes ...Mistake) Verdict {
	if !(tolerance >= 0) || math.IsNaN(want) || math.IsInf(want, 0) {
		panic(fmt.Sprintf("lesson: no number can be checked against %g within %g", want, tolerance))
	}
	near := func(v float64) bool { return math.Abs(got-v) <= tolerance }
	switch {
	case math.IsNaN(got):
		return Wrong("That is not a number (NaN): something was divided by 0, or it is the mean of nothing.")
	case near(want):
		return Right("Right: %.4g.", want)
	}
	for _, m := range mistakes {
		if near(m.Value) {
			return Wrong("%s", m.Says)
		}
	}
	switch {
	case math.Abs(want) < 1 && math.Abs(got) >= 1 && math.Abs(got/100-want) <= tolerance:
		return Wrong("That is in percent: divide it by 100.")
	case got == 0:
		return NotYet("Not yet: it is 0, as at the beginning.")
	case got < want:
		return Wrong("%.4g is too small.", got)
	}
	return Wrong("%.4g is too large.", got)
}

// Set checks a choice of things, in any order: the verdict says how many are missing and names some that do not belong.
func Set[T comparable](got, want []T) Verdict {
	if len(got) == 0 && len(want) > 0 {
		return NotYet("Not yet: nothing is chosen.")
	}
	seen := map[T]bool{}
	for _, v := range got {
		if seen[v] {
			return Wrong("%s is there twice.", named(v))
		}
		seen[v] = true
	}
	missing := 0
	for _, v := range want {
		if !seen[v] {
			missing++
		}
	}
	var others []string
	for _, v := range got {
		if !slices.Contains(want, v) {
			others = append(others, named(v))
		}
	}
	if missing == 0 && len(others) == 0 {
		return Right("Right: these %d and no other.", len(want))
	}
	var says []string
	if missing > 0 {
		says = append(says, fmt.Sprintf("%d of %d %s missing", missing, len(want), plural.Is(missing)))
	}
	if n := len(others); n > 0 {
		does := "does"
		if n > 1 {
			does = "do"
		}
		if n > 3 {
			others = append(others[:3], "…")
		}
		says = append(says, fmt.Sprintf("%s %s not belong to them", strings.Join(others, ", "), does))
	}
	return Wrong("%s.", strings.Join(says, ", and "))
}

// named is a value in a sentence; a string is quoted, for it may be any word, such as "none".
func named(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(v)
}
