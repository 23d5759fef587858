package lexical

import "testing"

func TestStateAt(t *testing.T) {
	for _, c := range []struct {
		before string
		start  int // of what the text ends in; of code it is the end
		inside State
	}{
		{"x := 1", 0, InCode},
		{`f("a`, 2, InString},
		{`f("a\"`, 2, InString},
		{`f("a", 'b`, 7, InRune},
		{"s := `a\nb", 5, InString},
		{"s := \"a\nb", 0, InCode}, // a string ends with its line, closed or not
		{"x // y", 2, InComment},
		{"x // y\n", 0, InCode},
		{"/* x */ /* y", 8, InComment},
		{`"//" /* " */ 'x'`, 0, InCode},
	} {
		if c.inside == InCode {
			c.start = len(c.before)
		}
		if start, inside := StateAt(c.before); start != c.start || inside != c.inside {
			t.Errorf("StateAt(%q) is %d, %d, want %d, %d", c.before, start, inside, c.start, c.inside)
		}
	}
}

func TestStatementMayBegin(t *testing.T) {
	for before, want := range map[string]bool{
		"": true, "x := 1\n": true, "x := 1;": true, "x := 1": true, "x.": false, "x :=\n": false, "f(\n": false,
		"func f() {\n": false, "func f() {\n}\n": true, "s := `\n": false, "// a comment\n": true, "a\n/* b": false,
	} {
		if got := StatementMayBegin(before); got != want {
			t.Errorf("StatementMayBegin(%q) is %t", before, got)
		}
	}
}

func TestIsProgram(t *testing.T) {
	for source, want := range map[string]bool{
		"package main\n\nfunc main() {}":          true,
		"// of one\npackage main\nfunc main() {}": true,
		"package main\nfunc mine() {}":            false,
		"package p\nfunc main() {}":               false,
		"func main() {}":                          false,
		"package main\nfunc (t T) main() {}":      false,
	} {
		if got := IsProgram(source); got != want {
			t.Errorf("IsProgram(%q) is %t", source, got)
		}
	}
}

// What is blanked keeps the places of all else.
func TestBlanks(t *testing.T) {
	for _, c := range []struct {
		name, got, want string
	}{
		{"a package clause", BlankPackageClause("package p\nx"), "         \nx"},
		{"no package clause", BlankPackageClause("x := 1"), "x := 1"},
		{"lines", Blanked("é x\r\ny"), "    \r\n "},
		{"a magic", Commented("%time f()\n !ls\n"), "//ime f()\n //s\n"},
		{"too short for a comment", Commented("!\n"), " \n"},
		{"a token that is none", WithoutBadTokens("x := 1 # 2\ny"), "x := 1   2\ny"},
		{"an open string", WithoutBadTokens("f(\"ab\nx"), "f(   \nx"},
		{"tokens of Go", WithoutBadTokens("x := 'a'\n"), "x := 'a'\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestPositionsAndOffsets(t *testing.T) {
	source := "ab\ncdé\n\nx"
	for offset := range len(source) + 1 {
		line, column := Position(source, offset)
		if back := OffsetOf(source, line, column); back != offset {
			t.Errorf("offset %d is %d:%d, which is offset %d", offset, line, column, back)
		}
	}
	if line, column := Position(source, 4); line != 2 || column != 2 {
		t.Errorf("offset 4 is %d:%d", line, column)
	}
	if at := OffsetOf(source, 9, 1); at != len(source) {
		t.Errorf("behind the last line is %d", at)
	}
}
