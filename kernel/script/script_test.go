package script

import (
	"strings"
	"testing"
)

func TestCellsKeepTheLinesOfTheFile(t *testing.T) {
	got := Cells("// %% one\na\n//%%\n\n// %% two\nb\n")
	if len(got) != 2 || got[0] != "\na\n" || strings.Count(got[1][:strings.Index(got[1], "b")], "\n") != 5 {
		t.Errorf("%q", got)
	}
}

func TestWrittenCellsAreReadAgain(t *testing.T) {
	cells := []string{"a := 1", "// a comment\nb := a\n"}
	got := Cells(Write(cells))
	if len(got) != 2 || strings.TrimSpace(got[0]) != cells[0] || strings.TrimLeft(got[1], "\n") != cells[1] {
		t.Errorf("%q", got)
	}
}
