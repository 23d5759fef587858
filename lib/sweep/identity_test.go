package sweep

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/loupeml/loupe/lib/interrupt"
)

// changed gives a file other bytes of the same number, and another time.
func changed(t *testing.T, path string) {
	t.Helper()
	raw := ok[[]byte](t)(os.ReadFile(path))
	raw[len(raw)-1] ^= 1
	write(t, path, raw)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// A model is another one with a byte of any file that it is loaded from, and how it is loaded.
func TestWhatAModelIs(t *testing.T) {
	dir := t.TempDir()
	net := filepath.Join(dir, "net.onnx")
	files := map[string]string{"net.onnx": "weights", "config.json": "{}", "net.onnx.data": "more",
		"net.onnx_data":            "more",
		"preprocessor_config.json": "{}", "shards/1": "one", "names": "a\nb"}
	for name, text := range files {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	write(t, filepath.Join(dir, "other.onnx"), []byte("of another network"))
	m := Model{Name: "m", File: net, Beside: []string{filepath.Join(dir, "shards", "1")},
		Classes: filepath.Join(dir, "names")}
	identity := func(m Model) string {
		t.Helper()
		p := Plan{Models: []Model{m}}
		if _, err := p.Resolve(Plan{}); err != nil {
			t.Fatal(err)
		}
		if len(p.Models[0].Files) != len(files) {
			t.Errorf("it has the files %v", p.Models[0].Files)
		}
		return p.Models[0].Identity
	}
	seen := []string{identity(m)}
	if identity(m) != seen[0] {
		t.Error("it is another one at a second look")
	}
	for name := range files {
		changed(t, filepath.Join(dir, name))
		if now := identity(m); slices.Contains(seen, now) {
			t.Errorf("%s changes nothing", name)
		} else {
			seen = append(seen, now)
		}
	}
	last := identity(m)
	changed(t, filepath.Join(dir, "other.onnx"))
	typed := m
	typed.Type = "robust"
	if identity(m) != last || identity(typed) != last {
		t.Error("another network's file, or what its training is called, makes it another one")
	}
	half := m
	half.Normalisation = "half"
	if identity(half) == last {
		t.Error("its normalisation changes nothing")
	}
	// Where it lies changes nothing.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(moved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if identity(Model{Name: "n", File: filepath.Join(moved, "net.onnx"), Classes: filepath.Join(moved, "names"),
		Beside: []string{filepath.Join(moved, "shards", "1")}}) != last {
		t.Error("it is another one in another folder")
	}
	for want, m := range map[string]Model{
		`"nowhere.onnx" is neither a file nor the name of a model that loupe fetches`: {File: "nowhere.onnx"},
		dir + " is not a file":                              {File: dir},
		"it is fetched by name, and nothing lies beside it": {File: "efficientnet-lite0", Beside: []string{net}},
		"no such file":                                      {File: net, Classes: filepath.Join(dir, "none")},
		"does not lie beside it or below":                   {File: filepath.Join(dir, "shards", "1"), Beside: []string{net}},
		"/none: no such file or directory":                  {File: net, Beside: []string{filepath.Join(dir, "none")}},
	} {
		m.Name = "m"
		_, err := (&Plan{Models: []Model{m}}).Resolve(Plan{})
		wantError(t, err, "the model m", want)
	}
}

