package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"sort"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
)

// MimeBundle maps MIME types to content as the protocol and the notebook format have it: text as a
// string, binary types in base64, JSON types as JSON values. It is written with text/plain first.
type MimeBundle map[string]json.RawMessage

// NewMimeBundle returns the content of a bundle, and its metadata, which is never nil.
func NewMimeBundle(b mime.Bundle) (data MimeBundle, metadata map[string]map[string]any) {
	data = make(MimeBundle, len(b.Data))
	for mimeType, content := range b.Data {
		switch {
		case isJSON(mimeType) && json.Valid([]byte(content)):
			data[mimeType] = json.RawMessage(content)
			continue
		case mime.Binary(mimeType):
			content = base64.StdEncoding.EncodeToString([]byte(content))
		}
		data[mimeType], _ = encode(content) // a string always can be
	}
	if metadata = b.Metadata; metadata == nil {
		metadata = map[string]map[string]any{}
	}
	return data, metadata
}

func isJSON(mimeType string) bool {
	return mimeType == mime.JSON || strings.HasSuffix(mimeType, "+json")
}

// Text returns the content of a MIME type that is text; "" when there is none.
func (b MimeBundle) Text(mimeType string) string {
	var s string
	if json.Unmarshal(b[mimeType], &s) != nil {
		return ""
	}
	return s
}

// MarshalJSON writes text/plain first and the other types in alphabetical order.
func (b MimeBundle) MarshalJSON() ([]byte, error) {
	types := make([]string, 0, len(b))
	for t := range b {
		types = append(types, t)
	}
	sort.Slice(types, func(i, j int) bool {
		if (types[i] == mime.Text) != (types[j] == mime.Text) {
			return types[i] == mime.Text
		}
		return types[i] < types[j]
	})
	var out bytes.Buffer
	out.WriteByte('{')
	for i, t := range types {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := encode(t)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(b[t])
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
