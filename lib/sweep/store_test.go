package sweep

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/shift"
)

// stores runs a test on SQLite and on PostgreSQL. where names a new store each time.
func stores(t *testing.T, test func(t *testing.T, where func() string)) {
	t.Run("SQLite", func(t *testing.T) {
		dir, n := t.TempDir(), 0
		test(t, func() string {
			n++
			return filepath.Join(dir, fmt.Sprintf("of mine? 100%%#%d.db", n))
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := testenv.Postgres(t)
		test(t, func() string { return server.Database(t) })
	})
}

func opened(t testing.TB, where string) *Store {
	t.Helper()
	s := ok[*Store](t)(OpenStore(where))
	t.Cleanup(func() { s.Close() })
	return s
}

// paper is a plan of two models and two conditions of four pictures of two classes, of which no files are asked for.
func paper() (Plan, map[string]Pictures) {
	p := Plan{
		Models: []Model{{Name: "one", File: "/one.onnx", Identity: "1", Type: "plain",
			Files: []File{{Path: "/one.onnx", Name: "one.onnx", Size: 3, Modified: 1 << 60, Digest: "d"}}},
			{Name: "two", File: "/two.onnx", Identity: "2"}},
		Data: []Data{{Name: "photos", Path: "/photos", Identity: "3", Pictures: 4, Named: "n", Labelling: "l"}},
		Conditions: []Condition{{Name: "clean", Data: "photos"},
			{Name: "fog", Data: "photos", Corruption: "fog", Severity: 2, Seed: 1<<64 - 1}},
		Methods: []string{Predictions},
	}
	return p, map[string]Pictures{"photos": {Names: []string{"a.png", "b.png", "c.png", "ü d.png"},
		Labels: []int{0, 1, 0, -1}, Classes: []string{"cat", "dog"}}}
}

// added is a store that has the sweep s of [paper].
func added(t testing.TB, where string) *Store {
	t.Helper()
	s := opened(t, where)
	p, pictures := paper()
	if err := s.Add("s", p, pictures); err != nil {
		t.Fatal(err)
	}
	return s
}

func done(t testing.TB, k Key, o *Outcome) Cell {
	t.Helper()
	return Cell{Key: k, State: Done, Tries: 1, Worker: "w", Seconds: 0.5, Outcome: ok[[]byte](t)(o.Encode())}
}

// put puts cells and returns which differ.
func put(t testing.TB, s *Store, cells ...Cell) []Key {
	t.Helper()
	return ok[[]Key](t)(s.Put("s", cells))
}

var cleanOne = Key{"one", "clean", Predictions}

func TestAStoreHasThePlan(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		s := added(t, at)
		want, pictures := paper()
		got, id, err := s.Plan("s")
		if err != nil || !reflect.DeepEqual(got, want) || len(id) != 32 {
			t.Errorf("%+v, %s, %v", got, id, err)
		}
		if got := ok[Pictures](t)(s.Pictures("s", "photos")); !reflect.DeepEqual(got, pictures["photos"]) {
			t.Errorf("%+v", got)
		}
		// Again, with more, from another connection.
		other := opened(t, at)
		more, morePictures := paper()
		more.Models = append(more.Models, Model{Name: "three", File: "/three.onnx", Identity: "4"})
		more.Models[0].Type = "robust" // which plots alone ask for
		more.Conditions = append(more.Conditions, Condition{Name: "snow", Data: "photos", Corruption: "snow", Severity: 1})
		more.Methods = append(more.Methods, Faithfulness+"Grad-CAM")
		if err := other.Add("s", more, morePictures); err != nil {
			t.Fatal(err)
		}
		if got, same, err := s.Plan("s"); err != nil || !reflect.DeepEqual(got, more) || same != id {
			t.Errorf("%+v, %v", got, err)
		}
		for want, spoil := range map[string]func(p *Plan){
			"has another model one, with other files or settings": func(p *Plan) { p.Models[0].Identity = "5" },
			"has other data photos, with other pictures":          func(p *Plan) { p.Data[0].Identity = "5" },
			"has another condition fog":                           func(p *Plan) { p.Conditions[1].Seed = 1 },
		} {
			p, pictures := paper()
			p.Methods = append(p.Methods, Faithfulness+"Gradient")
			p.Models = append([]Model{{Name: "zero", Identity: "6"}}, p.Models...)
			p.Models, p.Models[0] = p.Models[1:], p.Models[1]
			spoil(&p)
			wantError(t, s.Add("s", p, pictures), want, s.Where())
			if got, _, err := s.Plan("s"); err != nil || !reflect.DeepEqual(got, more) {
				t.Errorf("something was added: %+v, %v", got, err)
			}
		}
		if err := s.Add("t", want, pictures); err != nil {
			t.Fatal(err)
		}
		if names := ok[[]string](t)(other.Names()); !slices.Equal(slices.Sorted(slices.Values(names)), []string{"s", "t"}) {
			t.Error(names)
		}
		wantError(t, s.Add("a b", want, pictures), "a sweep cannot be called")
		for what, err := range map[string]error{
			"plan": second(s.Missing("none")), "put": second(s.Put("none", nil)), "correct": s.Correct("none", "photos", nil),
			"forget": s.ForgetData("none", "photos"), "running": third(s.Running("none")),
		} {
			if err == nil || !strings.Contains(err.Error(), `it has no sweep "none"`) {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = s.Pictures("s", "paintings")
		wantError(t, err, `the sweep s has no data "paintings"`)
	})
}

func second[T any](_ T, err error) error        { return err }
func third[T, U any](_ T, _ U, err error) error { return err }

func TestCellsCountOnce(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		s := added(t, where())
		if missing := ok[[]Key](t)(s.Missing("s")); len(missing) != 4 || missing[0] != cleanOne {
			t.Error(missing)
		}
		first := done(t, cleanOne, said(0, 1, 1, 1))
		failed := Cell{Key: Key{"two", "fog", Predictions}, State: Failed, Error: "it is\x00 gone \xff", Tries: 3,
			Worker: "v\xff"}
		if differs := put(t, s, first, failed); differs != nil {
			t.Error(differs)
		}
		before := ok[[]Cell](t)(s.Cells("s"))
		if len(before) != 2 || before[0].Key != cleanOne || before[0].State != Done || before[0].Tries != 1 ||
			before[0].Worker != "w" || before[0].Seconds != 0.5 || len(before[0].Digest) != 64 || before[0].Finished == "" ||
			before[1].State != Failed || before[1].Error != "it is\uFFFD gone \uFFFD" || before[1].Tries != 3 {
			t.Errorf("%+v", before)
		}
		if m := before[0].Measures[0]; m.Name != "accuracy" || m.Correct != 2 || m.Total != 3 {
			t.Errorf("%+v", m)
		}
		// Twice in one, the same again, and another failure, change nothing.
		again := first
		again.Worker, again.Tries = "x", 9
		failed.Error = "another reason"
		if differs := put(t, s, again, first, again, failed); differs != nil {
			t.Error(differs)
		}
		if now := ok[[]Cell](t)(s.Cells("s")); !reflect.DeepEqual(now, before) {
			t.Errorf("%+v, was %+v", now, before)
		}
		// What differs is told, and the first one stays.
		if differs := put(t, s, done(t, cleanOne, said(0, 0, 0, 0))); !slices.Equal(differs, []Key{cleanOne}) {
			t.Error(differs)
		}
		// A failure after success is none, and success after a failure counts.
		late := failed
		late.Key = cleanOne
		put(t, s, late, done(t, failed.Key, said(1, 1, 1, 1)))
		now := ok[[]Cell](t)(s.Cells("s"))
		if !reflect.DeepEqual(now[0], before[0]) || now[1].State != Done || now[1].Error != "" ||
			now[1].Measures[0].Correct != 1 {
			t.Errorf("%+v", now)
		}
		o := ok[*Outcome](t)(s.Outcome("s", cleanOne))
		if got := o.Arrays["classes"].Value(); !reflect.DeepEqual(got, [][]int32{{0}, {1}, {1}, {1}}) {
			t.Error(got)
		}
		_, err := s.Outcome("s", Key{"two", "clean", Predictions})
		wantError(t, err, "two under clean is not done")
		if missing := ok[[]Key](t)(s.Missing("s")); len(missing) != 2 {
			t.Error(missing)
		}
		// What no longer is part of the sweep is left out, and bytes that are damaged are a failure.
		put(t, s, done(t, Key{"three", "clean", Predictions}, said(0, 0, 0, 0)), done(t, Key{"one", "rain", Predictions},
			said(0, 0, 0, 0)), Cell{Key: Key{"one", "fog", Predictions}, State: Done, Outcome: []byte("damaged")},
			done(t, Key{"two", "clean", Predictions}, said(1, 1)), done(t, Key{"one", "clean", "other"}, said(0, 1, 1, 1)))
		cells := ok[[]Cell](t)(s.Cells("s"))
		var told []string
		for _, c := range cells {
			told = append(told, c.Model+" "+c.Condition+" "+c.State+" "+c.Error)
		}
		if len(cells) != 4 || !strings.HasPrefix(told[1], "one fog failed sweep: a cell's outcome is damaged") ||
			!strings.HasPrefix(told[2], "two clean failed sweep: the array") {
			t.Errorf("%q", told)
		}
		if err := s.Retry("s"); err != nil {
			t.Fatal(err)
		}
		if cells := ok[[]Cell](t)(s.Cells("s")); len(cells) != 2 || cells[1].State != Done {
			t.Errorf("after Retry: %+v", cells)
		}
	})
}

