package notebook_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/notebook"
)

const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

func page(t *testing.T, nb *notebook.Notebook, dir string) string {
	t.Helper()
	data, err := nb.HTML(notebook.HTMLOptions{Title: "a <title>", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantIn(t *testing.T, page string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %s", part)
		}
	}
}

func TestHTMLOfText(t *testing.T) {
	dir := t.TempDir()
	pixel, err := base64.StdEncoding.DecodeString(onePixel)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a b.png"), pixel, 0o644); err != nil {
		t.Fatal(err)
	}
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{
		Type: notebook.Markdown,
		Source: "# One\n\n| a | b |\n|---|---|\n| 1 | ~~2~~ |\n\n$a_1*b*c_2$ costs $5 or $6, \\$x\n\n$$\nx_1 *\ny_2*\n$$\n\n" +
			"```go\nfunc f() int { return 1 }\n```\n\n![local](a%20b.png) ![attached](attachment:p.png) " +
			"![remote](https://example.org/x.png)\n\n<details>raw</details>",
		Attachments: map[string]map[string]any{"p.png": {"image/png": onePixel}},
	}}}
	got := page(t, nb, dir)
	wantIn(t, got, "<title>a &lt;title&gt;</title>", "<td>1</td>", "<del>2</del>",
		`<span class="math">a_1*b*c_2</span> costs $5 or $6, $x`, "<span class=\"math display\">x_1 *\ny_2*</span>",
		`<span class="go-keyword">func</span>`, "<details>raw</details>", `<a href="https://example.org/x.png">remote</a>`)
	if n := strings.Count(got, `<img src="data:image/png;base64,`+onePixel); n != 2 {
		t.Errorf("%d pictures of the text are in the page, want 2", n)
	}
	if strings.Contains(got, `src="http`) || strings.Contains(got, "url(") || strings.Contains(got, "<script") ||
		strings.Contains(got, "<link") {
		t.Error("the page needs something beside it")
	}
	if nb.Heading() != "One" {
		t.Errorf("heading %q", nb.Heading())
	}
}

func TestHTMLOfOutputs(t *testing.T) {
	n := 3
	long := strings.Repeat("x", 500)
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{
		Type: notebook.Code, Source: "a < b", Count: &n,
		Outputs: []notebook.Output{
			{"output_type": "stream", "name": "stdout", "text": "10%\r20%\r100%\nline <2>\n" + long + "\n"},
			{"output_type": "error", "ename": "E", "evalue": "v", "traceback": []any{"\x1b[31mE\x1b[0m: v", "  at <cell>"}},
			{"output_type": "display_data", "data": map[string]any{"image/png": onePixel + "\n", "text/plain": `a "picture"`},
				"metadata": map[string]any{"image/png": map[string]any{"width": 300, "height": 200.0}}},
			{"output_type": "display_data", "data": map[string]any{
				"image/svg+xml": "<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n<svg width=\"1\"></svg>", "text/plain": "s"}},
			{"output_type": "execute_result", "data": map[string]any{"text/html": "<table><tr><td>7</td></tr></table>",
				"text/plain": "plain"}},
			{"output_type": "display_data", "data": map[string]any{"application/vnd.unknown": "?"}},
		},
	}, {Type: notebook.Raw, Source: "<raw>"}}}
	got := page(t, nb, "")
	wantIn(t, got, `<span class="prompt">[3]</span>`, "100%\nline &lt;2&gt;\n"+long+"</pre>",
		`<span class="term-fg31">E</span>: v`, "at &lt;cell&gt;",
		`<img alt="a &#34;picture&#34;" src="data:image/png;base64,`+onePixel+`" width="300" height="200">`,
		"<svg width=\"1\"></svg>", "<td>7</td>", "<pre>&lt;raw&gt;</pre>")
	for _, part := range []string{"20%", "\x1b", "<?xml", "DOCTYPE svg", "plain"} {
		if body := got[strings.Index(got, "<body>"):]; strings.Contains(body, part) {
			t.Errorf("the page has %q", part)
		}
	}

	bad := &notebook.Notebook{Cells: []*notebook.Cell{
		{Type: notebook.Code, Outputs: []notebook.Output{{"output_type": "display_data",
			"data": map[string]any{"image/png": "%%"}}}}}}
	if _, err := bad.HTML(notebook.HTMLOptions{}); err == nil || !strings.Contains(err.Error(), "cell 1") {
		t.Errorf("a picture that is none: %v", err)
	}
}

func TestPictures(t *testing.T) {
	n := 3
	nb := &notebook.Notebook{Cells: []*notebook.Cell{{Type: notebook.Code, Count: &n, Outputs: []notebook.Output{
		{"output_type": "stream", "name": "stdout", "text": "x"},
		{"output_type": "display_data", "data": map[string]any{"image/png": onePixel, "image/svg+xml": "<svg/>"}},
		{"output_type": "display_data", "data": map[string]any{"image/svg+xml": "<svg/>"}},
	}}}}
	dir := filepath.Join(t.TempDir(), "new")
	files, err := nb.WritePictures(dir)
	if err != nil || len(files) != 2 || filepath.Base(files[0]) != "cell-03-1.png" ||
		filepath.Base(files[1]) != "cell-03-2.svg" {
		t.Fatalf("%v %v", files, err)
	}
	if data, err := os.ReadFile(files[0]); err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("%q %v", data, err)
	}
}
