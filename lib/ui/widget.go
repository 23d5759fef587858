// Package ui has controls that people move and cells hear of: sliders, drop-downs, buttons, progress bars.
//
//	ui.Slider("ε", 0, 8, func(v float64) { display.Show(attacked(v)) })
//
// What a callback prints and shows appears below its control, in the place of what the call before has shown. Callbacks
// are called one after the other, between cells, or while a cell runs where the front end asks for that. A control that
// is a cell's value is shown; [Row] and [Column] show several.
//
// The controls are ipywidgets' own in JupyterLab and the notebook, spoken to by its protocol; the front end needs the
// ipywidgets extension (pip install ipywidgets), and no Python in the kernel. Elsewhere a control is shown as a line of
// text, and its callback can be called by the cell itself.
// https://github.com/jupyter-widgets/ipywidgets/blob/main/packages/schema/messages.md
package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
)

const (
	widgetTarget  = "jupyter.widget"
	controlTarget = "jupyter.widget.control"
	viewType      = "application/vnd.jupyter.widget-view+json"
)

// protocolVersion is that of the messages.
var protocolVersion = map[string]string{"version": "2.1.0"}

// family says which of the front end's packages draws a widget.
type family struct{ module, version string }

var (
	base     = family{"@jupyter-widgets/base", "2.0.0"}
	controls = family{"@jupyter-widgets/controls", "2.0.0"}
	output   = family{"@jupyter-widgets/output", "1.0.0"}
)

// Widget is anything that can stand in a [Row] or a [Column].
type Widget interface {
	display.Bundler
	model() *widget
}

// widget is one model of the front end, and what is known of its state here.
type widget struct {
	comm *comm.Comm // nil where there is no front end to show it
	why  error      // why there is none

	mu    sync.Mutex // guards state
	state map[string]any
}

var (
	widgetsMu sync.Mutex // guards widgets
	widgets   = map[string]*widget{}
)

func init() { comm.Register(controlTarget, control) }

// newWidget makes a model in the front end. A widget without a view of its own, as a layout, has view "".
func newWidget(of family, name, view string, state map[string]any) *widget {
	w := &widget{state: map[string]any{
		"_model_module": of.module, "_model_module_version": of.version, "_model_name": name,
		"_view_module": of.module, "_view_module_version": of.version, "_view_name": view,
	}}
	maps.Copy(w.state, state)
	w.comm, w.why = comm.Open(widgetTarget, map[string]any{"state": w.state, "buffer_paths": []any{}}, protocolVersion)
	if w.why == nil {
		widgetsMu.Lock()
		widgets[w.comm.ID] = w
		widgetsMu.Unlock()
	}
	return w
}

// newControl makes a widget of the family of controls, with its layout and style.
func newControl(name, view, style string, state map[string]any) *widget {
	var layout map[string]any
	if style == "SliderStyleModel" {
		layout = map[string]any{"width": "480px"} // the label takes its part of it
	}
	state["layout"] = newWidget(base, "LayoutModel", "LayoutView", layout).reference()
	if style != "" {
		looks := map[string]any{
			"_view_module": base.module, "_view_module_version": base.version, "description_width": "initial",
		}
		if style == "ToggleButtonsStyleModel" {
			looks["button_width"] = "auto" // by itself it is 148px, and longer options are cut off
		}
		state["style"] = newWidget(controls, style, "StyleView", looks).reference()
	}
	return newWidget(controls, name, view, state)
}

// reference is how the state of another widget names this one.
func (w *widget) reference() string {
	if w.comm == nil {
		return ""
	}
	return "IPY_MODEL_" + w.comm.ID
}

// set changes part of the state, here and in the front end.
func (w *widget) set(changes map[string]any) error {
	w.mu.Lock()
	maps.Copy(w.state, changes)
	w.mu.Unlock()
	if w.comm == nil {
		return w.why
	}
	return w.comm.Send(map[string]any{"method": "update", "state": changes, "buffer_paths": []any{}})
}

func (w *widget) get(name string) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state[name]
}

// message is what the front end sends of a widget.
type message struct {
	Method  string                     `json:"method"`
	State   map[string]json.RawMessage `json:"state"`
	Content struct {
		Event string `json:"event"`
	} `json:"content"`
}

// handle calls changed with each value of a part of the state that the front end sets, and event for each event.
func (w *widget) handle(changed func(request, name string, value json.RawMessage), event func(request, name string)) {
	if w.comm == nil {
		return
	}
	w.comm.Handle(func(m comm.Message) {
		var got message
		if err := json.Unmarshal(m.Data, &got); err != nil {
			return // not of the protocol of widgets
		}
		switch got.Method {
		case "update":
			for name, value := range got.State {
				if changed != nil {
					changed(m.Request, name, value)
				}
			}
		case "request_state":
			w.mu.Lock()
			state := maps.Clone(w.state)
			w.mu.Unlock()
			w.comm.Send(map[string]any{"method": "update", "state": state, "buffer_paths": []any{}})
		case "custom":
			if event != nil {
				event(m.Request, got.Content.Event)
			}
		}
	})
}

// control answers a front end that wants to know of all widgets, as one does that was loaded again.
func control(c *comm.Comm, _ comm.Message) {
	c.Handle(func(m comm.Message) {
		var got message
		if json.Unmarshal(m.Data, &got) != nil || got.Method != "request_states" {
			return
		}
		states := map[string]any{}
		widgetsMu.Lock()
		for id, w := range widgets {
			w.mu.Lock()
			states[id] = map[string]any{
				"model_name": w.state["_model_name"], "model_module": w.state["_model_module"],
				"model_module_version": w.state["_model_module_version"],
				"state":                maps.Clone(w.state),
			}
			w.mu.Unlock()
		}
		widgetsMu.Unlock()
		c.Send(map[string]any{"method": "update_states", "states": states, "buffer_paths": []any{}})
	})
}

// bundle is how a widget is shown; text is what it is where there are no widgets.
func (w *widget) bundle(text string) mime.Bundle {
	if w.comm == nil {
		if errors.Is(w.why, comm.ErrNoFrontEnd) {
			return mime.TextOf(text)
		}
		return mime.TextOf(fmt.Sprintf("%s (%v)", text, w.why))
	}
	view, err := json.Marshal(map[string]any{"version_major": 2, "version_minor": 0, "model_id": w.comm.ID})
	if err != nil {
		return mime.TextOf(text) // it holds nothing that cannot be encoded
	}
	return mime.Bundle{Data: map[string]string{mime.Text: text, viewType: string(view)}}
}
