package lrp

import (
	"fmt"
	"strings"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Table lists the concepts with their relevance, in units of the logit, and their share of the layer's.
func (a *Atlas) Table() table.Table {
	t := table.Table{Header: []string{"layer", "channel", "relevance", "share"}}
	for _, c := range a.Concepts {
		t.Add(c.Layer, c.Channel, c.Relevance, table.Percent(c.Share))
	}
	return t
}

// Bundle shows the atlas, without examples of the concepts: see [Atlas.Grid].
func (a *Atlas) Bundle() mime.Bundle { return display.Shown(a.Grid(nil, nil, Examples{})) }

// Table lists the graph, each concept below the one that it is part of. What it is part of is named by the layers and
// channels above, from the top on.
func (h *Hierarchy) Table() table.Table {
	t := table.Table{Header: []string{"part of", "layer", "channel", "relevance", "share"}}
	h.rows(&t, nil)
	return t
}

func (h *Hierarchy) rows(t *table.Table, above []string) {
	layer, name := h.Layer, fmt.Sprintf("%s #%d", h.Layer, h.Channel)
	if layer == "" {
		layer, name = "class", fmt.Sprintf("class %d", h.Channel)
		if h.className != "" && h.className != fmt.Sprint(h.Channel) {
			layer, name = "class "+h.className, h.className
		}
	}
	t.Add(strings.Join(above, ", "), layer, h.Channel, h.Relevance, table.Percent(h.Share))
	for _, part := range h.Parts {
		part.rows(t, append(above[:len(above):len(above)], name))
	}
}

// Bundle shows the table; [Hierarchy.Grid] has the pictures.
func (h *Hierarchy) Bundle() mime.Bundle { return h.Table().Bundle() }

// Table lists the channels' reference images by relevance, the best first: the number of the image in the dataset
// and, where it has names, its file.
func (r *References) Table() table.Table {
	named, hasNames := r.ds.(interface{ Name(i int) string })
	t := table.Table{Title: "reference images of " + r.Layer, Header: []string{"index"}}
	if hasNames {
		t.Header = append(t.Header, "file")
	}
	t.Header = append(t.Header, "channel", "place", "class", "name", "ranked by")
	for channel, references := range r.Relevance {
		for place, ref := range references {
			row := []any{ref.Image}
			if hasNames {
				row = append(row, named.Name(ref.Image))
			}
			name := fmt.Sprint(ref.Class)
			if ref.Class < len(r.classNames) {
				name = r.classNames[ref.Class]
			}
			t.Add(append(row, channel, place+1, ref.Class, name, ref.Value)...)
		}
	}
	return t
}

// Bundle shows the table; [Examples] shows the images.
func (r *References) Bundle() mime.Bundle { return r.Table().Bundle() }
