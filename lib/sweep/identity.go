package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// File is a file that a worker needs.
type File struct {
	Path string `json:"path"`           // on the machine that planned
	Name string `json:"name"`           // where it lies below the model's or the data's folder, with slashes
	Role string `json:"role,omitempty"` // labels or classes; empty is the model or the data itself
	Size int64  `json:"size"`
	// Modified is when it was changed last, in nanoseconds. A file of this size and time at this path is taken for the
	// same.
	Modified int64  `json:"modified"`
	Digest   string `json:"digest"` // its SHA-256
}

// known are files that were read before, by their paths: what has the size and the time that it had is not read again.
type known map[string]File

// The roles of files: a table of labels, and a file of class names.
const (
	LabelsRole = "labels"
	NamesRole  = "names"
)

// Resolve finds the files of all models and data and what identifies them, and opens the data. It returns what pictures
// the data have, by the data's name. Files that an earlier plan has, and that have not changed since, are not read
// again.
func (p *Plan) Resolve(before Plan) (map[string]Pictures, error) {
	k := known{}
	for _, m := range before.Models {
		k.add(m.Files)
	}
	for _, d := range before.Data {
		k.add(d.Files)
	}
	bar := progress.New("sweep: reading models and data", len(p.Models)+len(p.Data))
	defer bar.Close()
	for i := range p.Models {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		if err := p.Models[i].resolve(k); err != nil {
			return nil, err
		}
		bar.Add(1)
	}
	all := map[string]Pictures{}
	for i := range p.Data {
		if err := interrupt.Err(); err != nil {
			return nil, err
		}
		pictures, err := p.Data[i].resolve(k)
		if err != nil {
			return nil, err
		}
		all[p.Data[i].Name] = pictures
		bar.Add(1)
	}
	return all, nil
}

// beside are the files that a loader looks for beside a model's.
func beside(file string) []string {
	folder := filepath.Dir(file)
	return []string{file + ".data", file + "_data", filepath.Join(folder, "config.json"),
		filepath.Join(folder, "preprocessor_config.json")}
}

func (m *Model) resolve(k known) error {
	fail := func(err error) error { return fmt.Errorf("sweep: the model %s: %w", m.Name, err) }
	m.Files = nil
	h := sha256.New()
	info, err := os.Stat(m.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		asset, unknown := assets.Find(m.File)
		if unknown != nil {
			return fail(fmt.Errorf("%q is neither a file nor the name of a model that loupe fetches", m.File))
		}
		if len(m.Beside) > 0 {
			return fail(errors.New("it is fetched by name, and nothing lies beside it"))
		}
		text, err := json.Marshal(asset)
		if err != nil {
			return fail(err)
		}
		fmt.Fprintf(h, "asset %s\n", text)
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return fail(fmt.Errorf("%s is not a file", m.File))
	default:
		whole, err := filepath.Abs(m.File)
		if err != nil {
			return fail(err)
		}
		m.File = whole
		paths := []string{whole}
		for _, path := range beside(whole) {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				paths = append(paths, path)
			}
		}
		for i, path := range m.Beside {
			if path, err = filepath.Abs(path); err != nil {
				return fail(err)
			}
			m.Beside[i] = path
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
		for _, path := range paths {
			name, err := filepath.Rel(filepath.Dir(whole), path)
			if err != nil || !filepath.IsLocal(name) {
				return fail(fmt.Errorf("%s does not lie beside it or below its folder", path))
			}
			if err := k.file(&m.Files, path, filepath.ToSlash(name), ""); err != nil {
				return fail(err)
			}
		}
	}
	if m.Classes != "" {
		if m.Classes, err = filepath.Abs(m.Classes); err != nil {
			return fail(err)
		}
		if err := k.file(&m.Files, m.Classes, filepath.Base(m.Classes), NamesRole); err != nil {
			return fail(err)
		}
	}
	fmt.Fprintf(h, "normalisation %s\n", m.Normalisation)
	digestFiles(h, m.Files)
	m.Identity = hex.EncodeToString(h.Sum(nil))
	return nil
}

// Pictures are those of a plan's data.
type Pictures struct {
	Names   []string `json:"names"`
	Labels  []int    `json:"labels"`            // -1 is unknown
	Classes []string `json:"classes,omitempty"` // by label; nil has none
}

// String is how many there are.
func (p Pictures) String() string {
	return fmt.Sprintf("%s, %s", plural.Of(len(p.Names), "picture"), p.Labelled())
}

