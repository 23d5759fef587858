package display

import (
	"slices"
	"strconv"
	"testing"

	"gonum.org/v1/plot"
)

func TestThinned(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	for most, want := range map[int][]string{
		0: {"a", "", "", "", "", "", ""}, 1: {"a", "", "", "", "", "", ""}, 2: {"a", "", "", "", "e", "", ""},
		3: {"a", "", "", "d", "", "", "g"}, 6: {"a", "", "c", "", "e", "", "g"}, 7: names, 100: names,
	} {
		if got := thinned(names, most); !slices.Equal(got, want) {
			t.Errorf("of at most %d are left %q, want %q", most, got, want)
		}
	}
}

// A hundred long names under a plot do not run into each other.
func TestManyNamesUnderLines(t *testing.T) {
	l := Lines{Names: make([]string, 100)}
	s := Series{Name: "one"}
	for i := range l.Names {
		l.Names[i] = "blocks.10._depthwise_conv" + strconv.Itoa(i)
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, 1)
	}
	l.Series = []Series{s}
	p, err := l.Plot()
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, tick := range p.X.Tick.Marker.(plot.ConstantTicks) {
		if tick.Label != "" {
			named++
		}
	}
	if width := float64(named) * float64(p.X.Tick.Label.Height("X")); named < 10 || width > float64(l.layout().width) {
		t.Errorf("%d names take %.0f points of a width of %.0f", named, width, float64(l.layout().width))
	}
}
