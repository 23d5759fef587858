package assets_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

// behaving gives the tests' weights as do does it, at a path of an asset's url. Requests are counted.
func behaving(t *testing.T, path string, do http.HandlerFunc) (cache string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		do(w, r)
	}))
	t.Cleanup(h.Close)
	a := tiny()
	a.Source = assets.Source{URL: h.URL + path}
	a.Files[0].From = "weights.bin"
	return place(t, nil, a), asked
}

// broken leaves the first half of a download behind, whose validator is "one".
func broken(w http.ResponseWriter) {
	w.Header().Set("ETag", `"one"`)
	w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
	w.Write(weights[:len(weights)/2])
}

// Servers that do not what HTTP says get one sentence, or the file as it is; nothing is asked for without end, and
// nothing half is taken for whole.
func TestServersThatMisbehave(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(w http.ResponseWriter, r *http.Request) // from the second request on
		want string                                       // empty where the file arrives
		most int64                                        // requests after the first
	}{
		"always 416": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(416) }, "answers 416", 2},
		"416 once": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(416)
				return
			}
			w.Write(weights)
		}, "", 2},
		"200 to a range": {func(w http.ResponseWriter, r *http.Request) { w.Write(weights) }, "", 1},
		"another range": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(weights)-1, len(weights)))
				w.WriteHeader(206)
			}
			w.Write(weights)
		}, "", 2},
		"a part of another version": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"two"`)
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", len(weights)/2, len(weights)-1, len(weights)))
				w.WriteHeader(206)
				w.Write(bytes.Repeat([]byte{0}, len(weights)/2))
				return
			}
			w.Write(weights)
		}, "", 2},
		"always a part": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-9/10")
			w.WriteHeader(206)
			w.Write(weights[:10])
		}, "answers a plain request with a part", 2},
		"fewer bytes": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
			w.Write(weights[:100])
		}, "broke off after 100 bytes", 1},
		"fewer bytes of the rest": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", len(weights)/2, len(weights)-1, len(weights)))
			w.Header().Set("Content-Length", fmt.Sprint(len(weights)/2))
			w.WriteHeader(206)
			w.Write(weights[len(weights)/2 : len(weights)/2+100])
		}, fmt.Sprintf("broke off after %d bytes", len(weights)/2+100), 1},
		"more bytes": {func(w http.ResponseWriter, r *http.Request) {
			w.Write(append(bytes.Clone(weights), "and more"...))
		}, "bytes and should have", 2},
		"round and round": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path,
				http.StatusFound)
		}, "stopped after 10 redirects", 11},
		"to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, "unsupported protocol", 1},
	} {
		t.Run(name, func(t *testing.T) {
			first := true
			cache, asked := behaving(t, "/weights.bin", func(w http.ResponseWriter, r *http.Request) {
				if first {
					first = false
					broken(w)
					return
				}
				c.do(w, r)
			})
			_, err := fetch("tiny")
			wantError(t, err, "broke off")
			dir, err := fetch("tiny")
			if c.want != "" {
				wantError(t, err, c.want)
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("more than a sentence: %v", err)
				}
				if _, err := assets.Path("tiny"); err == nil {
					t.Error("it is taken for whole")
				}
			} else if got, e := os.ReadFile(filepath.Join(dir, "weights.bin")); err != nil || e != nil ||
				!bytes.Equal(got, weights) {
				t.Errorf("content differs: %v, %v", err, e)
			}
			if n := asked.Load() - 1; n > c.most {
				t.Errorf("%d requests", n)
			}
			onlyBelow(t, cache)
		})
	}
}

// onlyBelow fails where something else than the cache's own folders is in it, or something beside it.
func onlyBelow(t *testing.T, cache string) {
	t.Helper()
	for dir, known := range map[string]string{cache: "assets downloads locks", filepath.Join(cache, "assets"): "tiny",
		filepath.Join(cache, "downloads"): "tiny", filepath.Dir(cache): "bin cache config"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !slices.Contains(strings.Fields(known), e.Name()) {
				t.Errorf("%s is in %s", e.Name(), dir)
			}
		}
	}
}

// A server that falls silent is not waited for without end, and what it has sent is kept.
func TestAServerThatFallsSilent(t *testing.T) {
	defer assets.SetPatience(300 * time.Millisecond)()
	for name, c := range map[string]struct {
		begins bool
		want   string
	}{"at once": {false, "has sent nothing for 300ms"},
		"in the middle": {true,
			"broke off after 16384 bytes: the server has sent nothing for 300ms; `loupe fetch tiny` goes on from there"}} {
		gone := make(chan struct{})
		silent := true
		_, _ = behaving(t, "/weights.bin", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			if !silent {
				http.ServeContent(w, r, "weights.bin", time.Time{}, bytes.NewReader(weights))
				return
			}
			if c.begins {
				w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
				w.Write(weights[:16384])
				w.(http.Flusher).Flush()
			}
			<-gone
		})
		_, err := fetch("tiny")
		close(gone)
		wantError(t, err, c.want)
		silent = false
		if _, err := fetch("tiny"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An address gives no file a name outside of the asset's folder.
func TestAddressesThatEndInNoName(t *testing.T) {
	for path, want := range map[string]string{
		"/a/..": `ends in ".."`, "/a/%2e%2e": `ends in ".."`, "/..%5c..%5cx": `ends in "..\\..\\x"`, `/a\b`: `ends in "a\\b"`,
		"/a%0ab": `ends in "a\nb"`, "/a%00": `ends in "a\x00"`,
		"/" + strings.Repeat("a", 300): "no name for a file", "/a%2f..%2f..%2fweights.bin": "", "/%2e": "", "/": "",
		"/x.part": "", "": "",
	} {
		cache, asked := behaving(t, path, func(w http.ResponseWriter, r *http.Request) { w.Write(weights) })
		text, err := os.ReadFile(filepath.Join(filepath.Dir(cache), "config", "sources.json"))
		if err != nil {
			t.Fatal(err)
		}
		// What arrives is called as the address ends: take it by any name.
		text = bytes.Replace(text, []byte(`"from":"weights.bin","size":`+fmt.Sprint(len(weights))+`,"sha256":"`+sum(weights)+
			`"`), []byte(`"from":"*"`), 1)
		if err := os.WriteFile(filepath.Join(filepath.Dir(cache), "config", "sources.json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		dir, err := fetch("tiny")
		onlyBelow(t, cache)
		if want != "" {
			wantError(t, err, want, "no name for a file")
			if asked.Load() != 0 {
				t.Errorf("%s is asked for", path)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%q: %v, %v", path, entries, err)
		}
	}
}

// A file of unknown length that is cut short cannot pass for whole.
func TestAFileOfUnknownLength(t *testing.T) {
	for _, known := range []bool{true, false} {
		cache, _ := behaving(t, "/weights.bin", func(w http.ResponseWriter, r *http.Request) {
			conn, buffer, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(buffer, "HTTP/1.0 200 OK\r\n\r\n%s", weights[:len(weights)/2])
			buffer.Flush()
		})
		if !known {
			a := tiny()
			text, err := os.ReadFile(filepath.Join(filepath.Dir(cache), "config", "sources.json"))
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte(fmt.Sprintf(`,"size":%d,"sha256":"%s"`, a.Files[0].Size, a.Files[0].SHA256)), nil,
				1)
			if err := os.WriteFile(filepath.Join(filepath.Dir(cache), "config", "sources.json"), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := fetch("tiny")
		if known {
			wantError(t, err, "bytes and should have")
		} else {
			wantError(t, err, "does not say how long the file is")
		}
		if _, err := assets.Path("tiny"); err == nil {
			t.Error("half of it is taken for whole")
		}
	}
}
