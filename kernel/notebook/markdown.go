package notebook

import (
	"bytes"
	"encoding/base64"
	"errors"
	"html/template"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/loupeml/loupe/internal/regular"
)

var markdown = goldmark.New(
	goldmark.WithParser(parser.NewParser(
		parser.WithBlockParsers(blockParsers()...),
		parser.WithInlineParsers(parser.DefaultInlineParsers()...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	)),
	goldmark.WithExtensions(extension.Linkify, extension.Table, extension.TaskList, extension.Footnote), // GFM but for ~
	goldmark.WithParserOptions(
		parser.WithAutoHeadingID(),
		// before goldmark's links and emphasis
		parser.WithInlineParsers(util.Prioritized(brackets{}, 100), util.Prioritized(mathParser{}, 150),
			util.Prioritized(runParser{}, 400)),
		parser.WithASTTransformers(util.Prioritized(emphasizer{}, 100), util.Prioritized(embedder{}, 500)),
	),
	// A notebook's author may write HTML, as in Jupyter.
	goldmark.WithRendererOptions(
		html.WithUnsafe(),
		renderer.WithNodeRenderers(util.Prioritized(codeRenderer{}, 100),
			util.Prioritized(extension.NewStrikethroughHTMLRenderer(), 500)),
	),
)

var sourceKey = parser.NewContextKey()

// pictures says where a text's pictures are.
type pictures struct {
	attachments map[string]map[string]any
	dir         string
}

func markdownHTML(source string, attachments map[string]map[string]any, dir string) (template.HTML, error) {
	context := parser.NewContext()
	context.Set(sourceKey, pictures{attachments, dir})
	var b bytes.Buffer
	err := markdown.Convert([]byte(source), &b, parser.WithContext(context))
	return template.HTML(b.String()), err
}

// embedder puts pictures into the page. One that lies on the network becomes a link to it.
type embedder struct{}

func (embedder) Transform(document *ast.Document, _ gmtext.Reader, context parser.Context) {
	from, _ := context.Get(sourceKey).(pictures)
	var images []*ast.Image
	ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if image, ok := n.(*ast.Image); ok && entering {
			images = append(images, image)
		}
		return ast.WalkContinue, nil
	})
	for _, image := range images {
		destination := string(image.Destination)
		if data := from.dataURI(destination); data != "" {
			image.Destination = []byte(data)
			continue
		}
		if strings.HasPrefix(destination, "http:") || strings.HasPrefix(destination, "https:") {
			link := ast.NewLink()
			link.Destination, link.Title = image.Destination, image.Title
			for child := image.FirstChild(); child != nil; child = image.FirstChild() {
				link.AppendChild(link, child)
			}
			if link.FirstChild() == nil {
				link.AppendChild(link, ast.NewString(image.Destination))
			}
			image.Parent().ReplaceChild(image.Parent(), image, link)
		}
	}
}

// dataURI returns a picture's content as an address; empty when the picture is not here.
func (p pictures) dataURI(destination string) string {
	if name, ok := strings.CutPrefix(destination, "attachment:"); ok {
		for mimeType, content := range p.attachments[name] {
			return "data:" + mimeType + ";base64," + strings.Join(strings.Fields(text(content)), "")
		}
		return ""
	}
	types := map[string]string{".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
		".webp": "image/webp", ".svg": "image/svg+xml"}
	path, err := url.PathUnescape(destination)
	if err != nil || p.dir == "" || types[strings.ToLower(filepath.Ext(path))] == "" {
		return ""
	}
	data, err := readWithin(p.dir, path)
	if err != nil {
		return ""
	}
	return "data:" + types[strings.ToLower(filepath.Ext(path))] + ";base64," + base64.StdEncoding.EncodeToString(data)
}

// readWithin reads a file of a folder. A path or a link that leads out of it is an error: who sends a notebook to be
// exported does not get other files of the reader's. So is what is no regular file, and would be waited for.
func readWithin(dir, path string) ([]byte, error) {
	folder, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	file, err := folder.OpenFile(filepath.FromSlash(path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, regular.ErrKind)
	}
	return io.ReadAll(file)
}

// codeRenderer colours fenced code.
type codeRenderer struct{}

func (codeRenderer) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus,
		error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		block := n.(*ast.FencedCodeBlock)
		w.WriteString(string(codeHTML(string(block.Lines().Value(source)), string(block.Language(source)))))
		return ast.WalkSkipChildren, nil
	})
	r.Register(kindMath, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			m := n.(*math)
			class := "math"
			if m.display {
				class = "math display"
			}
			w.WriteString(`<span class="` + class + `">`)
			w.Write(util.EscapeHTML(m.formula))
			w.WriteString("</span>")
		}
		return ast.WalkSkipChildren, nil
	})
}

// math is a formula between dollar signs. It is shown as it was written: what Markdown would
// make of its underscores and stars is kept away from it.
type math struct {
	ast.BaseInline
	formula []byte
	display bool
}

var kindMath = ast.NewNodeKind("Math")

func (*math) Kind() ast.NodeKind { return kindMath }

func (m *math) Dump(source []byte, level int) {
	ast.DumpHelper(m, source, level, map[string]string{"Formula": string(m.formula)}, nil)
}

type mathParser struct{}

func (mathParser) Trigger() []byte { return []byte{'$'} }

// Parse takes $…$ in one line, where no space is inside next to the signs and no digit follows (so that
// prices are no formulas), and $$…$$ over several.
func (mathParser) Parse(_ ast.Node, block gmtext.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	if bytes.HasPrefix(line, []byte("$$")) {
		savedLine, saved := block.Position()
		var formula []byte
		rest := line[2:]
		skip := 2
		for {
			if end := bytes.Index(rest, []byte("$$")); end >= 0 {
				formula = append(formula, rest[:end]...)
				block.Advance(skip + end + 2)
				return &math{formula: bytes.TrimSpace(formula), display: true}
			}
			formula = append(formula, rest...)
			block.AdvanceLine()
			next, _ := block.PeekLine()
			if next == nil {
				block.SetPosition(savedLine, saved)
				return nil
			}
			rest, skip = next, 0
		}
	}
	if len(line) < 3 || util.IsSpace(line[1]) {
		return nil
	}
	for end := 1; end < len(line); end++ {
		switch {
		case line[end] == '\\':
			end++
		case line[end] == '$':
			if end == 1 || util.IsSpace(line[end-1]) || end+1 < len(line) && line[end+1] >= '0' && line[end+1] <= '9' {
				return nil
			}
			block.Advance(end + 1)
			return &math{formula: line[1:end]}
		}
	}
	return nil
}
