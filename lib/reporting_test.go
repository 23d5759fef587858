package loupe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/report"
)

// A report is of whatever images are, and says by what its cells begin where a person has no dataset.
func TestReportTakesWhatImagesAre(t *testing.T) {
	m := redness()
	ds := must(data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"}))
	dir := t.TempDir()
	picture := filepath.Join(dir, "spot.png")
	Save(picture, must(ds.Images(0)))
	for name, c := range map[string]struct {
		images any
		begin  string
		n      int
	}{
		"a dataset":  {ds, "", 2},
		"a tensor":   {spots(), "photos := data.FromTensor(images", 2},
		"a path":     {picture, `photos := loupe.Open("` + picture, 1},
		"some paths": {[]string{picture, picture}, `photos := data.Files([]string{"` + picture, 2},
	} {
		r := Report(m, c.images)
		if r.Images != c.n || !strings.HasPrefix(r.Begin, c.begin) || c.begin == "" && r.Begin != "" {
			t.Errorf("%s: %d images, begins with %q", name, r.Images, r.Begin)
		}
		if len(r.LeftOut) == 0 || len(r.Nothing) == 0 {
			t.Errorf("%s: %v", name, r)
		}
	}
	page := filepath.Join(dir, "report.html")
	Save(page, Report(m, ds))
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<!DOCTYPE html>") {
		t.Errorf("%v, %.100s", err, text)
	}
	for want, f := range map[string]func(){
		"images are a": func() { Report(m, 7) },
		"no network":   func() { Report(nil, ds) },
		"at most one":  func() { Report(m, ds, report.Options{}, report.Options{}) },
		"dataset":      func() { Report(m, (*data.Dataset)(nil)) },
		"nil":          func() { Report(m, (*tensors.Tensor)(nil)) },
		"more than 0":  func() { Report(m, ds, report.Options{Budget: -1}) },
	} {
		if got := panicOf(f); !strings.Contains(got, want) {
			t.Errorf("panics with %q, want %q", got, want)
		}
	}
}

// What a Stop leaves of a report can be had.
func TestStoppedReportIsKept(t *testing.T) {
	ds := must(data.FromTensor(spots(), []int{0, 1}, []string{"red", "other"}))
	release := interrupt.Use(testenv.CancelledAfter(0))
	got := panicOf(func() { Report(redness(), ds) })
	release()
	if r, ok := Partial().(*report.Report); !ok || !r.Stopped || !strings.Contains(got, "interrupted after") {
		t.Errorf("%v is left, after %q", Partial(), got)
	}
}
