package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var linkTarget = regexp.MustCompile(`\]\(([^)]+)\)`)

// pages are the texts for people in this folder and in docs and bench.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "bench/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d pages, %v", pattern, len(found), err)
		}
		all = append(all, found...)
	}
	return all
}

// What a page links to is there.
func TestLinks(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range linkTarget.FindAllStringSubmatch(string(text), -1) {
			to, _, _ := strings.Cut(link[1], "#")
			if strings.Contains(to, "://") || to == "" {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), to)); err != nil {
				t.Errorf("%s links to %s: %v", page, to, err)
			}
		}
	}
	if links < 60 {
		t.Errorf("%d links were followed", links)
	}
}

// Every page in docs is in its index, and the README is short.
func TestDocsIndex(t *testing.T) {
	index, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages(t) {
		name, inDocs := strings.CutPrefix(filepath.ToSlash(page), "docs/")
		if inDocs && name != "README.md" && !strings.Contains(string(index), "("+name+")") {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(readme), "\n"); n > 150 {
		t.Errorf("README.md has %d lines, at most 150", n)
	}
}

// docs/layout.md names every package, or the one that it is a part of.
func TestLayout(t *testing.T) {
	page, err := os.ReadFile("docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for _, pattern := range []string{"lib/*", "lib/*/*", "internal/*", "kernel/*"} {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			folder = filepath.ToSlash(folder)
			files, _ := filepath.Glob(folder + "/*.go")
			if len(files) == 0 || folder == "lib/internal" || filepath.Base(folder) == "testdata" {
				continue
			}
			packages++
			above := filepath.ToSlash(filepath.Dir(folder))
			parent := strings.Contains(above, "/") && above != "lib/internal" && strings.Contains(string(page), "`"+above+"`")
			if !parent && !strings.Contains(string(page), "`"+folder+"`") {
				t.Errorf("docs/layout.md does not name %s", folder)
			}
		}
	}
	if packages < 80 {
		t.Errorf("%d packages were looked for", packages)
	}
}

// Prose has lines of at most 120 characters. Tables, code and pictures are as wide as they are, and so is a word that
// does not fit.
func TestPageWidth(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		inCode, number := false, 0
		for line := range strings.Lines(string(text)) {
			number++
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "```") {
				inCode = !inCode
			}
			if inCode || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "![") || strings.HasPrefix(line, "    ") {
				continue
			}
			if n := utf8.RuneCountInString(line); n > 120 && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%s:%d has %d columns, at most 120", page, number, n)
			}
		}
	}
}
