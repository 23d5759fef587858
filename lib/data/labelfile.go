package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/loupeml/loupe/internal/regular"
)

// labelRow is what a table of labels says of one file.
type labelRow struct {
	file, label string
	at          string // where: "line 3 of labels.csv"
}

// labeling is what is known of a tree's images.
type labeling struct {
	labels  []int    // of each, -1 where it has none
	classes []string // nil for no names
	notes   []string // how they were found, and what does not fit
}

// labelsOf gives each image of a tree its label by Labels or LabelsFile.
func (o Options) labelsOf(files fs.FS, t tree, known *numbering) (found labeling, err error) {
	title, m := t.title, newMatcher(t.place, slices.Concat(t.images, t.apart))
	var rows []labelRow
	from := "Options.Labels"
	if o.LabelsFile != "" {
		from = filepath.Base(o.LabelsFile)
		if rows, err = o.readLabelRows(files, m); err != nil {
			return found, err
		}
	} else {
		for file, label := range o.Labels {
			rows = append(rows, labelRow{file, label, "Options.Labels"})
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i].file < rows[j].file })
	}
	if len(rows) == 0 {
		return found, fmt.Errorf("data: %s has no labels", from)
	}
	row := make([]int, len(t.images)) // of each image
	for i := range row {
		row[i] = -1
	}
	var missing []string
	apart := 0
	var used []labelRow
	for _, r := range rows {
		i, n := m.find(r.file)
		switch {
		case n > 1:
			return found, fmt.Errorf("data: %s: %s may be %s: give the whole path",
				r.at, r.file, listed(m.endingIn(r.file)[:2]))
		case n == 0:
			missing = append(missing, fmt.Sprintf("%s in %s", r.file, r.at))
			continue
		case i >= len(t.images): // of another split
			apart++
		case r.label == "":
			continue // the image stays without
		case row[i] >= 0 && used[row[i]].label != r.label:
			before := used[row[i]]
			return found, fmt.Errorf("data: %s is %s in %s and %s in %s",
				t.images[i], before.label, before.at, r.label, r.at)
		case row[i] < 0:
			row[i] = len(used)
			used = append(used, r)
		}
	}
	var without []string
	for i, r := range row {
		if r < 0 {
			without = append(without, t.images[i])
		}
	}
	if len(used) == 0 {
		if len(missing) > 0 && apart == 0 {
			return found, fmt.Errorf("data: none of the %d files that %s names is in %s: it names %s, and there are %s",
				len(missing), from, title, some(missing), some(t.images))
		}
		return found, fmt.Errorf("data: %s has no labels for %s, in %d rows", from, title, len(rows))
	}
	if len(missing) > 0 {
		says := fmt.Sprintf("%s names files that are not there, %d of %d (%s)",
			from, len(missing), len(rows), some(missing))
		if !o.Partial {
			return found, fmt.Errorf("data: %s: %s: Options.Partial leaves that be", title, says)
		}
		found.notes = append(found.notes, says)
	}
	if len(without) > 0 {
		says := fmt.Sprintf("%d of %d images have no label in %s (%s)", len(without), len(row), from, some(without))
		if !o.Partial {
			return found, fmt.Errorf("data: %s: %s: Options.Partial takes them without", title, says)
		}
		found.notes = append(found.notes, says)
	}
	words := make([]string, len(used))
	for i, r := range used {
		words[i] = r.label
	}
	var all []string
	for _, r := range rows {
		if r.label != "" {
			all = append(all, r.label)
		}
	}
	where := func(i int) string { return fmt.Sprintf("%s, %s", used[i].file, used[i].at) }
	numbers, classes, note, err := numbered(words, all, known, from, where)
	if err != nil {
		return found, err
	}
	found.labels = make([]int, len(row))
	for i, r := range row {
		if found.labels[i] = -1; r >= 0 {
			found.labels[i] = numbers[r]
		}
	}
	found.classes, found.notes = classes, append([]string{note}, found.notes...)
	return found, nil
}

// readLabelRows reads a table of labels by what its name ends in.
func (o Options) readLabelRows(files fs.FS, m *matcher) ([]labelRow, error) {
	text, err := readText(files, o.LabelsFile)
	if err != nil {
		return nil, err
	}
	from := filepath.Base(o.LabelsFile)
	switch strings.ToLower(path.Ext(from)) {
	case ".json", ".jsonl", ".ndjson":
		return jsonLabels(text, from, o)
	case ".csv", ".tsv", ".txt", ".tab":
		return csvLabels(text, from, o, m)
	}
	return nil, fmt.Errorf("data: labels come from a file that ends in .csv, .tsv, .txt, .json or .jsonl, and %s does not",
		o.LabelsFile)
}

