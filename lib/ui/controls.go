package ui

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
)

// input is what all that a person can move have in common: a label, the widget, and the area for what its callback
// shows.
type input struct {
	label string
	*widget
	box  *widget // of the widget and the area
	area area
}

func newInput(label, name, view, style string, state map[string]any) input {
	state["description"] = label
	in := input{label: label, widget: newControl(name, view, style, state), area: newArea()}
	in.box = newBox("VBox", in.widget, in.area.widget)
	return in
}

func (in input) model() *widget { return in.box }

// listen calls f, which may be nil, with each value that a person gives the part of the state, if it is a valid one.
func listen[T any](in input, part string, valid func(T) bool, f func(T)) {
	in.handle(func(request, name string, value json.RawMessage) {
		var v T
		if name != part || json.Unmarshal(value, &v) != nil || !valid(v) {
			return
		}
		in.mu.Lock()
		in.state[part] = v
		in.mu.Unlock()
		if f != nil {
			in.area.take(request, func() { f(v) })
		}
	}, nil)
}

// anyValue takes every value of the type.
func anyValue[T any](T) bool { return true }

// SliderControl is a slider over real numbers.
type SliderControl struct {
	input
	min, max float64
}

// Slider shows a slider from min to max, which begins at min and moves by a hundredth of the range
// ([SliderControl.Step]). It calls changed, which may be nil, with each value that it is moved to.
func Slider(label string, min, max float64, changed func(v float64)) *SliderControl {
	if !(min < max) || math.IsInf(max-min, 0) {
		panic(fmt.Sprintf("ui: a slider from %v to %v has no room to move", min, max))
	}
	s := &SliderControl{min: min, max: max, input: newInput(label, "FloatSliderModel", "FloatSliderView",
		"SliderStyleModel", map[string]any{
			"min": min, "max": max, "step": (max - min) / 100, "value": min,
			"behavior": "drag-tap", "continuous_update": true, "orientation": "horizontal", "readout": true,
			"readout_format": ".3~g",
		})}
	listen(s.input, "value", func(v float64) bool { return min <= v && v <= max }, changed)
	return s
}

// Step sets how far the slider moves at least.
func (s *SliderControl) Step(step float64) *SliderControl {
	s.set(map[string]any{"step": step})
	return s
}

// Set moves the slider. Its callback is not called.
func (s *SliderControl) Set(v float64) *SliderControl {
	s.set(map[string]any{"value": math.Min(math.Max(v, s.min), s.max)})
	return s
}

// Value returns where the slider is.
func (s *SliderControl) Value() float64 { return s.get("value").(float64) }

// Bundle shows the slider.
func (s *SliderControl) Bundle() mime.Bundle {
	return s.box.bundle(fmt.Sprintf("%s: %g, from %g to %g", s.label, s.Value(), s.min, s.max))
}

// IntSliderControl is a slider over integers.
type IntSliderControl struct {
	input
	min, max int
}

// IntSlider shows a slider from min to max, which begins at min. It calls changed, which may be nil, with each value
// that it is moved to.
func IntSlider(label string, min, max int, changed func(v int)) *IntSliderControl {
	if min >= max {
		panic(fmt.Sprintf("ui: a slider from %d to %d has no room to move", min, max))
	}
	s := &IntSliderControl{min: min, max: max, input: newInput(label, "IntSliderModel", "IntSliderView",
		"SliderStyleModel", map[string]any{
			"min": min, "max": max, "step": 1, "value": min,
			"behavior": "drag-tap", "continuous_update": true, "orientation": "horizontal", "readout": true,
			"readout_format": "d",
		})}
	listen(s.input, "value", func(v int) bool { return min <= v && v <= max }, changed)
	return s
}

// Set moves the slider. Its callback is not called.
func (s *IntSliderControl) Set(v int) *IntSliderControl {
	s.set(map[string]any{"value": min(max(v, s.min), s.max)})
	return s
}

// Value returns where the slider is.
func (s *IntSliderControl) Value() int { return s.get("value").(int) }

// Bundle shows the slider.
func (s *IntSliderControl) Bundle() mime.Bundle {
	return s.box.bundle(fmt.Sprintf("%s: %d, from %d to %d", s.label, s.Value(), s.min, s.max))
}

// ChoiceControl is one of several options.
type ChoiceControl struct {
	input
	options []string
}

