package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/parallel"
)

// OnBad says what happens to a file that cannot be decoded.
type OnBad int

const (
	// Fail is an error that names the file, when its image is asked for.
	Fail OnBad = iota
	// Skip leaves damaged files out. To know them, every file is decoded once when the dataset is opened;
	// [Dataset.Skipped] names them. Interrupted, that returns the dataset of the files looked at so far beside the
	// error.
	Skip
)

// Options says how a folder or an archive is read. The zero value takes the class of a file from its folder.
type Options struct {
	// Label gives a file's class from its path; -1 is unknown. Nil takes the labels of LabelsFile or Labels, or else the
	// name of the topmost folder that it is in; with no folders, labels are unknown.
	Label func(name string) int
	// Labels are the classes of files, by name or by number as text. A file is named by its path, or the end of it, with
	// or without the ending.
	Labels map[string]string
	// LabelsFile is a table of labels, where the folder or the archive itself may hold it: a .csv, .tsv or .txt with a
	// column of files and one of classes, by a header (file, filename, path, image, id, …; label, class, target, …) or in
	// two columns without one; or a .json, an object from files to classes or a list of records, or .jsonl. Or a .json
	// of the classes' numbers: see [ReadClassToIdx].
	LabelsFile string
	// FileColumn and LabelColumn name the columns of LabelsFile, by number from 1 where there is no header; "" finds them.
	FileColumn, LabelColumn string
	// Partial allows files without a label, which are -1 then, and labels without a file. Without it they are errors.
	// [Dataset.Notes] names them.
	Partial bool
	// Split is the part of the dataset that is read where a folder holds several, such as "val" beside "train": the
	// folder of this name, or else the one that means the same (valid, validation, val2017).
	Split string
	// Classes are the class names by label. Nil takes the folders' names or the labels, sorted, unless Label is set;
	// labels that are all numbers are taken as they are.
	Classes []string
	// ClassToIdx gives each class its label, so that the numbers are a network's: see [ReadClassToIdx].
	ClassToIdx map[string]int
	OnBad      OnBad
	// AsStored leaves photographs as they lie in their files. Without it they are turned upright, as their camera says
	// (EXIF).
	AsStored bool
	// MostPixels is how many pixels an image may have, so that a small file cannot fill the memory; 0 means 89,478,485 as
	// in Pillow, and less than 0 any number.
	MostPixels int
}

// Folder reads the photographs below a folder: JPEG, PNG, WebP, GIF, BMP, TIFF and Netpbm (PPM, PGM, PBM), by their
// endings, whatever their case. What a file is, its bytes say. Pixels are as of Pillow's convert("RGB"): grey becomes
// RGB, transparency is dropped, of an animated file there is the first frame (the first one is named on the standard
// error); values are scaled to 0..1. Where Pillow would cut 16 bits to 8 they are kept.
//
// Classes are the folders in it, as of torchvision's ImageFolder: sorted by name, whatever folders there are in these,
// links followed; images are sorted by class, folder and name. Otherwise than there hidden folders and files are left
// out; one folder alone with several in it that hold all the images is opened; and training and test images side by
// side are an error, see [Options]. A folder without an image is an error unless the options name the classes. Images
// beside two or more classes are left out. [Dataset.Notes] says how classes were found and what was left out.
func Folder(dir string, options Options) (*Dataset, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("data: %s is a file, not a folder of images", dir)
	}
	return fromFS(dir, onDisk(dir), options)
}

// Zip reads the photographs in an archive as [Folder] does those below a folder. The file stays open as long as the
// process lives.
func Zip(file string, options Options) (*Dataset, error) {
	z, err := openZip(file)
	if err != nil {
		return nil, err
	}
	ds, err := fromFS(file, z, options)
	return ds, failure.OneLine(err)
}

// Files reads single photographs, and those below folders, in the order in which they are named. Their classes are
// unknown.
func Files(paths ...string) (*Dataset, error) { return filesBy(Options{}, paths...) }