func TestWhatIsForgotten(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		all := func(s *Store) {
			for k := range slices.Values(ok[[]Key](t)(s.Missing("s"))) {
				put(t, s, done(t, k, said(0, 1, 1, 1)))
			}
		}
		at := where()
		s := added(t, at)
		all(s)
		if err := s.ForgetModel("s", "one"); err != nil {
			t.Fatal(err)
		}
		if cells := ok[[]Cell](t)(s.Cells("s")); len(cells) != 2 || cells[0].Model != "two" || cells[1].Model != "two" {
			t.Errorf("%+v", cells)
		}
		if err := s.ForgetCondition("s", "fog"); err != nil {
			t.Fatal(err)
		}
		if cells := ok[[]Cell](t)(s.Cells("s")); len(cells) != 1 || cells[0].Condition != "clean" {
			t.Errorf("%+v", cells)
		}
		wantError(t, s.ForgetModel("s", "one"), `the sweep s has no model "one"`)
		wantError(t, s.ForgetCondition("s", "fog"), `the sweep s has no condition "fog"`)
		wantError(t, s.ForgetData("s", "paintings"), `the sweep s has no data "paintings"`)
		if err := s.ForgetData("s", "photos"); err != nil {
			t.Fatal(err)
		}
		p, _, err := s.Plan("s")
		if err != nil || len(p.Data)+len(p.Conditions) != 0 || len(ok[[]Cell](t)(s.Cells("s"))) != 0 {
			t.Errorf("%+v, %v", p, err)
		}
		// Data of that name that come later are others: what another process has read of the first ones does not count.
		p, pictures := paper()
		other := pictures["photos"]
		other.Labels = []int{1, 1, 1, 1}
		p.Data[0].Identity, p.Models[0].Identity = "7", "8"
		if err := opened(t, at).Add("s", p, map[string]Pictures{"photos": other}); err != nil {
			t.Fatal(err)
		}
		put(t, s, done(t, cleanOne, said(0, 1, 1, 1)))
		if m := ok[[]Cell](t)(s.Cells("s"))[0].Measures[0]; m.Correct != 3 || m.Total != 4 {
			t.Errorf("it counts by labels that are forgotten: %+v", m)
		}
	})
}

