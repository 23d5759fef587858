package lesson_test

import (
	"fmt"

	"github.com/loupeml/loupe/lib/lesson"
)

func ExampleAsk() {
	guess := lesson.Ask("Which half does the network look at?", "left", "right") // a cell shows buttons
	guess.Choose("left")                                                         // pressed by a person
	fmt.Println(guess.Answer("right", "The dots lie there."))
	// Output: ✗ You guessed left; it is: right. The dots lie there.
}

func ExampleNumber() {
	mean := lesson.Mistake{Value: 4, Says: "That is the mean, not the median."}
	fmt.Println(lesson.Number(4, 3, 0.01, mean))
	fmt.Println(lesson.Number(3, 3, 0.01, mean))
	// Output:
	// ✗ That is the mean, not the median.
	// ✓ Right: 3.
}

func ExampleSet() {
	fmt.Println(lesson.Set([]string{"dark"}, []string{"dark", "blurry"}))
	// Output: ✗ 1 of 2 is missing.
}

// checked is a check of one's own.
func checked(pixels int) lesson.Verdict {
	switch {
	case pixels == 0:
		return lesson.NotYet("Not yet: mask some pixels.")
	case pixels > 10:
		return lesson.Wrong("%d pixels are too many.", pixels)
	}
	return lesson.Right("Right: %d are enough.", pixels)
}

func ExampleRight() {
	fmt.Println(checked(3))
	// Output: ✓ Right: 3 are enough.
}

func ExampleWrong() {
	fmt.Println(checked(30))
	// Output: ✗ 30 pixels are too many.
}

func ExampleNotYet() {
	fmt.Println(checked(0))
	// Output: ○ Not yet: mask some pixels.
}
