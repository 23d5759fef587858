package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/assets"
)

// thirdParty returns the rows of the table below a heading of THIRD_PARTY.md, by their first column.
func thirdParty(t *testing.T, heading string) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("THIRD_PARTY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, below, found := strings.Cut(string(page), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("THIRD_PARTY.md has no heading %q", heading)
	}
	below, _, _ = strings.Cut(below, "\n## ")
	rows := map[string][]string{}
	for line := range strings.Lines(below) {
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(strings.TrimSpace(line), "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|-") {
			if rows[cells[0]] != nil {
				t.Errorf("%s is listed twice", cells[0])
			}
			rows[cells[0]] = cells
		}
	}
	return rows
}

// programs are what install.sh builds.
var programs = []struct{ name, pkg string }{
	{"loupe", "."}, {"loupe-worker", "./kernel/worker/loupe-worker"},
	{"gonb", "github.com/janpfeifer/gonb"}, {"goimports", "golang.org/x/tools/cmd/goimports"},
}

// evidence is what a licence's text has in it, with its spaces and capitals made one.
var evidence = map[string]*regexp.Regexp{
	"Apache-2.0": regexp.MustCompile(`apache license,? version 2\.0`),
	"MIT":        regexp.MustCompile(`permission is hereby granted, free of charge, to any person obtaining a copy`),
	"BSD-3-Clause": regexp.MustCompile(`redistribution and use in source and binary forms.*(neither the names?|the ` +
		`names?) of .*(may be used|may not be used) to endorse`),
	"BSD-2-Clause": regexp.MustCompile(`redistribution and use in source and binary forms`),
	"MPL-2.0":      regexp.MustCompile(`mozilla public license,? version 2\.0`),
	"CC-BY-4.0":    regexp.MustCompile(`creative commons attribution 4\.0`),
	"FTL":          regexp.MustCompile(`freetype-go software is subject to your choice`),
	"OFL-1.1":      regexp.MustCompile(`sil open font license version 1\.1`),
}

func TestThirdPartyListsEveryModule(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	listed := thirdParty(t, "Go modules")
	delete(listed, "module")
	folders := map[string]string{}
	list := exec.Command("go", "list", "-m", "-json")
	for _, r := range mod.Require {
		list.Args = append(list.Args, r.Mod.Path)
	}
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -m: %v", err)
	}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var m struct{ Path, Dir string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		folders[m.Path] = m.Dir
	}
	linked := map[string][]string{}
	for _, p := range programs {
		testenv.DependOnSources(t, p.pkg)
		out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", p.pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", p.pkg, err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if !slices.Contains(linked[path], p.name) {
				linked[path] = append(linked[path], p.name)
			}
		}
	}

	for _, r := range mod.Require {
		path := r.Mod.Path
		in := strings.Join(linked[path], ", ")
		if in == "" {
			in = "none"
		}
		row := listed[path]
		delete(listed, path)
		if len(row) != 3 {
			t.Errorf("THIRD_PARTY.md: add | %s | LICENCE | %s |", path, in)
			continue
		}
		if row[2] != in {
			t.Errorf("%s is linked into %q, and THIRD_PARTY.md says %q", path, in, row[2])
		}
		if folders[path] == "" { // nothing of it has been needed
			if in != "none" {
				t.Errorf("%s is linked into %s and its folder is not known", path, in)
			}
			continue
		}
		names := regexp.MustCompile(`[A-Z][A-Za-z]*(-[A-Z]+)?-[0-9][0-9.]*(-Clause)?|MIT|FTL`).FindAllString(row[1], -1)
		if len(names) == 0 {
			t.Errorf("%s: %q names no licence", path, row[1])
		}
		text := licenceText(t, folders[path])
		for _, name := range names {
			if evidence[name] == nil || !evidence[name].MatchString(text) {
				t.Errorf("%s is listed under %s, and the licence in its folder is another", path, name)
			}
			if name == "BSD-2-Clause" && evidence["BSD-3-Clause"].MatchString(text) {
				t.Errorf("%s is listed under %s, and its licence has the third clause", path, name)
			}
		}
	}
	for path := range listed {
		t.Errorf("THIRD_PARTY.md lists %s, which go.mod does not", path)
	}
}

// licenceText joins a module's licence files, in small letters and with single spaces.
func licenceText(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		name := strings.ToLower(e.Name())
		if !e.Type().IsRegular() || !strings.HasPrefix(name, "licen") && !strings.HasPrefix(name, "copying") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return strings.ToLower(strings.Join(strings.Fields(all.String()), " "))
}

func TestThirdPartyListsEveryAsset(t *testing.T) {
	t.Setenv("LOUPE_CONFIG", t.TempDir()) // a person's own sources are theirs
	list, err := assets.List()
	if err != nil {
		t.Fatal(err)
	}
	listed := thirdParty(t, "Fetched by `loupe fetch`")
	delete(listed, "name")
	for _, a := range list {
		row := listed[a.Name]
		delete(listed, a.Name)
		if len(row) != 4 || row[2] != a.Licence {
			t.Errorf("THIRD_PARTY.md says %q of %s, whose licence is %s", row, a.Name, a.Licence)
		}
	}
	for name := range listed {
		t.Errorf("THIRD_PARTY.md lists %s, which is no asset", name)
	}
}
