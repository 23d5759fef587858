package imagenet

import (
	"strconv"
	"testing"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
)

// NLTK's figures for every 37th class beside every 7th.
func TestSimilarityAgreesWithNLTK(t *testing.T) {
	rows := oracle.Rows(t, "testdata/wordnet.csv")[1:]
	if len(rows) < 3000 {
		t.Fatalf("%d pairs", len(rows))
	}
	for _, row := range rows {
		a, errA := strconv.Atoi(row[0])
		b, errB := strconv.Atoi(row[1])
		want, err := strconv.ParseFloat(row[2], 64)
		if errA != nil || errB != nil || err != nil {
			t.Fatal(row)
		}
		if a == b {
			want = 1 // some are less by NLTK
		}
		if got, err := Similarity(a, b); err != nil || !approx.Equal(got, want, 1e-12) {
			t.Errorf("classes %d and %d: %v, %v, want %v", a, b, got, err, want)
		}
	}
}

func TestSimilarityOfUnknownClasses(t *testing.T) {
	for _, pair := range [][2]int{{-1, 0}, {0, 1000}} {
		if _, err := Similarity(pair[0], pair[1]); err == nil {
			t.Errorf("classes %v have a similarity", pair)
		}
	}
}
