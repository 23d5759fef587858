package model

import (
	"fmt"
	"strings"
)

func (l Layer) String() string { return fmt.Sprintf("%s %v", l.Name, l.Shape) }

func (g Grid) String() string { return fmt.Sprintf("%d x %d patches", g.Rows, g.Columns) }

func (h *Head) String() string {
	classes, features := h.Weights.Dims()
	return fmt.Sprintf("a linear layer from %d features to %d classes", features, classes)
}

func (s Spec) String() string {
	parts := []string{fmt.Sprintf("%s: images of %d x %d x %d", s.Name, s.Height, s.Width, s.Channels)}
	if s.Mean != nil {
		parts = append(parts, fmt.Sprintf("mean %.4g, deviation %.4g", s.Mean, s.Std))
	}
	if s.Resize > 0 {
		parts = append(parts, fmt.Sprintf("the middle of photographs whose shorter side is %d", s.Resize))
	}
	if s.Classes != nil {
		parts = append(parts, fmt.Sprintf("%d classes, such as %q", len(s.Classes), s.Classes[0]))
	}
	return strings.Join(parts, "; ")
}
