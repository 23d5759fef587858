package notebook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/notebook"
	"github.com/loupeml/loupe/lib/mime"
)

// toy is an engine whose cells are Go functions, by the name in the first line of a cell.
type toy map[string]func(ctx context.Context, out engine.Output) (engine.Result, error)

func (e toy) Eval(ctx context.Context, cell engine.Cell, out engine.Output) (engine.Result, error) {
	line, _, _ := strings.Cut(cell.Source, "\n")
	run := e[strings.TrimPrefix(line, "# ")]
	if run == nil {
		return engine.Result{}, errors.New("the toy has no cell " + line)
	}
	return run(ctx, out)
}

func (toy) Close() error { return nil }

// shows is a cell that goes well and has no value.
func shows(do func(out engine.Output)) func(context.Context, engine.Output) (engine.Result, error) {
	return func(_ context.Context, out engine.Output) (engine.Result, error) {
		do(out)
		return engine.Result{}, nil
	}
}

func display(id string, data map[string]string) mime.Bundle { return mime.Bundle{ID: id, Data: data} }

// events are those that the cells of testdata/nbclient.ipynb cause in ipykernel.
var events = toy{
	"streams": func(_ context.Context, out engine.Output) (engine.Result, error) {
		out.Text(engine.Stdout, "a\n")
		out.Text(engine.Stdout, "b\n")
		out.Text(engine.Stderr, "c\n")
		out.Text(engine.Stdout, "d\n")
		value := mime.TextOf("2")
		return engine.Result{Value: &value}, nil
	},
	"display": shows(func(out engine.Output) {
		out.Display(display("a", map[string]string{mime.Text: "one", mime.HTML: "<b>one</b>"}), false)
		out.Text(engine.Stdout, "after\n")
	}),
	"update": shows(func(out engine.Output) {
		out.Display(display("a", map[string]string{mime.Text: "two", mime.HTML: "<b>two</b>\n<i>lines</i>"}), true)
	}),
	"again": shows(func(out engine.Output) {
		b := display("a", map[string]string{mime.Text: "three"})
		b.Metadata = map[string]map[string]any{mime.Text: {"width": 3}}
		out.Display(b, false)
	}),
	"clear": shows(func(out engine.Output) {
		out.Text(engine.Stdout, "gone\n")
		out.Clear(false)
		out.Text(engine.Stdout, "stays\n")
	}),
	"clear later": shows(func(out engine.Output) {
		out.Text(engine.Stdout, "gone\n")
		out.Clear(true)
		out.Text(engine.Stdout, "stays\n")
	}),
	"clear never": shows(func(out engine.Output) {
		out.Text(engine.Stdout, "stays\n")
		out.Clear(true)
	}),
	"clear display": shows(func(out engine.Output) {
		out.Display(display("b", map[string]string{mime.Text: "first"}), false)
		out.Clear(false)
		out.Text(engine.Stdout, "x\n")
		out.Display(display("b", map[string]string{mime.Text: "second"}), true)
	}),
	"json": shows(func(out engine.Output) {
		out.Display(display("", map[string]string{mime.JSON: `{"b": [1, 2.5], "a": null}`, mime.Text: "j"}), false)
	}),
	"picture": shows(func(out engine.Output) {
		out.Display(display("", map[string]string{mime.PNG: "\x89PNG\r\n\x1a\n", mime.SVG: "<svg>\n</svg>", mime.Text: "p"}),
			false)
	}),
	"expected": func(_ context.Context, out engine.Output) (engine.Result, error) {
		out.Text(engine.Stdout, "before\n")
		return engine.Result{Failure: &engine.Failure{Name: "ValueError", Message: "bad"}}, nil
	},
	"fails": func(context.Context, engine.Output) (engine.Result, error) {
		return engine.Result{Failure: &engine.Failure{Name: "KeyError", Message: "'worse'"}}, nil
	},
	"unreached": shows(func(out engine.Output) { out.Text(engine.Stdout, "reached\n") }),
}

const oracle = "testdata/nbclient.ipynb"

