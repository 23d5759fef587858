package issues

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Issues is what is wrong with the pictures of a dataset.
type Issues struct {
	ds         *data.Dataset
	n          int // pictures that have been looked at
	kinds      []Kind
	thresholds map[Kind]float64
	of         map[Kind]*marks
}

// Len is how many pictures have been looked at.
func (r *Issues) Len() int { return r.n }

// Kinds are what was looked for.
func (r *Issues) Kinds() []Kind { return slices.Clone(r.kinds) }

// Of are the pictures with an issue of a kind, the worst first; duplicates set by set.
func (r *Issues) Of(kind Kind) (*Flagged, error) {
	m := r.of[kind]
	if m == nil {
		all := slices.Concat(ofPictures, ofFeatures)
		if slices.Contains(all, kind) {
			return nil, fmt.Errorf("issues: nobody looked for %s, only for %q", kind, r.kinds)
		}
		return nil, unknown(kind, all)
	}
	f := &Flagged{Kind: kind, Among: r.n, Sets: m.sets, ds: r.ds}
	set := make([]int, r.n)
	for k, members := range m.sets {
		for _, i := range members {
			set[i] = k + 1
		}
	}
	for i, is := range m.is {
		if is {
			f.Indices = append(f.Indices, i)
		}
	}
	slices.SortStableFunc(f.Indices, func(a, b int) int {
		if m.sets != nil {
			return cmp.Compare(set[a], set[b])
		}
		return cmp.Compare(m.scores[a], m.scores[b])
	})
	for _, i := range f.Indices {
		f.Scores, f.set = append(f.Scores, m.scores[i]), append(f.set, set[i])
	}
	return f, nil
}

// Scores are those of a kind for each picture that has been looked at, 0..1, the lower the worse.
func (r *Issues) Scores(kind Kind) ([]float64, error) {
	if _, err := r.Of(kind); err != nil {
		return nil, err
	}
	return slices.Clone(r.of[kind].scores), nil
}

// Clean are the numbers of the pictures without an issue of these kinds, or of any kind that was looked for if none is
// named: for the dataset's Subset. Of each set of duplicates the first picture stays.
func (r *Issues) Clean(kinds ...Kind) ([]int, error) {
	if len(kinds) == 0 {
		kinds = r.kinds
	}
	out := make([]bool, r.n)
	for _, kind := range kinds {
		f, err := r.Of(kind)
		if err != nil {
			return nil, err
		}
		for _, i := range f.Indices {
			out[i] = out[i] || f.Sets == nil
		}
		for _, set := range f.Sets {
			for _, i := range set[1:] {
				out[i] = true
			}
		}
	}
	var clean []int
	for i, left := range out {
		if !left {
			clean = append(clean, i)
		}
	}
	return clean, nil
}

// Counts has a row for each kind of issue that was looked for, the most frequent first.
func (r *Issues) Counts() table.Table {
	t := table.Table{Title: r.String(), Header: []string{"issue", "pictures", "share", "sets"}}
	for _, kind := range r.kinds {
		count := 0
		for _, is := range r.of[kind].is {
			if is {
				count++
			}
		}
		var sets any = ""
		if r.of[kind].sets != nil {
			sets = len(r.of[kind].sets)
		}
		t.Add(string(kind), count, table.Percent(float64(count)/float64(r.n)), sets)
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int { return cmp.Compare(b[1].(int), a[1].(int)) })
	return t
}

// Table has a row for each picture that has been looked at: its number, its file, its issues, and its score of each
// kind.
func (r *Issues) Table() table.Table {
	words, files := make([]string, r.n), make([]string, r.n)
	columns := []table.Column{table.ColumnOf("issues", words)}
	for i := range r.n {
		files[i] = r.ds.Name(i)
	}
	for _, kind := range r.kinds {
		m := r.of[kind]
		for i, is := range m.is {
			if is {
				words[i] = strings.TrimPrefix(words[i]+", "+string(kind), ", ")
			}
		}
		columns = append(columns, table.ColumnOf(string(kind), m.scores))
	}
	t := table.PerImage{Files: files, Columns: columns}.Table(r.n)
	t.Title = r.String()
	return t
}

const (
	inRow  = 6  // pictures of a kind
	inGrid = 24 // pictures of one kind alone
)

