package issues

import (
	"encoding/json"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/internal/neighbors"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
)

// The pictures and figures are by bench/oracles/issues.py.
func pictures(t *testing.T) *data.Dataset {
	t.Helper()
	ds, err := data.Folder("testdata/pictures", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func find(t *testing.T, ds *data.Dataset, o Options) *Issues {
	t.Helper()
	r, err := Find(ds, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPicturesAreAsToCleanvision(t *testing.T) {
	ds := pictures(t)
	raw, err := os.ReadFile("testdata/pictures.json")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Names []string
		Sets  map[Kind][][]int
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		t.Fatal(err)
	}
	for i, name := range said.Names {
		if ds.Name(i) != name {
			t.Fatalf("picture %d is %s, the oracle's is %s", i, ds.Name(i), name)
		}
	}
	r := find(t, ds, Options{})
	for _, kind := range ofPictures {
		scores, err := r.Scores(kind)
		if err != nil {
			t.Fatal(err)
		}
		want := oracle.Read[float64](t, "testdata/pictures.npz", string(kind))
		if err := approx.All(scores, want, 1e-9); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		worst := 0.0
		for i := range want {
			worst = max(worst, math.Abs(scores[i]-want[i]))
		}
		t.Logf("%s: off by %.2g", kind, worst)
		var is []int
		for i, v := range oracle.Read[int64](t, "testdata/pictures.npz", "is_"+string(kind)) {
			if v == 1 {
				is = append(is, i)
			}
		}
		f, err := r.Of(kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(slices.Values(f.Indices)); !slices.Equal(got, is) || len(is) == 0 {
			t.Errorf("%s: %v, cleanvision finds %v", kind, got, is)
		}
		if !slices.EqualFunc(f.Sets, said.Sets[kind], slices.Equal[[]int]) {
			t.Errorf("%s: the sets %v, cleanvision has %v", kind, f.Sets, said.Sets[kind])
		}
	}
}

func TestFeaturesAreAsToCleanlab(t *testing.T) {
	flat := oracle.Read[float32](t, "testdata/features.npz", "features")
	features := tensors.FromFlatDataAndDimensions(flat, len(flat)/9, 9)
	nearest, err := neighbors.Nearest("test", features, features, 10, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*marks{"outlier": outliers(nearest, thresholds[Outlier]),
		"near_duplicate": nearDuplicates(nearest, thresholds[NearDuplicatesByFeatures])} {
		if err := approx.All(m.scores, oracle.Read[float64](t, "testdata/features.npz", name), 1e-9); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		found := 0
		for i, v := range oracle.Read[int64](t, "testdata/features.npz", "is_"+name) {
			if m.is[i] != (v == 1) {
				t.Errorf("%s: image %d is one: %v; cleanlab says %d", name, i, m.is[i], v)
			}
			found += int(v)
		}
		if found == 0 {
			t.Errorf("%s: cleanlab finds none", name)
		}
		if want := [][]int{{6, 7, 30}, {40, 41}}; name == "near_duplicate" &&
			!slices.EqualFunc(m.sets, want, slices.Equal[[]int]) {
			t.Errorf("the sets are %v, want %v", m.sets, want)
		}
	}
}

// averages is a network whose features are the mean colours of 4 x 4 parts.
func averages(t *testing.T) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "averages", Height: 32, Width: 32, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			parts := graph.ReduceMean(graph.Reshape(x, -1, 4, 8, 4, 8, 3), 2, 4)
			return b.Features(graph.AddScalar(graph.Reshape(parts, -1, 48), -0.5))
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// With a model one call says what pictures and what features tell.
func TestFeaturesOfAModel(t *testing.T) {
	ds, m := pictures(t), averages(t)
	m.BatchSize = 8
	r := find(t, ds, Options{Model: m})
	if got := r.Kinds(); !slices.Equal(got, slices.Concat(ofPictures, ofFeatures)) {
		t.Fatalf("it looked for %v", got)
	}
	features, err := m.FeaturesOf(ds.Map(m.Prepare()...))
	if err != nil {
		t.Fatal(err)
	}
	nearest, err := neighbors.Nearest("test", features, features, 10, true)
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[Kind]*marks{Outlier: outliers(nearest, 0.37037),
		NearDuplicatesByFeatures: nearDuplicates(nearest, 0.13)} {
		if got := r.of[kind]; approx.All(got.scores, want.scores, 1e-9) != nil || !slices.Equal(got.is, want.is) {
			t.Errorf("%s: %v, want %v", kind, got, want)
		}
	}
	near, err := r.Of(NearDuplicatesByFeatures)
	if err != nil || !slices.Equal(near.Sets[0], []int{0, 1, 2, 3}) {
		t.Errorf("%+v (%v)", near, err)
	}
	// With other thresholds, more or less is found.
	strict := find(t, ds, Options{Kinds: []Kind{Dark, Outlier}, Model: m,
		Thresholds: map[Kind]float64{Dark: 0, Outlier: 1}, Neighbors: 3})
	dark, err := strict.Of(Dark)
	if err != nil || len(dark.Indices) > 0 {
		t.Errorf("%v (%v)", dark, err)
	}
	outliers, err := strict.Of(Outlier)
	if err != nil || len(outliers.Indices) != 5 { // above the third quartile
		t.Errorf("%v (%v)", outliers, err)
	}
	if _, err := strict.Of(Light); err == nil || !strings.Contains(err.Error(), "nobody looked for light") {
		t.Error(err)
	}
}

func TestIssuesShowThemselves(t *testing.T) {
	r := find(t, pictures(t), Options{})
	if want := "of 20 pictures of testdata/pictures have an issue"; !strings.Contains(r.String(), want) {
		t.Errorf("%q", r)
	}
	counts := r.Counts()
	if counts.Rows[0][0] != "near_duplicates" || counts.Rows[0][1] != 4 || counts.Rows[0][3] != 1 ||
		len(counts.Rows) != len(ofPictures) {
		t.Errorf("%v", counts)
	}
	all := r.Table()
	if got := strings.Join(all.Header, " "); got != "index file issues exact_duplicates near_duplicates dark light "+
		"blurry low_information grayscale odd_size odd_aspect_ratio" {
		t.Error(got)
	}
	if row := all.Rows[0]; row[0] != 0 || row[1] != "a_photo.png" || row[2] != "exact_duplicates, near_duplicates" ||
		row[3] != 0.5 {
		t.Errorf("%v", row)
	}
	g, err := r.Grid()
	if err != nil || len(g.Rows) != len(ofPictures) || len(g.Labels) != len(g.Rows) ||
		g.Labels[0] != "exact duplicates: 2" {
		t.Fatalf("%v (%v)", g.Labels, err)
	}
	if got := g.Rows[2][0].Title; got != "g_dark.png\n0.201" {
		t.Errorf("the first dark picture is called %q", got)
	}
	// The picture is the file's: g_dark is dark.
	if c := color.GrayModel.Convert(g.Rows[2][0].Image.At(40, 40)).(color.Gray); c.Y > 60 {
		t.Errorf("its middle has the grey value %d", c.Y)
	}
	dark, err := r.Of("dark")
	if err != nil {
		t.Fatal(err)
	}
	if rows := dark.Table().Rows; len(rows) != 2 || rows[0][0] != 6 || rows[0][1] != "g_dark.png" ||
		rows[1][1] != "h_just_dark.png" || dark.String() != "dark: 2 of 20 pictures" {
		t.Errorf("%v %v", dark, rows)
	}
	near, err := r.Of(NearDuplicates)
	if err != nil {
		t.Fatal(err)
	}
	if table := near.Table(); !slices.Equal(table.Header, []string{"index", "file", "score", "set"}) ||
		table.Rows[3][3] != 1 || near.String() != "near duplicates: 4 of 20 pictures in 1 sets" {
		t.Errorf("%v %v", near, table)
	}
	if g, err := near.Grid(); err != nil || len(g.Rows) != 1 || len(g.Rows[0]) != 4 ||
		g.Rows[0][3].Title != "d_photo_large.png\nset 1" {
		t.Errorf("%+v (%v)", g, err)
	}
	folder := t.TempDir()
	for name, v := range map[string]any{"all.csv": r, "all.json": r, "dark.csv": dark, "near.json": near} {
		if err := save.Write(filepath.Join(folder, name), v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if rows := oracle.Rows(t, filepath.Join(folder, "dark.csv")); fmt.Sprint(rows[0],
		rows[1][:2]) != "[index file score] [6 g_dark.png]" {
		t.Errorf("%v", rows)
	}
	for _, v := range []any{r, dark, near, find(t, pictures(t),
		Options{Kinds: []Kind{Blurry}, Thresholds: map[Kind]float64{Blurry: 0}})} {
		if text := display.TextOf(v); !strings.Contains(text, "picture") {
			t.Errorf("it is shown as %q", text)
		}
	}
	clean, err := r.Clean()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(clean, 0) || slices.Contains(clean, 1) || slices.Contains(clean, 3) || slices.Contains(clean, 6) ||
		!slices.Contains(clean, 5) {
		t.Errorf("clean are %v", clean)
	}
	if some, err := r.Clean(Dark); err != nil || len(some) != 18 {
		t.Errorf("%v (%v)", some, err)
	}
}

// A grey picture is grey however it is stored, and one of more than 8 bits differs from one that it is rounded to.
func TestWhatPixelsAre(t *testing.T) {
	gray, rgb, fine := make([]float32, 12*12), make([]float32, 12*12*3), make([]float32, 12*12*3)
	for i := range gray {
		v := float32(i*7%256) / 255
		gray[i] = v
		for c := range 3 {
			rgb[3*i+c], fine[3*i+c] = v, v
		}
	}
	fine[30] += 0.001 / 255
	var of [3]seen
	for i, img := range []data.Image{{Pix: gray, Height: 12, Width: 12, Channels: 1},
		{Pix: rgb, Height: 12, Width: 12, Channels: 3}, {Pix: fine, Height: 12, Width: 12, Channels: 3}} {
		var err error
		if of[i], err = see(img); err != nil {
			t.Fatal(err)
		}
	}
	if of[0] != of[1] || !of[0].gray {
		t.Errorf("stored with one channel: %+v; with three: %+v", of[0], of[1])
	}
	if of[2].pixels == of[1].pixels || of[2].look != of[1].look || !of[2].gray {
		t.Errorf("a picture of more bits: %+v", of[2])
	}
	for want, img := range map[string]data.Image{
		"with 2 channels":     {Pix: make([]float32, 8), Height: 2, Width: 2, Channels: 2},
		"pixel value NaN":     {Pix: []float32{float32(math.NaN())}, Height: 1, Width: 1, Channels: 1},
		"pixel value 1.5":     {Pix: []float32{1.5}, Height: 1, Width: 1, Channels: 1},
		"of 0 x 3 pixels":     {Height: 0, Width: 3, Channels: 3},
		"2 x 2 pixels with 3": {Pix: make([]float32, 4), Height: 2, Width: 2, Channels: 3},
	} {
		if _, err := see(img); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %q", err, want)
		}
	}
	if one, err := see(data.Image{Pix: []float32{0.5}, Height: 1, Width: 1, Channels: 1}); err != nil ||
		one.bright5 != 128./255 || one.edges != 0 || one.entropy != 0 {
		t.Errorf("one pixel is %+v (%v)", one, err)
	}
}

func TestFindSaysWhatItLacks(t *testing.T) {
	ds, m := pictures(t), averages(t)
	empty := ds.Take(0)
	of := func(ds *data.Dataset, o Options) error { _, err := Find(ds, o); return err }
	wild, err := model.FromFunc(model.Spec{Name: "wild", Height: 8, Width: 8, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Features(graph.Log(graph.AddScalar(graph.Reshape(x, -1, 192), -1)))
		})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := model.FromFunc(model.Spec{Name: "bare", Height: 8, Width: 8, Channels: 3},
		func(x *graph.Node) *graph.Node { return graph.Reshape(x, -1, 192) })
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		err  error
		want string
	}{
		{of(nil, Options{}), "no dataset"}, {of(empty, Options{}), "has no images"},
		{of(ds, Options{Kinds: []Kind{"drak"}}), `"drak", did you mean dark?`},
		{of(ds, Options{Kinds: []Kind{}}), "no kind of issue"},
		{of(ds, Options{Kinds: []Kind{Dark, Light, Dark}}), "dark is named twice"}, {of(ds, Options{Kinds: []Kind{Outlier}}),
			"set Options.Model"},
		{of(ds, Options{Thresholds: map[Kind]float64{Dark: 2}}), "threshold of dark is 2"},
		{of(ds, Options{Thresholds: map[Kind]float64{Dark: math.NaN()}}), "threshold of dark is NaN"},
		{of(ds, Options{Thresholds: map[Kind]float64{Grayscale: 0.5}}), "grayscale has no threshold"},
		{of(ds, Options{Thresholds: map[Kind]float64{"blury": 0.5}}), "did you mean blurry"},
		{of(ds, Options{Thresholds: map[Kind]float64{Outlier: 0}}), "threshold of outlier is 0"},
		{of(ds, Options{Neighbors: -1}), "-1 nearest"},
		{of(ds.Map(m.Prepare()...), Options{}), "was prepared for averages"},
		{of(ds.Take(1), Options{Model: m}), "there is one picture"},
		{of(ds, Options{Model: wild}), "wild overflows"}, {of(ds, Options{Model: bare}), "bare names no features"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("case %d: the error is %v, want one that says %q", i, c.err, c.want)
		}
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "torn.png"), []byte("\x89PNG\r\n\x1a\nnothing more"), 0o600); err != nil {
		t.Fatal(err)
	}
	torn, err := data.Folder(folder, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := of(torn, Options{}); err == nil || !strings.Contains(err.Error(), "torn.png") {
		t.Errorf("a damaged file: %v", err)
	}
	if one := find(t, ds.Take(1), Options{}); one.Len() != 1 || one.of[OddSize].is[0] {
		t.Errorf("one picture: %v", one)
	}
}

// Interrupted, Find says what there is to say of the pictures that are done, and of these the same.
func TestFindIsInterrupted(t *testing.T) {
	ds, m := pictures(t), averages(t)
	ds = ds.Subset([]int{5, 6, 5, 9, 9, 7, 8, 5, 15, 15, 9, 6})
	m.BatchSize = 4
	whole := find(t, ds, Options{Model: m, Kinds: []Kind{Dark, Outlier, ExactDuplicates}})
	testenv.Interrupt(t, func() (*Issues, error) {
		return Find(ds, Options{Model: m, Kinds: []Kind{Dark, Outlier, ExactDuplicates}})
	}, func(part *Issues) int {
		if part == nil {
			return 0
		}
		if !slices.Equal(part.of[Dark].scores, whole.of[Dark].scores[:part.Len()]) || slices.Contains(part.Kinds(), Outlier) {
			t.Fatalf("%v looked for %v", part, part.Kinds())
		}
		if part.Len() < ds.Len() && !strings.Contains(part.String(), "have not been looked at") {
			t.Errorf("%v", part)
		}
		return part.Len()
	})
}
