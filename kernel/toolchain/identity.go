package toolchain

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// identity names the executable that runs by what is in it: a plugin loads only into the very program that
// it was built against, and two builds of the same sources are the same program, wherever they lie.
var identity = sync.OnceValue(func() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if f, err := elf.Open(self); err == nil {
		defer f.Close()
		if note := f.Section(".note.go.buildid"); note != nil {
			if id, err := note.Data(); err == nil {
				return hex.EncodeToString(id)
			}
		}
	}
	f, err := os.Open(self)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
})

// configFile is where what has been prepared is kept in a folder.
func (t *Toolchain) configFile(dir string) string {
	sum := sha256.New()
	io.WriteString(sum, identity())
	for _, root := range t.options.Roots {
		io.WriteString(sum, " "+root)
	}
	return filepath.Join(dir, "toolchain-"+hex.EncodeToString(sum.Sum(nil)[:6])+".json")
}

// read reads what has been prepared from a folder: a line with the digest of what follows it, and JSON.
func (t *Toolchain) read(dir string) error {
	data, err := os.ReadFile(t.configFile(dir))
	if err != nil {
		return err
	}
	sum, text, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != digestOf(text) {
		return errors.New("toolchain: what was prepared is damaged")
	}
	return json.Unmarshal(text, &t.config)
}

// write writes what has been prepared: another worker may be reading it, or writing the same.
func (t *Toolchain) write(config []byte) error {
	f, err := os.CreateTemp(t.cache, "preparing-")
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(digestOf(config)+"\n"), config...))
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
	files, _ := filepath.Glob(filepath.Join(t.cache, "toolchain-*.json"))
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
