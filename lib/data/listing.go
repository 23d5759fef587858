package data

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/zipfile"
)

// listing is what lies in a folder or an archive.
type listing struct {
	images, folders []string
	// What is left out: hidden folders and files, photographs in other formats, files that are no images, links that lead
	// nowhere or back.
	hidden, hiddenFiles, foreign, others, links []string
}

// list goes through everything, in the order of names.
func list(files fs.FS) (l listing, err error) {
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		base := path.Base(name)
		switch {
		case err != nil:
			return err
		case name == ".":
		case entry.IsDir() && isHidden(base):
			l.hidden = append(l.hidden, name)
			return fs.SkipDir
		case entry.IsDir():
			l.folders = append(l.folders, name)
		case entry.Type()&fs.ModeSymlink != 0:
			l.links = append(l.links, name)
		case strings.HasPrefix(base, "."):
			l.hiddenFiles = append(l.hiddenFiles, name)
		case isImage(name):
			l.images = append(l.images, name)
		case foreign[strings.ToLower(path.Ext(name))] != "":
			l.foreign = append(l.foreign, name)
		default:
			l.others = append(l.others, name)
		}
		return nil
	})
	return l, err
}

// notes say what was left out, and why.
func (l listing) notes() []string {
	var notes []string
	say := func(one, several string, names []string) {
		if len(names) > 0 {
			notes = append(notes, leftOut(one, several, names))
		}
	}
	say("hidden folder", "hidden folders", l.hidden)
	say("hidden file", "hidden files", l.hiddenFiles)
	byFormat := map[string][]string{}
	for _, name := range l.foreign {
		format := foreign[strings.ToLower(path.Ext(name))]
		byFormat[format] = append(byFormat[format], name)
	}
	var formats []string
	for format := range byFormat {
		formats = append(formats, format)
	}
	sort.Strings(formats)
	for _, format := range formats {
		const what = ", which loupe does not read: convert to PNG or JPEG"
		say("image of the format "+format+what, "images of the format "+format+what, byFormat[format])
	}
	say("file that is no image", "files that are no images", l.others)
	say("link that leads nowhere or back", "links that lead nowhere or back", l.links)
	return notes
}

// leftOut is a note of what was not read.
func leftOut(one, several string, names []string) string {
	if len(names) == 1 {
		return fmt.Sprintf("left out 1 %s (%s)", one, names[0])
	}
	return fmt.Sprintf("left out %d %s (%s)", len(names), several, some(names))
}

// some are the first names.
func some(names []string) string {
	shown := strings.Join(names[:min(len(names), 3)], ", ")
	if len(names) > 3 {
		shown += ", …"
	}
	return shown
}

// isHidden reports whether a folder is none of the person's: of Jupyter, the Finder, Windows, a NAS, version control.
func isHidden(name string) bool {
	switch name {
	case "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information":
		return true
	}
	return strings.HasPrefix(name, ".")
}

// onDisk is a folder of the system. Unlike [os.DirFS] it goes through links to folders, as torchvision does, and takes
// names that are not UTF-8.
type onDisk string

func (d onDisk) path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

func (d onDisk) Open(name string) (fs.File, error) { return byPath{}.Open(d.path(name)) }

func (d onDisk) Stat(name string) (fs.FileInfo, error) { return os.Stat(d.path(name)) }

// ReadDir lists a folder. A link is what it leads to; one that leads nowhere, or to a folder that it lies in, stays a
// link.
func (d onDisk) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(d.path(name))
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		if entry.Type()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := os.Stat(filepath.Join(d.path(name), entry.Name()))
		if err != nil || target.IsDir() && d.liesIn(name, target) {
			continue
		}
		entries[i] = linked{fs.FileInfoToDirEntry(target), entry.Name()}
	}
	return entries, nil
}

// liesIn reports whether the folder name is target or lies in it.
func (d onDisk) liesIn(name string, target fs.FileInfo) bool {
	for {
		if info, err := os.Stat(d.path(name)); err == nil && os.SameFile(info, target) {
			return true
		}
		if name == "." {
			return false
		}
		name = path.Dir(name)
	}
}

// linked is what a link leads to, under the link's name.
type linked struct {
	fs.DirEntry
	name string
}

func (l linked) Name() string { return l.name }

// openZip opens an archive and mends the names in it.
func openZip(file string) (*zip.Reader, error) {
	z, err := zipfile.Open(file)
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err != nil {
		return nil, failure.OneLine(fmt.Errorf("data: %s: %w", file, err))
	}
	for _, f := range z.File { // before the archive's list of folders is made of the names
		if !utf8.ValidString(f.Name) {
			f.Name = fromCP437(f.Name)
		}
		f.Name = strings.ReplaceAll(f.Name, `\`, "/") // some programs on Windows write these
	}
	return z.Reader, nil
}

// cp437 are the upper characters of the code page that zip's names have unless they say UTF-8.
const cp437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»" +
	"░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ "

// fromCP437 reads a name as Python's zipfile does.
func fromCP437(name string) string {
	upper := []rune(cp437)
	out := make([]rune, len(name))
	for i := range len(name) {
		if out[i] = rune(name[i]); name[i] >= 0x80 {
			out[i] = upper[name[i]-0x80]
		}
	}
	return string(out)
}

// mostUnpacked is how many bytes a file in an archive may have.
const mostUnpacked = 1 << 30

// readFile reads a file of a folder or an archive whole. An archive's own word on a file's size is not believed beyond
// what its packed bytes can become.
func readFile(files fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(files, name)
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, errors.New("it is packed in a way that loupe does not read: " +
			"pack it with zip's deflate, or unpack the archive")
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // to open a pipe waits for somebody to write
		return nil, errors.New("it is no file")
	}
	if packed, ok := info.Sys().(*zip.FileHeader); ok {
		switch size := packed.UncompressedSize64; {
		case packed.Flags&1 != 0:
			return nil, errors.New("it is encrypted: unpack the archive with its password first")
		case size > mostUnpacked:
			return nil, fmt.Errorf("it would have %d bytes unpacked, more than %d", size, mostUnpacked)
		case size > 1032*packed.CompressedSize64+64:
			return nil, fmt.Errorf("the archive is damaged: %d bytes cannot become %d", packed.CompressedSize64, size)
		}
	}
	raw, err := fs.ReadFile(files, name)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("the archive is cut short here")
	}
	return raw, err
}
