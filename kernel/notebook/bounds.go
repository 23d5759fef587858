package notebook

import (
	"bytes"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// A text can be made so that goldmark looks at its end again from each of its brackets, or nests a block for each of
// its characters. No text that somebody reads comes near to these bounds. What goes beyond them is shown as it is
// written.
const (
	mostNested   = 100      // blocks within each other
	mostBrackets = 10_000   // that open in one block
	mostAhead    = 16 << 20 // bytes that links in one block may look ahead
)

// blockParsers are goldmark's, with bounds on those that have blocks in them.
func blockParsers() []util.PrioritizedValue {
	all := parser.DefaultBlockParsers()
	for i, p := range all {
		switch p.Value {
		case parser.NewBlockquoteParser(), parser.NewListParser(), parser.NewListItemParser():
			all[i].Value = nesting{p.Value.(parser.BlockParser)}
		}
	}
	return all
}

// nesting is a parser of blocks that have others in them.
type nesting struct{ parser.BlockParser }

func (n nesting) Open(parent ast.Node, reader gmtext.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for at := parent; at != nil; at = at.Parent() {
		depth++
	}
	if depth > mostNested {
		return nil, parser.NoChildren
	}
	return n.BlockParser.Open(parent, reader, pc)
}

// brackets takes those for text that go beyond the bounds, before goldmark's parser of links sees them.
type brackets struct{}

// bracketWork is what the brackets of a block have come to.
type bracketWork struct {
	block        ast.Node
	opened, look int
}

var bracketsKey = parser.NewContextKey()

func (brackets) Trigger() []byte { return []byte{'[', ']', '!'} }

func (brackets) Parse(parent ast.Node, block gmtext.Reader, pc parser.Context) ast.Node {
	line, segment := block.PeekLine()
	work, _ := pc.Get(bracketsKey).(*bracketWork)
	if work == nil || work.block != parent {
		work = &bracketWork{block: parent}
		pc.Set(bracketsKey, work)
	}
	switch {
	case line[0] == '[' || bytes.HasPrefix(line, []byte("![")):
		work.opened++
	case bytes.HasPrefix(line, []byte("](<")):
		work.look += len(line) // up to the end of the address
	case bytes.HasPrefix(line, []byte("](")):
		ahead := bytes.IndexByte(line, ' ')
		if ahead < 0 {
			ahead = len(line)
		}
		work.look += ahead
	}
	if work.opened <= mostBrackets && work.look <= mostAhead {
		return nil
	}
	block.Advance(1)
	return ast.NewTextSegment(segment.WithStop(segment.Start + 1))
}