// Data are others with a byte or the name of a picture, and the same with other labels.
func TestWhatDataAre(t *testing.T) {
	dir := folder(t, 1, 2, "a", "b")
	table := filepath.Join(t.TempDir(), "labels.csv")
	write(t, table, []byte("file,label\na/0.png,cat\na/1.png,dog\nb/0.png,cat\nb/1.png,dog\n"))
	d := Data{Name: "d", Path: dir, Labels: table}
	resolve := func(d Data) (Data, Pictures) {
		t.Helper()
		p := Plan{Data: []Data{d}}
		all, err := p.Resolve(Plan{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Data[0], all["d"]
	}
	first, pictures := resolve(d)
	if !slices.Equal(pictures.Names, []string{"a/0.png", "a/1.png", "b/0.png", "b/1.png"}) ||
		!slices.Equal(pictures.Labels, []int{0, 1, 0, 1}) || !slices.Equal(pictures.Classes, []string{"cat", "dog"}) ||
		first.Pictures != 4 {
		t.Errorf("%+v, %+v", first, pictures)
	}
	write(t, table, []byte("file,label\na/0.png,dog\na/1.png,dog\nb/0.png,cat\nb/1.png,dog\n"))
	relabelled, pictures := resolve(d)
	if relabelled.Identity != first.Identity || pictures.Labels[0] != 1 {
		t.Errorf("other labels make them others, or are not read: %+v", pictures)
	}
	write(t, table, []byte("file,label\na/0.png,cow\na/1.png,dog\nb/0.png,cat\nb/1.png,dog\n"))
	if with, _ := resolve(d); with.Identity != first.Identity || with.Labelling == first.Labelling {
		t.Error("one more class makes the data others, or is not seen")
	}
	// The pictures of a folder without the table are the same ones.
	plain, _ := resolve(Data{Name: "d", Path: dir})
	if plain.Identity != first.Identity {
		t.Error("a table of labels makes them others")
	}
	seen := []string{first.Identity}
	for what, change := range map[string]func() Data{
		"skipping": func() Data { return Data{Name: "d", Path: dir, Skip: true} },
		"a picture": func() Data {
			changed(t, filepath.Join(dir, "a", "0.png"))
			return Data{Name: "d", Path: dir}
		},
		"a name": func() Data {
			if err := os.Rename(filepath.Join(dir, "b", "1.png"), filepath.Join(dir, "b", "2.png")); err != nil {
				t.Fatal(err)
			}
			return Data{Name: "d", Path: dir}
		},
	} {
		now, _ := resolve(change())
		if slices.Contains(seen, now.Identity) {
			t.Errorf("%s changes nothing", what)
		}
		seen = append(seen, now.Identity)
	}
	unlabelled := t.TempDir()
	write(t, filepath.Join(unlabelled, "0.png"), ok[[]byte](t)(os.ReadFile(filepath.Join(dir, "a", "1.png"))))
	loop := folder(t, 1, 1, "a", "b")
	if err := os.Symlink(loop, filepath.Join(loop, "a", "again")); err != nil {
		t.Fatal(err)
	}
	odd := folder(t, 1, 1, "a", "b\xff")
	for want, d := range map[string]Data{
		"nowhere\" is neither a path nor the name of a dataset": {Path: "nowhere"},
		"none of its pictures has a label":                      {Path: unlabelled},
		"leads back into itself":                                {Path: loop},
		"there is no table of labels none.csv, here or in":      {Path: dir, Labels: "none.csv"},
		"is no UTF-8: rename it":                                {Path: odd},
	} {
		d.Name = "d"
		_, err := (&Plan{Data: []Data{d}}).Resolve(Plan{})
		wantError(t, err, "the data d", want)
	}
	// A link that leads elsewhere is followed, twice as well.
	linked := folder(t, 1, 1, "a")
	for _, name := range []string{"b", "c"} {
		if err := os.Symlink(filepath.Join(linked, "a"), filepath.Join(linked, name)); err != nil {
			t.Fatal(err)
		}
	}
	if d, _ := resolve(Data{Name: "d", Path: linked}); d.Pictures != 3 || len(d.Files) != 3 {
		t.Errorf("through links: %+v", d)
	}
}

// What has the size and the time that it had is not read again.
func TestFilesAreReadOnce(t *testing.T) {
	p, _ := resolved(t, small(t))
	net := p.Models[0].Files[0]
	// Other bytes, of the same size and time: whoever reads them sees it.
	changed(t, net.Path)
	if err := os.Chtimes(net.Path, time.Unix(0, net.Modified), time.Unix(0, net.Modified)); err != nil {
		t.Fatal(err)
	}
	again := Plan{Models: slices.Clone(p.Models), Data: slices.Clone(p.Data)}
	if _, err := again.Resolve(p); err != nil || again.Models[0].Identity != p.Models[0].Identity {
		t.Errorf("it was read: %v", err)
	}
	if _, err := again.Resolve(Plan{}); err != nil || again.Models[0].Identity == p.Models[0].Identity {
		t.Errorf("without what was known before it was not read: %v", err)
	}
	changed(t, net.Path)
	changed(t, net.Path) // the old bytes, at another time
	if _, err := again.Resolve(p); err != nil || again.Models[0].Identity == p.Models[0].Identity {
		t.Errorf("at another time it was not read: %v", err)
	}
}

func TestResolveIsInterrupted(t *testing.T) {
	p := small(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	defer interrupt.Use(ctx)()
	if _, err := p.Resolve(Plan{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
