package shift

import (
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
	for file, got := range map[string][]int{"imagenet_a_indices.txt": ImageNetAClasses(), "imagenet_r_indices.txt": ImageNetRClasses()} {
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
	e := ErrorRates{Name: "m", Clean: 0.1, Corrupted: map[string]float64{"fog": 0.4, "snow": 0.5}, Low: map[string]float64{"fog": 0.3}, High: map[string]float64{"fog": 0.6}}
	want := [][]any{{"none", table.Rate{Value: 0.1, Low: 0.1, High: 0.1}}, {"fog", table.Rate{Value: 0.4, Low: 0.3, High: 0.6}}, {"snow", table.Rate{Value: 0.5, Low: 0.5, High: 0.5}}}
	if got := e.Table(); got.Title != "m" || !slices.EqualFunc(got.Rows, want, slices.Equal) {
		t.Errorf("%v, want %v", got.Rows, want)
	}
	c := &CorruptionError{Model: "m", Baseline: "b", Corruptions: []string{"fog"}, CE: []float64{0.5}, Relative: []float64{0.25}, Mean: 0.75, MeanRelative: 0.125, Interval: stats.Interval{Low: 0.625, High: 0.875}}
	want = [][]any{{"fog", 50., 25., nil, nil}, {"mean", 75., 12.5, 62.5, 87.5}}
	if got := c.Table(); got.Title != "m by b" || !slices.EqualFunc(got.Rows, want, slices.Equal) {
		t.Errorf("%v, want %v", got.Rows, want)
	}
	c.Interval = stats.Interval{}
	if got := c.Table().Rows[1]; got[3] != nil || got[4] != nil {
		t.Errorf("without an interval the mean has %v", got)
	}
	s := &Sweep{Model: "m", Images: 10, Corruptions: []string{"fog"}, Correct: [][]int{{9, 4}}, Confidence: [][]float64{{0.75, 0.5}}}
	got, err := s.Table()
	if err != nil {
		t.Fatal(err)
	}
	for severity, correct := range []int{9, 4} {
		iv, err := stats.ClopperPearson(correct, 10, 0.05)
		if err != nil {
			t.Fatal(err)
		}
		if want := []any{"fog", severity, 10, correct, table.Rate{Value: float64(correct) / 10, Low: iv.Low, High: iv.High}, table.Percent(s.Confidence[0][severity])}; !slices.Equal(got.Rows[severity], want) {
			t.Errorf("%v, want %v", got.Rows[severity], want)
		}
	}
	f := &Filtration{Total: 9, Kept: []int{3, 5}}
	if got := f.Table(); got.Title != "kept: 2 of 9" || !slices.EqualFunc(got.Rows, [][]any{{3}, {5}}, slices.Equal) {
		t.Errorf("%+v", got)
	}
}