// Labels that are corrected count as if they had been there from the beginning.
func TestCorrections(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		s := added(t, where())
		for i, k := range ok[[]Key](t)(s.Missing("s")) {
			put(t, s, done(t, k, said(0, int32(i%2), 1, 1)))
		}
		corrections := map[string]string{"a.png": "dog", "ü d.png": "dog", "c.png": ""}
		if err := s.Correct("s", "photos", corrections); err != nil {
			t.Fatal(err)
		}
		anew := opened(t, where())
		p, pictures := paper()
		corrected := pictures["photos"]
		corrected.Labels = []int{1, 1, -1, 1}
		if err := anew.Add("s", p, map[string]Pictures{"photos": corrected}); err != nil {
			t.Fatal(err)
		}
		for i, k := range ok[[]Key](t)(anew.Missing("s")) {
			put(t, anew, done(t, k, said(0, int32(i%2), 1, 1)))
		}
		measures := func(s *Store) (all []string) {
			for _, c := range ok[[]Cell](t)(s.Cells("s")) {
				all = append(all, fmt.Sprint(c.Key, c.Measures, c.Digest))
			}
			return all
		}
		if got, want := measures(s), measures(anew); !slices.Equal(got, want) || len(got) != 4 {
			t.Errorf("%q, anew %q", got, want)
		}
		if got := ok[Pictures](t)(s.Pictures("s", "photos")); !slices.Equal(got.Labels, corrected.Labels) {
			t.Errorf("%+v", got)
		}
		// To add the plan again does not take them back, and a later one counts in place of the first.
		p, pictures = paper()
		if err := s.Add("s", p, pictures); err != nil {
			t.Fatal(err)
		}
		if got, want := measures(s), measures(anew); !slices.Equal(got, want) {
			t.Errorf("%q, anew %q", got, want)
		}
		if err := s.Correct("s", "photos", map[string]string{"a.png": "cat"}); err != nil {
			t.Fatal(err)
		}
		if m := ok[[]Cell](t)(s.Cells("s"))[0].Measures[0]; m.Correct != 2 || m.Total != 3 {
			t.Errorf("%+v", m)
		}
		before := measures(s)
		for want, labels := range map[string]map[string]string{
			`the data photos have no picture "e.png"`:     {"a.png": "dog", "e.png": "dog"},
			`the data have no class "cow"`:                {"a.png": "cow"},
			`none of the 4 pictures counts`:               {"a.png": "", "b.png": "", "c.png": "", "ü d.png": ""},
			`the picture b.png: the data have no class "`: {"b.png": "1"},
		} {
			wantError(t, s.Correct("s", "photos", labels), want)
			if now := measures(s); !slices.Equal(now, before) {
				t.Errorf("%s: %q, was %q", want, now, before)
			}
		}
		wantError(t, s.Correct("s", "paintings", nil), `the sweep s has no data "paintings"`)
		// The table that the plan names has been corrected itself.
		p, pictures = paper()
		mended := pictures["photos"]
		mended.Labels = []int{0, 0, 0, 0}
		if err := s.Add("s", p, map[string]Pictures{"photos": mended}); err != nil {
			t.Fatal(err)
		}
		if got := ok[Pictures](t)(s.Pictures("s", "photos")); !slices.Equal(got.Labels, []int{0, 0, -1, 1}) {
			t.Errorf("%+v", got)
		}
		if m := ok[[]Cell](t)(s.Cells("s"))[0].Measures[0]; m.Correct != 3 || m.Total != 3 {
			t.Errorf("%+v", m)
		}
	})
}

