package syntax

import (
	"go/parser"
	"go/scanner"
	"go/token"
)

// SplitProgram parses a cell that is a whole file, with its package clause. The result has one item for each
// declaration.
func SplitProgram(fset *token.FileSet, t *Text) ([]*Item, []Fault) {
	file, err := parser.ParseFile(fset, "", t.Source, parser.ParseComments)
	if err != nil {
		var faults []Fault
		if list, ok := err.(scanner.ErrorList); ok {
			for _, e := range list {
				faults = append(faults, Fault{t, e.Pos.Offset, e.Msg})
			}
		}
		if len(faults) == 0 {
			faults = append(faults, Fault{t, 0, err.Error()})
		}
		return nil, faults
	}
	tokens := fset.File(file.Package)
	var items []*Item
	for _, d := range file.Decls {
		it := &Item{Text: t, Decl: d, File: tokens, Start: 0, End: len(t.Source)}
		it.Unresolved, it.Qualifiers = nil, map[string]bool{}
		it.classifyDecl()
		items = append(items, it)
	}
	return items, nil
}
