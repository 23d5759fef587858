package mask

import (
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/stats"
)

func TestOtherModelsOnSubsets(t *testing.T) {
	right := func(k int) Score { return Score{Accuracy: stats.Accuracy{Correct: k, Total: 10}} }
	scores := TransferScores{{right(10), right(5), right(1)}, {right(2), right(10), right(2)},
		{right(0), right(4), right(8)}}
	others, err := scores.Others()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.3, 0.2, 0.2} {
		if d := others[i] - want; d > 1e-12 || !(d > -1e-12) {
			t.Errorf("others are right on %g of the subsets of model %d, want %g", others[i], i+1, want)
		}
	}
	if got := scores.Table(); !slices.Equal(got.Header, []string{"subsets of", "network 1", "network 2", "network 3"}) ||
		len(got.Rows) != 3 || !strings.Contains(got.String(), "40.0%") {
		t.Errorf("the table is\n%s", got)
	}
	for name, part := range map[string]TransferScores{"nothing": nil, "one model": scores[:1],
		"a part": {scores[0], scores[1][:2], scores[2]}} {
		if _, err := part.Others(); err == nil {
			t.Errorf("%s: others have a mean", name)
		}
	}
}
