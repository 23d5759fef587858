package lesson

import (
	"math"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

func TestNumberSaysWhatIsWrong(t *testing.T) {
	wrongShare := Mistake{Value: 0.05, Says: "This is the share that is wrong."}
	for _, c := range []struct {
		got         float64
		right, open bool
		says        string
	}{
		{0.95, true, false, "Right: 0.95."},
		{0.9504, true, false, "Right: 0.95."},
		{0.05, false, false, "This is the share that is wrong."},
		{0, false, true, "as at the beginning"},
		{0.5, false, false, "too small"},
		{19, false, false, "too large"},
		{95, false, false, "in percent"},
		{math.NaN(), false, false, "NaN"},
		{math.Inf(1), false, false, "too large"},
	} {
		v := Number(c.got, 0.95, 0.0005, wrongShare)
		if v.Right != c.right || v.Open != c.open || !strings.Contains(v.Says, c.says) {
			t.Errorf("%g: %+v, want %q", c.got, v, c.says)
		}
	}
	// A mistake that is the answer by chance does not make it wrong, and 0 may be the answer.
	if v := Number(0.5, 0.5, 0, Mistake{Value: 0.5, Says: "no"}); !v.Right {
		t.Error(v)
	}
	if v := Number(0, 0, 0); !v.Right {
		t.Error(v)
	}
}

func TestSetSaysWhatIsMissing(t *testing.T) {
	want := []int{3, 1, 2}
	for _, c := range []struct {
		got  []int
		says string
	}{
		{[]int{1, 2, 3}, "Right"},
		{nil, "nothing is chosen"},
		{[]int{1, 2}, "1 of 3 is missing."},
		{[]int{1, 2, 3, 7}, "7 does not belong"},
		{[]int{1, 4, 5, 6, 7}, "2 of 3 are missing, and 4, 5, 6, … do not belong"},
		{[]int{1, 1, 2}, "1 is there twice"},
	} {
		if v := Set(c.got, want); !strings.Contains(v.Says, c.says) || v.Right != strings.HasPrefix(c.says, "Right") {
			t.Errorf("%v: %+v, want %q", c.got, v, c.says)
		}
	}
}

func TestSetQuotesWords(t *testing.T) {
	if v := Set([]string{"none", "a"}, []string{"a"}); v.Says != `"none" does not belong to them.` {
		t.Error(v)
	}
	if v := Set([]string{"a", "a"}, []string{"a"}); v.Says != `"a" is there twice.` {
		t.Error(v)
	}
}

func TestAGuessIsRememberedUntilTheAnswer(t *testing.T) {
	ask := func() *Guess { return Ask("How many <b> of twenty?", "all", "19", "half") }
	if v := ask().Answer("19", "One is a mastiff."); v.Right || !v.Open ||
		!strings.HasPrefix(v.Says, "It is: 19. One is") {
		t.Error(v)
	}
	if v := ask().Choose("19").Answer("19", ""); !v.Right {
		t.Error(v)
	}
	if v := ask().Choose("all").Answer("19", ""); v.Right || v.Open ||
		!strings.HasPrefix(v.Says, "You guessed all; it is: 19.") {
		t.Error(v)
	}
	if text := ask().Bundle().Data[mime.Text]; text != "How many <b> of twenty? all, 19, half?" {
		t.Errorf("shown as %q", text)
	}
	for name, f := range map[string]func(){
		"one option": func() { Ask("?", "yes") }, "twice": func() { Ask("?", "yes", "yes") },
		"no option": func() { ask().Choose("18") }, "no answer": func() { ask().Answer("18", "") },
		"no number": func() { Number(1, math.NaN(), 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestAVerdictIsShownAsTextAndEscaped(t *testing.T) {
	b := Wrong("%d < 5", 3).Bundle()
	if b.Data[mime.Text] != "✗ 3 < 5" || !strings.Contains(b.Data[mime.HTML], "3 &lt; 5") {
		t.Error(b.Data)
	}
}
