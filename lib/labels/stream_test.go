package labels

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
)

// planted writes a file of half precision with the probabilities of n examples and k classes: about 0.7 for the true
// class and the rest spread out at random. It returns labels of which every 50th is wrong, and where these are.
func planted(t testing.TB, file string, n, k int) (y, wrong []int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	w.WriteString(npyHeader("<f2", "False", fmt.Sprintf("(%d, %d)", n, k)))
	rng := rand.New(rand.NewPCG(5, 6))
	spread := make([][]byte, 256)
	for s := range spread {
		for range k {
			spread[s] = appendNumber(spread[s], "<f2", 0.6/float64(k)*rng.Float64())
		}
	}
	y = make([]int, n)
	row := make([]byte, 2*k)
	for i := range n {
		true := rng.IntN(k)
		copy(row, spread[rng.IntN(len(spread))])
		copy(row[2*true:], appendNumber(nil, "<f2", 0.6+0.2*rng.Float64()))
		w.Write(row)
		if y[i] = true; i%50 == 7 {
			y[i] = (true + 1 + rng.IntN(k-1)) % k
			wrong = append(wrong, i)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return y, wrong
}

// status is a figure of /proc/self/status in bytes.
func status(t *testing.T, name string) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("skipped: needs /proc")
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			kilobytes, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func TestAFileIsGoneThroughWithoutCopyingIt(t *testing.T) {
	n, k, limit := 200_000, 100, int64(math.MaxInt64)
	if testenv.IsHeavy() {
		n, k, limit = 1_000_000, 1000, 3<<29 // of a file of 2 GB; 4 GB are promised
	}
	file := filepath.Join(t.TempDir(), "p.npy")
	y, wrong := planted(t, file, n, k)
	p, err := OpenProbabilities(file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	pages := status(t, "RssFile")
	for _, f := range []Filter{PruneByNoiseRate, PruneByClass, PredictedNotGiven, LowNormalizedMargin} {
		got := mustFind(t, p, y, Options{Filter: f}).Indices()
		slices.Sort(got)
		planted := 0
		for _, i := range got {
			if _, is := slices.BinarySearch(wrong, i); is {
				planted++
			}
		}
		if planted != len(got) || len(got) < len(wrong)/3 || f == PredictedNotGiven && len(got) != len(wrong) {
			t.Errorf("%s finds %d issues of which %d were planted, of %d", f, len(got), planted, len(wrong))
		}
	}
	runtime.ReadMemStats(&after)
	per := float64(after.TotalAlloc-before.TotalAlloc) / float64(n) / 4
	kept := status(t, "RssFile") - pages
	t.Logf("%d x %d: %.0f bytes allocated for each example, %d MB of the file's pages kept, %d MB at most", n, k, per,
		kept>>20, status(t, "VmHWM")>>20)
	if !(per <= 200) {
		t.Errorf("%.0f bytes are allocated for each example, whose row has %d", per, 2*k)
	}
	if size := int64(2 * n * k); kept > size/4 {
		t.Errorf("%d MB of a file of %d MB stay in memory", kept>>20, size>>20)
	}
	if most := status(t, "VmHWM"); most > limit {
		t.Errorf("%d MB were in memory", most>>20)
	}
}

// The same rows give the same issues wherever they lie, and however many go through them.
func TestRowsAreTheSameWhereverTheyLie(t *testing.T) {
	const n, k = 30_000, 20
	file := filepath.Join(t.TempDir(), "p.npy")
	y, _ := planted(t, file, n, k)
	p, err := OpenProbabilities(file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var doubles []float64
	var singles []float32
	for i := range n {
		for _, v := range p.Row(i, make([]float64, k)) {
			doubles, singles = append(doubles, v), append(singles, float32(v))
		}
	}
	inDoubles, err := Float64s(doubles, k)
	if err != nil {
		t.Fatal(err)
	}
	inSingles, err := Float32s(singles, k)
	if err != nil {
		t.Fatal(err)
	}
	inTensor, err := FromTensor(tensors.FromFlatDataAndDimensions(singles, n, k))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	odd := npyHeader("<f2", "False", "(30000, 20)")
	odd = odd[:8] + string([]byte{odd[8] - 1, odd[9]}) + odd[10:len(odd)-2] + "\n"
	if err := os.WriteFile(file+"2", append([]byte(odd), raw[len(odd)+1:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	anywhere, err := OpenProbabilities(file + "2")
	if err != nil {
		t.Fatal(err)
	}
	defer anywhere.Close()
	want := mustFind(t, p, y, Options{Rank: NormalizedMargin})
	for what, other := range map[string]Probabilities{"float64": inDoubles, "float32": inSingles, "tensor": inTensor,
		"clipped": Clip(p), "at an odd place": anywhere} {
		if got := mustFind(t, other, y, Options{Rank: NormalizedMargin}); !slices.Equal(got.List, want.List) {
			t.Errorf("%s: other issues", what)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(7))
	if got := mustFind(t, p, y, Options{Rank: NormalizedMargin}); !slices.Equal(got.List, want.List) {
		t.Error("seven workers find other issues")
	}
	if doubles[0] != p.Row(0, make([]float64, k))[0] {
		t.Error("the values were changed")
	}
}

func TestProbabilitiesNameWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		values  []float64
		want    string
		clipped bool // whether clipping is enough
	}{
		{[]float64{0.5, 0.5, math.NaN(), 0.5}, "example 1 has no number (NaN) as the probability of class 0", false},
		{[]float64{0.5, 0.5, 0.5, math.NaN()}, "example 1 has no number (NaN) as the probability of class 1", false},
		{[]float64{0, 1.1, 0.5, 0.5}, "example 0 has the probability 1.1 of class 1", true},
		{[]float64{0, 1, 1, -0.01}, "example 1 has the probability -0.01 of class 1", true},
		{[]float64{0, 1, math.Inf(1), 0}, "example 1 has the probability +Inf of class 0", true},
	} {
		p, err := Float64s(c.values, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, y := range [][]int{{0, 0}, {0, 1}, {1, 1}} { // whether the label's or another's
			if _, err := FindLabelIssues(p, y, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v: %v, want %q", c.values, err, c.want)
			}
			if _, err := Scores(p, y, SelfConfidence); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, scored: %v, want %q", c.values, err, c.want)
			}
		}
		if _, err := FindLabelIssues(Clip(p), []int{0, 1}, Options{}); (err == nil) != c.clipped {
			t.Errorf("%v, clipped: %v", c.values, err)
		}
	}
	p, _ := Float64s([]float64{1, 0, 0, 1}, 2)
	for want, do := range map[string]func() error{
		"no probabilities": func() error { _, err := EstimateJoint(nil, nil); return err },
		"1 labels":         func() error { _, err := EstimateJoint(p, []int{0}); return err },
		"the label 2":      func() error { _, err := EstimateJoint(p, []int{0, 2}); return err },
		"no filter 99":     func() error { _, err := FindLabelIssues(p, []int{0, 1}, Options{Filter: 99}); return err },
		"Share is 1.5":     func() error { _, err := FindLabelIssues(p, []int{0, 1}, Options{Share: 1.5}); return err },
		"Share is NaN": func() error {
			_, err := FindLabelIssues(p, []int{0, 1},
				Options{Share: math.NaN()})
			return err
		},
		"Keep is -1":   func() error { _, err := FindLabelIssues(p, []int{0, 1}, Options{Keep: -1}); return err },
		"of 1 classes": func() error { _, err := FindLabelIssues(p, []int{0, 1}, Options{Joint: [][]int{{1}}}); return err },
		"has 1 counts": func() error {
			_, err := FindLabelIssues(p, []int{0, 1},
				Options{Joint: [][]int{{1}, {1}}})
			return err
		},
		"counts -1": func() error {
			_, err := FindLabelIssues(p, []int{0, 1}, Options{Joint: [][]int{{1, -1}, {1, 1}}})
			return err
		},
		"3 probabilities": func() error { _, err := Float64s(make([]float64, 3), 2); return err },
		"0 probabilities": func() error { _, err := Float32s(nil, 2); return err },
		"tensor [N, K]":   func() error { _, err := FromTensor(nil); return err },
		"float32, float64": func() error {
			_, err := FromTensor(tensors.FromFlatDataAndDimensions([]int32{1, 0}, 1,
				2))
			return err
		},
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "labels: ") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestInterruptedItReturnsTheErrorOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.npy")
	y, _ := planted(t, file, 12_000, 50)
	p, err := OpenProbabilities(file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // Countdown counts for one goroutine
	whole := false
	for questions := 0; !whole; questions++ {
		release := interrupt.Use(testenv.CancelledAfter(questions))
		issues, err := FindLabelIssues(p, y, Options{})
		release()
		var stopped *interrupt.Stopped
		switch {
		case err == nil:
			whole = true
			if questions < 12 {
				t.Errorf("it asks %d times", questions)
			}
		case issues != nil || !errors.Is(err, context.Canceled) || !errors.As(err, &stopped) || stopped.Of == 0:
			t.Fatalf("at question %d: %v, %v", questions, issues, err)
		}
	}
}

// A user's own joint takes its counts: one of no errors takes none.
func TestTheJointCanBeGiven(t *testing.T) {
	p, y := given(t, "mnist")
	joint, err := EstimateJoint(p, y)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{PruneByNoiseRate, PruneByClass, Both} {
		same, own := mustFind(t, p, y, Options{Filter: f}), mustFind(t, p, y, Options{Filter: f, Joint: joint.Calibrated()})
		if !slices.Equal(same.Indices(), own.Indices()) {
			t.Errorf("%s: the calibrated joint gives other issues", f)
		}
		clean := square[int](10)
		for k := range clean {
			clean[k][k] = joint.Examples[k]
		}
		if none := mustFind(t, p, y, Options{Filter: f, Joint: clean}); len(none.List) != 0 {
			t.Errorf("%s: without errors in the joint it takes %v", f, none.Indices())
		}
	}
}
