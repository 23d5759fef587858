package assets_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/loupeml/loupe/lib/assets"
)

// server gives a file, breaks off the first transfers in the middle, and keeps what was asked for.
type server struct {
	content []byte
	etag    string
	breaks  int
	ranges  []string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	w.Header().Set("ETag", s.etag)
	if s.breaks > 0 {
		s.breaks--
		w.Header().Set("Content-Length", fmt.Sprint(len(s.content)))
		w.Write(s.content[:len(s.content)/2])
		return // the connection closes before the promised length
	}
	http.ServeContent(w, r, "weights.bin", time.Time{}, bytes.NewReader(s.content))
}

func fromURL(t *testing.T, s *server) {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	a := tiny()
	a.Source = assets.Source{URL: h.URL + "/weights.bin"}
	a.Files[0].From = "weights.bin"
	place(t, nil, a)
}

func TestBrokenDownloadGoesOn(t *testing.T) {
	s := &server{content: weights, etag: `"one"`, breaks: 1}
	fromURL(t, s)
	_, err := fetch("tiny")
	wantError(t, err, "broke off", "`loupe fetch tiny` goes on from there")
	dir, err := fetch("tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "weights.bin")); err != nil || !bytes.Equal(got, weights) {
		t.Errorf("content differs: %v", err)
	}
	if want := fmt.Sprintf("bytes=%d-", len(weights)/2); len(s.ranges) != 2 || s.ranges[1] != want {
		t.Errorf("asked for %q, want the rest only (%s)", s.ranges, want)
	}
}

// What changed in between is not glued to the old half.
func TestChangedInBetween(t *testing.T) {
	s := &server{content: bytes.Repeat([]byte("old data"), 4096), etag: `"one"`, breaks: 1}
	fromURL(t, s)
	if _, err := fetch("tiny"); err == nil {
		t.Fatal("the first transfer did not break off")
	}
	s.content, s.etag = weights, `"two"`
	dir, err := fetch("tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "weights.bin")); err != nil || !bytes.Equal(got, weights) {
		t.Errorf("content differs: %v", err)
	}
}

func TestNotFoundAtItsURL(t *testing.T) {
	h := httptest.NewServer(http.NotFoundHandler())
	defer h.Close()
	a := tiny()
	a.Source = assets.Source{URL: h.URL + "/weights.bin"}
	place(t, nil, a)
	_, err := fetch("tiny")
	wantError(t, err, "404", "check its url")
}
