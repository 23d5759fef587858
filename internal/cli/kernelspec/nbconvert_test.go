package kernelspec_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/cli/kernelspec"
	"github.com/loupeml/loupe/internal/testenv"
)

// nbconvert exports a notebook as a script and returns it.
func nbconvert(t *testing.T, python, kernel, language string) string {
	t.Helper()
	cell := func(kind, source string) map[string]any {
		c := map[string]any{"cell_type": kind, "metadata": map[string]any{}, "source": source}
		if kind == "code" {
			c["outputs"], c["execution_count"] = []any{}, nil
		}
		return c
	}
	text, err := json.Marshal(map[string]any{
		"nbformat": 4, "nbformat_minor": 4,
		"metadata": map[string]any{
			"kernelspec":    map[string]any{"name": kernel, "display_name": kernel, "language": language},
			"language_info": map[string]any{"name": language, "file_extension": "." + language, "nbconvert_exporter": "script"},
		},
		"cells": []any{cell("markdown", "# Title\n\ntext"), cell("code", "x := 20\nfmt.Println(\"one\")"),
			cell("code", "x + 1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "nb.ipynb")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(python, "-m", "nbconvert", "--to", "script", "--stdout", path)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &problems)
	}
	return string(out)
}

func TestNbconvertPartsTheCells(t *testing.T) {
	python := testenv.Python(t, "nbconvert")
	data := t.TempDir()
	t.Setenv("JUPYTER_DATA_DIR", data)
	julia, plain := nbconvert(t, python, "julia-1.11", "jl"), nbconvert(t, python, kernelspec.Name, "go")
	if strings.Contains(plain, "// %%") {
		t.Fatalf("nbconvert parts the cells by itself:\n%s", plain)
	}
	if _, err := kernelspec.InstallTemplate(data); err != nil {
		t.Fatal(err)
	}
	const want = "// %% [markdown]\n// # Title\n// \n// text\n// %%\nx := 20\nfmt.Println(\"one\")\n// %%\nx + 1\n"
	got := nbconvert(t, python, kernelspec.Name, "go")
	if got != want {
		t.Errorf("the script is\n%s\nwant\n%s", got, want)
	}
	if got := nbconvert(t, python, "julia-1.11", "jl"); got != julia {
		t.Errorf("a notebook of another kernel changes from\n%s\nto\n%s", julia, got)
	}
	// The script is one that loupe runs.
	path := filepath.Join(t.TempDir(), "nb.go")
	if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), path).CombinedOutput()
	if err != nil || string(out) != "one\n21\n" {
		t.Errorf("loupe prints %q %v", out, err)
	}
	if _, err := kernelspec.Uninstall(data); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(data); len(left) > 0 {
		t.Errorf("after uninstall there is %v", left)
	}
}

func TestATemplateOfTheUserStays(t *testing.T) {
	data := t.TempDir()
	dir := filepath.Join(data, "nbconvert", "templates", "script")
	path := filepath.Join(dir, "null.j2")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := kernelspec.InstallTemplate(data); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v, want one that names the file", err)
	}
	if _, err := kernelspec.Uninstall(data); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the template has become %q %v", text, err)
	}
}