// resolve leaves labels out of the identity: what a model says of pictures does not depend on them, and labels that
// are corrected cost no new run.
func (d *Data) resolve(k known) (Pictures, error) {
	fail := func(err error) (Pictures, error) {
		return Pictures{}, fmt.Errorf("sweep: the data %s: %w", d.Name, err)
	}
	d.Files = nil
	h := sha256.New()
	fmt.Fprintf(h, "split %s, skip %t\n", d.Split, d.Skip)
	info, err := os.Stat(d.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !slices.Contains(data.Names(), d.Path) {
			return fail(fmt.Errorf("%q is neither a path nor the name of a dataset that loupe fetches", d.Path))
		}
		fmt.Fprintf(h, "named %s\n", d.Path)
	case err != nil:
		return fail(err)
	default:
		whole, err := filepath.Abs(d.Path)
		if err != nil {
			return fail(err)
		}
		d.Path = whole
		labels, err := d.labelsPath(info.IsDir())
		if err != nil {
			return fail(err)
		}
		if !info.IsDir() {
			err = k.file(&d.Files, whole, filepath.Base(whole), "")
		} else {
			err = k.folder(&d.Files, whole, labels)
		}
		if err == nil && labels != "" {
			err = k.file(&d.Files, labels, filepath.Base(labels), LabelsRole)
		}
		if err != nil {
			return fail(err)
		}
		digestFiles(h, d.Files)
	}
	opened, err := d.open()
	if err != nil {
		return fail(err)
	}
	pictures := picturesOf(opened)
	if !slices.ContainsFunc(pictures.Labels, func(label int) bool { return label >= 0 }) {
		return fail(errors.New("none of its pictures has a label: name a table of them, or put each class in a folder " +
			"of its own"))
	}
	d.Pictures, d.Named, d.Labelling = len(pictures.Names), namesDigest(pictures.Names), pictures.Labelled().Digest()
	fmt.Fprintf(h, "pictures %d %s\n", d.Pictures, d.Named)
	d.Identity = hex.EncodeToString(h.Sum(nil))
	return pictures, nil
}

// labelsPath is where the table of labels lies, made absolute; empty where there is none or an archive holds it.
func (d *Data) labelsPath(folder bool) (string, error) {
	if d.Labels == "" {
		return "", nil
	}
	if _, err := os.Stat(d.Labels); err == nil {
		d.Labels, err = filepath.Abs(d.Labels)
		return d.Labels, err
	}
	if inside := filepath.Join(d.Path, d.Labels); folder {
		if _, err := os.Stat(inside); err != nil {
			return "", fmt.Errorf("there is no table of labels %s, here or in %s", d.Labels, d.Path)
		}
		d.Labels = inside
		return inside, nil
	}
	return "", nil // the archive may hold it
}

// open opens the data where it lies.
func (d Data) open() (*data.Dataset, error) {
	options := data.Options{Split: d.Split, LabelsFile: d.Labels, Partial: d.Partial}
	if d.Skip {
		options.OnBad = data.Skip
	}
	if d.Split == "" && d.Labels == "" && !d.Partial && !d.Skip {
		return data.Open(d.Path)
	}
	return data.Open(d.Path, options)
}

func picturesOf(ds *data.Dataset) Pictures {
	p := Pictures{Labels: ds.Labels(), Classes: ds.Classes()}
	for i := range ds.Len() {
		p.Names = append(p.Names, ds.Name(i))
	}
	return p
}

func namesDigest(names []string) string {
	h := sha256.New()
	for _, name := range names {
		fmt.Fprintf(h, "%d %s\n", len(name), name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digestFiles(h interface{ Write([]byte) (int, error) }, files []File) {
	for _, f := range files {
		if f.Role != LabelsRole {
			fmt.Fprintf(h, "%q %q %s\n", f.Role, f.Name, f.Digest)
		}
	}
}

func (k known) add(files []File) {
	for _, f := range files {
		k[f.Path] = f
	}
}

// file adds a file to others.
func (k known) file(files *[]File, path, name, role string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if !utf8.ValidString(path) { // a plan is JSON
		return fmt.Errorf("the name of %q is no UTF-8: rename it", path)
	}
	f := File{Path: path, Name: name, Role: role, Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if was, ok := k[path]; ok && was.Size == f.Size && was.Modified == f.Modified {
		f.Digest = was.Digest
	} else if f.Digest, err = wholefile.Digest(path); err != nil {
		return err
	}
	*files = append(*files, f)
	return nil
}

// folder adds all files below a folder but one, by their names in order, through links as the data are read.
func (k known) folder(files *[]File, folder, but string) error {
	within := map[string]bool{}
	var walk func(dir, below string) error
	walk = func(dir, below string) error {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		if within[real] {
			return fmt.Errorf("%s leads back into itself", dir)
		}
		within[real] = true
		defer delete(within, real)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := interrupt.Err(); err != nil {
				return err
			}
			path, name := filepath.Join(dir, e.Name()), filepath.ToSlash(filepath.Join(below, e.Name()))
			info, err := os.Stat(path)
			switch {
			case err != nil:
				return err
			case info.IsDir():
				err = walk(path, name)
			case info.Mode().IsRegular() && path != but:
				err = k.file(files, path, name, "")
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return walk(folder, "")
}
