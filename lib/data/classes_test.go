package data

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// zipOf is an archive of one small picture under several names.
func zipOf(t *testing.T, names ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "images.zip")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "/") {
			if _, err := w.Write(pngBytes(t, photo(3, 4))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestClassesAreTheTopmostFolders(t *testing.T) {
	for name, c := range map[string]struct {
		files   []string
		classes []string
		labels  []int
		notes   string
	}{
		"folders in classes": {[]string{"cat/2020/a.png", "dog/2020/b.png", "dog/2021/c.png"}, []string{"cat", "dog"}, []int{0, 1, 1}, "classes are its folders"},
		"hidden folders": {[]string{".ipynb_checkpoints/a.png", "__MACOSX/cat/._a.png", "cat/.ipynb_checkpoints/a.png", "cat/a.png", "cat/Thumbs.db", "dog/b.png"},
			[]string{"cat", "dog"}, []int{0, 1},
			"classes are its folders; left out 3 hidden folders (.ipynb_checkpoints, __MACOSX, cat/.ipynb_checkpoints); left out 1 file that is no image (cat/Thumbs.db)"},
		"a folder around":     {[]string{"photos/cat/a.png", "photos/dog/b.png"}, []string{"cat", "dog"}, []int{0, 1}, "classes are the folders in photos"},
		"two folders around":  {[]string{"x/y/cat/a.png", "x/y/dog/b.png"}, []string{"cat", "dog"}, []int{0, 1}, "classes are the folders in x/y"},
		"one class":           {[]string{"cat/a.png", "cat/b.png"}, []string{"cat"}, []int{0, 0}, "classes are its folders"},
		"images beside":       {[]string{"a.png", "cat/b.png", "dog/c.png"}, []string{"cat", "dog"}, []int{-1, 0, 1}, "classes are its folders; images beside these have no label"},
		"no folders":          {[]string{"a.png", "b.png"}, nil, []int{-1, -1}, "labels are unknown: the images lie in no folders"},
		"one of many a split": {[]string{"test/a.png", "cat/b.png"}, []string{"cat", "test"}, []int{0, 1}, "classes are its folders"},
		"a split alone":       {[]string{"train/a.png"}, []string{"train"}, []int{0}, "classes are its folders"},
		"empty folders below": {[]string{"cat/a.png", "cat/none/", "dog/b.png"}, []string{"cat", "dog"}, []int{0, 1}, "classes are its folders"},
		"backslashes":         {[]string{`cat\a.png`, `dog\2020\b.png`}, []string{"cat", "dog"}, []int{0, 1}, "classes are its folders"},
	} {
		files := map[string][]byte{}
		for _, f := range c.files {
			if !strings.HasSuffix(f, "/") {
				files[f] = pngBytes(t, photo(3, 4))
			}
		}
		var sets []*Dataset
		sets = append(sets, must[*Dataset](t)(Zip(zipOf(t, c.files...), Options{})))
		if name != "backslashes" {
			sets = append(sets, must[*Dataset](t)(Folder(folder(t, files), Options{})))
		}
		for _, d := range sets {
			if !slices.Equal(d.Classes(), c.classes) || !slices.Equal(d.Labels(), c.labels) {
				t.Errorf("%s: classes %q, labels %v", name, d.Classes(), d.Labels())
			}
			if got := strings.Join(d.Notes(), "; "); got != c.notes || !strings.HasSuffix(d.String(), c.notes) {
				t.Errorf("%s: the notes are %q", name, got)
			}
			for i := range d.Len() {
				must[Image](t)(d.Image(i))
			}
		}
	}
}

func TestFoldersThatAreNoClassesAreErrors(t *testing.T) {
	for says, c := range map[string]struct {
		files   []string
		options Options
	}{
		"the folder b of": {[]string{"a/1.png", "b/", "c/2.png"}, Options{}},
		"holds test and train, which are parts of a dataset":                          {[]string{"train/cat/1.png", "train/dog/1.png", "test/cat/1.png"}, Options{}},
		"is none of the classes in Options.Classes, did you mean cat?":                {[]string{"cat/1.png", "catt/2.png"}, Options{Classes: []string{"cat", "dog"}}},
		"has no images, and folders are classes: put some in, take it away, or give ": {[]string{"a/1.png", "notes/", "c/2.png"}, Options{}},
	} {
		_, err := Zip(zipOf(t, c.files...), c.options)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("wanted %q, the error is %v", says, err)
		}
		dir := t.TempDir()
		for _, f := range c.files {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o755); err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, "/") {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, f), pngBytes(t, photo(3, 4)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Folder(dir, c.options); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("wanted %q, the error is %v", says, err)
		}
	}
	// Classes that are named beforehand have their numbers, whether there are images of them or not, and of none if there
	// are no folders.
	for _, c := range []struct {
		file  string
		label int
	}{{"cat/1.png", 2}, {"1.png", -1}} {
		d := must[*Dataset](t)(Zip(zipOf(t, c.file), Options{Classes: []string{"emu", "dog", "cat"}}))
		if !slices.Equal(d.Labels(), []int{c.label}) || !slices.Equal(d.Classes(), []string{"emu", "dog", "cat"}) {
			t.Errorf("%s: %v of %v", c.file, d.Labels(), d.Classes())
		}
	}
	// A Label of one's own asks nothing of folders.
	d := must[*Dataset](t)(Zip(zipOf(t, "train/1.png", "test/2.png", "empty/"), Options{Label: LeadingNumber}))
	if !slices.Equal(d.Labels(), []int{2, 1}) {
		t.Errorf("the labels are %v", d.Labels())
	}
}
