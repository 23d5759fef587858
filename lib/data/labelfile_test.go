package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// labelled opens four images in two folders with a table of labels.
func labelled(t *testing.T, name, text string, options Options) (*Dataset, error) {
	t.Helper()
	files := map[string][]byte{}
	for _, f := range []string{"images/1.png", "images/2.png", "images/a.b.jpg", "images/é 4.png"} {
		files[f] = pngBytes(t, photo(3, 4))
	}
	options.LabelsFile = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(options.LabelsFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Folder(filepath.Join(folder(t, files), "images"), options)
}

// inUTF16 is what Excel calls Unicode text.
func inUTF16(text string) string {
	out := "\xff\xfe"
	for _, u := range utf16.Encode([]rune(text)) {
		out += string([]byte{byte(u), byte(u >> 8)})
	}
	return out
}

func TestLabelsFromTables(t *testing.T) {
	const plain = "filename,label\n1.png,cat\n2.png,dog\na.b.jpg,cat\né 4.png,emu\n"
	animals := []string{"cat", "dog", "emu"}
	for name, c := range map[string]struct {
		file, text string
		options    Options
		classes    []string
		labels     []int
	}{
		"plain": {"l.csv", plain, Options{}, animals, []int{0, 1, 0, 2}},
		"a mark and Windows": {"l.csv", "\ufeff" + strings.ReplaceAll(plain, "\n", "\r\n"), Options{}, animals,
			[]int{0, 1, 0, 2}},
		"an old Macintosh": {"l.csv", strings.ReplaceAll(plain, "\n", "\r"), Options{}, animals, []int{0, 1, 0, 2}},
		"semicolons":       {"l.csv", strings.ReplaceAll(plain, ",", ";"), Options{}, animals, []int{0, 1, 0, 2}},
		"tabs":             {"l.tsv", strings.ReplaceAll(plain, ",", "\t"), Options{}, animals, []int{0, 1, 0, 2}},
		"UTF-16": {"l.txt", inUTF16(strings.ReplaceAll(plain, ",", "\t")), Options{}, animals,
			[]int{0, 1, 0, 2}},
		"Excel's word": {"l.csv", "sep=;\n" + strings.ReplaceAll(plain, ",", ";"), Options{}, animals,
			[]int{0, 1, 0, 2}},
		"quoted": {"l.csv",
			"\"Class\",\"File Name\"\n\"a, \"\"b\"\"\",\"1.png\"\nx,2.png\nx,a.b.jpg\nx,\"é 4.png\"\n", Options{},
			[]string{`a, "b"`, "x"}, []int{0, 1, 1, 1}},
		"no header": {"l.csv", strings.TrimPrefix(plain, "filename,label\n"), Options{}, animals,
			[]int{0, 1, 0, 2}},
		"classes first": {"l.csv", "cat,1.png\ndog,2.png\ncat,a.b.jpg\nemu,é 4.png", Options{}, animals,
			[]int{0, 1, 0, 2}},
		"without endings": {"l.csv", "image_id,breed,target\n1,x,cat\n2,y,dog\na.b,z,cat\né 4,w,emu\n", Options{},
			animals, []int{0, 1, 0, 2}},
		"no header, no ending": {"l.csv", "1,cat\n2,dog\na.b,cat\né 4,emu\n", Options{}, animals, []int{0, 1, 0, 2}},
		"further out": {"l.csv",
			"path,class\nimages/1.png,cat\n./images/2.png,dog\nimages\\a.b.jpg,cat\n/home/x/images/é 4.png,emu\n", Options{},
			animals, []int{0, 1, 0, 2}},
		"an index of pandas": {"l.csv", ",file,label\n0,1.png,cat\n1,2.png,dog\n2,a.b.jpg,cat\n3,é 4.png,emu\n",
			Options{}, animals, []int{0, 1, 0, 2}},
		"an id and a file": {"l.csv", "id,filename,label\n1,1.png,cat\n2,2.png,dog\n7,a.b.jpg,cat\n9,é 4.png,emu\n",
			Options{}, animals, []int{0, 1, 0, 2}},
		"an id alone is meant": {"l.csv", "name,id,label\nAda,1,cat\nBob,2,dog\nCy,a.b,cat\nDi,é 4,emu\n", Options{},
			animals, []int{0, 1, 0, 2}},
		"names of one's own": {"l.csv", "photo,what\n1.png,cat\n2.png,dog\na.b.jpg,cat\né 4.png,emu\n", Options{},
			animals, []int{0, 1, 0, 2}},
		"columns that are said": {"l.csv", "photo,class,what\n1.png,x,cat\n2.png,x,dog\na.b.jpg,x,cat\né 4.png,x,emu\n",
			Options{FileColumn: "photo", LabelColumn: "What"}, animals, []int{0, 1, 0, 2}},
		"columns by number": {"l.csv", "1.png,x,cat\n2.png,x,dog\na.b.jpg,x,cat\né 4.png,x,emu\n",
			Options{LabelColumn: "3"}, animals, []int{0, 1, 0, 2}},
		"spaces": {"l.txt", "1.png 3\n2.png 0\na.b.jpg 3\né 4.png 12\n", Options{}, nil, []int{3, 0, 3, 12}},
		"numbers": {"l.csv", "file,label\n1.png,3\n2.png,0\na.b.jpg,3\né 4.png,12\n", Options{}, nil,
			[]int{3, 0, 3, 12}},
		"numbers as of pandas": {"l.csv", "file,label\n1.png,2.0\n2.png,0.0\na.b.jpg,1.0\né 4.png,2.0\n",
			Options{Classes: animals}, animals, []int{2, 0, 1, 2}},
		"twice the same": {"l.csv", plain + "1.png,cat\n1,cat\n", Options{}, animals, []int{0, 1, 0, 2}},
		"empty lines":    {"l.csv", strings.ReplaceAll(plain, "\n", "\n\n"), Options{}, animals, []int{0, 1, 0, 2}},
		"classes that are named": {"l.csv", plain, Options{Classes: []string{"emu", "fox", "dog", "cat"}},
			[]string{"emu", "fox", "dog", "cat"}, []int{3, 2, 3, 0}},
		"classes with numbers": {"l.csv", plain, Options{ClassToIdx: map[string]int{"cat": 4, "dog": 2, "emu": 0}},
			[]string{"emu", "1", "dog", "3", "cat"}, []int{4, 2, 4, 0}},
		"classes like numbers": {"l.csv", "file,label\n1.png,7\n2.png,9\na.b.jpg,7\né 4.png,9\n",
			Options{Classes: []string{"9", "7"}}, []string{"9", "7"}, []int{1, 0, 1, 0}},
		"an object": {"l.json", `{"1.png": "cat", "2": "dog", "images/a.b.jpg": "cat", "é 4.png": "emu"}`,
			Options{}, animals, []int{0, 1, 0, 2}},
		"an object of numbers": {"l.json", "{\"1.png\": 2,\n \"2.png\": 0, \"a.b\": 2, \"é 4.png\": 1}\n", Options{}, nil,
			[]int{2, 0, 2, 1}},
		"records": {"l.json", `[{"file_name": "1.png", "label": "cat", "x": [1]}, {"file_name": "2.png", "label": ` +
			`"dog"}, {"label": "cat", "file_name": "a.b.jpg"}, {"file_name": "é 4.png", "label": "emu"}]`, Options{}, animals,
			[]int{0, 1, 0, 2}},
		"pairs": {"l.json", `[["1.png", 1], ["2.png", 0], ["a.b.jpg", 1], ["é 4.png", 1]]`, Options{}, nil,
			[]int{1, 0, 1, 1}},
		"records by line": {"metadata.jsonl", "{\"file_name\": \"1.png\", \"label\": \"cat\"}\n{\"file_name\": \"2.png\", " +
			"\"label\": \"dog\"}\n{\"file_name\": \"a.b.jpg\", \"label\": \"cat\"}\n{\"file_name\": \"é 4.png\", \"label\": " +
			"\"emu\"}\n", Options{}, animals, []int{0, 1, 0, 2}},
	} {
		d, err := labelled(t, c.file, c.text, c.options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(d.Classes(), c.classes) || !slices.Equal(d.Labels(), c.labels) {
			t.Errorf("%s: %q %v", name, d.Classes(), d.Labels())
		}
	}
}

// What does not fit is named with its file and line, and what to do.
func TestLabelsThatDoNotFit(t *testing.T) {
	const plain = "filename,label\n1.png,cat\n2.png,dog\na.b.jpg,cat\né 4.png,emu\n"
	for name, c := range map[string]struct {
		file, text string
		options    Options
		says       string
	}{
		"an image without": {"l.csv", "file,label\n1.png,cat\n2.png,dog\n", Options{},
			"2 of 4 images have no label in l.csv (a.b.jpg, é 4.png): Options.Partial takes them without"},
		"an empty label": {"l.csv", "file,label\n1.png,cat\n2.png,dog\na.b.jpg,\né 4.png,emu\n", Options{},
			"1 of 4 images have no label in l.csv (a.b.jpg)"},
		"a file that is not there": {"l.csv", plain + "\n7.png,cat\n", Options{},
			"l.csv names files that are not there, 1 of 5 (7.png in line 7 of l.csv): Options.Partial leaves that be"},
		"labels that disagree": {"l.csv", plain + "images/2.png,cat\n", Options{},
			"2.png is dog in line 3 of l.csv and cat in line 6 of l.csv"},
		"objects that disagree": {"l.json", "{\"1.png\": \"cat\",\n\"2.png\": \"dog\",\n\"1.png\": \"emu\"}", Options{},
			"1.png is cat in line 1 of l.json and emu in line 3 of l.json"},
		"no such class": {"l.csv", plain, Options{Classes: []string{"cat", "dogs", "emu"}},
			`2.png, line 3 of l.csv: "dog" is none of the classes in Options.Classes, did you mean dogs?`},
		"out of range": {"l.csv", "file,label\n1.png,0\n2.png,1\na.b.jpg,7\né 4.png,1\n",
			Options{Classes: []string{"cat", "dog"}},
			"a.b.jpg, line 4 of l.csv: the label 7 is out of range, the classes are 0 to 1"},
		"below nothing": {"l.csv", "file,label\n1.png,0\n2.png,-1\na.b.jpg,1\né 4.png,1\n", Options{},
			"2.png, line 3 of l.csv: the label -1 is out of range"},
		"from 1": {"l.csv", "file,label\n1.png,1\n2.png,2\na.b.jpg,3\né 4.png,1\n",
			Options{Classes: []string{"cat", "dog", "emu"}},
			"the label 3 is out of range, the classes are 0 to 2; they seem to be counted from 1"},
		"too large": {"l.csv", "file,label\n1.png,0\n2.png,99999999999\na.b.jpg,1\né 4.png,1\n", Options{},
			"2.png, line 3 of l.csv: the label 99999999999 is out of range"},
		"none there": {"l.csv", "file,label\nx.png,cat\ny.png,dog\n", Options{Partial: true},
			"none of the 2 files that l.csv names is in"},
		"another folder": {"l.csv", "file,label\nother/1.png,cat\nother/2.png,dog\n", Options{},
			"none of the 2 files that l.csv names is in"},
		"unknown columns": {"l.csv", "a,b,c\n1.png,x,cat\n", Options{}, "in l.csv no column is known to be of the " +
			"classes, such as label or class: name it in Options.LabelColumn; it has a, b and c"},
		"two of classes": {"l.csv", "file,label,class\n1.png,x,cat\n", Options{},
			"l.csv has the columns label and class, which may all be classes: name one in Options.LabelColumn"},
		"no such column": {"l.csv", plain, Options{LabelColumn: "kind"},
			`l.csv has no column "kind", which Options.LabelColumn names: it has filename and label`},
		"one column":   {"l.csv", "1.png\n2.png\n", Options{}, "l.csv has one column"},
		"a broken row": {"l.csv", plain + "1.png,cat,x\n", Options{}, "l.csv, line 6 has 3 columns, and line 1 has 2"},
		"a broken quote": {"l.csv", "file,label\n1.png,\"cat\n", Options{},
			"l.csv, line 2: extraneous or missing \" in quoted-field"},
		"empty":         {"l.csv", " \n", Options{}, "is empty"},
		"only a header": {"l.csv", "file,label\n", Options{}, "l.csv has no labels"},
		"not UTF-8": {"l.csv", "file,label\n1.png,caf\xe9\n", Options{},
			"line 2: the text is not UTF-8: save it as UTF-8"},
		"null": {"l.json", `{"1.png": null}`, Options{},
			"line 1 of l.json: the label of 1.png is null: labels are an object"},
		"nested": {"l.json", `{"1.png": {"x": [1, 2]}}`, Options{},
			`the label of 1.png is {"x":[1,2]}: labels are an object`},
		"cut JSON": {"l.json", `{"1.png": "cat"`, Options{}, "l.json is cut short"},
		"no JSON":  {"l.json", "{\"1.png\":\n cat}", Options{}, "line 2 of l.json is no JSON"},
		"a word":   {"l.json", `"cat"`, Options{}, "l.json: labels are an object"},
		"records without": {"l.json", "[{\"file\": \"1.png\", \"label\": 1},\n {\"file\": \"2.png\"}]", Options{},
			"in line 2 of l.json no column is known to be of the classes"},
		"numbers in a list": {"l.json", "[1, 2]", Options{}, "line 1 of l.json: 1: labels are an object"},
		"two ways": {"l.csv", "file,label\n1.png,cat\n", Options{Label: LastNumber},
			"Options.Label and Options.LabelsFile both say the labels"},
		"a number twice": {"l.csv", plain, Options{ClassToIdx: map[string]int{"cat": 1, "dog": 1}},
			"Options.ClassToIdx gives the classes cat and dog the same number 1"},
		"a number too large": {"l.csv", plain, Options{ClassToIdx: map[string]int{"cat": 1 << 40}},
			"Options.ClassToIdx gives the class cat the number 1099511627776"},
		"an odd ending": {"l.xlsx", "PK", Options{}, "labels come from a file that ends in .csv"},
	} {
		_, err := labelled(t, c.file, c.text, c.options)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\nwant %s", name, err, c.says)
		}
	}
	d, err := labelled(t, "l.csv", "file,label\n1.png,cat\n9.png,dog\na.b.jpg,\n", Options{Partial: true})
	if err != nil || !slices.Equal(d.Labels(), []int{0, -1, -1, -1}) ||
		!strings.HasSuffix(d.String(), "classes are the labels in l.csv; l.csv names files that are not there, 1 of 3 "+
			"(9.png in line 3 of l.csv); 3 of 4 images have no label in l.csv (2.png, a.b.jpg, é 4.png)") {
		t.Errorf("%v (%v)", d, err)
	}
}

func TestLabelsOfFilesInFolders(t *testing.T) {
	dir := folder(t, map[string][]byte{
		"x/1.png": pngBytes(t, photo(3, 4)), "y/1.png": pngBytes(t, photo(3, 4)), "y/2.png": pngBytes(t, photo(3, 4)),
		"labels.csv": []byte("file,label\nx/1,cat\ny/1.png,dog\n2,dog\n"),
		"short.csv":  []byte("file,label\n1.png,cat\n2,dog\n"), "idx.json": []byte(`{"y": 0, "x": 3}`),
	})
	d := must[*Dataset](t)(Open(dir, Options{LabelsFile: "labels.csv"})) // which lies in it
	if !slices.Equal(d.Labels(), []int{0, 1, 1}) || !slices.Equal(d.Classes(), []string{"cat", "dog"}) {
		t.Errorf("%v %q", d.Labels(), d.Classes())
	}
	if _, err := Open(dir, Options{LabelsFile: "short.csv"}); err == nil ||
		!strings.Contains(err.Error(), "line 2 of short.csv: 1.png may be x/1.png and y/1.png: give the whole path") {
		t.Errorf("%v", err)
	}
	d = must[*Dataset](t)(Open(dir, Options{Labels: map[string]string{"x/1.png": "b", "y/1": "a", "2.png": "b"}}))
	if !slices.Equal(d.Labels(), []int{1, 0, 1}) || !slices.Equal(d.Classes(), []string{"a", "b"}) {
		t.Errorf("%v %q", d.Labels(), d.Classes())
	}
	if _, err := Open(dir, Options{Labels: map[string]string{"x/1.png": "b"}}); err == nil ||
		!strings.Contains(err.Error(), "2 of 3 images have no label in Options.Labels (y/1.png, y/2.png)") {
		t.Errorf("%v", err)
	}
	// The numbers that a network has for the folders' classes.
	for _, options := range []Options{{LabelsFile: "idx.json"}, {ClassToIdx: map[string]int{"y": 0, "x": 3}},
		{ClassToIdx: must[map[string]int](t)(ReadClassToIdx(filepath.Join(dir, "idx.json")))}} {
		d = must[*Dataset](t)(Open(dir, options))
		if !slices.Equal(d.Labels(), []int{3, 0, 0}) || !slices.Equal(d.Classes(), []string{"y", "1", "2", "x"}) {
			t.Errorf("%v %q", d.Labels(), d.Classes())
		}
	}
	if _, err := Open(dir, Options{ClassToIdx: map[string]int{"y": 0, "z": 1}}); err == nil ||
		!strings.Contains(err.Error(), "the folder x of") ||
		!strings.Contains(err.Error(), "is none of the classes in Options.ClassToIdx") {
		t.Errorf("%v", err)
	}
	// An empty folder is no error where the classes are known.
	if err := os.Mkdir(filepath.Join(dir, "z"), 0o755); err != nil {
		t.Fatal(err)
	}
	d = must[*Dataset](t)(Open(dir, Options{Classes: []string{"x", "y", "z"}}))
	if !slices.Equal(d.Labels(), []int{0, 1, 1}) || !strings.Contains(d.String(), "no images are in z") {
		t.Errorf("%v: %v", d, d.Labels())
	}
	// A table of all splits is one of each.
	split := folder(t, map[string][]byte{"train/1.png": pngBytes(t, photo(3, 4)), "val/1.png": pngBytes(t, photo(3, 4)),
		"val/2.png": pngBytes(t, photo(3, 4)),
		"all.csv":   []byte("file,label\ntrain/1.png,cat\nval/1.png,dog\nval/2.png,emu\n")})
	d = must[*Dataset](t)(Open(split, Options{Split: "val", LabelsFile: "all.csv"}))
	if !slices.Equal(d.Labels(), []int{1, 2}) || !slices.Equal(d.Classes(), []string{"cat", "dog", "emu"}) {
		t.Errorf("%v: %v", d, d.Labels())
	}
	flat := folder(t, map[string][]byte{"1.png": pngBytes(t, photo(3, 4)), "train.csv": []byte("image,label\n1,4\n")})
	if d := must[*Dataset](t)(Open(flat)); !strings.Contains(d.String(),
		"labels are unknown: the images lie in no folders; they may be in train.csv: Options.LabelsFile reads them") {
		t.Errorf("%v", d)
	}
	for text, want := range map[string]string{
		`{"0": "cat", "1": "dog"}`: "map[cat:0 dog:1]", `["cat", "dog"]`: "map[cat:0 dog:1]",
		`{"cat": 0, "dog": 5}`: "map[cat:0 dog:5]",
		`{"cat": 0, "dog": 0}`: "gives the classes cat and dog the same number 0",
		`{"cat": 0.5}`:         `"cat": 0.5 is no number of a class`, `{"cat": -1}`: "the number -1",
		`{"cat": 0, "cat": 1}`: "the class cat has the number 1 and had 0", `{"cat": null}`: "null is no number of a class",
		`7`: "neither an object of classes and numbers nor a list", `{}`: "is empty",
	} {
		file := filepath.Join(t.TempDir(), "idx.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadClassToIdx(file)
		if said := fmt.Sprint(got, err); !strings.Contains(said, want) {
			t.Errorf("%s: %s, want %s", text, said, want)
		}
	}
}

// Of 100,000 classes each step takes its time in proportion.
func TestVeryManyClasses(t *testing.T) {
	const n = 100_000
	var table strings.Builder
	table.WriteString("file,label\n")
	var images []string
	for i := range n {
		images = append(images, fmt.Sprintf("%06d/%d.jpg", i, i))
		fmt.Fprintf(&table, "%d.jpg,species %d\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "l.csv")
	if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	tree := treeAt("x", ".", images).opened()
	of, err := Options{LabelsFile: file}.labelsOf(nil, tree, nil)
	if err != nil || len(of.classes) != n || len(of.labels) != n || of.classes[of.labels[77]] != "species 77" {
		t.Errorf("%d labels, %d classes (%v)", len(of.labels), len(of.classes), err)
	}
	var folders []string
	for i := range n {
		folders = append(folders, fmt.Sprintf("%06d", i))
	}
	found, err := tree.classFolders(folders, nil)
	if err != nil || len(found.classes) != n {
		t.Errorf("%d classes (%v)", len(found.classes), err)
	}
	t.Logf("it took %v", time.Since(start)) // where a table of all by all would take minutes and the memory
}
