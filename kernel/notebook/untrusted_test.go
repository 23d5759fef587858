package notebook_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/loupeml/loupe/kernel/notebook"
)

// hostile is HTML that does more than be looked at.
var hostile = []string{
	`<script>alert(1)</script>`, `<SCRIPT SRC="https://example.org/x.js"></SCRIPT>`, `<img src=x onerror="alert(1)">`,
	`<b onmouseover=alert(1)>bold</b>`,
	`<a href="javascript:alert(1)">js</a>`, `<a href="&#106;avascript:alert(1)">js</a>`,
	"<a href=\"java\tscript:alert(1)\">js</a>", `<a href="data:text/html,<script>alert(1)</script>">data</a>`,
	`<iframe src="https://example.org/"></iframe>`, `<object data="https://example.org/x.swf"></object>`,
	`<embed src="https://example.org/">`,
	`<form action="https://example.org/"><button formaction="javascript:alert(1)">b</button></form>`,
	`<meta http-equiv="refresh" content="0; url=https://example.org/">`,
	`<link rel="stylesheet" href="https://example.org/x.css">`, `<base href="https://example.org/">`,
	`<style>body { background: url(https://example.org/x) }</style>`,
	`<div style="background-image: url(https://example.org/x); color: red">styled</div>`,
	`<img src="https://example.org/pixel.png">`, `<img srcset="https://example.org/pixel.png 2x">`,
	`<video src="https://example.org/v.mp4" poster="https://example.org/p.png"></video>`,
	`<svg onload="alert(1)"><script>alert(1)</script><image href="https://example.org/x.png"/></svg>`,
	`<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></table></mtext></math>`,
	`<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>`,
}

func TestAPageOfAnUntrustedNotebook(t *testing.T) {
	all := strings.Join(hostile, "\n\n")
	n := 1
	nb := &notebook.Notebook{Cells: []*notebook.Cell{
		{Type: notebook.Markdown, Source: "# Heading\n\n" + all + "\n\n[js](javascript:alert(1)) " +
			"[good](https://example.org/page) ![remote](https://example.org/r.png)\n\n| a |\n|---|\n| *1* |\n\n- [x] " +
			"done\n\n![own](attachment:p.png)",
			Attachments: map[string]map[string]any{"p.png": {"image/png": onePixel}}},
		{Type: notebook.Raw, Source: all},
		{Type: notebook.Code, Source: "s := `" + all + "`", Count: &n, Outputs: []notebook.Output{
			{"output_type": "display_data", "data": map[string]any{"text/html": all + "<table><tr><td>cell</td></tr></table>"}},
			{"output_type": "display_data", "data": map[string]any{"text/markdown": all}},
			{"output_type": "display_data", "data": map[string]any{"image/svg+xml": hostile[20]}},
			{"output_type": "display_data", "data": map[string]any{"image/png": onePixel,
				"text/plain": `"><script>alert(1)</script>`}},
			{"output_type": "stream", "name": `x" onclick="alert(1)`, "text": all +
				"\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\ \x1b]1338;url=javascript:alert(1);alt=x\x07 \x1b[31mred\x1b[0m"},
			{"output_type": "error", "ename": all, "evalue": all, "traceback": []any{all}},
		}},
	}}
	data, err := nb.HTML(notebook.HTMLOptions{Title: "</title><script>alert(1)</script>", Untrusted: true})
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	wantIn(t, page, "Content-Security-Policy", ">Heading</h1>", "<em>1</em>", "<td>cell</td>",
		`href="https://example.org/page"`, `src="data:image/png;base64,`+onePixel,
		`src="data:image/svg+xml;base64,`, `type="checkbox"`, `class="term-fg31"`, "bold", "styled")
	tags := regexp.MustCompile(`<[a-zA-Z][^<]*?>`).FindAllString(page[strings.Index(page, "<body>"):], -1)
	if len(tags) < 50 {
		t.Fatalf("there are %d tags", len(tags))
	}
	for _, tag := range tags {
		small := strings.ToLower(tag)
		for _, bad := range []string{"<script", "<iframe", "<object", "<embed", "<form", "<button", "<meta", "<link", "<base",
			"<style", "<svg", "<video", "<template", "<math",
			"javascript:", "data:text", "url(", "src=\"http", "srcset", "poster"} {
			if strings.Contains(small, bad) {
				t.Errorf("the page has %s", tag)
			}
		}
		if regexp.MustCompile(`\son\w+\s*=`).MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(small, `""`)) {
			t.Errorf("the page has %s", tag)
		}
	}
}

// A notebook that somebody sends gets no files of the reader's but those that lie beside it.
func TestNoPictureFromOutsideTheFolder(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "notebook")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"secret.png": "secret", "notebook/in.png": "inside",
		"notebook/sub/deep.png": "deeper"} {
		if err := os.WriteFile(filepath.Join(base, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out.png": "../secret.png", "far.png": filepath.Join(base, "secret.png"),
		"near.png": "in.png", "up": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	text := ""
	for _, path := range []string{"../secret.png", filepath.Join(base, "secret.png"), "sub/../../secret.png",
		"%2e%2e/secret.png", "out.png", "far.png", "up/secret.png", "file:///etc/hostname.png"} {
		text += "![p](" + path + ")\n"
	}
	for _, path := range []string{"in.png", "sub/deep.png", "near.png", "sub/../in.png", "./in.png"} {
		text += "![p](" + path + ")\n"
	}
	got := page(t, &notebook.Notebook{Cells: []*notebook.Cell{{Type: notebook.Markdown, Source: text}}}, dir)
	if n := strings.Count(got, "base64,c2VjcmV0"); n != 0 { // secret
		t.Errorf("the page has the secret %d times", n)
	}
	if inside, deeper := strings.Count(got, "base64,aW5zaWRl"), strings.Count(got, "base64,ZGVlcGVy"); inside != 4 ||
		deeper != 1 {
		t.Errorf("the page has %d and %d pictures of the folder", inside, deeper)
	}
}