// filesBy is Files with options that are about single files.
func filesBy(options Options, paths ...string) (*Dataset, error) {
	s := &fileSource{files: byPath{}, asStored: options.AsStored, most: options.MostPixels, said: new(sync.Once)}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		if !info.IsDir() {
			if err := checkImage(p, info); err != nil {
				return nil, err
			}
			s.names = append(s.names, p)
			continue
		}
		below, err := Folder(p, Options{Label: func(string) int { return -1 }})
		if err != nil {
			return nil, err
		}
		for i := range below.Len() {
			s.names = append(s.names, filepath.Join(p, below.Name(i)))
		}
	}
	if len(s.names) == 0 {
		return nil, errors.New("data: no files are named: give the paths of images or of folders with images")
	}
	for range s.names {
		s.labels = append(s.labels, -1)
	}
	title := s.names[0]
	if len(s.names) > 1 {
		title = plural.Of(len(s.names), "file")
	}
	return newDataset(title, s, nil)
}

// byPath opens files by their paths as the system knows them.
type byPath struct{}

func (byPath) Open(name string) (fs.File, error) {
	f, _, err := regular.Open(name)
	if err != nil {
		return nil, err // not f, which would be no nil fs.File
	}
	return f, nil
}

// checkImage refuses a file that is named alone and is no image by its bytes.
func checkImage(file string, info os.FileInfo) error {
	f, _, err := regular.Open(file)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	start, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return fmt.Errorf("data: %s: %w", file, err)
	}
	format := formatOf(start)
	if _, known := decoders[format]; !known {
		return fmt.Errorf("data: %s: %w", file, unreadable(start, format))
	}
	return nil
}

func fromFS(title string, files fs.FS, options Options) (*Dataset, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	known, err := options.numbering()
	if err != nil {
		return nil, err
	}
	l, err := list(files)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", title, err)
	}
	if len(l.images) == 0 {
		if notes := l.notes(); len(notes) > 0 {
			return nil, fmt.Errorf("data: %s has no images (%s): %s", title, strings.Join(notes, "; "), endings)
		}
		return nil, fmt.Errorf("data: %s has no images: %s", title, endings)
	}
	sort.Strings(l.images)
	t := treeAt(title, ".", l.images).opened()
	if options.Split != "" {
		if l, t, err = l.ofSplit(title, options.Split); err != nil {
			return nil, err
		}
		title = path.Join(title, options.Split)
		t.title = title
	}
	s := &fileSource{files: files, asStored: options.AsStored, most: options.MostPixels, said: new(sync.Once)}
	found := labeling{classes: options.Classes}
	if options.Label == nil {
		if found, err = options.classesOf(files, &l, &t, known); err != nil {
			return nil, err
		}
	} else {
		for _, name := range t.images {
			found.labels = append(found.labels, options.Label(name))
		}
	}
	s.names, s.labels = t.images, found.labels
	d, err := newDataset(title, s, found.classes)
	if err != nil {
		return nil, err
	}
	if d.notes = append(found.notes, l.notes()...); options.OnBad != Skip {
		return d, nil
	}
	return d.withoutDamaged()
}

// check refuses options that contradict each other.
func (o Options) check() error {
	var given []string
	if o.Label != nil {
		given = append(given, "Label")
	}
	if o.Labels != nil {
		given = append(given, "Labels")
	}
	if o.LabelsFile != "" {
		given = append(given, "LabelsFile")
	}
	switch {
	case len(given) > 1:
		return fmt.Errorf("data: Options.%s both say the labels: give one", strings.Join(given, " and Options."))
	case o.LabelsFile == "" && (o.FileColumn != "" || o.LabelColumn != ""):
		return errors.New("data: Options.FileColumn and LabelColumn are of Options.LabelsFile, which is not given")
	case o.Label != nil && o.ClassToIdx != nil:
		return errors.New("data: Options.Label gives numbers, which Options.ClassToIdx would give too: leave one out")
	}
	return nil
}

// classesOf finds the labels of a tree's images, which it sorts, and the names of the classes.
func (o Options) classesOf(files fs.FS, l *listing, t *tree, known *numbering) (labeling, error) {
	var err error
	if o.Labels == nil && o.LabelsFile != "" && known == nil {
		if known, err = o.classToIdxFor(files, *t); err != nil {
			return labeling{}, err
		}
		if known != nil {
			o.LabelsFile = ""
		}
	}
	if o.Labels != nil || o.LabelsFile != "" {
		l.others = without(l.others, []string{path.Clean(filepath.ToSlash(o.LabelsFile))})
		return o.labelsOf(files, *t, known)
	}
	found, err := t.classFolders(l.folders, known)
	if err != nil {
		return labeling{}, err
	}
	if found.classes == nil {
		for _, name := range l.others {
			if slices.Contains([]string{".csv", ".tsv", ".json", ".jsonl"}, strings.ToLower(path.Ext(name))) {
				found.notes = append(found.notes, fmt.Sprintf("they may be in %s: Options.LabelsFile reads them", name))
				break
			}
		}
	}
	if missing := t.elsewhere(); known == nil && found.classes != nil && len(missing) > 0 {
		found.notes = append(found.notes, fmt.Sprintf(
			"other splits have classes that are not here (%s): Options.Classes gives all of them the same numbers",
			some(missing)))
	}
	t.images = without(t.images, found.left)
	t.sortAsWalked()
	if known == nil {
		known = numberingOf(found.classes, "")
	}
	out := labeling{classes: known.classes, notes: found.notes}
	for _, name := range t.images {
		label := -1
		if top, _ := t.top(name); top != "" && found.classes != nil {
			label = known.number[top]
		}
		out.labels = append(out.labels, label)
	}
	return out, nil
}

