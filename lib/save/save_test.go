package save

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// answers has everything that a result's table has.
type answers struct{}

func (answers) Table() (table.Table, error) {
	t := table.Table{Header: []string{"index", "file", "picture", "class", "right", "probability", "of classes",
		"interval", "took", "logit"}}
	t.Add(0, "a, \"b\".jpg", image.NewGray(image.Rect(0, 0, 2, 2)), "cat\nfelis", true, table.Percent(1.0/3),
		table.Shares{0.5, 0.25}, stats.Interval{Low: 0.25, High: 0.5}, 1500*time.Millisecond, float32(0.1))
	t.Add(1, "c.jpg", nil, "dog", false, table.Percent(math.NaN()), table.Shares{1}, stats.Interval{}, time.Duration(0),
		float32(math.Inf(-1)))
	return t, nil
}

func (answers) Plot() (display.Lines, error) {
	return display.Lines{Title: "Answers", X: "größer – 5 × 5",
		Series: []display.Series{{Name: "a", X: []float64{0, 1}, Y: []float64{2, 3}}}}, nil
}

func (answers) Arrays() (map[string]*tensors.Tensor, map[string]string, error) {
	return map[string]*tensors.Tensor{"logits": tensors.FromValue([][]float32{{1, 2, 3}, {4, 5, 6}}),
		"labels": tensors.FromValue([]int64{2, -1})}, map[string]string{"model": "mine"}, nil
}

func write(t *testing.T, name string, v any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := Write(path, v); err != nil {
		t.Fatal(err)
	}
	return path
}

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCSVHasOneNumberACell(t *testing.T) {
	got := text(t, write(t, "a.csv", answers{}))
	want := "index,file,class,right,probability,of classes 1,of classes 2,interval low,interval high,took (s),logit\n" +
		"0,\"a, \"\"b\"\".jpg\",\"cat\nfelis\",True,0.3333333333333333,0.5,0.25,0.25,0.5,1.5,0.1\n" +
		"1,c.jpg,dog,False,NaN,1,,0,0,0,-inf\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	read, err := Read(write(t, "a.csv", answers{}))
	if err != nil {
		t.Fatal(err)
	}
	row := read.(table.Table).Rows[0]
	if !reflect.DeepEqual(row[:6], []any{0, `a, "b".jpg`, "cat\nfelis", true, 1.0 / 3, 0.5}) {
		t.Errorf("read back as %#v", row)
	}
	if v := read.(table.Table).Rows[1][6].(float64); !math.IsNaN(v) {
		t.Errorf("an empty cell is read as %v", v)
	}
}