// Grid shows the worst pictures of each kind with their files and scores, a row for each kind that has any. They are
// read again.
func (r *Issues) Grid() (display.Grid, error) {
	g := display.Grid{Title: r.String(), Side: 96}
	for _, kind := range r.kinds {
		f, err := r.Of(kind)
		if err != nil {
			return g, err
		}
		if len(f.Indices) == 0 {
			continue
		}
		tiles, err := f.tiles(inRow)
		if err != nil {
			return g, err
		}
		g.Rows = append(g.Rows, tiles)
		g.Labels = append(g.Labels, fmt.Sprintf("%s: %d", strings.ReplaceAll(string(kind), "_", " "), len(f.Indices)))
	}
	return g, nil
}

// String says how many pictures have an issue.
func (r *Issues) String() string {
	some := 0
	for i := range r.n {
		for _, m := range r.of {
			if m.is[i] {
				some++
				break
			}
		}
	}
	text := fmt.Sprintf("%d of %d pictures of %s have an issue", some, r.n, r.ds.Title())
	if r.n < r.ds.Len() {
		text += fmt.Sprintf("; %d have not been looked at", r.ds.Len()-r.n)
	}
	return text
}

// Bundle shows how many pictures have which issue, and the worst.
func (r *Issues) Bundle() mime.Bundle {
	g, err := r.Grid()
	if err == nil && len(g.Rows) == 0 {
		return r.Counts().Bundle()
	}
	g.Title = ""
	return display.Stack(r.Counts().Bundle(), display.Shown(g, err))
}

// Flagged are the pictures with an issue of one kind.
type Flagged struct {
	Kind    Kind
	Indices []int     // of the pictures in the dataset, the worst first; duplicates set by set
	Scores  []float64 // theirs, 0..1, the lower the worse
	Sets    [][]int   // of duplicates, by their first picture; nil of other kinds, and where there are none
	Among   int       // pictures that have been looked at

	ds  *data.Dataset
	set []int // of each, from 1
}

// Table has a row for each picture: its number, its file, its score, and of duplicates the set that it belongs to.
func (f *Flagged) Table() table.Table {
	var files []string
	for _, i := range f.Indices {
		files = append(files, f.ds.Name(i))
	}
	columns := []table.Column{table.ColumnOf("score", f.Scores)}
	if f.Sets != nil {
		columns = append(columns, table.ColumnOf("set", f.set))
	}
	if files == nil {
		files = []string{}
	}
	t := table.PerImage{Index: f.Indices, Files: files, Columns: columns}.Table(len(f.Indices))
	t.Title = f.String()
	return t
}

// tiles are the first pictures with their files, and their scores or sets.
func (f *Flagged) tiles(most int) ([]display.Tile, error) {
	var tiles []display.Tile
	for k, i := range f.Indices[:min(most, len(f.Indices))] {
		img, err := f.ds.Image(i)
		if err != nil {
			return nil, err
		}
		pictures, _, err := img.Pictures(1)
		if err != nil {
			return nil, err
		}
		under := fmt.Sprintf("%.3g", f.Scores[k])
		if f.Sets != nil {
			under = fmt.Sprintf("set %d", f.set[k])
		}
		tiles = append(tiles, display.Tile{Image: pictures[0], Title: f.ds.Name(i) + "\n" + under})
	}
	return tiles, nil
}

// Grid shows the worst pictures, at most 24, with their files, and their scores or sets. They are read again.
func (f *Flagged) Grid() (display.Grid, error) {
	tiles, err := f.tiles(inGrid)
	if err != nil {
		return display.Grid{}, err
	}
	g := display.Grid{Title: f.String()}
	for row := range slices.Chunk(tiles, inRow) {
		g.Rows = append(g.Rows, row)
	}
	return g, nil
}

// String says how many pictures there are.
func (f *Flagged) String() string {
	text := fmt.Sprintf("%s: %d of %d pictures", strings.ReplaceAll(string(f.Kind), "_", " "), len(f.Indices), f.Among)
	if f.Sets != nil {
		text += fmt.Sprintf(" in %d sets", len(f.Sets))
	}
	return text
}

// Bundle shows the worst pictures.
func (f *Flagged) Bundle() mime.Bundle {
	if len(f.Indices) == 0 {
		return mime.TextOf(f.String())
	}
	return display.Shown(f.Grid())
}