// classToIdxFor are the numbers of the folders' classes, if that is what LabelsFile holds; nil if it does not.
func (o Options) classToIdxFor(files fs.FS, t tree) (*numbering, error) {
	if !strings.EqualFold(path.Ext(o.LabelsFile), ".json") || len(t.tops) == 0 {
		return nil, nil
	}
	number, err := readClassToIdx(files, o.LabelsFile)
	if err != nil {
		return nil, nil // it holds labels, or else these tell what is wrong
	}
	for _, c := range t.tops {
		if _, ok := number[c]; !ok {
			return nil, nil
		}
	}
	return byIdx(number, filepath.Base(o.LabelsFile))
}

// withoutDamaged decodes everything once and leaves out what cannot be. Interrupted, it returns the dataset of what it
// has looked at.
func (d *Dataset) withoutDamaged() (*Dataset, error) {
	bad := make([]error, d.Len())
	done, stopped := parallel.Each("data: checking "+d.title, d.Len(), func(i int) error {
		_, bad[i] = d.Image(i)
		return nil
	})
	if done == 0 {
		return nil, stopped
	}
	v := d.view()
	v.index = nil
	for i, err := range bad[:done] {
		if err == nil {
			v.index = append(v.index, d.index[i])
		} else {
			v.skipped = append(v.skipped, strings.TrimPrefix(err.Error(), "data: "))
		}
	}
	if len(v.index) == 0 {
		return nil, fmt.Errorf("data: all %d images of %s are damaged, the first is %s", done, d.title, v.skipped[0])
	}
	if len(v.skipped) > 0 {
		fmt.Fprintf(os.Stderr, "loupe: skipped %d of %d images of %s, which are damaged: %s\n",
			len(v.skipped), done, d.title, strings.Join(v.skipped[:min(len(v.skipped), 5)], "; "))
	}
	return v, stopped
}

// fileSource is image files of a folder or an archive.
type fileSource struct {
	files    fs.FS
	names    []string
	labels   []int
	asStored bool
	most     int        // pixels, as in Options
	said     *sync.Once // of an animated file
}

func (s *fileSource) len() int          { return len(s.names) }
func (s *fileSource) name(i int) string { return s.names[i] }
func (s *fileSource) label(i int) int   { return s.labels[i] }

func (s *fileSource) image(i int) (Image, error) {
	raw, err := readFile(s.files, s.names[i])
	if err != nil {
		return Image{}, err
	}
	if more, animated := isAnimated(raw); animated {
		s.said.Do(func() {
			fmt.Fprintf(os.Stderr, "loupe: %s has more than one %s: of such files the first is taken\n",
				s.names[i], more)
		})
	}
	return decode(raw, s.asStored, s.most)
}

// LeadingNumber is a Label for files whose names start with the number of their class, such as 0243_bull_mastiff.jpg.
func LeadingNumber(name string) int { return numberIn(filepath.Base(name), true) }

// LastNumber is a Label for files whose names end with the number of their class, such as imagenet_00_243.jpg.
func LastNumber(name string) int { return numberIn(filepath.Base(name), false) }

// numberIn returns the first or the last run of digits, -1 if there is none.
func numberIn(name string, first bool) int {
	name = strings.TrimSuffix(name, path.Ext(name))
	runs := strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
	if len(runs) == 0 {
		return -1
	}
	run := runs[len(runs)-1]
	if first {
		run = runs[0]
	}
	n := 0
	for _, r := range run {
		n = min(n*10+int(r-'0'), 1<<30)
	}
	return n
}
