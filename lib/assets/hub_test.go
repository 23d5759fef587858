package assets_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/lib/assets"
)

// modelHub answers as a model hub does, for the one model owner/name.
func modelHub(t *testing.T, files map[string][]byte, promised map[string]string) *httptest.Server {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	mux := http.NewServeMux()
	mux.HandleFunc("/api/models/owner/name/revision/main", func(w http.ResponseWriter, r *http.Request) {
		var siblings []map[string]any
		for name, content := range files {
			s := map[string]any{"rfilename": name, "size": len(content), "blobId": "x"}
			if want := promised[name]; want != "" {
				s["lfs"] = map[string]any{"sha256": want, "size": len(content), "pointerSize": 130}
			}
			siblings = append(siblings, s)
		}
		json.NewEncoder(w).Encode(map[string]any{"id": "owner/name", "modelId": "owner/name", "sha": commit,
			"siblings": siblings})
	})
	mux.HandleFunc("/owner/name/resolve/"+commit+"/", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/owner/name/resolve/"+commit+"/")
		content, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"`+sum(content)+`"`)
		w.Header().Set("X-Repo-Commit", commit)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	})
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	t.Setenv("HF_ENDPOINT", h.URL)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return h
}

func TestHub(t *testing.T) {
	cache := place(t, nil)
	modelHub(t, map[string][]byte{
		"model.safetensors": weights, "config.json": []byte("{}"), "labels.txt": []byte("cat"), "README.md": []byte("#"),
		"pytorch_model.bin": []byte("the same again"),
	}, map[string]string{"model.safetensors": sum(weights)})
	const name = "hf:owner/name"
	if _, err := assets.Path(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	dir, err := fetch(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "model.safetensors")); err != nil || !bytes.Equal(got, weights) {
		t.Errorf("content differs: %v", err)
	}
	for file, want := range map[string]bool{"config.json": true, "labels.txt": true, "README.md": false,
		"pytorch_model.bin": false} {
		if _, err := os.Stat(filepath.Join(dir, file)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", file, err == nil, want)
		}
	}
	if path, err := assets.Path(name); err != nil || path != dir {
		t.Errorf("Path: %s %v", path, err)
	}
	wantOnly(t, cache, "hf--owner--name")
	if err := assets.Remove(name); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, cache)
}

func TestHubSendsSomethingElse(t *testing.T) {
	cache := place(t, nil)
	modelHub(t, map[string][]byte{"model.onnx": weights}, map[string]string{"model.onnx": sum([]byte("another"))})
	for range 2 { // the wrong file is not believed the second time
		_, err := fetch("hf:owner/name")
		wantError(t, err, "model.onnx", "sha256", sum(weights))
	}
	wantOnly(t, cache)
}

func TestHubCannotBeUsed(t *testing.T) {
	place(t, nil)
	modelHub(t, map[string][]byte{"README.md": []byte("#")}, nil)
	_, err := fetch("hf:owner/name")
	wantError(t, err, "no file that loupe can load")
	_, err = fetch("hf:owner/nobody")
	wantError(t, err, "does not answer", "404", "HF_TOKEN")
	_, err = fetch("hf:owner")
	wantError(t, err, "hf:OWNER/NAME")
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	t.Setenv("HF_ENDPOINT", closed.URL)
	_, err = fetch("hf:owner/name")
	wantError(t, err, "does not answer", "connection refused", "HF_ENDPOINT")
}
