package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
)

// frontEnd keeps what is sent to it.
type frontEnd struct {
	mu   sync.Mutex // guards sent
	sent []comm.Message
}

func connect(t *testing.T) *frontEnd {
	f := &frontEnd{}
	comm.SetSender(func(m comm.Message) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sent = append(f.sent, m)
		return nil
	})
	t.Cleanup(func() { comm.SetSender(nil) })
	return f
}

// models returns the ids of the models of a kind that have been opened.
func (f *frontEnd) models(t *testing.T, name string) (ids []string) {
	t.Helper()
	for _, m := range f.sent {
		var data struct{ State map[string]any }
		if m.Kind != comm.Opening {
			continue
		}
		if err := json.Unmarshal(m.Data, &data); err != nil {
			t.Fatal(err)
		}
		if data.State["_model_name"] == name {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// move is what the front end sends when a person moves a control.
func move(id, state string) {
	comm.Receive(comm.Message{Kind: comm.Sending, ID: id, Data: json.RawMessage(`{"method":"update","state":` + state +
		`,"buffer_paths":[]}`), Request: "r1"})
}

func TestControls(t *testing.T) {
	f := connect(t)
	var got []any
	s := Slider("ε", 0, 8, func(v float64) { got = append(got, v) })
	n := IntSlider("n", 1, 5, func(v int) { got = append(got, v) })
	d := Dropdown("class", []string{"cat", "dog"}, func(o string) { got = append(got, o) })
	c := Checkbox("on", func(on bool) { got = append(got, on) })
	x := TextField("name", func(s string) { got = append(got, s) })
	Button("go", func() { got = append(got, "pressed") })

	move(f.models(t, "FloatSliderModel")[0], `{"value":2.5}`)
	move(f.models(t, "FloatSliderModel")[0], `{"value":3}`)
	move(f.models(t, "IntSliderModel")[0], `{"value":4}`)
	move(f.models(t, "DropdownModel")[0], `{"index":1}`)
	move(f.models(t, "CheckboxModel")[0], `{"value":true}`)
	move(f.models(t, "TextModel")[0], `{"value":"Ada"}`)
	comm.Receive(comm.Message{Kind: comm.Sending, ID: f.models(t, "ButtonModel")[0],
		Data: json.RawMessage(`{"method":"custom","content":{"event":"click"}}`), Request: "r2"})
	if want := []any{2.5, 3.0, 4, "dog", true, "Ada", "pressed"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the callbacks got %v, want %v", got, want)
	}
	if s.Value() != 3 || n.Value() != 4 || d.Value() != "dog" || !c.Value() || x.Value() != "Ada" {
		t.Errorf("values: %v %v %v %v %v", s.Value(), n.Value(), d.Value(), c.Value(), x.Value())
	}
	// What does not belong there changes nothing.
	for _, state := range []string{`{"value":"text"}`, `{"other":1}`, `{}`, `{"index":7}`} {
		move(f.models(t, "IntSliderModel")[0], state)
		move(f.models(t, "DropdownModel")[0], state)
	}
	if n.Value() != 4 || d.Value() != "dog" || len(got) != 7 {
		t.Errorf("after nonsense: %d %s %v", n.Value(), d.Value(), got)
	}
}

// By itself a button of a choice is 148px wide, and longer options are cut off.
func TestChoicesButtonsAreAsWideAsTheirOptions(t *testing.T) {
	f := connect(t)
	Choice("", []string{"less sure than it is right", "no"}, nil)
	wide := false
	for _, m := range f.sent {
		wide = wide || strings.Contains(string(m.Data), `"button_width":"auto"`)
	}
	if !wide {
		t.Error("the width of the buttons is the front end's")
	}
}

func TestSettingMovesTheControl(t *testing.T) {
	f := connect(t)
	called := false
	s := Slider("ε", 0, 8, func(float64) { called = true }).Step(0.5).Set(9)
	if s.Value() != 8 || called {
		t.Errorf("value %v, called %v", s.Value(), called)
	}
	last := f.sent[len(f.sent)-1]
	if last.Kind != comm.Sending || !strings.Contains(string(last.Data), `"value":8`) {
		t.Errorf("%s %s", last.Kind, last.Data)
	}
	b := s.Bundle()
	var view struct {
		Model string `json:"model_id"`
	}
	if err := json.Unmarshal([]byte(b.Data[viewType]), &view); err != nil || view.Model != f.models(t, "VBoxModel")[0] {
		t.Errorf("it is shown as %v, %v", b.Data, err)
	}
	// A front end that asks gets the state as it is.
	before := len(f.sent)
	comm.Receive(comm.Message{Kind: comm.Sending, ID: f.models(t, "FloatSliderModel")[0],
		Data: json.RawMessage(`{"method":"request_state"}`)})
	if len(f.sent) != before+1 || !strings.Contains(string(f.sent[before].Data), `"step":0.5`) {
		t.Errorf("%d messages", len(f.sent)-before)
	}
}

func TestWithoutAFrontEnd(t *testing.T) {
	s := Slider("ε", 0, 8, nil).Set(2)
	b := Column(Row(s, Progress("done", 10).Set(3)), HTML("<b>x</b>")).Bundle()
	if got, want := b.Data[mime.Text], "ε: 2, from 0 to 8  done: 3 of 10\n<b>x</b>"; got != want || len(b.Data) != 1 {
		t.Errorf("%q, want %q", b.Data, want)
	}
	if s.Value() != 2 {
		t.Errorf("%v", s.Value())
	}
}

func TestCommsThatTheFrontEndHolds(t *testing.T) {
	f := connect(t)
	// Of a process that is gone: it is told so.
	move("nobody", `{"value":1}`)
	if len(f.sent) != 1 || f.sent[0].Kind != comm.Closing || f.sent[0].ID != "nobody" {
		t.Errorf("%+v", f.sent)
	}
	comm.Receive(comm.Message{Kind: comm.Opening, ID: "x", Target: "unknown"})
	if last := f.sent[len(f.sent)-1]; last.Kind != comm.Closing || last.ID != "x" {
		t.Errorf("%+v", last)
	}
	s := IntSlider("n", 0, 3, nil)
	id := f.models(t, "IntSliderModel")[0]
	comm.Receive(comm.Message{Kind: comm.Closing, ID: id})
	if s.Set(2); s.Value() != 2 {
		t.Errorf("%d", s.Value())
	}
}

func TestMisuse(t *testing.T) {
	for name, f := range map[string]func(){
		"no room": func() { Slider("x", 1, 1, nil) }, "no room for integers": func() { IntSlider("x", 2, 1, nil) },
		"no options": func() { Dropdown("x", nil, nil) },
	} {
		func() {
			defer func() {
				if v, ok := recover().(string); !ok || !strings.HasPrefix(v, "ui: ") {
					t.Errorf("%s: %v", name, v)
				}
			}()
			f()
		}()
	}
}

// Front ends send the messages of several controls to subshells, at a time.
func TestCallbacksAreCalledOneAfterTheOther(t *testing.T) {
	f := connect(t)
	called := 0 // guarded by nothing but that
	for _, name := range []string{"a", "b", "c"} {
		Slider(name, 0, 1000, func(float64) { called++ })
	}
	var moving sync.WaitGroup
	for _, id := range f.models(t, "FloatSliderModel") {
		moving.Go(func() {
			for i := range 50 {
				move(id, fmt.Sprintf(`{"value":%d}`, i))
			}
		})
	}
	moving.Wait()
	if called != 150 {
		t.Errorf("called %d times, want 150", called)
	}
}

// A callback that was interrupted and does not come to its end holds up no other.
func TestTurns(t *testing.T) {
	var all turns
	take := func(ctx context.Context) (release func(), ok bool) {
		defer interrupt.Use(ctx)()
		return all.take()
	}
	interrupted, stop := context.WithCancel(context.Background())
	stuck, ok := take(interrupted)
	if !ok {
		t.Fatal("nobody has the turn, and it is not given")
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	if _, ok := take(gone); ok {
		t.Error("the turn is given to who was interrupted")
	}
	stop()
	release, ok := take(context.Background())
	if !ok {
		t.Fatal("the turn is not given")
	}
	stuck() // it does come to its end, late
	if _, ok := take(gone); ok {
		t.Error("the turn of another was ended")
	}
	release()
	if release, ok = take(context.Background()); !ok {
		t.Error("the turn is not given again")
	}
	release()
}
