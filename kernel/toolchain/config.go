package toolchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// config is what Prepare finds out. Each kernel reads it before its first cell, and it tells of a thousand packages: it
// is kept as lines of fields, which are read ten times as fast as JSON.
type config struct {
	Worker   string // identifies the executable that it was made for
	Go       string
	Compile  string
	Link     string
	Packages map[string]prepared // by import path
}

type prepared struct {
	Name, Archive string
	Size          int64 // of the archive
	Imports       []string
	Dir           string
}

// text writes a config down: its own fields in the first line, and a package in each other.
func (c config) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s\t%s\t%s\t%s\n", c.Worker, c.Go, c.Compile, c.Link)
	for _, path := range slices.Sorted(maps.Keys(c.Packages)) {
		p := c.Packages[path]
		fmt.Fprintf(&out, "%s\t%s\t%s\t%d\t%s\t%s\n", path, p.Name, p.Archive, p.Size, strings.Join(p.Imports, " "), p.Dir)
	}
	return out.String()
}

// configOf reads what text has written.
func configOf(text string) (config, error) {
	first, rest, _ := strings.Cut(text, "\n")
	own := strings.Split(first, "\t")
	if len(own) != 4 {
		return config{}, errors.New("toolchain: what was prepared has another form than is known")
	}
	c := config{Worker: own[0], Go: own[1], Compile: own[2], Link: own[3],
		Packages: make(map[string]prepared, strings.Count(rest, "\n"))}
	for line := range strings.Lines(rest) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 6 {
			return config{}, errors.New("toolchain: what was prepared has another form than is known")
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return config{}, fmt.Errorf("toolchain: what was prepared: %w", err)
		}
		c.Packages[f[0]] = prepared{Name: f[1], Archive: f[2], Size: size, Imports: strings.Fields(f[4]), Dir: f[5]}
	}
	return c, nil
}

// configFile is where what has been prepared is kept in a folder.
func (t *Toolchain) configFile(dir string) string {
	sum := sha256.New()
	io.WriteString(sum, identity())
	for _, root := range t.options.Roots {
		io.WriteString(sum, " "+root)
	}
	return filepath.Join(dir, "toolchain-"+hex.EncodeToString(sum.Sum(nil)[:6])+".txt")
}

// read reads what has been prepared from a folder: a line with the digest of what follows it, and that.
func (t *Toolchain) read(dir string) error {
	data, err := os.ReadFile(t.configFile(dir))
	if err != nil {
		return err
	}
	sum, text, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != digestOf(text) {
		return errors.New("toolchain: what was prepared is damaged")
	}
	c, err := configOf(string(text))
	if err == nil {
		t.config = c
	}
	return err
}

// write writes what has been prepared: another worker may be reading it, or writing the same.
func (t *Toolchain) write(config string) error {
	f, err := os.CreateTemp(t.cache, "preparing-")
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, digestOf([]byte(config))+"\n"+config)
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return err
	}
	return os.Rename(f.Name(), t.configFile(t.cache))
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// clear removes what was prepared for other executables, except the few that were used last.
func (t *Toolchain) clear() {
	const keep = 8
	files, _ := filepath.Glob(filepath.Join(t.cache, "toolchain-*"))
	used := func(file string) int64 {
		if info, err := os.Stat(file); err == nil {
			return info.ModTime().UnixNano()
		}
		return 0
	}
	slices.SortFunc(files, func(a, b string) int { return int(min(max(used(b)-used(a), -1), 1)) })
	for _, file := range files[min(keep, len(files)):] {
		os.Remove(file)
	}
}
