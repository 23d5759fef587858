package loupe_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	loupe "github.com/loupeml/loupe/lib"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/sink"
	"github.com/loupeml/loupe/lib/sweep"
)

func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}

// gridOf plans three small networks under seven pictures as they are and at two contrasts, in a store in a folder.
func gridOf(folder string) (where string, jobs []sweep.Job) {
	for class := range 7 {
		img := image.NewRGBA(image.Rect(0, 0, 17, 15))
		for p := range 17 * 15 {
			img.Set(p%17, p/17, color.RGBA{uint8(p), uint8(36 * class), uint8(p * p), 255})
		}
		dir := filepath.Join(folder, "photos", fmt.Sprint(class))
		mustDo(os.MkdirAll(dir, 0o755))
		f, err := os.Create(filepath.Join(dir, "0.png"))
		mustDo(err)
		mustDo(errors.Join(png.Encode(f, img), f.Close()))
	}
	p := sweep.Plan{Data: []sweep.Data{{Name: "photos", Path: filepath.Join(folder, "photos")}},
		Conditions: []sweep.Condition{{Data: "photos"}, {Data: "photos", Corruption: "contrast", Severity: 1},
			{Data: "photos", Corruption: "contrast", Severity: 5}}}
	for _, name := range sweep.Normalisations() {
		p.Models = append(p.Models, sweep.Model{Name: name, File: "model/testdata/autopad.onnx", Normalisation: name})
	}
	mustDo(p.Check())
	pictures, err := p.Resolve(sweep.Plan{})
	mustDo(err)
	where = filepath.Join(folder, "sweep.db")
	store, err := sweep.OpenStore(where)
	mustDo(err)
	defer store.Close()
	mustDo(store.Add("first", p, pictures))
	for j := range p.Jobs() {
		j.Labelled = pictures[j.Seen.Name].Labelled()
		jobs = append(jobs, j)
	}
	return where, jobs
}

// compute computes cells and puts them into the store, as workers do.
func compute(where string, jobs []sweep.Job) {
	store, err := sweep.OpenStore(where)
	mustDo(err)
	defer store.Close()
	var runner sweep.Runner
	for _, j := range jobs {
		outcome, err := runner.Run(j)
		mustDo(err)
		encoded, err := outcome.Encode()
		mustDo(err)
		_, err = store.Put("first", []sweep.Cell{{Key: j.Key, State: sweep.Done, Outcome: encoded}})
		mustDo(err)
	}
}

func ExampleSweep() {
	folder, err := os.MkdirTemp("", "sweep-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	where, jobs := gridOf(folder) // `loupe sweep first` does this, and computes cells
	compute(where, jobs[:4])

	first := loupe.Sweep("first", where)
	status, err := first.Status()
	if err != nil {
		panic(err)
	}
	fmt.Println(status)
	results, err := first.Results()
	if err != nil {
		panic(err)
	}
	c, _ := results.Cell("imagenet", "photos, contrast 5")
	fmt.Println(c.Accuracy.Total, "pictures")
	// Output:
	// first: 4 of 9 cells done, no one runs it: `loupe sweep first` goes on
	// 7 pictures
}

// screen keeps what is shown, by the name of the display.
type screen struct {
	lock  sync.Mutex
	shown []mime.Bundle
	next  chan bool // whether there was something of the name before
}

func (s *screen) Display(b mime.Bundle, update bool) {
	s.lock.Lock()
	s.shown = append(s.shown, b)
	s.lock.Unlock()
	s.next <- update
}

func (*screen) Clear(bool) {}

func TestASweepIsWatched(t *testing.T) {
	where, jobs := gridOf(t.TempDir())
	on := &screen{next: make(chan bool, 100)}
	sink.Use(on)
	defer sink.Use(nil)
	watch := make(chan error)
	s := loupe.Sweep("first", where)
	defer s.Close()
	go func() { watch <- s.Watch() }()
	if <-on.next {
		t.Error("the first display is an update")
	}
	compute(where, jobs[:4])
	for <-on.next { // until it shows that something is done, which a later look says again
		on.lock.Lock()
		text := on.shown[len(on.shown)-1].Data[mime.Text]
		on.lock.Unlock()
		if strings.Contains(text, "4 of 9 cells done") {
			break
		}
	}
	compute(where, jobs[4:])
	if err := <-watch; err != nil {
		t.Fatal(err)
	}
	last := on.shown[len(on.shown)-1]
	if !strings.Contains(last.Data[mime.Text], "first: 9 of 9 cells done") ||
		!strings.Contains(last.Data[mime.Text], "photos, contrast 5") {
		t.Errorf("at the end it shows\n%s", last.Data[mime.Text])
	}
	if strings.Contains(last.Data[mime.Text], "type") {
		t.Errorf("no model has a type, and there is a column for it:\n%s", last.Data[mime.Text])
	}
	for _, b := range on.shown {
		if b.ID == "" || b.ID != last.ID {
			t.Errorf("it is shown under the names %q and %q", b.ID, last.ID)
		}
	}
	// What has ended is shown once.
	n := len(on.shown)
	if err := s.Watch(); err != nil || len(on.shown) != n+1 {
		t.Errorf("%d displays more, %v", len(on.shown)-n, err)
	}
}

func TestWatchingIsStopped(t *testing.T) {
	where, _ := gridOf(t.TempDir())
	on := &screen{next: make(chan bool, 100)}
	sink.Use(on)
	defer sink.Use(nil)
	ctx, stop := context.WithCancel(context.Background())
	defer interrupt.Use(ctx)()
	s := loupe.Sweep("first", where)
	defer s.Close()
	watch := make(chan error)
	go func() { watch <- s.Watch() }()
	<-on.next
	stop()
	select {
	case err := <-watch:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it is still watching")
	}
}

func TestSweepsThatAreNotThere(t *testing.T) {
	t.Setenv("LOUPE_SWEEPS", t.TempDir())
	where, _ := gridOf(t.TempDir())
	for want, open := range map[string]func(){
		`there is no sweep "first": `:       func() { loupe.Sweep("first") },
		`has no sweep "second"`:             func() { loupe.Sweep("second", where) },
		"lies in one store, not in 2":       func() { loupe.Sweep("first", where, where) },
		`a sweep cannot be called "../x": `: func() { loupe.Sweep("../x") },
	} {
		func() {
			defer func() {
				if err := recover(); err == nil || !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}()
			open()
		}()
	}
	if files, err := filepath.Glob(filepath.Join(os.Getenv("LOUPE_SWEEPS"), "*")); err != nil || len(files) != 0 {
		t.Errorf("a look makes %v, %v", files, err)
	}
}