func TestCSVOfPlainValues(t *testing.T) {
	type score struct {
		Model    string
		Accuracy float64 `display:"accuracy,percent"`
	}
	for want, v := range map[string]any{
		"index,value\n0,1.5\n1,2\n":           []float64{1.5, 2},
		"index,value\n0,a\n":                  []string{"a"},
		"index,0,1\n0,1,2\n1,3,4\n":           [][]int{{1, 2}, {3, 4}},
		"index,0,1\n0,0.5,1\n":                mat.NewDense(1, 2, []float64{0.5, 1}),
		"index,0\n0,0.1\n":                    tensors.FromValue([][]float32{{0.1}}),
		"Model,accuracy\nm,0.5\n":             score{"m", 0.5},
		"Model,accuracy\nn,0.25\n":            []score{{"n", 0.25}},
		"name,value\nof a,1\nof b,2\n":        map[string]int{"of b": 2, "of a": 1},
		"name,Model,accuracy\nfirst,m,0.75\n": map[string]score{"first": {"m", 0.75}},
	} {
		if got := text(t, write(t, "a.csv", v)); got != want {
			t.Errorf("%T is\n%s\nwant\n%s", v, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	var got []map[string]any
	if err := json.Unmarshal([]byte(text(t, write(t, "a.json", answers{}))), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0]["probability"] != 1.0/3 || got[1]["probability"] != nil || got[0]["interval high"] != 0.5 ||
		got[1]["file"] != "c.jpg" {
		t.Errorf("read as %v", got)
	}
	v := map[string]any{"a": []float64{1, math.NaN()}, "b": struct{ X int }{3}, "c": tensors.FromValue([]int32{7})}
	if got := text(t, write(t, "b.json", v)); got != `{"a": [1, null], "b": {"X": 3}, "c": [7]}`+"\n" {
		t.Errorf("a map is %s", got)
	}
	back, err := Read(write(t, "b.json", v))
	if err != nil || !reflect.DeepEqual(back.(map[string]any)["c"], []any{7.0}) {
		t.Errorf("read back as %v: %v", back, err)
	}
	type result struct {
		Accuracy float64 `display:"accuracy,percent"`
		Answers  opaque  `display:"-"`
	}
	if got := text(t, write(t, "c.json", &result{0.5, opaque{"x", 1}})); got != "[\n{\"accuracy\": 0.5}\n]\n" {
		t.Errorf("what its tags show of a struct is %s", got)
	}
}

func TestArraysAreReadBack(t *testing.T) {
	cube := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)
	for name, v := range map[string]any{
		"float32 of rank 3": cube, "scalar": tensors.FromScalar(2.5), "vector": []float64{1, 2}, "ints": [][]int{{1, 2, 3}},
		"bools": []bool{true, false}, "bytes": []uint8{1, 255},
		"nothing": []float64{},
	} {
		want, err := arrayOf(v)
		if err != nil {
			t.Fatal(err)
		}
		for suffix, of := range map[string]func(any) any{
			".npy":         func(read any) any { return read },
			".npz":         func(read any) any { return read.(map[string]*tensors.Tensor)["data"] },
			".safetensors": func(read any) any { return read.(map[string]*tensors.Tensor)["data"] },
		} {
			read, err := Read(write(t, "a"+suffix, v))
			if err != nil {
				t.Errorf("%s as %s: %v", name, suffix, err)
				continue
			}
			if got := of(read).(*tensors.Tensor); !got.Shape().Equal(want.Shape()) || want.Size() > 0 && !got.Equal(want) {
				t.Errorf("%s as %s is read back as %s", name, suffix, got.Shape())
			}
		}
	}
}

func TestPictures(t *testing.T) {
	f, err := os.Open(write(t, "a.png", answers{}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 500 {
		t.Errorf("the plot is %v: %v", img, err)
	}
	red := image.NewRGBA(image.Rect(0, 0, 3, 2))
	red.Set(1, 1, color.RGBA{255, 0, 0, 255})
	pixels, err := png.Decode(strings.NewReader(text(t, write(t, "b.png", red))))
	if err != nil || pixels.Bounds() != red.Bounds() ||
		color.RGBAModel.Convert(pixels.At(1, 1)) != (color.RGBA{255, 0, 0, 255}) {
		t.Errorf("an image of 3 x 2 is saved as %v: %v", pixels, err)
	}
	if svg := text(t, write(t, "a.svg", answers{})); !strings.Contains(svg, "<svg") || !strings.Contains(svg, "Answers") {
		t.Errorf("the SVG is %.200s", svg)
	}
	for _, v := range []any{answers{}, display.Gallery([]image.Image{red})} {
		if pdf := text(t, write(t, "a.pdf", v)); !strings.HasPrefix(pdf, "%PDF-") ||
			!strings.Contains(pdf[len(pdf)-10:], "%%EOF") {
			t.Errorf("the PDF of a %T is %.100q", v, pdf)
		}
	}
}

type opaque struct {
	Name   string
	inside int
}

func TestRefusalsNameWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		file string
		v    any
		want string
	}{
		{"a.xlsx", answers{}, ".csv, .html, .json, .npy, .npz, .pdf, .png, .safetensors, .svg"},
		{"a", answers{}, "files end in"}, {"a.csv", nil, "nil"},
		{"a.csv", (*table.Table)(nil), "nil"}, {"a.npy", answers{}, "more than one array"}, {"a.png", 3, "has no picture"},
		{"a.svg", []int{1}, "not a plot"},
		{"a.svg", display.Gallery([]image.Image{image.White}), "not a plot"}, {"a.npy", []string{"a"}, "no array of numbers"},
		{"a.npy", [][]float64{{1}, {1, 2}}, "differ in length"},
		{"a.csv", opaque{}, "no rows"}, {"a.json", opaque{"x", 1}, "inside would be lost"},
		{"a.csv", table.Table{Header: []string{"f"}, Rows: [][]any{{func() {}}}}, `column "f"`},
		{"a.csv", table.Table{Header: []string{"m"}, Rows: [][]any{{1}, {[]int{1, 2}}}}, `"m" holds`},
		{"a.json", map[int]int{1: 1}, "no names for keys"},
		{"no/such/folder/a.csv", []int{1}, "no such file"},
	} {
		path := filepath.Join(dir, c.file)
		if err := Write(path, c.v); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "save: ") {
			t.Errorf("%s of a %T: %v, want %q", c.file, c.v, err, c.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("refusals leave %v: %v", left, err)
	}
}

// What fails midway leaves the file as it was.
func TestFilesAreWholeOrNotThere(t *testing.T) {
	path := write(t, "a.csv", []int{1})
	before := text(t, path)
	writers[".csv"] = func(w io.Writer, v any) error { w.Write([]byte("half")); return os.ErrDeadlineExceeded }
	defer func() { writers[".csv"] = writeCSV }()
	if err := Write(path, []int{2}); err == nil {
		t.Fatal("no error")
	}
	if now := text(t, path); now != before {
		t.Errorf("the file is now %q", now)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for name, v := range map[string]any{"a.npy": []float64{1, 2, 3}, "a.npz": []float64{1, 2, 3},
		"a.safetensors": []float64{1, 2, 3}} {
		path := write(t, name, v)
		whole := []byte(text(t, path))
		for _, cut := range []int{0, 3, 9, len(whole) / 2, len(whole) - 1} {
			os.WriteFile(path, whole[:cut], 0o600)
			if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "save: ") {
				t.Errorf("%s cut to %d of %d bytes: %v", name, cut, len(whole), err)
			}
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.csv")); err == nil || !strings.Contains(err.Error(), "none.csv") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Python's own readers see the same.
func TestPythonReadsThem(t *testing.T) {
	python := testenv.Python(t, "numpy", "pandas", "safetensors")
	dir := t.TempDir()
	for name, v := range map[string]any{
		"a.csv": answers{}, "a.json": answers{}, "a.npz": answers{}, "a.safetensors": answers{},
		"cube.npy": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2), "ints.npy": []int{1, -2},
		"scalar.npy": tensors.FromScalar(2.5), "bools.npy": []bool{true, false},
		"matrix.csv": [][]float64{{1, 2}, {3, 4}},
	} {
		if err := Write(filepath.Join(dir, name), v); err != nil {
			t.Fatal(err)
		}
	}
	const script = `
import json, math
import numpy as np, pandas as pd
from safetensors import safe_open
t = pd.read_csv("a.csv")
assert list(t.columns[:3]) == ["index", "file", "class"], t.columns
assert t["probability"][0] == 1/3 and math.isnan(t["probability"][1]) and t["right"].dtype == bool and t["logit"][1] == -math.inf and t["class"][0] == "cat\nfelis", t
t = pd.read_json("a.json")
assert abs(t["probability"][0] - 1/3) < 1e-9 and t["interval high"][0] == 0.5, t
m = pd.read_csv("matrix.csv", index_col=0)
assert m.to_numpy().tolist() == [[1, 2], [3, 4]], m
c = np.load("cube.npy")
assert c.shape == (2, 2, 2) and c.dtype == np.float32 and c[1, 0, 1] == 6, c
assert np.load("ints.npy").tolist() == [1, -2] and np.load("ints.npy").dtype == np.int64
assert np.load("scalar.npy").shape == () and np.load("scalar.npy") == 2.5
assert np.load("bools.npy").dtype == bool
z = np.load("a.npz")
assert z["logits"].tolist() == [[1, 2, 3], [4, 5, 6]] and z["labels"].tolist() == [2, -1]
assert json.loads(z["metadata.json"]) == {"model": "mine"}
with safe_open("a.safetensors", "np") as f:
    assert f.metadata() == {"model": "mine"} and f.get_tensor("logits")[1, 2] == 6 and f.get_tensor("labels").dtype == np.int64
`
	cmd := exec.Command(python, "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, bytes.TrimSpace(out))
	}
}

// rowsOnly has rows, and no arrays of its own.
type rowsOnly struct{}

func (rowsOnly) Table() table.Table {
	t := table.Table{Header: []string{"file", "count", "right", "share", "often"}}
	t.Add("a.jpg", 3, true, table.Rate{Value: 0.5, Low: 0.25, High: 0.75}, 0.5)
	t.Add("b.jpg", 4, false, table.Rate{Value: 1, Low: math.NaN(), High: math.NaN()}, nil)
	return t
}

// What has rows and no arrays is saved as arrays by its columns.
func TestColumnsAreArrays(t *testing.T) {
	for _, name := range []string{"rows.npz", "rows.safetensors"} {
		read, err := Read(write(t, name, rowsOnly{}))
		if err != nil {
			t.Fatal(err)
		}
		arrays := read.(map[string]*tensors.Tensor)
		if !reflect.DeepEqual(arrays["count"].Value(), []int64{3, 4}) ||
			!reflect.DeepEqual(arrays["right"].Value(), []bool{true, false}) ||
			!reflect.DeepEqual(arrays["share"].Value(), []float64{0.5, 1}) || len(arrays) != 6 {
			t.Errorf("%s has %v", name, arrays)
		}
		if often := arrays["often"].Value().([]float64); often[0] != 0.5 || !math.IsNaN(often[1]) {
			t.Errorf("%s: an empty cell is %v", name, often)
		}
		if low := arrays["share low"].Value().([]float64); low[0] != 0.25 || !math.IsNaN(low[1]) {
			t.Errorf("%s: the low ends are %v", name, low)
		}
	}
	_, words, err := arraysOf(rowsOnly{})
	if err != nil || words["file"] != `["a.jpg","b.jpg"]` {
		t.Errorf("the words are %v, %v", words, err)
	}
	twice := table.Table{Header: []string{"a", "a"}}
	twice.Add(1, 2)
	onlyWords := table.Table{Header: []string{"a"}}
	onlyWords.Add("x")
	for want, v := range map[string]any{"are called": twice, "has no rows": table.Table{Header: []string{"a"}},
		"has no numbers": onlyWords} {
		if err := Write(filepath.Join(t.TempDir(), "t.npz"), v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	if err := Write(filepath.Join(t.TempDir(), "t.npy"), rowsOnly{}); err == nil ||
		!strings.Contains(err.Error(), "more than one array") {
		t.Errorf("as .npy: %v", err)
	}
}
