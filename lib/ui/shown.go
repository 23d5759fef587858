package ui

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
)

// ProgressBar shows how far something is. For the loops of a cell, progress.New also tells how long the rest takes.
type ProgressBar struct {
	*widget
	label string
	total float64
}

// Progress shows a bar that is full at total.
func Progress(label string, total float64) *ProgressBar {
	return &ProgressBar{label: label, total: total, widget: newControl("FloatProgressModel", "ProgressView",
		"ProgressStyleModel", map[string]any{
			"description": label, "min": 0.0, "max": total, "value": 0.0, "bar_style": "", "orientation": "horizontal",
		})}
}

func (p *ProgressBar) model() *widget { return p.widget }

// Set says how far it is.
func (p *ProgressBar) Set(done float64) *ProgressBar {
	changes := map[string]any{"value": done}
	if done >= p.total {
		changes["bar_style"] = "success"
	}
	p.set(changes)
	return p
}

// Bundle shows the bar.
func (p *ProgressBar) Bundle() mime.Bundle {
	return p.bundle(fmt.Sprintf("%s: %g of %g", p.label, p.get("value"), p.total))
}

// TextBlock is text that can be changed.
type TextBlock struct{ *widget }

// HTML shows a text with HTML in it.
func HTML(text string) *TextBlock {
	return &TextBlock{newControl("HTMLModel", "HTMLView", "HTMLStyleModel",
		map[string]any{"value": text, "description": "", "placeholder": ""})}
}

func (t *TextBlock) model() *widget { return t.widget }

// Set changes the text.
func (t *TextBlock) Set(text string) *TextBlock {
	t.set(map[string]any{"value": text})
	return t
}

// Bundle shows the text.
func (t *TextBlock) Bundle() mime.Bundle { return t.bundle(fmt.Sprint(t.get("value"))) }

// Box holds widgets.
type Box struct {
	*widget
	children []Widget
	between  string
}

// Row shows widgets beside each other.
func Row(children ...Widget) *Box { return box("HBox", "  ", children) }

// Column shows widgets one below the other.
func Column(children ...Widget) *Box { return box("VBox", "\n", children) }

func box(kind, between string, children []Widget) *Box {
	models := make([]*widget, len(children))
	for i, c := range children {
		models[i] = c.model()
	}
	return &Box{newBox(kind, models...), children, between}
}

func newBox(kind string, children ...*widget) *widget {
	references := make([]string, len(children))
	for i, c := range children {
		references[i] = c.reference()
	}
	return newControl(kind+"Model", kind+"View", "", map[string]any{"children": references, "box_style": ""})
}

func (b *Box) model() *widget { return b.widget }

// Bundle shows the widgets.
func (b *Box) Bundle() mime.Bundle {
	texts := make([]string, len(b.children))
	for i, c := range b.children {
		texts[i] = c.Bundle().Data[mime.Text]
	}
	return b.bundle(strings.Join(texts, b.between))
}

var _ display.Bundler = (*Box)(nil)
