package labels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
)

// manyIssues are n issues of as many images.
func manyIssues(t *testing.T, n int) (*data.Dataset, []Issue) {
	t.Helper()
	images, err := data.FromTensor(tensors.FromFlatDataAndDimensions(make([]float32, n*4*3), n, 2, 2, 3), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var issues []Issue
	for i := range n {
		issues = append(issues, Issue{Index: i, Given: 0, Suggested: 1})
	}
	return images, issues
}

func openReview(t *testing.T, file string, n int) *Review {
	t.Helper()
	images, issues := manyIssues(t, n)
	r, err := OpenReview(file, images, issues, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Two reviews of one file lose nothing that the other has said, and learn of it.
func TestTwoReviewsOfOneFile(t *testing.T) {
	for _, name := range []string{"r.json", "r.csv"} {
		file := filepath.Join(t.TempDir(), name)
		a, b := openReview(t, file, 4), openReview(t, file, 4)
		for _, step := range []struct {
			by    *Review
			issue int
			d     Decision
		}{{a, 0, KeepLabel}, {b, 1, TakeSuggestion}, {a, 2, BothLabels}, {b, 0, NeitherLabel}, {b, 2, Undecided}} {
			if err := step.by.Decide(step.issue, step.d); err != nil {
				t.Fatal(err)
			}
		}
		want := []Decision{NeitherLabel, TakeSuggestion, Undecided, Undecided}
		for who, r := range map[string]*Review{"the last to decide": b, "one that opens it": openReview(t, file, 4)} {
			for i, d := range want {
				if got := r.Decision(i); got != d {
					t.Errorf("%s, %s: issue %d is %v, want %v", name, who, i, got, d)
				}
			}
		}
		if err := a.Decide(3, KeepLabel); err != nil || a.Decision(1) != TakeSuggestion || a.Decision(0) != NeitherLabel {
			t.Errorf("%s: the first one has not heard: %v, %v, %v", name, err, a.Decision(0), a.Decision(1))
		}
		// A file that is gone is written again with all that is known.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := a.Decide(2, KeepLabel); err != nil {
			t.Fatal(err)
		}
		if r := openReview(t, file, 4); r.Decided() != 4 {
			t.Errorf("%s: %d decisions after the file was taken away", name, r.Decided())
		}
		// One that has become something else is not written over.
		if err := os.WriteFile(file, []byte("my notes"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := a.Decide(0, KeepLabel); err == nil || !strings.Contains(err.Error(), "holds no decisions") {
			t.Errorf("%s: over notes: %v", name, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "my notes" || a.Decision(0) != NeitherLabel {
			t.Errorf("%s: %q, %v, %v", name, text, err, a.Decision(0))
		}
	}
}

// Reviews in several processes, each of several goroutines, lose nothing either.
func TestReviewsInSeveralProcesses(t *testing.T) {
	const each = 12
	if at, ok := os.LookupEnv("LOUPE_TEST_REVIEW"); ok { // a child
		file, number, _ := strings.Cut(at, "|")
		first, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		for g := range 2 {
			r := openReview(t, file, 3*each)
			wait.Add(1)
			go func() {
				defer wait.Done()
				for i := g; i < each; i += 2 {
					if err := r.Decide(first+i, KeepLabel); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wait.Wait()
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "r.json")
	var children []*exec.Cmd
	for p := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestReviewsInSeveralProcesses$")
		child.Env = append(os.Environ(), fmt.Sprintf("LOUPE_TEST_REVIEW=%s|%d", file, p*each))
		child.Stdout, child.Stderr = os.Stderr, os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, child)
	}
	for _, child := range children {
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}
	if r := openReview(t, file, 3*each); r.Decided() != 3*each {
		t.Errorf("%d decisions of %d are left", r.Decided(), 3*each)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// The file of a review stays what it was to others: its mode, and the link to it.
func TestAReviewsFileKeepsItsMode(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "r.csv"), filepath.Join(dir, "link.csv")
	if err := os.Symlink("r.csv", link); err != nil {
		t.Fatal(err)
	}
	r := openReview(t, link, 2)
	if err := r.Decide(0, KeepLabel); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := r.Decide(1, KeepLabel); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(file); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if openReview(t, link, 2).Decided() != 2 {
		t.Error("a decision is lost")
	}
}
