package shift

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"

	"os"
	"path/filepath"
)

// timm lists the classes of ImageNet-A and ImageNet-R as well.
func TestClassesOfImageNetAAndRAreTimms(t *testing.T) {
	folder := testenv.Asset(t, "imagenet-classes")
	for file, got := range map[string][]int{"imagenet_a_indices.txt": ImageNetAClasses(),
		"imagenet_r_indices.txt": ImageNetRClasses()} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for _, word := range strings.Fields(string(text)) {
			class, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, class)
		}
		if len(want) != 200 || !slices.Equal(got, want) {
			t.Errorf("%s: %v, timm has %v", file, got, want)
		}
	}
}

func TestTablesSayWhatWasMeasured(t *testing.T) {
	e := ErrorRates{Name: "m", Clean: 0.1, Corrupted: map[string]float64{"fog": 0.4, "snow": 0.5},
		Low: map[string]float64{"fog": 0.3}, High: map[string]float64{"fog": 0.6}}
	// Where an interval is not known its ends are not numbers.
	want := [][]any{{"none", 0.1, false}, {"fog", 0.4, true}, {"snow", 0.5, false}}
	got := e.Table()
	if got.Title != "m" || len(got.Rows) != len(want) {
		t.Fatalf("%v, want %v", got.Rows, want)
	}
	for i, w := range want {
		rate, ok := got.Rows[i][1].(table.Rate)
		if !ok || got.Rows[i][0] != w[0] || rate.Value != w[1] || (rate.Low == 0.3 && rate.High == 0.6) != w[2] ||
			math.IsNaN(rate.Low) == w[2] {
			t.Errorf("%v, want %v", got.Rows[i], w)
		}
	}
	c := &CorruptionError{Model: "m", Baseline: "b", Corruptions: []string{"fog"}, CE: []float64{0.5},
		Relative: []float64{0.25}, Mean: 0.75, MeanRelative: 0.125, Interval: stats.Interval{Low: 0.625, High: 0.875}}
	want = [][]any{{"fog", 50., 25., nil, nil}, {"mean", 75., 12.5, 62.5, 87.5}}
	if got := c.Table(); got.Title != "m by b" || !slices.EqualFunc(got.Rows, want, slices.Equal) {
		t.Errorf("%v, want %v", got.Rows, want)
	}
	c.Interval = stats.Interval{}
	if got := c.Table().Rows[1]; got[3] != nil || got[4] != nil {
		t.Errorf("without an interval the mean has %v", got)
	}
	s := &Sweep{Model: "m", Corruptions: []string{"fog"},
		Accuracy:   [][]stats.Accuracy{{{Correct: 9, Total: 10}, {Correct: 4, Total: 10}}},
		Confidence: [][]float64{{0.75, 0.5}}}
	got = s.Table()
	for severity, correct := range []int{9, 4} {
		iv, err := stats.ClopperPearson(correct, 10, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		if want := []any{"fog", severity, 10, correct, table.Rate{Value: float64(correct) / 10, Low: iv.Low, High: iv.High},
			table.Percent(s.Confidence[0][severity])}; !slices.Equal(got.Rows[severity], want) {
			t.Errorf("%v, want %v", got.Rows[severity], want)
		}
	}
	f := &Filtration{Total: 9, Kept: []int{3, 5}}
	if got := f.Table(); got.Title != "kept: 2 of 9" || !slices.EqualFunc(got.Rows, [][]any{{3}, {5}}, slices.Equal) {
		t.Errorf("%+v", got)
	}
}
