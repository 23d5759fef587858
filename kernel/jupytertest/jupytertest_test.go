// Package jupytertest runs Jupyter's own client, and its own test suite for kernels, against kernels of ours.
package jupytertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// plan is what testdata/suite.py is told.
type plan struct {
	Argv          []string       `json:"argv"`
	Language      string         `json:"language"`
	FileExtension string         `json:"file_extension"`
	Cells         map[string]any `json:"cells"`
}

type sample map[string]any

// echoCells are for the toy language of kernel/session/internal/echo.
var echoCells = map[string]any{
	"hello":  "print hello, world",
	"stderr": "warn test",
	"completions": []sample{{"text": "pr", "matches": []string{"print", "progress", "prompt"}},
		{"text": "zz", "matches": []string{}}},
	"complete":   []string{"print x"},
	"incomplete": []string{"print \\"},
	"invalid":    []string{"?"},
	"error":      "err",
	"results": []sample{{"code": "42", "result": "42"}, {"code": "6", "result": "6"},
		{"code": "46", "result": "46"}},
	"history_pattern": "42",
	"displays": []sample{{"code": "display", "mime": "image/png"},
		{"code": "json", "mime": "application/vnd.echo.v1+json"}},
	"inspect":       "print",
	"clear":         "clear",
	"define":        "print nothing to define",
	"defined":       "7",
	"defined_value": "7",
	"order":         "print 1\nwarn 2\nprint 3\ndisplay\nprint 4",
	"order_seen": [][2]string{{"stream", "stdout:1\n"}, {"stream", "stderr:2\n"}, {"stream", "stdout:3\n"},
		{"display_data", ""}, {"stream", "stdout:4\n"}},
	"many": "spam 20000", "many_text": ".", "many_count": 20000,
	"forever":               "print started\nsleep",
	"progress":              "progress",
	"error_on_line":         "print x\n\nerr",
	"error_line":            3,
	"prompt":                "prompt name?",
	"prompt_text":           "name?",
	"defined_after_restart": "ok",
}

// goCells are for loupe.
var goCells = map[string]any{
	"hello":       `fmt.Println("hello, world")`,
	"stderr":      `fmt.Fprintln(os.Stderr, "test")`,
	"completions": []sample{{"text": "strings.HasP", "matches": []string{"HasPrefix"}}},
	"complete":    []string{"x := 1", "func f() int {\n\treturn 1\n}", "fmt.Println(1)"},
	"incomplete":  []string{"func f() int {", "x := []int{1,", "fmt.Println("},
	"invalid":     []string{"x := )"},
	"error":       `panic("x")`,
	"results": []sample{{"code": "6*7", "result": "42"}, {"code": "1 + 1", "result": "2"},
		{"code": "6*8", "result": "48"}},
	"history_pattern": "6?7",
	"displays":        []sample{{"code": "display.Show(image.NewRGBA(image.Rect(0, 0, 8, 8)))", "mime": "image/png"}},
	"inspect":         "strings.HasPrefix",
	"define":          "kept := 41",
	"defined":         "kept + 1",
	"defined_value":   "42",
	// The two streams are pipes of their own, in order with displays but not with each other.
	"order": "pixels := image.NewRGBA(image.Rect(0, 0, 8, " +
		"8))\nfmt.Println(1)\ndisplay.Show(pixels)\nfmt.Fprintln(os.Stderr, 2)\ndisplay.Show(pixels)\nfmt.Println(3)",
	"order_seen": [][2]string{{"stream", "stdout:1\n"}, {"display_data", ""}, {"stream", "stderr:2\n"},
		{"display_data", ""}, {"stream", "stdout:3\n"}},
	"many": "for i := 0; i < 5000; i++ {\n\tfmt.Print(\".\")\n}", "many_text": ".", "many_count": 5000,
	"forever": "fmt.Println(\"started\")\nfor {\n\ttime.Sleep(time.Millisecond)\n}",
	"progress": "p := progress.New(\"work\", 6)\nfor i := 0; i < 6; i++ {\n\ttime.Sleep(200 * " +
		"time.Millisecond)\n\tp.Add(1)\n}\np.Close()",
	"prompt": "line, err := bufio.NewReader(os.Stdin).ReadString('\\n')\nif err != nil " +
		"{\n\tpanic(err)\n}\nfmt.Print(line)",
	"prompt_text":  "",
	"clear":        "display.Clear(false)",
	"input":        "name, err := display.Input(\"who? \")\nif err != nil {\n\tpanic(err)\n}\nfmt.Println(name)",
	"password":     "secret, err := display.Password(\"who? \")\nif err != nil {\n\tpanic(err)\n}\nfmt.Println(secret)",
	"show_named":   "display.Update(\"named\", 1)",
	"update_named": "display.Update(\"named\", 2)",
	"update_late":  "go func() {\n\ttime.Sleep(50 * time.Millisecond)\n\tdisplay.Update(\"named\", 3)\n}()",
	"slider": "pressed := ui.Slider(\"ε\", 0, 8, func(v float64) { fmt.Println(\"now\", v); display.Show(v*v) " +
		"})\npressed",
	"slider_value": "pressed.Value()",
	// Deep enough to be compiled for seconds, and never the same twice, so that nobody remembers it.
	"network": `deep := loupe.Function("deep", 16, 16, 8, func(x *graph.Node) *graph.Node {
	c := graph.Scalar(x.Graph(), x.DType(), float64(time.Now().UnixNano()%1000)/3000)
	for i := 0; i < 30; i++ {
		mean := graph.ReduceAndKeep(graph.Tanh(graph.Mul(x, x)), graph.ReduceMean, 1+i%3)
		x = graph.Sub(graph.Sin(graph.Add(x, c)), mean)
	}
	return graph.ReduceMean(x, 1, 2)
})
net := loupe.Function("net", 2, 2, 1, func(x *graph.Node) *graph.Node { return graph.ReduceSum(x, 1, 2) })
photos := tensors.FromScalarAndDimensions(float32(1), 1, 2, 2, 1)`,
	"compiles": "fmt.Println(\"started\")\ndeep.InputGradient(tensors.FromScalarAndDimensions(float32(1), 1, 16, " +
		"16, 8), []int{1})",
	"network_value": "net.Logits(photos)",
	"network_shown": "[1][1]float32{{4}}",
	// Nobody and nothing stops it, for years.
	"stubborn": "p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), " +
		"big.NewInt(1))\nfmt.Println(\"started\")\np.ProbablyPrime(1 << 30)",
	"bad_slider":    "empty := []int{}\nui.Slider(\"ε\", 0, 8, func(v float64) { fmt.Println(empty[int(v)]) })",
	"page":          "strings.HasPrefix?",
	"error_on_line": "x := []int{1}\ni := 1\nfmt.Println(x[i])",
	"error_line":    3,
}

