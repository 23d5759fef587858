package program

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The go command takes some tenths of a second to find that there is nothing to do. Of files that import the standard
// library only, it can be told without it.

// state names all that such a program is made from. It is empty where the go command has to be asked.
func (p Program) state() string {
	command, err := exec.LookPath("go")
	if err == nil {
		command, err = filepath.EvalSymlinks(command)
	}
	if err != nil || len(p.Files) == 0 {
		return ""
	}
	h := sha256.New()
	library := filepath.Join(filepath.Dir(filepath.Dir(command)), "src")
	if info, err := os.Stat(command); err == nil {
		fmt.Fprintln(h, command, info.Size(), info.ModTime().UnixNano())
	}
	for _, f := range p.Files {
		text := f.Text
		if text == nil {
			if text, err = os.ReadFile(f.Path); err != nil {
				return ""
			}
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Path, text, parser.ImportsOnly)
		if err != nil {
			return ""
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil || path == "C" || path == "embed" {
				return ""
			}
			if info, err := os.Stat(filepath.Join(library, filepath.FromSlash(path))); path != "unsafe" &&
				(err != nil || !info.IsDir()) {
				return ""
			}
		}
		fmt.Fprintf(h, "%q %d\n%s\n", f.Path, len(text), text)
	}
	// What says how it is compiled.
	settings := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return !strings.HasPrefix(v, "GO") && !strings.HasPrefix(v, "CGO_") && !strings.HasPrefix(v, "CC=")
	})
	slices.Sort(settings)
	fmt.Fprintln(h, settings, p.Tags)
	files := []string{}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "go", "env"))
	}
	if at, err := filepath.Abs(p.where()); err == nil {
		if root := moduleOf(at); root != "" {
			files = append(files, filepath.Join(root, "go.mod"), filepath.Join(root, "go.work"))
		}
	}
	if here, err := os.Getwd(); err == nil {
		if root := moduleOf(here); root != "" {
			files = append(files, filepath.Join(root, "go.mod"), filepath.Join(root, "go.work"))
		}
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		fmt.Fprintln(h, name, err == nil, len(text), string(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}
