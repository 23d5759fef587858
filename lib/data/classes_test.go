package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
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
		"folders in classes": {[]string{"cat/2020/a.png", "dog/2020/b.png", "dog/2021/c.png"}, []string{"cat", "dog"},
			[]int{0, 1, 1}, "classes are its folders"},
		"hidden folders": {[]string{".ipynb_checkpoints/a.png", "__MACOSX/cat/._a.png", "cat/.ipynb_checkpoints/a.png",
			"cat/a.png", "cat/Thumbs.db", "dog/b.png"},
			[]string{"cat", "dog"}, []int{0, 1},
			"classes are its folders; left out 3 hidden folders (.ipynb_checkpoints, __MACOSX, cat/.ipynb_checkpoints); left " +
				"out 1 file that is no image (cat/Thumbs.db)"},
		"a folder around": {[]string{"photos/cat/a.png", "photos/dog/b.png"}, []string{"cat", "dog"}, []int{0, 1},
			"classes are the folders in photos"},
		"two folders around": {[]string{"x/y/cat/a.png", "x/y/dog/b.png"}, []string{"cat", "dog"}, []int{0, 1},
			"classes are the folders in x/y"},
		"one class": {[]string{"cat/a.png", "cat/b.png"}, []string{"cat"}, []int{0, 0}, "classes are its folders"},
		"images beside": {[]string{"a.png", "cat/b.png", "dog/c.png"}, []string{"cat", "dog"}, []int{0, 1},
			"classes are its folders; left out 1 image beside the classes (a.png)"},
		"images beside one": {[]string{"a.png", "cat/b.png"}, []string{"cat"}, []int{-1, 0},
			"classes are its folders; 1 beside these have no label (a.png)"},
		"no folders": {[]string{"a.png", "b.png"}, nil, []int{-1, -1},
			"labels are unknown: the images lie in no folders"},
		"one of many a split": {[]string{"test/a.png", "cat/b.png"}, []string{"cat", "test"}, []int{0, 1},
			"classes are its folders"},
		"a folder in one": {[]string{"x/y/a.png"}, []string{"x"}, []int{0}, "classes are its folders"},
		"a split alone": {[]string{"train/a.png"}, nil, []int{-1},
			"labels are unknown: the images of train lie in no folders"},
		"empty folders below": {[]string{"cat/a.png", "cat/none/", "dog/b.png"}, []string{"cat", "dog"}, []int{0, 1},
			"classes are its folders"},
		"backslashes": {[]string{`cat\a.png`, `dog\2020\b.png`}, []string{"cat", "dog"}, []int{0, 1},
			"classes are its folders"},
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
		"has no part \"val\", its folders are cat and dog": {[]string{"cat/1.png", "dog/2.png"},
			Options{Split: "val"}},
		"holds test and train, which are parts of a dataset": {[]string{"train/cat/1.png",
			"train/dog/1.png", "test/cat/1.png"}, Options{}},
		"is none of the classes in Options.Classes, did you mean cat?": {[]string{"cat/1.png", "catt/2.png"},
			Options{Classes: []string{"cat", "dog"}}},
		"has no images, and folders are classes: put some in, take it away, or name ": {[]string{"a/1.png", "notes/",
			"c/2.png"}, Options{}},
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

