package assets

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/regular"
)

// Asset is one entry of the registry.
type Asset struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"` // "model", "dataset", "labels", "photographs", "runtime"
	Description string `json:"description"`
	Licence     string `json:"licence"` // an SPDX identifier
	Source      Source `json:"source"`
	Platform    string `json:"platform,omitempty"` // GOOS/GOARCH it is made for; empty means any
	Download    int64  `json:"download,omitempty"` // bytes that travel; 0 when unknown
	Files       []File `json:"files,omitempty"`    // what is kept, flat; empty means everything, in its folders
}

// Source says where an asset comes from. One field is set (Sdist goes with PyPI).
type Source struct {
	PyPI   string `json:"pypi,omitempty"`   // NAME==VERSION, for pip download
	Sdist  bool   `json:"sdist,omitempty"`  // the PyPI package has no wheel
	Go     string `json:"go,omitempty"`     // PATH@VERSION, for go mod download
	Debian string `json:"debian,omitempty"` // a package's name, for apt-get download
	Hub    string `json:"hub,omitempty"`    // OWNER/NAME[@REVISION] of a model hub
	URL    string `json:"url,omitempty"`    // an http or https address
	Path   string `json:"path,omitempty"`   // a file or folder on this machine
}

// File is one file of an asset.
type File struct {
	From   string `json:"from"`             // its name in the package, or a pattern as of path.Match
	Name   string `json:"name,omitempty"`   // its name in the cache; empty means the last element of From
	Size   int64  `json:"size,omitempty"`   // bytes; 0 means not checked
	SHA256 string `json:"sha256,omitempty"` // in hexadecimal; empty means not checked
}

func (f File) name() string {
	if f.Name != "" {
		return f.Name
	}
	return path.Base(f.From)
}

func (f File) pattern() bool { return strings.ContainsAny(f.From, `*?[`) }

// Size returns the bytes that the asset takes in the cache, as far as the registry knows them.
func (a Asset) Size() int64 {
	var n int64
	for _, f := range a.Files {
		n += f.Size
	}
	return n
}

// String names the source as its client would.
func (s Source) String() string {
	switch {
	case s.PyPI != "":
		return "PyPI " + s.PyPI
	case s.Go != "":
		return "Go module " + s.Go
	case s.Debian != "":
		return "Debian " + s.Debian
	case s.Hub != "":
		return "hub " + s.Hub
	case s.URL != "":
		return s.URL
	}
	return s.Path
}

func (a Asset) dir() (string, error) {
	base, err := Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "assets", a.folder()), nil
}

// folder is the asset's name as a file name.
func (a Asset) folder() string {
	return strings.NewReplacer(":", "--", "/", "--").Replace(a.Name)
}

//go:embed registry.json
var registryJSON []byte

var builtin = sync.OnceValue(func() []Asset {
	list, err := parse(registryJSON)
	if err != nil {
		panic("assets: registry.json: " + err.Error())
	}
	return list
})

func parse(data []byte) ([]Asset, error) {
	var file struct {
		Assets []Asset `json:"assets"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	for _, a := range file.Assets {
		if err := a.valid(); err != nil {
			return nil, err
		}
	}
	return file.Assets, nil
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	sumForm  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (a Asset) valid() error {
	if !nameForm.MatchString(a.Name) {
		return fmt.Errorf("%q is no name for an asset: letters, digits, . _ and - may be in it", a.Name)
	}
	s := a.Source
	set := 0
	for _, field := range []string{s.PyPI, s.Go, s.Debian, s.Hub, s.URL, s.Path} {
		if field != "" {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("%s: source needs one of pypi, go, debian, hub, url and path, and has %d", a.Name, set)
	}
	switch {
	case s.PyPI != "" && !strings.Contains(s.PyPI, "=="):
		return fmt.Errorf("%s: pypi is NAME==VERSION, not %q", a.Name, s.PyPI)
	case s.Go != "" && !strings.Contains(s.Go, "@"):
		return fmt.Errorf("%s: go is PATH@VERSION, not %q", a.Name, s.Go)
	case s.URL != "" && !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://"):
		return fmt.Errorf("%s: url starts with https:// or http://, not %q", a.Name, s.URL)
	case s.Path != "" && !filepath.IsAbs(s.Path):
		return fmt.Errorf("%s: path starts at the root, not %q", a.Name, s.Path)
	}
	for _, f := range a.Files {
		switch {
		case f.From == "":
			return fmt.Errorf("%s: a file without from", a.Name)
		case f.pattern() && (f.Name != "" || f.SHA256 != "" || f.Size != 0):
			return fmt.Errorf("%s: %s is a pattern, which name, size and sha256 do not go with", a.Name, f.From)
		case f.Name != "" && !filepath.IsLocal(f.Name), strings.ContainsAny(f.Name, `/\`):
			return fmt.Errorf("%s: %q is no file name", a.Name, f.Name)
		case f.SHA256 != "" && !sumForm.MatchString(f.SHA256):
			return fmt.Errorf("%s: the sha256 of %s is 64 hexadecimal digits in small letters, not %q", a.Name, f.From, f.SHA256)
		}
	}
	return nil
}

// SourcesFile returns the file in which a user can add sources: sources.json in the folder LOUPE_CONFIG,
// or in "loupe" in the user's configuration folder. It has the form of registry.json; size and
// sha256 may be left out, files as well.
func SourcesFile() (string, error) {
	if d := os.Getenv("LOUPE_CONFIG"); d != "" {
		return filepath.Join(d, "sources.json"), nil
	}
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("assets: no configuration folder: %w; set LOUPE_CONFIG to a folder of your own", err)
	}
	return filepath.Join(base, "loupe", "sources.json"), nil
}

// List returns the registry: loupe's own entries, then the user's. When the user's file
// is wrong the error says how, and loupe's own are returned all the same.
func List() ([]Asset, error) {
	list := append([]Asset(nil), builtin()...)
	file, err := SourcesFile()
	if err != nil {
		return list, nil // without a home there is no file in it
	}
	data, err := regular.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err != nil {
		return list, fmt.Errorf("assets: %w", err)
	}
	added, err := parse(data)
	if err != nil {
		return list, fmt.Errorf("assets: %s: %w", file, err)
	}
	known := map[string]bool{}
	for _, a := range list {
		known[a.Name] = true
	}
	for _, a := range added {
		if known[a.Name] {
			return list, fmt.Errorf("assets: %s: there is an asset %s already: give yours another name", file, a.Name)
		}
		known[a.Name] = true
		list = append(list, a)
	}
	return list, nil
}

// Find returns the entry of that name. A name hf:OWNER/NAME[@REVISION] is a model of a hub.
func Find(name string) (Asset, error) {
	if id, ok := strings.CutPrefix(name, "hf:"); ok {
		return hubAsset(name, id)
	}
	list, err := List()
	names := make([]string, 0, len(list))
	for _, a := range list {
		if a.Name == name {
			return a, nil
		}
		names = append(names, a.Name)
	}
	if err != nil { // it may be in the file that cannot be read
		return Asset{}, err
	}
	return Asset{}, fmt.Errorf("assets: there is no asset %q; known are %s, and hf:OWNER/NAME", name,
		strings.Join(names, ", "))
}

// fits tells whether the asset is made for this machine.
func (a Asset) fits() error {
	here := runtime.GOOS + "/" + runtime.GOARCH
	if a.Platform == "" || a.Platform == here {
		return nil
	}
	return fmt.Errorf("assets: %s is made for %s and this machine is %s; `loupe plugin` looks for one that fits", a.Name,
		a.Platform, here)
}
