package notebook

import (
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
)

// Emphasis and strikethrough are matched here and not by goldmark. Where a text has many stars that nothing closes,
// goldmark looks at each of them again for every underscore behind them. The steps that it takes grow with the square
// of the text, and 80 kB keep it busy for minutes. What the CommonMark standard describes remembers how far back a
// search was in vain: https://spec.commonmark.org/0.31.2/#phase-2-inline-structure

// runParser finds runs of *, _ and ~. They stay in the tree as they are, until emphasizer matches them.
type runParser struct{}

func (runParser) Trigger() []byte { return []byte{'*', '_', '~'} }

// longestStrike is the most ~ that strike through; more of them are text.
const longestStrike = 2

func (runParser) Parse(_ ast.Node, block gmtext.Reader, _ parser.Context) ast.Node {
	line, segment := block.PeekLine()
	before := block.PrecendingCharacter()
	if line[0] == '~' && before == '~' {
		return nil // within a run that is too long
	}
	run := parser.ScanDelimiter(line, before, 1, runs{})
	if run == nil || run.Char == '~' && run.OriginalLength > longestStrike {
		return nil
	}
	run.Segment = segment.WithStop(segment.Start + run.OriginalLength)
	block.Advance(run.OriginalLength)
	return run
}

// runs tells goldmark what a run is.
type runs struct{}

func (runs) IsDelimiter(c byte) bool { return c == '*' || c == '_' || c == '~' }

func (runs) CanOpenCloser(opener, closer *parser.Delimiter) bool { return opener.Char == closer.Char }

func (runs) OnMatch(n int) ast.Node { return ast.NewEmphasis(n) }

// emphasizer matches the runs of each paragraph, and of each link's text apart from what is around it.
type emphasizer struct{}

func (emphasizer) Transform(document *ast.Document, _ gmtext.Reader, _ parser.Context) {
	emphasize(document)
}

// emphasize matches the runs in a node and in all below it. It returns how many runs it has looked at.
func emphasize(parent ast.Node) (looks int) {
	var first, last *parser.Delimiter
	for child := parent.FirstChild(); child != nil; child = child.NextSibling() {
		if run, ok := child.(*parser.Delimiter); ok {
			run.PreviousDelimiter, run.NextDelimiter = last, nil
			if last == nil {
				first = run
			} else {
				last.NextDelimiter = run
			}
			last = run
		} else {
			looks += emphasize(child)
		}
	}
	if first == nil {
		return looks
	}
	looks += match(parent, first)
	for child := parent.FirstChild(); child != nil; {
		next := child.NextSibling()
		if run, ok := child.(*parser.Delimiter); ok {
			asText(run)
		}
		child = next
	}
	return looks
}

// closers are those that cannot be closed by the same openers.
type closers struct {
	char byte
	open bool // they can open as well
	rest int  // of their length by 3: see parser.Delimiter.CalcComsumption
}

// match matches a list of runs, from the front. What of them is left over stays in the tree.
func match(parent ast.Node, first *parser.Delimiter) (looks int) {
	vain := map[closers]int{} // for each kind, where in the text openers may begin: those before do not fit
	for closer := first; closer != nil; {
		looks++
		if !closer.CanClose {
			closer = closer.NextDelimiter
			continue
		}
		kind := closers{closer.Char, closer.CanOpen, closer.OriginalLength % 3}
		opener, n := closer.PreviousDelimiter, 0
		for ; opener != nil && opener.Segment.Start >= vain[kind]; opener = opener.PreviousDelimiter {
			looks++
			if opener.CanOpen && opener.Char == closer.Char {
				if n = opener.CalcComsumption(closer); n > 0 {
					break
				}
			}
		}
		if n == 0 {
			vain[kind] = closer.Segment.Start
			next := closer.NextDelimiter
			if !closer.CanOpen {
				unlist(closer)
				asText(closer)
			}
			closer = next
			continue
		}
		enclose(parent, opener, closer, n)
		if opener.Length == 0 {
			unlist(opener)
			parent.RemoveChild(parent, opener)
		}
		if closer.Length == 0 {
			next := closer.NextDelimiter
			unlist(closer)
			parent.RemoveChild(parent, closer)
			closer = next
		}
	}
	return looks
}

// enclose puts what stands between an opener and a closer into a node, for n characters of each.
func enclose(parent ast.Node, opener, closer *parser.Delimiter, n int) {
	for between := opener.NextDelimiter; between != closer; {
		next := between.NextDelimiter
		unlist(between)
		asText(between)
		between = next
	}
	opener.ConsumeCharacters(n)
	closer.ConsumeCharacters(n)
	var node ast.Node
	if opener.Char == '~' {
		strike := extast.NewStrikethrough()
		strike.SetPos(opener.Segment.Stop)
		node = strike
	} else {
		emphasis := ast.NewEmphasis(n)
		emphasis.SetPos(opener.Segment.Stop)
		node = emphasis
	}
	for child := opener.NextSibling(); child != ast.Node(closer); {
		next := child.NextSibling()
		node.AppendChild(node, child)
		child = next
	}
	parent.InsertAfter(parent, opener, node)
}

// unlist takes a run out of the list of those that can still be matched.
func unlist(run *parser.Delimiter) {
	if run.PreviousDelimiter != nil {
		run.PreviousDelimiter.NextDelimiter = run.NextDelimiter
	}
	if run.NextDelimiter != nil {
		run.NextDelimiter.PreviousDelimiter = run.PreviousDelimiter
	}
}

// asText puts a run's characters in its place.
func asText(run *parser.Delimiter) {
	ast.MergeOrReplaceTextSegment(run.Parent(), run, run.Segment)
}