// A file that nbformat wrote comes back byte for byte.
func TestRoundTrip(t *testing.T) {
	want, err := os.ReadFile(oracle)
	if err != nil {
		t.Fatal(err)
	}
	nb, err := notebook.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := nb.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs:\n%s", got)
	}
}

func TestUnknownFieldsStay(t *testing.T) {
	const text = `{"cells":[{"cell_type":"markdown","metadata":{"collapsed":true,"trusted":true},"source":"a\u2028b \\u2028","id":"x","new":[1.50,1e3],
"attachments":{"p.png":{"image/png":"AAAA"}}},
{"cell_type":"code","metadata":{},"source":[],"execution_count":7,"outputs":[{"output_type":"display_data","metadata":{},"data":{"application/vnd.x+json":{"a":["l"]}},"future":1}]}],
"metadata":{"mine":{"z":1,"a":[]},"signature":"s"},"nbformat":4,"nbformat_minor":99,"top":true}`
	nb, err := notebook.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := nb.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var want, have any
	if err := errors.Join(json.Unmarshal([]byte(strings.NewReplacer(`,"trusted":true`, "", `,"signature":"s"`, "",
		`"source":"a\u2028b \\u2028"`, `"source":["a\u2028","b \\u2028"]`).Replace(text)), &want),
		json.Unmarshal(got, &have)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("got %s", got)
	}
	for _, part := range []string{"1.50", "1e3", "a\u2028", `b \\u2028`} {
		if !bytes.Contains(got, []byte(part)) {
			t.Errorf("%q is not as it was", part)
		}
	}
}

// The outputs are those that nbclient collects from the same events.
func TestRunAsNbclient(t *testing.T) {
	want, err := os.ReadFile(oracle)
	if err != nil {
		t.Fatal(err)
	}
	nb, err := notebook.Parse(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range nb.Cells { // as before the run
		c.Outputs, c.Count = nil, nil
	}
	err = nb.Run(context.Background(), events, notebook.RunOptions{})
	var failed *notebook.CellError
	if !errors.As(err, &failed) || failed.Number != 12 || failed.Index != 14 || failed.Failure.Name != "KeyError" {
		t.Errorf("Run: %v", err)
	}
	got, err := nb.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from nbclient's:\n%s", got)
	}
}

func TestAllowErrors(t *testing.T) {
	nb, err := notebook.Read(oracle)
	if err != nil {
		t.Fatal(err)
	}
	var started, ended int
	err = nb.Run(context.Background(), events, notebook.RunOptions{
		AllowErrors: true,
		Started:     func(n, total int, _ *notebook.Cell) { started = n },
		Ended: func(n, total int, _ *notebook.Cell, _ *engine.Failure, _ time.Duration) {
			if ended++; total != 13 || n != ended || n != started {
				t.Errorf("cell %d of %d reported as the %dth", n, total, ended)
			}
		},
		Metadata: map[string]any{"kernelspec": map[string]string{"name": "loupe"},
			"language_info": map[string]string{"name": "go"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	last := nb.Cells[len(nb.Cells)-1]
	if len(last.Outputs) != 1 || last.Outputs[0]["text"] != "reached\n" || ended != 13 {
		t.Errorf("after the error: %v, %d cells", last.Outputs, ended)
	}
	if nb.Language() != "python" { // kernelspec's other fields stay until something is said of them
		t.Errorf("language %s", nb.Language())
	}
	if info, _ := nb.Metadata["language_info"].(map[string]any); len(info) != 1 || info["name"] != "go" {
		t.Errorf("language_info %v", info)
	}
}

func TestTimeout(t *testing.T) {
	sleepy := toy{"sleep": func(ctx context.Context, out engine.Output) (engine.Result, error) {
		out.Text(engine.Stdout, "before\n")
		<-ctx.Done()
		return engine.Result{Failure: &engine.Failure{Name: "Interrupted", Message: "stopped"}}, nil
	}}
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{Type: notebook.Code, Source: "# sleep"},
		{Type: notebook.Code, Source: "# sleep"}}}
	err := nb.Run(context.Background(), sleepy, notebook.RunOptions{Timeout: time.Millisecond})
	var failed *notebook.CellError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "longer than 1ms") {
		t.Errorf("%v", err)
	}
	if outputs := nb.Cells[0].Outputs; len(outputs) != 2 || nb.Cells[1].Count != nil {
		t.Errorf("outputs %v, second cell %v", outputs, nb.Cells[1].Count)
	}
	// A person's Ctrl-C ends the run, whatever errors are allowed.
	ctx, cancel := context.WithCancel(context.Background())
	stopped := toy{"sleep": func(ctx context.Context, out engine.Output) (engine.Result, error) {
		cancel()
		return sleepy["sleep"](ctx, out)
	}}
	if err := nb.Run(ctx, stopped, notebook.RunOptions{AllowErrors: true}); !errors.As(err, &failed) ||
		failed.Number != 1 {
		t.Errorf("after Ctrl-C: %v", err)
	}
}

// A fault of loupe itself is no cell's failure.
func TestEngineFails(t *testing.T) {
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{Type: notebook.Code, Source: "# nothing"}}}
	err := nb.Run(context.Background(), toy{}, notebook.RunOptions{AllowErrors: true})
	var failed *notebook.CellError
	if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), "cell [1]") {
		t.Errorf("%v", err)
	}
}

