package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/lib/sweep"
)

// identityOf is a digest that stands for what is called so.
func identityOf(name string) string { return fmt.Sprintf("%x", name) }

// written writes files below a folder, and returns them as a plan has them.
func written(t *testing.T, folder string, texts map[string]string) (files []sweep.File) {
	t.Helper()
	for name, text := range texts {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(text))
		files = append(files, sweep.File{Path: path, Name: name, Size: info.Size(), Modified: info.ModTime().UnixNano(),
			Digest: hex.EncodeToString(sum[:])})
	}
	return files
}

// heardOf collects what is said.
type heardOf struct {
	lock sync.Mutex
	all  []string
}

func (h *heardOf) say(format string, args ...any) {
	h.lock.Lock()
	defer h.lock.Unlock()
	h.all = append(h.all, fmt.Sprintf(format, args...))
}

func (h *heardOf) has(text string) bool {
	h.lock.Lock()
	defer h.lock.Unlock()
	return strings.Contains(strings.Join(h.all, "\n"), text)
}

func TestWorkersGetFilesThatTheyLack(t *testing.T) {
	ctx := context.Background()
	server, err := StartServer(t.TempDir(), Listen{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, _, err := server.Connection().dial(ctx, "test", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	q, err := openQueue(ctx, js, "files", "id", "test", 2*time.Second, 3, 1)
	if err != nil {
		t.Fatal(err)
	}

	there := t.TempDir() // what the coordinator has
	many := map[string]string{}
	for i := range 2000 {
		many[fmt.Sprintf("%d/a picture, %d é.png", i%7, i)] = strings.Repeat(fmt.Sprint(i), i%300)
	}
	one := written(t, filepath.Join(there, "one"), map[string]string{"net.onnx": strings.Repeat("weights ", 1<<18)})
	changed := written(t, filepath.Join(there, "changed"), map[string]string{"a": "as it was", "b": "as it is"})
	hostile := written(t, filepath.Join(there, "hostile"), map[string]string{"x": "to be written elsewhere"})
	hostile[0].Name = "../../../written"
	gone := written(t, filepath.Join(there, "gone"), map[string]string{"x": "no longer there"})
	late := written(t, filepath.Join(there, "late"), map[string]string{"x": "comes late"})
	manifests := map[string]manifest{
		identityOf("many"): {written(t, filepath.Join(there, "many"), many), true},
		identityOf("one"):  {one, false}, identityOf("changed"): {changed, true}, identityOf("hostile"): {hostile, true},
		identityOf("gone"): {gone, false}, identityOf("late"): {late, false},
	}
	d, err := openDepot(ctx, q, manifests, map[string]sweep.Labelled{"l": {Labels: 3}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	cache, heard := filepath.Join(t.TempDir(), "cache"), &heardOf{}
	// worker is one as it begins.
	worker := func() *fetcher {
		return &fetcher{subjects: subjects{"files"}, js: js, cache: cache, say: heard.say, listed: map[string]manifest{},
			found: map[string]sweep.Local{}, labels: map[string]sweep.Labelled{}}
	}
	local := func(f *fetcher, name string) (sweep.Local, error) { return f.local(ctx, identityOf(name), "its path") }

	// What is here is taken as it is, and no one is asked.
	if at, err := local(worker(), "one"); err != nil || at.Path != "its path" {
		t.Errorf("a file that is here: %+v, %v", at, err)
	}

	// From here on this machine has other files than the coordinator's: the archives are made of what lies aside.
	aside := there + "-aside"
	if err := os.Rename(there, aside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(aside) })
	for _, m := range d.has {
		for i := range m.Files {
			m.Files[i].Path = strings.Replace(m.Files[i].Path, there, aside, 1)
		}
	}
	if err := os.WriteFile(filepath.Join(aside, "changed", "a"), []byte("as it ISN"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(aside, "gone", "x")); err != nil {
		t.Fatal(err)
	}

	// While the coordinator is away, a worker that asks waits.
	type answer struct {
		at  sweep.Local
		err error
	}
	waits := make(chan answer, 1)
	go func() {
		at, err := local(worker(), "late")
		waits <- answer{at, err}
	}()
	eventually(t, "it says that no one answers", func() bool { return heard.has("does not answer") })
	sub, err := d.serve(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if a := <-waits; a.err != nil {
		t.Error(a.err)
	} else if raw, err := os.ReadFile(a.at.Path); err != nil || string(raw) != "comes late" {
		t.Errorf("it got %q, %v", raw, err)
	}

	at, err := local(worker(), "many")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range many {
		if raw, err := os.ReadFile(filepath.Join(at.Path, filepath.FromSlash(name))); err != nil || string(raw) != text {
			t.Fatalf("%s: %d bytes, not %d, %v", name, len(raw), len(text), err)
		}
	}

	at, err = local(worker(), "one")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(at.Path, cache) {
		t.Errorf("it is at %s", at.Path)
	}
	want, err := os.ReadFile(filepath.Join(aside, "one", "net.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	// A file of the cache that was changed is found out by the next worker, and got again.
	if err := os.WriteFile(at.Path, []byte(strings.Repeat("WEIGHTS ", 1<<18)), 0o600); err != nil {
		t.Fatal(err)
	}
	if at, err = local(worker(), "one"); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(at.Path); err != nil || string(raw) != string(want) {
		t.Errorf("a changed file of the cache stays as it is: %v", err)
	}
	if !heard.has("net.onnx has changed since it was got") {
		t.Errorf("it says %q", heard.all)
	}

	// What will not mend itself is an error, and no endless wait.
	for name, says := range map[string]string{
		"changed": "a has changed since the sweep was planned", "gone": "no such file",
		"hostile": "leads out of its folder",
	} {
		if at, err := local(worker(), name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v", name, at, err)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(cache), "written")); err == nil {
		t.Error("a file was written outside of the cache")
	}
	left, err := filepath.Glob(filepath.Join(cache, "*part*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the cache are %v, %v", left, err)
	}

	// So is a sweep that has ended.
	if err := q.remove(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := worker().labelled(ctx, "l"); err == nil || !strings.Contains(err.Error(), "no longer on the server") {
		t.Errorf("of a sweep that has ended: %v", err)
	}
}

// What comes with other contents than were promised does not stay.
func TestUnpackTakesWhatIsListedAlone(t *testing.T) {
	files := written(t, t.TempDir(), map[string]string{"a": "what it is"})
	archive := filepath.Join(t.TempDir(), "archive")
	out, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := pack(out, files); err != nil {
		t.Fatal(err)
	}
	out.Close()
	for what, listed := range map[string]struct {
		file sweep.File
		says string
	}{
		"another digest": {sweep.File{Name: "a", Size: files[0].Size, Digest: strings.Repeat("0", 64)}, "other contents"},
		"another size":   {sweep.File{Name: "a", Size: 3, Digest: files[0].Digest}, "and has 3"},
		"a way out":      {sweep.File{Name: "../a", Size: files[0].Size, Digest: files[0].Digest}, "leads out"},
		"an absolute path": {sweep.File{Name: "/tmp/a", Size: files[0].Size, Digest: files[0].Digest},
			"leads out"},
	} {
		in, err := os.Open(archive)
		if err != nil {
			t.Fatal(err)
		}
		err = unpack(in, t.TempDir(), []sweep.File{listed.file})
		if err == nil || !strings.Contains(err.Error(), listed.says) {
			t.Errorf("%s: %v", what, err)
		}
		in.Close()
	}
}
