package nearest

import (
	"reflect"
	"testing"
)

func TestNames(t *testing.T) {
	models := []string{"efficientnet-lite0", "efficientnet-lite1", "squeezenet", "vit-focus", "conv1"}
	for _, c := range []struct {
		word string
		want []string
	}{
		{"efficentnet-lite0", []string{"efficientnet-lite0", "efficientnet-lite1"}},
		{"SqueezeNet", []string{"squeezenet"}},
		{"vit", []string{"vit-focus"}},
		{"conv", []string{"conv1"}},
		{"resnet50", nil},
		{"", nil},
	} {
		if got := Names(c.word, models, 2); !reflect.DeepEqual(got, c.want) {
			t.Errorf("Names(%q) = %v, want %v", c.word, got, c.want)
		}
	}
}

// The distance is a metric, and these are its textbook values.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"kitten", "sitting", 3}, {"", "abc", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got, back := distance(c.a, c.b), distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("distance(%q, %q) = %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