// The oracle is torchvision: bench/oracles/imagefolder.py. Our own loose images and links are told of besides.
func TestFoldersAreReadAsImageFolderDoes(t *testing.T) {
	raw, err := os.ReadFile("testdata/imagefolder.json")
	if err != nil {
		t.Fatal(err)
	}
	var trees map[string]struct {
		Files, Classes []string
		Samples        [][2]any
		Error          string
	}
	if err := json.Unmarshal(raw, &trees); err != nil {
		t.Fatal(err)
	}
	if len(trees) != 13 {
		t.Fatalf("%d trees", len(trees))
	}
	for name, tree := range trees {
		root := t.TempDir()
		for _, f := range tree.Files {
			file, target, isLink := strings.Cut(f, " -> ")
			if err := os.MkdirAll(filepath.Join(root, path.Dir(file)), 0o755); err != nil {
				t.Fatal(err)
			}
			switch {
			case isLink:
				err = os.Symlink(target, filepath.Join(root, file))
			case strings.HasSuffix(file, "/"):
				err = os.MkdirAll(filepath.Join(root, file), 0o755)
			default:
				err = os.WriteFile(filepath.Join(root, file), nil, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		d, err := Folder(root, Options{})
		if tree.Error != "" {
			// "Found no valid file for the classes b."
			_, class, _ := strings.Cut(tree.Error, "for the classes ")
			if err == nil || !strings.Contains(err.Error(), "the folder "+class+" of ") {
				t.Errorf("%s: %v, ImageFolder says %s", name, err, tree.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var files []string
		var labels []int
		for _, s := range tree.Samples {
			files, labels = append(files, s[0].(string)), append(labels, int(s[1].(float64)))
		}
		var got []string
		for i := range d.Len() {
			got = append(got, d.Name(i))
		}
		if !slices.Equal(d.Classes(), tree.Classes) || !slices.Equal(got, files) || !slices.Equal(d.Labels(), labels) {
			t.Errorf("%s:\n%q %q %v\nImageFolder has\n%q %q %v", name, d.Classes(), got, d.Labels(), tree.Classes, files, labels)
		}
	}
}

func TestSplitsAreNamedAndOpened(t *testing.T) {
	files := map[string][]byte{}
	for _, f := range []string{"data/train/cat/1.png", "data/train/dog/2.png", "data/valid/cat/3.png",
		"data/valid/dog/4.png", "data/test2017/5.png", "data/README.md", "data/sample/6.png"} {
		files[f] = pngBytes(t, photo(3, 4))
	}
	dir := folder(t, files)
	archive := zipOf(t, slices.Sorted(maps.Keys(files))...)
	for place, how := range map[string]string{dir: fmt.Sprintf("loupe.Open(%q) or data.Options{Split: \"valid\"}",
		filepath.Join(dir, "data/valid")), archive: "by data.Options{Split: \"valid\"}"} {
		_, err := Open(place)
		if err == nil ||
			!strings.Contains(err.Error(), "holds test2017, train and valid, which are parts of a dataset and no classes") ||
			!strings.HasSuffix(err.Error(), how) {
			t.Errorf("%v", err)
		}
		for split, want := range map[string]struct {
			names, classes []string
			labels         []int
		}{
			"train": {[]string{"data/train/cat/1.png", "data/train/dog/2.png"}, []string{"cat", "dog"}, []int{0, 1}},
			"val":   {[]string{"data/valid/cat/3.png", "data/valid/dog/4.png"}, []string{"cat", "dog"}, []int{0, 1}},
			"test":  {[]string{"data/test2017/5.png"}, nil, []int{-1}},
		} {
			d, err := Open(place, Options{Split: split})
			if err != nil {
				t.Errorf("%s: %v", split, err)
				continue
			}
			var names []string
			for i := range d.Len() {
				names = append(names, d.Name(i))
			}
			if !slices.Equal(names, want.names) || !slices.Equal(d.Classes(), want.classes) ||
				!slices.Equal(d.Labels(), want.labels) {
				t.Errorf("%s: %q %q %v", split, names, d.Classes(), d.Labels())
			}
		}
	}
	missing := zipOf(t, "train/cat/1.png", "train/dog/2.png", "train/emu/3.png", "val/cat/4.png", "val/emu/5.png")
	if d := must[*Dataset](t)(Open(missing, Options{Split: "val"})); !strings.Contains(d.String(),
		"other splits have classes that are not here (dog): Options.Classes gives all of them the same numbers") {
		t.Errorf("%v", d)
	}
	if d := must[*Dataset](t)(Open(missing, Options{Split: "train"})); strings.Contains(d.String(), "other splits") {
		t.Errorf("%v", d)
	}
	// One of each class's own.
	inClasses := zipOf(t, "cat/train/1.png", "cat/val/2.png", "dog/train/3.png", "dog/val/4.png")
	whole := must[*Dataset](t)(Open(inClasses))
	if whole.Len() != 4 || !strings.Contains(whole.String(),
		"they hold train and val, which are all taken: Options.Split takes one") {
		t.Errorf("%v", whole)
	}
	if d := must[*Dataset](t)(Open(inClasses, Options{Split: "val"})); d.Len() != 2 || d.Name(0) != "cat/val/2.png" ||
		!slices.Equal(d.Labels(), []int{0, 1}) {
		t.Errorf("%v: %v", d, d.Labels())
	}
	for name, kind := range map[string]string{
		"train": "train", "Training": "train", "train_set": "train", "training_set": "train", "seg_train": "train",
		"train2017": "train", "val": "val", "VAL": "val", "valid": "val",
		"validation": "val", "dev": "val", "test": "test", "testing": "test", "test_images": "test", "images_test": "test",
		"eval":   "test",
		"trains": "", "testudo": "", "valley": "", "device": "", "cat": "", "bullet train": "", "": "",
	} {
		if got := splitKind(name); got != kind {
			t.Errorf("%q is %q, want %q", name, got, kind)
		}
	}
}

// What is left out is told with its reason, how many there are and which.
func TestWhatIsLeftOutIsTold(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"cat/1.png": pngBytes(t, photo(3, 4)), "dog/2.png": pngBytes(t, photo(3, 4)), "cat/._1.png": {1}, "cat/3.HEIC": {1},
		"dog/4.avif": {1}, "dog/5.heic": {1}, "cat/Thumbs.db": {1}, ".git/6.png": {1}, "__MACOSX/cat/7.png": {1},
	})
	for link, target := range map[string]string{"cat/again": "..", "dog/gone.png": "nowhere.png"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	d := must[*Dataset](t)(Open(dir))
	want := "classes are its folders; left out 2 hidden folders (.git, __MACOSX); left out 1 hidden file (cat/._1.png); " +
		"left out 1 image of the format AVIF, which loupe does not read: convert to PNG or JPEG (dog/4.avif); " +
		"left out 2 images of the format HEIC, which loupe does not read: convert to PNG or JPEG (cat/3.HEIC, dog/5.heic); " +
		"left out 1 file that is no image (cat/Thumbs.db); left out 2 links that lead nowhere or back (cat/again, " +
		"dog/gone.png)"
	if got := strings.Join(d.Notes(), "; "); got != want || d.Len() != 2 {
		t.Errorf("%d images; %s", d.Len(), got)
	}
	only := folder(t, map[string][]byte{"1.heic": {1}, "2.HEIC": {1}})
	if _, err := Open(only); err == nil || !strings.Contains(err.Error(),
		"has no images (left out 2 images of the format HEIC, which loupe does not read") {
		t.Errorf("%v", err)
	}
}

// Names of archives: with ./ before, from the top, of a code page of DOS, and not UTF-8 on a disk.
func TestOddNames(t *testing.T) {
	for _, archive := range []string{zipOf(t, "./cat/a.png", "./dog/b.png"), zipOf(t, "/cat/a.png", "/dog/b.png"),
		zipOf(t, `.\cat\a.png`, `.\dog\b.png`)} {
		d := must[*Dataset](t)(Open(archive))
		if d.Name(0) != "cat/a.png" || !slices.Equal(d.Classes(), []string{"cat", "dog"}) {
			t.Errorf("%v: %s", d, d.Name(0))
		}
		must[Image](t)(d.Image(1))
	}
	d := must[*Dataset](t)(Open(zipOf(t, "caf\x82/a.png", "th\x82/b.png")))
	if !slices.Equal(d.Classes(), []string{"café", "thé"}) {
		t.Errorf("%q", d.Classes())
	}
	must[Image](t)(d.Image(0))
	latin := must[*Dataset](t)(Open(folder(t, map[string][]byte{"caf\xe9/a.png": pngBytes(t, photo(3, 4)),
		"the/b.png": pngBytes(t, photo(3, 4))})))
	if !slices.Equal(latin.Classes(), []string{"caf\xe9", "the"}) {
		t.Errorf("%q", latin.Classes())
	}
	must[Image](t)(latin.Image(0))
}

func TestTarArchives(t *testing.T) {
	file := filepath.Join(t.TempDir(), "images.tar")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range []string{"./photos/", "./photos/dog/b.png", "./photos/cat/a.png", "photos/cat/2020/é.png",
		"photos/cat/Thumbs.db"} {
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(pngBytes(t, photo(3, 4))))}
		if strings.HasSuffix(name, "/") {
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(pngBytes(t, photo(3, 4))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	d := must[*Dataset](t)(Open(file))
	if !slices.Equal(d.Labels(), []int{0, 0, 1}) || d.Name(1) != "photos/cat/2020/é.png" ||
		!strings.Contains(d.String(), "left out 1 file that is no image (photos/cat/Thumbs.db)") {
		t.Errorf("%v: %v", d, d.Labels())
	}
	for i := range d.Len() {
		must[Image](t)(d.Image(i))
	}
	if err := os.WriteFile(file, b.Bytes()[:b.Len()/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), "tar") &&
		!strings.Contains(err.Error(), "cut short") {
		t.Errorf("half of it: %v", err)
	}
	if _, err := Open(folder(t, map[string][]byte{"a.tar.gz": {0x1f, 0x8b}}) + "/a.tar.gz"); err == nil ||
		!strings.Contains(err.Error(), "unpack it, or pack it as .zip or .tar") {
		t.Errorf("%v", err)
	}
}
