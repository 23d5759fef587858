package carry

import (
	"fmt"
	"strings"
)

func (h Header) String() string {
	codec := h.Codec
	if codec == "" {
		codec = "encoding/gob"
	}
	said := fmt.Sprintf("a %s, written by %s", h.Type, codec)
	if len(h.Imports) > 0 {
		said += ", of " + strings.Join(h.Imports, ", ")
	}
	return said
}
