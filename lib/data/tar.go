package data

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/loupeml/loupe/internal/regular"
)

// Tar reads the photographs in a .tar archive that is not packed as [Folder] does those below a folder. The file stays
// open as long as the process lives.
func Tar(file string, options Options) (*Dataset, error) {
	files, err := openTar(file)
	if err != nil {
		return nil, err
	}
	return fromFS(file, files, options)
}

// tarFile is the files of a tar archive by path, and the folders.
type tarFile struct {
	of      *os.File
	files   map[string]tarEntry
	folders map[string][]fs.DirEntry
}

type tarEntry struct {
	name       string
	start, len int64
	dir        bool
}

func openTar(file string) (*tarFile, error) {
	f, size, err := regular.Open(file)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	t := &tarFile{f, map[string]tarEntry{".": {name: ".", dir: true}}, map[string][]fs.DirEntry{}}
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("data: %s is not a whole tar archive: %w", file, err)
		}
		start, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("data: %s: %w", file, err)
		}
		name := strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(h.Name, `\`, "/")), "/")
		switch {
		case name == "":
		case h.Typeflag == tar.TypeDir:
			t.addFolder(name)
		case h.Typeflag != tar.TypeReg: // links and devices
		case h.Size > size-start:
			f.Close()
			return nil, fmt.Errorf("data: %s is cut short in %s", file, name)
		default:
			if _, there := t.files[name]; !there {
				dir := path.Dir(name)
				t.addFolder(dir)
				t.folders[dir] = append(t.folders[dir], fs.FileInfoToDirEntry(tarEntry{name: name}))
			}
			t.files[name] = tarEntry{name: name, start: start, len: h.Size} // the last of a name counts
		}
	}
	end := make([]byte, 512) // of zeros behind the last file
	if _, err := f.ReadAt(end, max(size-512, 0)); err != nil || len(bytes.Trim(end, "\x00")) > 0 {
		f.Close()
		return nil, fmt.Errorf("data: %s is cut short: it has no end", file)
	}
	for _, entries := range t.folders {
		sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	}
	return t, nil
}

func (t *tarFile) addFolder(name string) {
	if _, there := t.files[name]; there {
		return
	}
	e := tarEntry{name: name, dir: true}
	t.files[name] = e
	t.addFolder(path.Dir(name))
	t.folders[path.Dir(name)] = append(t.folders[path.Dir(name)], fs.FileInfoToDirEntry(e))
}

func (t *tarFile) Open(name string) (fs.File, error) {
	e, there := t.files[name]
	if !there {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return tarReader{io.NewSectionReader(t.of, e.start, e.len), e}, nil
}

func (t *tarFile) ReadDir(name string) ([]fs.DirEntry, error) { return t.folders[name], nil }

func (e tarEntry) Name() string       { return path.Base(e.name) }
func (e tarEntry) Size() int64        { return e.len }
func (e tarEntry) ModTime() time.Time { return time.Time{} }
func (e tarEntry) IsDir() bool        { return e.dir }
func (e tarEntry) Sys() any           { return nil }

func (e tarEntry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// tarReader is an open file of an archive.
type tarReader struct {
	*io.SectionReader
	e tarEntry
}

func (r tarReader) Stat() (fs.FileInfo, error) { return r.e, nil }
func (r tarReader) Close() error               { return nil }