// readText reads a text file, of the system or else of files: UTF-8, or UTF-16 with a mark of its order, without the
// mark.
func readText(files fs.FS, file string) (string, error) {
	within := path.Clean(filepath.ToSlash(file))
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) && files != nil && fs.ValidPath(within) {
		if _, err := fs.Stat(files, within); err == nil {
			raw, err := readFile(files, within)
			if err != nil {
				return "", fmt.Errorf("data: %s: %w", file, err)
			}
			return textOf(raw, file)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("data: %s is no file", file)
	}
	raw, err := regular.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	return textOf(raw, file)
}

func textOf(raw []byte, file string) (string, error) {
	if len(raw) > 1 && (raw[0] == 0xff && raw[1] == 0xfe || raw[0] == 0xfe && raw[1] == 0xff) {
		units := make([]uint16, 0, len(raw)/2)
		for i := 2; i+1 < len(raw); i += 2 {
			low, high := raw[i], raw[i+1]
			if raw[0] == 0xfe {
				low, high = high, low
			}
			units = append(units, uint16(low)|uint16(high)<<8)
		}
		return string(utf16.Decode(units)), nil
	}
	text := strings.TrimPrefix(string(raw), "\ufeff")
	if !utf8.ValidString(text) {
		rest := strings.TrimLeftFunc(text, func(r rune) bool { return r != utf8.RuneError })
		line := 1 + strings.Count(text[:len(text)-len(rest)], "\n")
		return "", fmt.Errorf("data: %s, line %d: the text is not UTF-8: save it as UTF-8", file, line)
	}
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("data: %s is empty", file)
	}
	return text, nil
}

// fileColumns and labelColumns are what the columns of files and of classes are called, the likeliest first.
var (
	fileColumns = []string{"file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path",
		"image_name",
		"image_file", "image_id", "imageid", "img", "img_path", "img_name", "name", "id"}
	labelColumns = []string{"label", "labels", "class", "target", "category", "class_name", "label_name", "classname",
		"class_label", "class_id", "label_id", "species", "y"}
)

// columnName is how names of columns are compared.
func columnName(name string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// columnsOf finds the columns of files and of labels among named ones. matches tells how many of the first files in a
// column are there. -1 is a column that was not found.
func (o Options) columnsOf(header []string, from string, matches func(column int) int) (file, label int, err error) {
	named := func(wanted, option string) (int, error) {
		for i, h := range header {
			if h == wanted || columnName(h) == columnName(wanted) {
				return i, nil
			}
		}
		return -1, fmt.Errorf("data: %s has no column %q, which Options.%s names: it has %s",
			from, wanted, option, listed(header))
	}
	file, label = -1, -1
	if o.FileColumn != "" {
		if file, err = named(o.FileColumn, "FileColumn"); err != nil {
			return -1, -1, err
		}
	}
	if o.LabelColumn != "" {
		if label, err = named(o.LabelColumn, "LabelColumn"); err != nil {
			return -1, -1, err
		}
	}
	best := -1
	for _, wanted := range fileColumns {
		for i, h := range header {
			if o.FileColumn == "" && i != label && columnName(h) == wanted {
				if n := matches(i); n > best {
					file, best = i, n
				}
			}
		}
	}
	if label < 0 {
		var found []string
		for _, wanted := range labelColumns {
			for i, h := range header {
				if i != file && columnName(h) == wanted {
					if label < 0 {
						label = i
					}
					found = append(found, h)
				}
			}
		}
		if len(found) > 1 {
			return -1, -1, fmt.Errorf("data: %s has the columns %s, which may all be classes: name one in Options.LabelColumn",
				from, listed(found))
		}
	}
	return file, label, nil
}

// noColumns says that columns were not found.
func noColumns(header []string, from string, file, label int) error {
	var what string
	switch {
	case file >= 0:
		what = "the classes, such as label or class: name it in Options.LabelColumn"
	case label >= 0:
		what = "the files, such as file or image: name it in Options.FileColumn"
	default:
		what = "the files, such as file or image, and none of the classes, such as label or class: " +
			"name them in Options.FileColumn and Options.LabelColumn"
	}
	return fmt.Errorf("data: in %s no column is known to be of %s; it has %s",
		from, what, listed(header[:min(len(header), 20)]))
}
