package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// pkg is a package, and its tests.
type pkg struct {
	ImportPath, Dir                             string
	GoFiles, Imports, TestImports, XTestImports []string

	importers []string
	idle      map[mutant]bool
	measured  bool
	tests     [2]group // the quick ones and the slow ones
}

// group is some tests of a package.
type group struct {
	names []string
	take  time.Duration
}

// load finds packages, and those of the module that import them.
func load(patterns []string) (map[string]*pkg, error) {
	if len(patterns) == 0 {
		return nil, errors.New("which packages?")
	}
	list := func(patterns ...string) ([]*pkg, error) {
		out, err := exec.Command("go",
			append([]string{"list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports"}, patterns...)...).Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		var all []*pkg
		for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
			p := &pkg{}
			if err := d.Decode(p); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		return all, nil
	}
	wanted, err := list(patterns...)
	if err != nil {
		return nil, err
	}
	others, err := list("./lib/...")
	if err != nil {
		return nil, err
	}
	packages := map[string]*pkg{}
	for _, p := range wanted {
		for _, o := range others {
			if o.ImportPath != p.ImportPath && slices.Contains(slices.Concat(o.Imports, o.TestImports, o.XTestImports),
				p.ImportPath) {
				p.importers = append(p.importers, o.ImportPath)
			}
		}
		packages[p.ImportPath] = p
	}
	return packages, nil
}

// measure runs the tests as they are: they have to pass, and quick ones are known from slow ones.
func (p *pkg) measure() error {
	out, err := exec.Command("go", "test", "-count=1", "-v", p.ImportPath).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the tests of %s do not pass as they are: %w\n%s", p.ImportPath, err, out)
	}
	p.measured = true
	for _, found := range regexp.MustCompile(`(?m)^--- (?:PASS|SKIP): (\w+) \(([0-9.]+)s\)`).FindAllSubmatch(out, -1) {
		took, err := time.ParseDuration(string(found[2]) + "s")
		if err != nil {
			return err
		}
		g := &p.tests[0]
		if took > time.Second {
			g = &p.tests[1]
		}
		g.names, g.take = append(g.names, string(found[1])), g.take+took
	}
	return nil
}

// try runs the tests on a mutant: the package's quick ones, its slow ones, and those of packages that import it.
func (p *pkg) try(m mutant, importers bool) (result, error) {
	if !p.measured {
		if err := p.measure(); err != nil {
			return result{}, err
		}
	}
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(p.Dir, m.File)
	text, err := os.ReadFile(file)
	if err != nil {
		return result{}, err
	}
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, slices.Concat(text[:m.From], []byte(m.Is), text[m.To:]), 0o644); err != nil {
		return result{}, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		return result{}, err
	}
	layer := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(layer, overlay, 0o644); err != nil {
		return result{}, err
	}
	tests := filepath.Join(dir, "tests")
	if exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", layer, "-o", tests,
		p.ImportPath).Run() != nil {
		return result{m, "invalid", ""}, nil
	}
	for _, g := range p.tests {
		if len(g.names) == 0 {
			continue
		}
		run := func(ctx context.Context) *exec.Cmd {
			c := limited(ctx, tests, "-test.failfast", "-test.run", "^("+strings.Join(g.names, "|")+")$")
			c.Dir = p.Dir
			return c
		}
		if status := outcome(3*g.take+20*time.Second, run); status != "survived" {
			return result{m, status, p.ImportPath}, nil
		}
	}
	if importers {
		for _, other := range p.importers {
			run := func(ctx context.Context) *exec.Cmd {
				return limited(ctx, "go", "test", "-vet=off", "-failfast", "-overlay", layer, other)
			}
			if status := outcome(8*time.Minute, run); status != "survived" {
				return result{m, status, other}, nil
			}
		}
	}
	return result{m, "survived", ""}, nil
}

// limited is a command that may have 8 GB: a loop without end may fill a slice.
func limited(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -d 8000000 && exec "$0" "$@"`, name}, args...)...)
}

// outcome says whether a command notices.
func outcome(limit time.Duration, command func(context.Context) *exec.Cmd) string {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := command(ctx)
	c.WaitDelay = time.Second
	err := c.Run()
	switch {
	case ctx.Err() != nil:
		return "timeout"
	case err != nil:
		return "caught"
	}
	return "survived"
}