func TestNotANotebook(t *testing.T) {
	for text, want := range map[string]string{
		``:                              "JSON is broken",
		`{"cells": [`:                   "JSON is broken",
		`{}`:                            "no nbformat",
		`{"nbformat": 3}`:               "format 3",
		`{"nbformat": 4}`:               "no cells",
		`{"nbformat": 4, "cells": [1]}`: "cell 1",
		`{"nbformat": 4, "cells": [{"cell_type": "poem"}]}`: `cell 1: there is no cell type "poem"`,
	} {
		if _, err := notebook.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := notebook.Read("nowhere.ipynb"); err == nil || !strings.Contains(err.Error(), "nowhere.ipynb") {
		t.Errorf("%v", err)
	}
}

// A file that cannot be written whole is left as it was.
func TestWriteIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "nb.ipynb")
	nb := &notebook.Notebook{Minor: 5}
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	nb.Metadata = map[string]any{"bad": func() {}}
	if err := nb.Write(path); err == nil {
		t.Error("a function was written")
	}
	after, _ := os.ReadFile(path)
	if left, _ := os.ReadDir(filepath.Dir(path)); !bytes.Equal(before, after) || len(left) != 1 {
		t.Errorf("%q became %q; %d files", before, after, len(left))
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	nb.Metadata = nil
	if err := nb.Write(filepath.Join(file, "nb.ipynb")); err == nil {
		t.Error("written below a file")
	}
}

// What Run makes is valid to Jupyter.
func TestValid(t *testing.T) {
	python := testenv.Python(t, "nbformat")
	nb, err := notebook.Read(oracle)
	if err != nil {
		t.Fatal(err)
	}
	if err := nb.Run(context.Background(), events, notebook.RunOptions{AllowErrors: true}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out.ipynb")
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	const check = `
import sys, nbformat
nb = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(nb)
assert open(sys.argv[1], newline="").read() == nbformat.writes(nb) + "\n", "not as Jupyter writes it"`
	if out, err := exec.Command(python, "-c", check, path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a cell has left behind to print is its own, also when another one runs, and nothing once all have run.
func TestLateTextIsItsCells(t *testing.T) {
	var first engine.Output
	cells := toy{
		"leaves": shows(func(out engine.Output) { first = out; out.Text(engine.Stdout, "first\n") }),
		"runs":   shows(func(out engine.Output) { first.Text(engine.Stdout, "late\n"); out.Text(engine.Stdout, "second\n") }),
	}
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{Type: notebook.Code, Source: "leaves"},
		{Type: notebook.Code, Source: "runs"}}}
	if err := nb.Run(context.Background(), cells, notebook.RunOptions{}); err != nil {
		t.Fatal(err)
	}
	first.Text(engine.Stdout, "too late\n")
	for i, want := range []string{"first\nlate\n", "second\n"} {
		if got := nb.Cells[i].Outputs; len(got) != 1 || got[0]["text"] != want {
			t.Errorf("cell %d has %v, want %q", i+1, got, want)
		}
	}
}