// Labels are numbers of classes. Where the classes are others, what is done cannot be counted by the new numbers.
func TestLabelsOfOtherClasses(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		s := added(t, where())
		p, pictures := paper()
		other := map[string]Pictures{"photos": pictures["photos"]}
		of := other["photos"]
		of.Classes, of.Labels = []string{"ant", "cat", "dog"}, []int{1, 2, 1, -1}
		other["photos"] = of
		// Before a cell is done nothing has the old numbers.
		for _, one := range []map[string]Pictures{other, pictures} {
			if err := s.Add("s", p, one); err != nil {
				t.Fatal(err)
			}
		}
		put(t, s, done(t, cleanOne, said(0, 0, 1, 1)))
		want := "the labels of the data photos are of other classes than before"
		wantError(t, s.Add("s", p, other), want)
		if m := ok[[]Cell](t)(s.Cells("s"))[0].Measures[0]; m.Correct != 1 || m.Total != 3 {
			t.Errorf("%+v", m)
		}
		if err := s.ForgetData("s", "photos"); err != nil {
			t.Fatal(err)
		}
		if err := s.Add("s", p, other); err != nil {
			t.Fatal(err)
		}
		// Corrections have numbers too.
		if err := s.Correct("s", "photos", map[string]string{"a.png": "dog"}); err != nil {
			t.Fatal(err)
		}
		wantError(t, s.Add("s", p, pictures), want)
	})
}

