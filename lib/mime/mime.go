// Package mime has the one value that passes between whatever draws something
// and whatever shows it: the same content in several forms, the front end picks.
// It imports nothing, so that the kernel process can use it without linking XLA.
package mime

// The MIME types that loupe produces itself.
const (
	Text     = "text/plain"
	HTML     = "text/html"
	Markdown = "text/markdown"
	PNG      = "image/png"
	JPEG     = "image/jpeg"
	SVG      = "image/svg+xml"
	JSON     = "application/json"
)

// Bundle is one thing to show, in as many forms as its maker could offer.
type Bundle struct {
	// Data maps a MIME type to its content. Text types hold the text, binary types (image/png)
	// hold the raw bytes as a string; whoever writes JSON encodes those as base64 ([Binary] tells which).
	Data map[string]string
	// Metadata maps a MIME type to hints for that form, such as
	// {"image/png": {"width": 300, "height": 200}} in CSS pixels. Nil means none.
	Metadata map[string]map[string]any
	// ID names the display so that it can be replaced later; empty means it cannot be.
	ID string
	// Passing says that the display has an ID and shows something for a while only, such as a progress bar: whoever
	// records what is shown leaves it out, and a bundle with no Data takes it away.
	Passing bool
}

// Binary reports whether content of the MIME type is raw bytes and travels as base64 in JSON.
func Binary(mimeType string) bool {
	switch mimeType {
	case PNG, JPEG, "image/gif", "image/webp", "application/pdf":
		return true
	}
	return false
}

// TextOf returns a bundle with only a plain-text form.
func TextOf(s string) Bundle { return Bundle{Data: map[string]string{Text: s}} }
