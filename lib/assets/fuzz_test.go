package assets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/internal/bounded"
)

// go test -fuzz FuzzUnpack ./lib/assets goes on from the seeds: packages, whose files stay in the asset's folder.
func FuzzUnpack(f *testing.F) {
	names := []string{"a.zip", "a.tar", "a.tar.gz"}
	for _, member := range []string{"pkg/weights.bin", "../weights.bin", "/weights.bin", "pkg/..", ".", `..\weights.bin`} {
		var zipped, tarred, packed bytes.Buffer
		z := zip.NewWriter(&zipped)
		w, err := z.Create(member)
		if err != nil {
			f.Fatal(err)
		}
		w.Write([]byte("weights")) // to memory
		z.Close()
		t := tar.NewWriter(&tarred)
		if err := t.WriteHeader(&tar.Header{Name: member, Mode: 0o644, Size: 7}); err != nil {
			f.Fatal(err)
		}
		t.Write([]byte("weights")) // to memory
		t.Close()
		g := gzip.NewWriter(&packed)
		g.Write(tarred.Bytes()) // to memory
		g.Close()
		for i, b := range []*bytes.Buffer{&zipped, &tarred, &packed} {
			f.Add(i, "*/*", b.Bytes())
			f.Add(i, "", b.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, kind int, pattern string, content []byte) {
		if kind < 0 || kind >= len(names) {
			return
		}
		root := t.TempDir()
		archive, cache := filepath.Join(root, names[kind]), filepath.Join(root, "cache")
		if err := os.WriteFile(archive, content, 0o600); err != nil {
			t.Fatal(err)
		}
		a := Asset{Name: "mine", Kind: "model", Description: "d", Licence: "MIT", Source: Source{Path: archive}}
		if pattern != "" {
			a.Files = []File{{From: pattern}}
		}
		if a.valid() != nil {
			return
		}
		text, err := json.Marshal(map[string]any{"assets": []Asset{a}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "sources.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("LOUPE_CONFIG", root)
		t.Setenv("LOUPE_CACHE", cache)
		bounded.Read(t, len(content), func() error {
			_, err := Fetch(context.Background(), "mine", nil)
			return err
		})
		err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			inside := strings.HasPrefix(path, filepath.Join(cache, "assets", "mine")+string(filepath.Separator))
			if err == nil && e.Type().IsRegular() && !inside && path != archive && e.Name() != "sources.json" &&
				e.Name() != "mine.lock" {
				t.Errorf("it has written %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// go test -fuzz FuzzSources ./lib/assets goes on from the seeds: a person's own registry.
func FuzzSources(f *testing.F) {
	f.Add([]byte(`{"assets": [{"name": "mine", "kind": "model", "description": "d", "licence": "MIT", "source": ` +
		`{"url": "http://localhost/a"}, "files": [{"from": "a*"}]}]}`))
	f.Add([]byte(`{"assets": [null]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		bounded.Read(t, len(content), func() error {
			list, err := parse(content)
			for _, a := range list {
				for _, file := range a.Files {
					if n := file.name(); strings.ContainsAny(n, "/") {
						t.Errorf("a file called %q", n)
					}
				}
				if !filepath.IsLocal(a.folder()) || strings.ContainsRune(a.folder(), filepath.Separator) {
					t.Errorf("a folder called %q", a.folder())
				}
			}
			return err
		})
	})
}