// Cells that come while labels are corrected count by the labels as they are at the end.
func TestCorrectionsWhileCellsCome(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		added(t, at)
		const conditions = 40
		p, pictures := paper()
		for i := range conditions {
			p.Conditions = append(p.Conditions, Condition{Name: fmt.Sprint("c", i), Data: "photos"})
		}
		if err := opened(t, at).Add("s", p, pictures); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, m := range []string{"one", "two"} {
			s := opened(t, at)
			all.Go(func() {
				for i := range conditions {
					if _, err := s.Put("s", []Cell{done(t, Key{m, fmt.Sprint("c", i), Predictions}, said(0, 1, 1, 1))}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 2 {
			s := opened(t, at)
			all.Go(func() {
				for n := range 20 {
					class := []string{"cat", "dog"}[n%2]
					if err := s.Correct("s", "photos", map[string]string{[]string{"a.png", "b.png"}[i]: class}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		s := opened(t, at)
		labels := ok[Pictures](t)(s.Pictures("s", "photos")).Labels
		if !slices.Equal(labels, []int{1, 1, 0, -1}) {
			t.Error(labels)
		}
		want := ok[[]Measure](t)(said(0, 1, 1, 1).Measures(Predictions, "", labels))
		cells := ok[[]Cell](t)(s.Cells("s"))
		if len(cells) != 2*conditions {
			t.Errorf("%d cells", len(cells))
		}
		for _, c := range cells {
			if !reflect.DeepEqual(c.Measures, want) {
				t.Errorf("%s: %v, want %v", c.Key, c.Measures, want)
			}
		}
	})
}

func TestTwoMakeTheTablesAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		p, pictures := paper()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				s, err := OpenStore(at)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if err := s.Add(fmt.Sprint("s", i), p, pictures); err != nil {
					t.Error(err)
				}
				if err := s.Add("one", p, pictures); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		s := opened(t, at)
		if names := ok[[]string](t)(s.Names()); len(names) != 9 {
			t.Error(names)
		}
		if got, _, err := s.Plan("one"); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// Of models that two add at once under one name, one is refused.
func TestTwoAddOtherModels(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		added(t, at)
		for n := range 10 {
			errs := make([]error, 2)
			var both sync.WaitGroup
			for i := range errs {
				s := opened(t, at)
				both.Go(func() {
					p, pictures := paper()
					p.Models = append(p.Models, Model{Name: fmt.Sprint("new", n), Identity: fmt.Sprint("by ", i)})
					errs[i] = s.Add("s", p, pictures)
				})
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Fatalf("%v", errs)
			}
		}
	})
}

func TestStoresThatAreRefused(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at, foreign := where(), where()
		s := added(t, at)
		if err := s.change(func(t tx) error { return t.exec("UPDATE sweep_format SET version = 7") }); err != nil {
			t.Fatal(err)
		}
		_, err := OpenStore(at)
		wantError(t, err, "it is of format 7, and this loupe knows 1", s.Where())
		driver := "pgx"
		if !s.postgres {
			driver, foreign = "sqlite", filepath.Join(t.TempDir(), "foreign.db") // a path that is a URL as well
		}
		db := ok[*sql.DB](t)(sql.Open(driver, foreign))
		defer db.Close()
		if _, err := db.Exec("CREATE TABLE sweeps (x INTEGER)"); err != nil {
			t.Fatal(err)
		}
		_, err = OpenStore(foreign)
		wantError(t, err, "another program's")
		if _, err := db.Exec("INSERT INTO sweeps VALUES (1)"); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), []byte(strings.Repeat("no database. ", 100)))
	for want, where := range map[string]string{
		"it is the path of an SQLite file, or postgres://": "mysql://user:secret@host/database",
		"there is no folder":           filepath.Join(dir, "none", "s.db"),
		"file is not a database":       filepath.Join(dir, "text"),
		"unable to open database file": dir,
		"no such file or directory":    "postgres://user:secret@/database?host=" + dir,
	} {
		_, err := OpenStore(where)
		wantError(t, err, want)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
	}
}

// holderVariable lets this test binary hold the lock of a sweep in a process of its own.
const holderVariable = "LOUPE_TEST_HOLDS_SWEEP_IN"

// TestHolder is a process that [TestOneRunsASweep] starts.
func TestHolder(t *testing.T) {
	where := os.Getenv(holderVariable)
	if where == "" {
		return
	}
	s := opened(t, where)
	ok[func()](t)(s.Lock("s", "the first process"))
	fmt.Println("it is held")
	io.Copy(io.Discard, os.Stdin) // until it is killed
}

// What is killed cannot say that it has ended.
func TestARunnerThatWasKilled(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		s := added(t, where())
		if err := s.Beat("s", "the first process", "about 3 min"); err != nil {
			t.Fatal(err)
		}
		if runner, _, err := s.Running("s"); err != nil || runner != "the first process" {
			t.Error(runner, err)
		}
		past := time.Now().Add(-2 * lifeless).UTC().Format(time.RFC3339)
		if _, err := s.db.Exec(s.bound("UPDATE sweeps SET beat = ? WHERE name = ?"), past, "s"); err != nil {
			t.Fatal(err)
		}
		if runner, remaining, err := s.Running("s"); err != nil || runner+remaining != "" {
			t.Error(runner, remaining, err)
		}
		// A clock that has gone back since makes no one look dead, and one that jumps is put right by the next beat.
		ahead := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		if _, err := s.db.Exec(s.bound("UPDATE sweeps SET beat = ? WHERE name = ?"), ahead, "s"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if runner, _, err := s.Running("s"); err != nil || runner != "the first process" {
				t.Error(runner, err)
			}
			if err := s.Beat("s", "the first process", ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What is written to a file that has no name any more is lost, and no one would know.
func TestAStoreThatWasRemoved(t *testing.T) {
	at := filepath.Join(t.TempDir(), "s.db")
	s := added(t, at)
	for _, change := range []func(){
		func() { ok[int](t)(0, os.Rename(at, at+".old")) },
		func() { added(t, at) }, // another one takes its place
	} {
		change()
		_, err := s.Put("s", []Cell{done(t, cleanOne, said(0, 0, 1, 1))})
		wantError(t, err, "its file was removed or replaced meanwhile")
	}
}

func TestOneRunsASweep(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		s := added(t, at)
		holder := exec.Command(ok[string](t)(os.Executable()), "-test.run=^TestHolder$")
		holder.Env = append(os.Environ(), holderVariable+"="+at)
		in := ok[io.WriteCloser](t)(holder.StdinPipe())
		defer in.Close()
		out := ok[io.ReadCloser](t)(holder.StdoutPipe())
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "it is held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		_, err = s.Lock("s", "the second one")
		wantError(t, err, "the sweep s is being run by the first process: end that one first")
		if runner, _, err := s.Running("s"); err != nil || runner != "the first process" {
			t.Error(runner, err)
		}
		p, pictures := paper()
		if err := s.Add("t", p, pictures); err != nil {
			t.Fatal(err)
		}
		unlock := ok[func()](t)(s.Lock("t", "this one")) // another sweep
		defer unlock()
		if err := holder.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		holder.Wait()
		// The system, and the server once it sees that no one is there, give the lock back.
		var unlockMine func()
		for range 500 {
			if unlockMine, err = s.Lock("s", "the second one"); err == nil {
				break
			}
			exec.Command("sleep", "0.02").Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Beat("s", "the second one", "about 3 min"); err != nil {
			t.Fatal(err)
		}
		if runner, remaining, err := s.Running("s"); err != nil || runner != "the second one" || remaining != "about 3 min" {
			t.Error(runner, remaining, err)
		}
		unlockMine()
		if runner, _, err := s.Running("s"); err != nil || runner != "" {
			t.Errorf("%q, %v", runner, err)
		}
		again := ok[func()](t)(s.Lock("s", "the second one"))
		again()
	})
}

func TestWorkersAreNoted(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		s := added(t, where())
		for _, states := range [][]WorkerState{{{"a", "one under clean", 3, "now"}, {"b", "", 0, "then"}},
			{{"c", "", 1, "now"}}, nil} {
			if err := s.SetWorkers("s", states); err != nil {
				t.Fatal(err)
			}
			if got := ok[[]WorkerState](t)(s.Workers("s")); !reflect.DeepEqual(got, states) {
				t.Errorf("%+v, want %+v", got, states)
			}
		}
	})
}

// A store that is being written is read meanwhile.
func TestReadersDoNotWait(t *testing.T) {
	stores(t, func(t *testing.T, where func() string) {
		at := where()
		s := added(t, at)
		put(t, s, done(t, cleanOne, said(0, 1, 1, 1)))
		err := s.change(func(in tx) error {
			if err := in.alone("s"); err != nil {
				return err
			}
			if err := in.exec("DELETE FROM sweep_cells"); err != nil {
				return err
			}
			reader := opened(t, at)
			if missing := ok[[]Key](t)(reader.Missing("s")); len(missing) != 3 {
				t.Errorf("%v", missing)
			}
			if cells := ok[[]Cell](t)(reader.Cells("s")); len(cells) != 1 {
				t.Errorf("%v", cells)
			}
			ok[Pictures](t)(reader.Pictures("s", "photos"))
			ok[*Outcome](t)(reader.Outcome("s", cleanOne))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestAFullDisk runs [TestOnSmallDisk] on a disk of its own.
func TestAFullDisk(t *testing.T) { testenv.OnSmallDisk(t, "1m", "TestOnSmallDisk") }

// What is in the store when the disk is full stays, and once there is room it goes on.
func TestOnSmallDisk(t *testing.T) {
	disk := testenv.SmallDisk(t, "TestAFullDisk")
	s := added(t, filepath.Join(disk, "s.db"))
	put(t, s, done(t, cleanOne, said(0, 1, 1, 1)))
	ballast := filepath.Join(disk, "ballast")
	big := make([]byte, 1<<20)
	if err := os.WriteFile(ballast, big, 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	before := ok[[]Cell](t)(s.Cells("s"))
	var err error
	put := 0
	large := strings.Repeat("a long story. ", 3000)
	for _, k := range ok[[]Key](t)(s.Missing("s")) {
		if _, err = s.Put("s", []Cell{{Key: k, State: Failed, Error: large}}); err != nil {
			break
		}
		put++
	}
	wantError(t, err, "s.db", "full")
	cells := ok[[]Cell](t)(s.Cells("s"))
	if len(cells) != 1+put || !reflect.DeepEqual(cells[0], before[0]) {
		t.Errorf("%d cells, %d were put since", len(cells), put)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for _, k := range ok[[]Key](t)(s.Missing("s")) {
		if _, err := s.Put("s", []Cell{{Key: k, State: Failed, Error: large}}); err != nil {
			t.Error(err)
		}
	}
	s.Close()
	if cells := ok[[]Cell](t)(opened(t, filepath.Join(disk, "s.db")).Cells("s")); len(cells) != 4 {
		t.Errorf("%d cells", len(cells))
	}
}

// Results are those of the cells, and go into the testbed's table.
func TestResultsOfAStore(t *testing.T) {
	where := filepath.Join(t.TempDir(), "s.db")
	s := added(t, where)
	put(t, s, done(t, cleanOne, said(0, 1, 1, 1)), done(t, Key{"two", "fog", Predictions}, said(0, 1, 0, 1)),
		Cell{Key: Key{"two", "clean", Predictions}, State: Failed, Error: "why", Tries: 3})
	sweep := ok[*Sweep](t)(Open("s", where))
	defer sweep.Close()
	r := ok[*shift.Results](t)(sweep.Results())
	if c, tried := r.Cell("one", "clean"); !tried || c.Accuracy.Correct != 2 || c.Accuracy.Total != 3 {
		t.Errorf("%+v", c)
	}
	if _, tried := r.Cell("two", "clean"); tried || r.Kind("one").Type != "plain" {
		t.Errorf("a cell that failed has a result, or the type is lost: %+v", r.Kind("one"))
	}
	st := ok[Status](t)(sweep.Status())
	if st.Done != 2 || st.Failed != 1 || st.All != 4 || st.Left() != 1 || len(st.Failures) != 1 ||
		st.Failures[0] != (Failure{"two", "clean", Predictions, 3, "why"}) || st.String() !=
		"s: 2 of 4 cells done, 1 set aside, no one runs it: `loupe sweep s` goes on" {
		t.Errorf("%+v\n%s", st, st)
	}
	a := ok[*model.Answers](t)(sweep.Answers("one", "clean"))
	predicted := ok[[]int](t)(a.Predicted())
	if !slices.Equal(a.Labels, []int{0, 1, 0, -1}) || !slices.Equal(predicted, []int{0, 1, 1, 1}) {
		t.Errorf("%v, %v", a.Labels, predicted)
	}
	rows := ok[[]Row](t)(sweep.Measures())
	if len(rows) != 8 || rows[0] != (Row{"one", "clean", Predictions, "accuracy", 2. / 3}) {
		t.Errorf("%+v", rows)
	}
	_, names, err := sweep.Arrays(cleanOne)
	if err != nil || !slices.Equal(names, []string{"a.png", "b.png", "c.png", "ü d.png"}) {
		t.Error(names, err)
	}
	_, err = Open("other", where)
	wantError(t, err, `it has no sweep "other"`)
	t.Setenv("LOUPE_SWEEPS", t.TempDir())
	_, err = Open("s")
	wantError(t, err, `there is no sweep "s": `+"`loupe sweep --help` tells")
	added(t, filepath.Join(ok[string](t)(FolderOf("s")), StoreFile))
	if one := ok[*Sweep](t)(Open("s")); one.Name != "s" {
		t.Error(one.Name)
	}
	_, err = Open("z")
	wantError(t, err, `there is no sweep "z": there are s`)
}
