package lesson

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/ui"
)

// Guess is a question that is asked before the answer is shown: who has guessed looks at the answer with other eyes.
type Guess struct {
	question string
	options  []string
	choice   *ui.ChoiceControl
}

// unset is what stands in front of the options until somebody chooses.
const unset = "not yet"

// Ask shows a question with its options as a row of buttons, of which none is chosen. At least two options, all
// different, or it panics. [Guess.Answer] tells later what is so.
func Ask(question string, options ...string) *Guess {
	sorted := slices.Sorted(slices.Values(options))
	if len(options) < 2 || len(slices.Compact(sorted)) != len(options) || slices.Contains(options, unset) {
		panic(fmt.Sprintf("lesson: %q needs at least two different options, and has %q", question, options))
	}
	return &Guess{question: question, options: options, choice: ui.Choice("", append([]string{unset}, options...), nil)}
}

// Bundle shows the question.
func (g *Guess) Bundle() mime.Bundle {
	b := ui.Column(ui.HTML("<b>"+html.EscapeString(g.question)+"</b>"), g.choice).Bundle()
	b.Data[mime.Text] = g.question + " " + strings.Join(g.options, ", ") + "?"
	return b
}

// Choose guesses from a cell, where there are no buttons to press. What is not an option panics.
func (g *Guess) Choose(option string) *Guess {
	if !slices.Contains(g.options, option) {
		panic(fmt.Sprintf("lesson: %q is not one of %q", option, g.options))
	}
	g.choice.Set(option)
	return g
}

// Answer tells which option is right and why, and whether it was guessed. What is not an option panics.
func (g *Guess) Answer(option, why string) Verdict {
	if !slices.Contains(g.options, option) {
		panic(fmt.Sprintf("lesson: the answer %q is not one of %q", option, g.options))
	}
	switch guessed := g.choice.Value(); guessed {
	case option:
		return Right("As you guessed: %s. %s", option, why)
	case unset:
		return NotYet("It is: %s. %s", option, why)
	default:
		return Wrong("You guessed %s; it is: %s. %s", guessed, option, why)
	}
}
