package lrp

import (
	"fmt"
	"image"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Examples is how reference images are shown.
type Examples struct {
	// CRP is what finds the part of an image that a channel's place sees.
	CRP CRP
	// Each is how many references a channel shows; 0 means 6.
	Each int
	// Activation shows those of activation maximization.
	Activation bool
	// Whole shows whole images, overlaid with the relevance that comes through the channel, instead of the parts.
	Whole bool
}

// Grid lays out the references of channels, a row for each channel. By default each image is cut to the part that the
// channel's highest place gets its relevance from: its receptive field, as far as it was used.
// Interrupted, it returns the channels that are done beside the error.
func (e Examples) Grid(m *model.Model, r *References, channels ...int) (display.Grid, error) {
	if r == nil {
		return display.Grid{}, fmt.Errorf("lrp: there are no references: they are nil")
	}
	g := display.Grid{Title: fmt.Sprintf("what channels of %s stand for", r.Layer)}
	if e.Whole {
		g.Bar = display.SignedBar
	}
	bar := progress.New(m.Name()+": examples of concepts", len(channels))
	defer bar.Close()
	for i, channel := range channels {
		tiles, err := e.tiles(m, r, channel)
		if err != nil {
			return g, interrupt.After(err, "lrp: examples", i, len(channels), "channels")
		}
		bar.Add(1)
		g.Rows = append(g.Rows, tiles)
		g.Labels = append(g.Labels, fmt.Sprintf("%s\n#%d", r.Layer, channel))
	}
	return g, nil
}

// tiles are the references of one channel.
func (e Examples) tiles(m *model.Model, r *References, channel int) ([]display.Tile, error) {
	concepts, err := conceptsOf(m, r.Layer)
	if err != nil {
		return nil, err
	}
	if channel < 0 || channel >= concepts.count {
		return nil, fmt.Errorf("lrp: layer %q has the channels 0 to %d, and no %d", r.Layer, concepts.count-1, channel)
	}
	list := r.Relevance[channel]
	if e.Activation {
		list = r.Activation[channel]
	}
	each := e.Each
	if each <= 0 {
		each = 6
	}
	list = list[:min(each, len(list))]
	var numbers, classes, places []int
	for _, reference := range list {
		numbers, classes, places = append(numbers, reference.Image), append(classes, reference.Class),
			append(places, reference.Row*concepts.columns()+reference.Column)
	}
	images, err := r.ds.Images(numbers...)
	if err != nil {
		return nil, err
	}
	pictures, err := display.Images(images)
	if err != nil {
		return nil, err
	}
	var shown []image.Image
	if e.Whole {
		heat, err := e.CRP.Heatmaps(m, images, classes, Condition{r.Layer: {channel}})
		if err != nil {
			return nil, err
		}
		if shown, err = display.Overlays(pictures, heat, true); err != nil {
			return nil, err
		}
	} else {
		heat, err := e.CRP.neurons(m, images, classes, r.Layer, channel, places)
		if err != nil {
			return nil, err
		}
		flat := tensors.MustCopyFlatData[float32](heat)
		h, w := m.Spec().Height, m.Spec().Width
		for i, picture := range pictures {
			shown = append(shown, cropped(picture, receptiveField(flat[i*h*w:(i+1)*h*w], h, w)))
		}
	}
	tiles := display.Tiles(shown)
	for i := range tiles {
		tiles[i].Title = m.ClassName(classes[i])
	}
	return tiles, nil
}
