package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/parallel"
	"github.com/loupeml/loupe/lib/internal/zipfile"
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
	// Label gives a file's class from its path; -1 is unknown. Nil takes the name of the topmost folder that it is in;
	// with no folders, labels are unknown.
	Label func(name string) int
	// Classes are the class names by label. Nil takes the folders' names, sorted, unless Label is set.
	Classes []string
	OnBad   OnBad
	// AsStored leaves photographs as they lie in their files. Without it they are turned upright, as their camera says
	// (EXIF).
	AsStored bool
	// MostPixels is how many pixels an image may have, so that a small file cannot fill the memory; 0 means 89,478,485 as
	// in Pillow, and less than 0 any number.
	MostPixels int
}

// Folder reads the photographs (JPEG, PNG, WebP, GIF, BMP) below a folder, sorted by path. Grey images become RGB,
// transparency is dropped and values are scaled to 0..1, as Pillow's convert("RGB") does.
//
// Classes are the folders in it, by name, whatever folders there are in these, as torchvision's ImageFolder takes them.
// If there is one alone, with several in it that hold all the images, these are the classes. A folder without an image
// is an error, and so are training and test images side by side. Hidden folders are left out: see [Dataset.Notes].
func Folder(dir string, options Options) (*Dataset, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("data: %s is a file, not a folder of images", dir)
	}
	return fromFS(dir, os.DirFS(dir), options)
}

// Zip reads the photographs in an archive as [Folder] does those below a folder. The file stays open as long as the
// process lives.
func Zip(file string, options Options) (*Dataset, error) {
	z, err := zipfile.Open(file)
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err != nil {
		return nil, failure.OneLine(fmt.Errorf("data: %s: %w", file, err))
	}
	for _, f := range z.File { // before the archive's list of folders is made of the names
		f.Name = strings.ReplaceAll(f.Name, `\`, "/") // some programs on Windows write these
	}
	ds, err := fromFS(file, z.Reader, options)
	return ds, failure.OneLine(err)
}

// Files reads single photographs, and those below folders, in the order in which they are named. Their classes are
// unknown.
func Files(paths ...string) (*Dataset, error) {
	s := &fileSource{files: byPath{}}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
		if !info.IsDir() {
			if !extensions[strings.ToLower(filepath.Ext(p))] {
				return nil, fmt.Errorf("data: %s is no image: loupe reads files that end in .jpg, .jpeg, .png, .webp, .gif or .bmp", p)
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
		title = fmt.Sprintf("%d files", len(s.names))
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

var extensions = map[string]bool{".jpg": true, ".jpeg": true, ".png": true, ".webp": true, ".gif": true, ".bmp": true}

func fromFS(title string, files fs.FS, options Options) (*Dataset, error) {
	s := &fileSource{files: files, asStored: options.AsStored, most: options.MostPixels}
	var folders, hidden, others []string
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
		case entry.IsDir() && isHidden(entry.Name()):
			hidden = append(hidden, name)
			return fs.SkipDir
		case entry.IsDir():
			folders = append(folders, name)
		case !extensions[strings.ToLower(path.Ext(name))] || strings.HasPrefix(entry.Name(), "."):
			others = append(others, name)
		default:
			s.names = append(s.names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", title, err)
	}
	if len(s.names) == 0 {
		return nil, fmt.Errorf("data: %s has no images: loupe reads files that end in .jpg, .jpeg, .png, .webp, .gif or .bmp", title)
	}
	sort.Strings(s.names)
	var notes []string
	classes, classOf := options.Classes, func(string) string { return "" }
	if options.Label == nil {
		found, err := classFolders(title, s.names, folders, classes)
		if err != nil {
			return nil, err
		}
		classes, classOf = found.classes, found.of
		notes = append(notes, found.note)
	}
	notes = append(notes, leftOut("hidden folder", hidden)...)
	notes = append(notes, leftOut("file that is no image", others)...)
	number := map[string]int{}
	for i, c := range classes {
		number[c] = i
	}
	for _, name := range s.names {
		label := -1
		if options.Label != nil {
			label = options.Label(name)
		} else if n, ok := number[classOf(name)]; ok {
			label = n
		}
		s.labels = append(s.labels, label)
	}
	d, err := newDataset(title, s, classes)
	if err != nil {
		return nil, err
	}
	if d.notes = notes; options.OnBad != Skip {
		return d, nil
	}
	return d.withoutDamaged()
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
		fmt.Fprintf(os.Stderr, "loupe: skipped %d of %d images of %s, which are damaged: %s\n", len(v.skipped), done, d.title, strings.Join(v.skipped[:min(len(v.skipped), 5)], "; "))
	}
	return v, stopped
}

// fileSource is image files of a folder or an archive.
type fileSource struct {
	files    fs.FS
	names    []string
	labels   []int
	asStored bool
	most     int // pixels, as in Options
}

func (s *fileSource) len() int          { return len(s.names) }
func (s *fileSource) name(i int) string { return s.names[i] }
func (s *fileSource) label(i int) int   { return s.labels[i] }

func (s *fileSource) image(i int) (Image, error) {
	info, err := fs.Stat(s.files, s.names[i])
	if err != nil {
		return Image{}, err
	}
	if !info.Mode().IsRegular() { // to open a pipe waits for somebody to write
		return Image{}, errors.New("it is no file")
	}
	raw, err := fs.ReadFile(s.files, s.names[i])
	if err != nil {
		return Image{}, err
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
