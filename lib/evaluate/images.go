package evaluate

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/table"
)

// Images are images of a dataset that were picked out, in an order. They show themselves as a grid with their files;
// [Images.Table] has them as rows. Pictures are read when they are shown.
type Images struct {
	Title string
	// Note is what is to be known besides; empty for nothing.
	Note string
	// Index are the images' numbers in the dataset.
	Index []int

	source   model.Dataset // nil if there are no pictures
	files    []string      // of these images; nil if they have no names
	columns  []table.Column
	captions []string
	scores   []float64 // of all images that were scored, where a detector did
}

// pick are images by their numbers.
func (e *Evaluation) pick(title string, index []int) *Images {
	p := &Images{Title: title, Index: index, source: e.images}
	if e.Answers.Names != nil {
		p.files = make([]string, len(index))
		for k, i := range index {
			p.files[k] = e.Answers.Names[i]
		}
	}
	return p
}

// Len is the number of images.
func (p *Images) Len() int { return len(p.Index) }

// Files are the names of the images; nil if they have none.
func (p *Images) Files() []string { return slices.Clone(p.files) }

// Table has a row for each image: its number in the dataset, its file where that is known, and what was found.
func (p *Images) Table() table.Table {
	t := table.PerImage{Index: p.Index, Files: p.files, Columns: p.columns}.Table(len(p.Index))
	t.Title = p.Title
	return t
}

// mostPictures is how many pictures are shown.
const mostPictures = 40

// Grid shows the images, each above its file, where that is known, and what was found; of more than 40 the first. It
// reads those that it shows. It is an error where there are no images, or no pictures of them are at hand.
func (p *Images) Grid() (display.Grid, error) {
	if len(p.Index) == 0 {
		return display.Grid{}, fmt.Errorf("evaluate: %s: there are none to show", p.Title)
	}
	if p.source == nil {
		return display.Grid{},
			errors.New("evaluate: the pictures are not at hand: give FromAnswers the dataset that was answered about")
	}
	shown := p.Index[:min(len(p.Index), mostPictures)]
	images, err := p.source.Images(shown...)
	if err != nil {
		return display.Grid{}, err
	}
	titles := make([]string, len(shown))
	for k := range shown {
		if p.files != nil {
			titles[k] = path.Base(p.files[k]) + "\n"
		}
		titles[k] += p.captions[k]
	}
	g := display.Gallery(images, titles...)
	g.Title = p.Title
	if len(shown) < len(p.Index) {
		g.Title += fmt.Sprintf(" (the first %d of %d; Table has all)", len(shown), len(p.Index))
	}
	return g, nil
}

// Bundle shows the grid, or the table where there are no pictures.
func (p *Images) Bundle() mime.Bundle {
	var parts []mime.Bundle
	switch g, err := p.Grid(); {
	case len(p.Index) == 0:
		parts = append(parts, mime.TextOf(p.Title+": none."))
	case err != nil:
		parts = append(parts, p.Table().Bundle(), mime.TextOf(sentence(err)))
	default:
		parts = append(parts, g.Bundle())
	}
	if p.Note != "" {
		parts = append(parts, mime.TextOf(p.Note))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return display.Stack(parts...)
}

// String is the title, how many images there are, and the note.
func (p *Images) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s. %s", p.Title, plural.Of(len(p.Index), "image"), p.Note))
}