// Dropdown shows options to choose one of; the first is chosen. It calls changed, which may be nil, with each option
// that is chosen.
func Dropdown(label string, options []string, changed func(option string)) *ChoiceControl {
	return newChoice(label, "DropdownModel", "DropdownView", "DescriptionStyleModel", options, nil, changed)
}

// Choice is [Dropdown] as a row of buttons.
func Choice(label string, options []string, changed func(option string)) *ChoiceControl {
	return newChoice(label, "ToggleButtonsModel", "ToggleButtonsView", "ToggleButtonsStyleModel", options,
		map[string]any{"button_style": "", "icons": []any{}, "tooltips": []any{}}, changed)
}

func newChoice(label, name, view, style string, options []string, state map[string]any,
	changed func(string)) *ChoiceControl {
	if len(options) == 0 {
		panic("ui: there is nothing to choose from: options is empty")
	}
	if state == nil {
		state = map[string]any{}
	}
	state["_options_labels"], state["index"] = options, 0
	c := &ChoiceControl{options: options, input: newInput(label, name, view, style, state)}
	listen(c.input, "index", func(i int) bool { return 0 <= i && i < len(options) }, func(i int) {
		if changed != nil {
			changed(options[i])
		}
	})
	return c
}

// Set chooses an option; one that there is not is left alone. The callback is not called.
func (c *ChoiceControl) Set(option string) *ChoiceControl {
	for i, o := range c.options {
		if o == option {
			c.set(map[string]any{"index": i})
		}
	}
	return c
}

// Value returns the option that is chosen.
func (c *ChoiceControl) Value() string { return c.options[c.get("index").(int)] }

// Bundle shows the options.
func (c *ChoiceControl) Bundle() mime.Bundle {
	return c.box.bundle(fmt.Sprintf("%s: %s, of %s", c.label, c.Value(), strings.Join(c.options, ", ")))
}

// CheckboxControl is on or off.
type CheckboxControl struct{ input }

// Checkbox shows a box to check. It calls changed, which may be nil, each time that it is.
func Checkbox(label string, changed func(on bool)) *CheckboxControl {
	c := &CheckboxControl{newInput(label, "CheckboxModel", "CheckboxView", "CheckboxStyleModel",
		map[string]any{"value": false, "indent": false})}
	listen(c.input, "value", anyValue, changed)
	return c
}

// Set checks the box or not. Its callback is not called.
func (c *CheckboxControl) Set(on bool) *CheckboxControl {
	c.set(map[string]any{"value": on})
	return c
}

// Value returns whether the box is checked.
func (c *CheckboxControl) Value() bool { return c.get("value").(bool) }

// Bundle shows the box.
func (c *CheckboxControl) Bundle() mime.Bundle {
	return c.box.bundle(fmt.Sprintf("%s: %v", c.label, c.Value()))
}

// TextControl is a line of text.
type TextControl struct{ input }

// TextField shows a line to type in. It calls changed, which may be nil, when the line is done.
func TextField(label string, changed func(text string)) *TextControl {
	c := &TextControl{newInput(label, "TextModel", "TextView", "TextStyleModel",
		map[string]any{"value": "", "continuous_update": false, "placeholder": ""})}
	listen(c.input, "value", anyValue, changed)
	return c
}

// Set puts a text in the line. Its callback is not called.
func (c *TextControl) Set(text string) *TextControl {
	c.set(map[string]any{"value": text})
	return c
}

// Value returns the text.
func (c *TextControl) Value() string { return c.get("value").(string) }

// Bundle shows the line.
func (c *TextControl) Bundle() mime.Bundle {
	return c.box.bundle(fmt.Sprintf("%s: %q", c.label, c.Value()))
}

// ButtonControl is a button.
type ButtonControl struct{ input }

// Button shows a button. It calls pressed each time that it is.
func Button(label string, pressed func()) *ButtonControl {
	b := &ButtonControl{newInput(label, "ButtonModel", "ButtonView", "ButtonStyleModel",
		map[string]any{"button_style": "", "icon": "", "tooltip": ""})}
	b.handle(nil, func(request, event string) {
		if event == "click" && pressed != nil {
			b.area.take(request, pressed)
		}
	})
	return b
}

// Bundle shows the button.
func (b *ButtonControl) Bundle() mime.Bundle { return b.box.bundle("[" + b.label + "]") }