func TestEcho(t *testing.T) {
	t.Parallel() // much of it is waiting
	python := testenv.Python(t, "jupyter_kernel_test")
	kernel := filepath.Join(testenv.Binaries(t, "github.com/loupeml/loupe/kernel/session/internal/echokernel"),
		"echokernel")
	drive(t, python, []string{kernel, "-f", "{connection_file}"}, echoCells)
}

func TestLoupe(t *testing.T) {
	t.Parallel() // much of it is waiting
	python := testenv.Python(t, "jupyter_kernel_test")
	drive(t, python, []string{filepath.Join(testenv.Binaries(t), "loupe"), "kernel", "-f", "{connection_file}"}, goCells)
}

// drive runs suite.py on a kernel; each of its tests becomes one of t's.
func drive(t *testing.T, python string, argv []string, cells map[string]any) {
	t.Helper()
	text, err := json.Marshal(plan{Argv: argv, Language: "go", FileExtension: ".go", Cells: cells})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	suite := exec.Command(python, testenv.Script(t, "testdata", "suite.py"), file)
	suite.Stderr = &stderr
	stdout, err := suite.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := suite.Start(); err != nil {
		t.Fatal(err)
	}
	// A kernel that outlives the suite would hold its standard error open.
	suite.WaitDelay = time.Second
	ended := false
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 16<<20)
	for !ended && lines.Scan() {
		var result struct{ Name, Status, Detail string }
		if json.Unmarshal(lines.Bytes(), &result) != nil {
			t.Logf("%s", lines.Text())
			continue
		}
		switch result.Status {
		case "end":
			ended = true
		default:
			t.Run(result.Name, func(t *testing.T) {
				switch result.Status {
				case "skip":
					t.Skip("skipped: needs a cell to try it with: " + result.Detail)
				case "fail":
					t.Error(strings.TrimSpace(result.Detail))
				}
			})
		}
	}
	if err := suite.Wait(); err != nil {
		t.Errorf("suite.py: %v", err)
	}
	if !ended {
		t.Error("suite.py did not come to its end")
	}
	if t.Failed() {
		t.Logf("what the kernel and the client wrote:\n%s", stderr.String())
	}
}
