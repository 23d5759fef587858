package notebook

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"regexp"
	"slices"
	"strings"

	terminal "github.com/buildkite/terminal-to-html/v3"

	"github.com/loupeml/loupe/kernel/highlight"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var page = template.Must(template.New("page").Parse(pageHTML))

// HTMLOptions says how to export a notebook.
type HTMLOptions struct {
	Title string // of the page
	// where the notebook lies: pictures that its text names by relative paths are looked for here, and nowhere else
	Dir string
	// Untrusted takes out of the page what a notebook of somebody else's could do with it: no script runs, and nothing is
	// fetched.
	Untrusted bool
}

// HTML returns the notebook as one HTML file that needs nothing beside it, no network either.
func (nb *Notebook) HTML(options HTMLOptions) ([]byte, error) {
	type shownCell struct {
		Type    CellType
		Prompt  string
		Body    template.HTML
		Outputs []shownOutput
	}
	var cells []shownCell
	var err error
	for i, c := range nb.Cells {
		shown := shownCell{Type: c.Type}
		switch c.Type {
		case Markdown:
			shown.Body, err = markdownHTML(c.Source, c.Attachments, options.Dir)
		case Code:
			shown.Prompt = "[ ]"
			if c.Count != nil {
				shown.Prompt = fmt.Sprintf("[%d]", *c.Count)
			}
			shown.Body = codeHTML(c.Source, "go")
			for _, o := range c.Outputs {
				if err == nil {
					var out shownOutput
					if out, err = outputHTML(o, options.Untrusted); out.Body != "" {
						shown.Outputs = append(shown.Outputs, out)
					}
				}
			}
		case Raw:
			shown.Body = template.HTML("<pre>" + template.HTMLEscapeString(c.Source) + "</pre>")
		}
		if err != nil {
			return nil, fmt.Errorf("notebook: cell %d: %w", i+1, err)
		}
		if options.Untrusted {
			shown.Body = safe(shown.Body)
			for i := range shown.Outputs {
				shown.Outputs[i].Body = safe(shown.Outputs[i].Body)
			}
		}
		cells = append(cells, shown)
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Title": options.Title, "CSS": template.CSS(pageCSS), "Cells": cells,
		"Untrusted": options.Untrusted})
	if err != nil {
		return nil, fmt.Errorf("notebook: %w", err)
	}
	return b.Bytes(), nil
}

// WriteHTML exports the notebook to a file, whole or not at all.
func (nb *Notebook) WriteHTML(path string, options HTMLOptions) error {
	data, err := nb.HTML(options)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

var headingForm = regexp.MustCompile(`(?m)^#{1,6}[ \t]+(.+?)[ \t#]*$`)

// Heading returns the notebook's first heading; empty when it has none.
func (nb *Notebook) Heading() string {
	for _, c := range nb.Cells {
		if c.Type == Markdown {
			if m := headingForm.FindStringSubmatch(c.Source); m != nil {
				return m[1]
			}
		}
	}
	return ""
}

// codeHTML colours Go source. Other languages are left plain.
func codeHTML(source, language string) template.HTML {
	if language == "go" || language == "golang" {
		return template.HTML("<pre><code>" + highlight.HTML(source) + "</code></pre>")
	}
	return template.HTML("<pre><code>" + template.HTMLEscapeString(source) + "</code></pre>")
}

type shownOutput struct {
	Class string
	Body  template.HTML
}

// forms are the MIME types that the page can show, the best first.
var forms = []string{"text/html", "image/svg+xml", "image/png", "image/jpeg", "image/webp", "image/gif",
	"text/markdown", "text/latex", "text/plain", "application/json"}

func outputHTML(o Output, untrusted bool) (shownOutput, error) {
	switch o.Type() {
	case "stream":
		return shownOutput{Class: text(o["name"]), Body: terminalHTML(text(o["text"]))}, nil
	case "error":
		var traceback []string
		list, _ := o["traceback"].([]any)
		for _, line := range list {
			traceback = append(traceback, text(line))
		}
		if len(traceback) == 0 {
			traceback = []string{text(o["ename"]) + ": " + text(o["evalue"])}
		}
		return shownOutput{Class: "error", Body: terminalHTML(strings.Join(traceback, "\n"))}, nil
	}
	data := o.Data()
	i := slices.IndexFunc(forms, func(mimeType string) bool { return data[mimeType] != nil })
	if i < 0 {
		return shownOutput{}, nil
	}
	if untrusted && forms[i] == "image/svg+xml" {
		return shownOutput{Class: "data", Body: asPicture(text(data[forms[i]]))}, nil
	}
	body, err := dataHTML(forms[i], data[forms[i]], object(object(o["metadata"])[forms[i]]), text(data["text/plain"]))
	return shownOutput{Class: "data", Body: body}, err
}

var svgProlog = regexp.MustCompile(`(?s)^.*?(<svg[\s>])`)

func dataHTML(mimeType string, value any, hints map[string]any, alt string) (template.HTML, error) {
	s := text(value)
	switch {
	case mimeType == "text/html":
		return template.HTML(s), nil
	case mimeType == "image/svg+xml":
		return template.HTML(svgProlog.ReplaceAllString(s, "$1")), nil
	case strings.HasPrefix(mimeType, "image/"):
		size := ""
		for _, side := range []string{"width", "height"} {
			if n := fmt.Sprint(hints[side]); hints[side] != nil && onlyDigits(n) {
				size += fmt.Sprintf(` %s="%s"`, side, n)
			}
		}
		encoded := strings.Join(strings.Fields(s), "")
		if _, err := base64.StdEncoding.DecodeString(encoded); err != nil {
			return "", fmt.Errorf("a picture of type %s is not base64: %w", mimeType, err)
		}
		return template.HTML(fmt.Sprintf(`<img alt="%s" src="data:%s;base64,%s"%s>`, template.HTMLEscapeString(alt), mimeType,
			encoded, size)), nil
	case mimeType == "text/markdown":
		return markdownHTML(s, nil, "")
	case mimeType == "application/json":
		pretty, err := json.MarshalIndent(value, "", "  ")
		return template.HTML("<pre>" + template.HTMLEscapeString(string(pretty)) + "</pre>"), err
	}
	return terminalHTML(s), nil
}

func onlyDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// terminalHTML shows text as a terminal would: ANSI colours, carriage returns, backspaces.
func terminalHTML(s string) template.HTML {
	if s == "" {
		return ""
	}
	longest := 0
	for line := range strings.Lines(s) {
		longest = max(longest, len(line))
	}
	screen, err := terminal.NewScreen(terminal.WithSize(longest+1, 100)) // wide enough never to break a line
	if err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(s) + "</pre>")
	}
	screen.Write([]byte(strings.TrimSuffix(s, "\n")))
	return template.HTML("<pre>" + screen.AsHTML() + "</pre>")
}
