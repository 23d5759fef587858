package display

import (
	"image"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

func TestRowsOfImages(t *testing.T) {
	picture := image.NewRGBA(image.Rect(0, 0, 9, 9))
	g := RowsOf(40, Row{"one", []image.Image{picture, picture}}, Row{"two", picture})
	if len(g.Rows) != 2 || len(g.Rows[0]) != 2 || len(g.Rows[1]) != 1 || g.Labels[1] != "two" || g.Side != 40 {
		t.Errorf("%+v", g)
	}
	if text := g.Bundle().Data[mime.Text]; !strings.Contains(text, "grid of 3 images") {
		t.Error(text)
	}
	if text := RowsOf(0, Row{"wrong", 3}).Bundle().Data[mime.Text]; !strings.Contains(text, "int") {
		t.Errorf("a number is shown as %q", text)
	}
}
