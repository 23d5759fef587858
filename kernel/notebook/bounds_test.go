package notebook

import (
	"fmt"
	"strings"
	"testing"
)

// What is beyond the bounds is shown as it is written, and nothing of it is lost.
func TestBoundsOfMarkdown(t *testing.T) {
	convert := func(source string) string {
		t.Helper()
		page, err := markdownHTML(source, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	const n = 20_000
	deep := convert(strings.Repeat("> ", n) + "end")
	if got := strings.Count(deep, "<blockquote>"); got == 0 || got > mostNested {
		t.Errorf("%d quotations in each other", got)
	}
	if got := strings.Count(deep, "&gt;"); got < n-mostNested || !strings.Contains(deep, "end") {
		t.Errorf("%d signs are left as they are", got)
	}
	if got := strings.Count(convert(strings.Repeat("[a](", n)), "[a]("); got != n {
		t.Errorf("%d brackets are left as they are", got)
	}
	if got := strings.Count(convert(strings.Repeat("[", n)), "["); got != n {
		t.Errorf("%d brackets are left as they are", got)
	}
	// What somebody writes is far within.
	var list strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&list, "see [link %d](https://example.org/%d) and ![p](<a b.png>)\n", i, i)
	}
	if got := strings.Count(convert(list.String()), "<a href="); got != 3000 {
		t.Errorf("%d links", got)
	}
	nested := ""
	for i := range 40 {
		nested += strings.Repeat("  ", i) + "- level\n"
	}
	if got := strings.Count(convert(nested), "<ul>"); got != 40 {
		t.Errorf("%d lists in each other", got)
	}
}
