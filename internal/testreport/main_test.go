package main

import (
	"strings"
	"testing"
)

const passing = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":0}
{"Action":"output","Package":"p","Test":"TestData","Output":"=== RUN   TestData\n"}
{"Action":"output","Package":"p","Test":"TestData","Output":"    p_test.go:7: skipped: needs cifar10-jpeg (set LOUPE_TESTDATA: to a folder)\n"}
{"Action":"output","Package":"p","Test":"TestData","Output":"--- SKIP: TestData (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestData","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p","Elapsed":0.1}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q","Elapsed":0}
`

func TestSkippedTestsAreToldAtTheEnd(t *testing.T) {
	var out strings.Builder
	passed, err := report(strings.NewReader(passing), &out)
	const want = "ok  \tp\t0.1s\n?   \tq\t[no test files]\n\nskipped (1 tests or parts of tests):\n  p TestData: needs " +
		"cifar10-jpeg (set LOUPE_TESTDATA: to a folder)\n"
	if err != nil || !passed || out.String() != want {
		t.Errorf("%t, %v:\n%s", passed, err, out.String())
	}
}

func TestFailuresAreShown(t *testing.T) {
	for name, lines := range map[string]string{
		"a test": `{"Action":"output","Package":"p","Test":"TestBad","Output":"    p_test.go:3: it is wrong\n"}
{"Action":"fail","Package":"p","Test":"TestBad","Elapsed":0}
{"Action":"fail","Package":"p","Elapsed":0}
`,
		"a build": `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: it is wrong\n"}
{"ImportPath":"p","Action":"build-fail"}
`,
		"a crash": `{"Action":"output","Package":"p","Output":"panic: it is wrong\n"}
{"Action":"fail","Package":"p","Elapsed":0}
`,
	} {
		var out strings.Builder
		if passed, err := report(strings.NewReader(lines+passing), &out); err != nil || passed ||
			!strings.Contains(out.String(), "it is wrong") || !strings.Contains(out.String(), "skipped (1 ") {
			t.Errorf("%s: %t, %v:\n%s", name, passed, err, out.String())
		}
	}
}

// A test of many parts that are skipped for one reason takes one line.
func TestPartsOfATestAreOneLine(t *testing.T) {
	var lines strings.Builder
	for _, part := range []string{"fog", "snow", "frost", "blur"} {
		lines.WriteString(`{"Action":"output","Package":"p","Test":"TestAll/` + part +
			`","Output":"    p_test.go:7: skipped: takes long\n"}
{"Action":"skip","Package":"p","Test":"TestAll/` + part + `","Elapsed":0}
`)
	}
	var out strings.Builder
	passed, err := report(strings.NewReader(lines.String()), &out)
	if want := "\nskipped (4 tests or parts of tests):\n  p TestAll: takes long (4 parts: fog, snow, …)\n"; err != nil ||
		!passed || out.String() != want {
		t.Errorf("%t, %v:\n%s", passed, err, out.String())
	}
}
