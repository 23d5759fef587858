package compilecache

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/internal/testenv"
)

func TestTheKeyHoldsAllThatShapesAProgram(t *testing.T) {
	program := "module @first {\n  func.func @main() {}\n}"
	base := keyOf("here", "mlir", []byte(program), []byte("options"))
	for what, k := range map[string]key{
		"circumstances": keyOf("there", "mlir", []byte(program), []byte("options")),
		"format":        keyOf("here", "hlo", []byte(program), []byte("options")),
		"program":       keyOf("here", "mlir", []byte(program+" "), []byte("options")),
		"options":       keyOf("here", "mlir", []byte(program), []byte("option")),
		"no options":    keyOf("here", "mlir", []byte(program), nil),
		"the border":    keyOf("here", "mlir", []byte(program+"o"), []byte("ptions")),
		"attributes": keyOf("here", "mlir", []byte(strings.Replace(program, " {", " attributes {a = 1} {", 1)),
			[]byte("options")),
	} {
		if k == base {
			t.Errorf("%s: the same key", what)
		}
	}
	if keyOf("here", "mlir", []byte(strings.Replace(program, "first", "second#2", 1)), []byte("options")) != base {
		t.Error("the module's name is in the key")
	}
}

func TestNamesOfValuesAreNotInTheKey(t *testing.T) {
	const text = `module @m {
  func.func @main(%x: tensor<f32>, %_loss_1: tensor<f32>) -> tensor<f32> {
    %0 = "stablehlo.subtract"(%x, %_loss_1) {note = "100%x \" %_loss_1"} : (tensor<f32>, tensor<f32>) -> tensor<f32> // of %x
    %1:2 = "stablehlo.while"(%0, %x) : (tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
    "stablehlo.return"(%1#1) : (tensor<f32>) -> ()
  }
}`
	of := func(text string) key { return keyOf("here", "mlir", []byte(text), nil) }
	replaced := func(pairs ...string) key { return of(strings.NewReplacer(pairs...).Replace(text)) }
	for what, k := range map[string]key{
		"a parameter's name": of(strings.ReplaceAll(strings.ReplaceAll(text, "%_loss_1:", "%_other.name-2:"), "%_loss_1)",
			"%_other.name-2)")),
		"exchanged names":  replaced("(%x:", "(%y:", "(%x,", "(%y,", "%0, %x)", "%0, %y)"),
		"a value's number": replaced("%1:2", "%7:2", "%1#1", "%7#1"),
	} {
		if k != of(text) {
			t.Errorf("%s is in the key", what)
		}
	}
	for what, k := range map[string]key{
		"other operands":          replaced("(%x, %_loss_1)", "(%_loss_1, %x)"),
		"one operand twice":       replaced("(%x, %_loss_1)", "(%x, %x)"),
		"another result":          replaced("%1#1", "%1#0"),
		"a string":                replaced("100%x", "100%y"),
		"a string after a quote":  replaced(`\" %_loss_1"`, `\" %_loss_2"`),
		"a function's name":       replaced("@main", "@other"),
		"another operation":       replaced("subtract", "add"),
		"a number, not a value's": replaced(":2 =", ":3 ="),
	} {
		if k == of(text) {
			t.Errorf("%s is not in the key", what)
		}
	}
	for _, cut := range []string{"module @", "module @m", `module @m { "`, `module @m { "\`, "module @m { %",
		"module @m { /", "module @m { // x"} {
		of(cut) // ends
	}
}

func TestProgramsWithCustomCallsAreNotWhole(t *testing.T) {
	const cudnn = `"stablehlo.custom_call"(%a) {api_version = 2 : i32, call_target_name = "__cudnn$fmhaSoftmax"}`
	loupes := ""
	for _, target := range customcall.Targets {
		loupes += `"stablehlo.custom_call"(%a) {api_version = 4 : i32, call_target_name = "` + target + `"}`
	}
	const own = `"stablehlo.custom_call"(%a) {api_version = 4 : i32, call_target_name = "mine"}`
	for text, want := range map[string]bool{
		"stablehlo.add %a, %b": true, cudnn: true, cudnn + cudnn: true, own: false, cudnn + own: false,
		loupes: true, loupes + cudnn: true, loupes + own: false,
		"stablehlo.custom_call @mine(%a)": false, "ML\xefR\x0dcustom_call": false,
	} {
		if whole("mlir", []byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	if whole("hlo", []byte("\x12custom-call")) || !whole("hlo", []byte("\x12add")) {
		t.Error("a serialized program's custom call")
	}
}

func TestTheEnvironmentOfAKey(t *testing.T) {
	t.Setenv("XLA_FLAGS", "")
	base, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TF_CPP_MIN_LOG_LEVEL", "1")
	t.Setenv("SOMETHING_ELSE", "1")
	if same, _ := environment(); same != base {
		t.Errorf("%q was %q", same, base)
	}
	t.Setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
	if other, _ := environment(); other == base || !strings.Contains(other, "fast_math") {
		t.Errorf("%q was %q", other, base)
	}
	flags := filepath.Join(t.TempDir(), "flags")
	os.WriteFile(flags, []byte("--xla_one=1"), 0o600)
	t.Setenv("XLA_FLAGS", flags)
	one, err := environment()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(flags, []byte("--xla_one=2"), 0o600)
	if two, err := environment(); err != nil || two == one {
		t.Errorf("another file of flags: %q, %v", two, err)
	}
	os.Remove(flags)
	if _, err := environment(); err == nil {
		t.Error("a file of flags that is not there")
	}
	t.Setenv("XLA_FLAGS", "--xla_dump_to=/tmp/dump")
	if _, err := environment(); err == nil {
		t.Error("a dump that is asked for")
	}
}

func TestLibrariesOfAPlatform(t *testing.T) {
	if text, err := libraries("cpu", "/nowhere/plugin.so"); text != "" || err != nil {
		t.Errorf("cpu: %q, %v", text, err)
	}
	for _, platform := range []string{"cuda", "tpu"} { // CUDA without its libraries, and what loupe does not know
		if _, err := libraries(platform, "/nowhere/plugin.so"); err == nil {
			t.Errorf("%s: no error", platform)
		}
	}
}

func TestThePluginIsKnownByItsContents(t *testing.T) {
	c := folder(t, DefaultLimit)
	plugin := filepath.Join(t.TempDir(), "plugin.so")
	of := func(path string) string {
		t.Helper()
		stamped, err := stamp(path)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := c.identity(path, stamped)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	os.WriteFile(plugin, []byte("one"), 0o600)
	one := of(plugin)
	// In its place, of the same length, with the same date, at once.
	info, _ := os.Stat(plugin)
	os.WriteFile(plugin, []byte("two"), 0o600)
	os.Chtimes(plugin, info.ModTime(), info.ModTime())
	if two := of(plugin); two == one {
		t.Error("another plugin is taken for the first")
	}
	stamped, _ := stamp(plugin)
	os.WriteFile(plugin, []byte("three"), 0o600)
	if _, err := c.identity(plugin, stamped); err == nil {
		t.Error("a plugin that has changed since it was loaded")
	}

	// A file that has been there for a while is read once.
	old := filepath.Join(testenv.Root(), "go.mod")
	hash := of(old)
	records, _ := filepath.Glob(filepath.Join(c.dir, "plugin-*"))
	if len(records) != 1 {
		t.Fatalf("records: %v", records)
	}
	stamped, _ = stamp(old)
	recorded := strings.Repeat("f", len(hash))
	for record, want := range map[string]string{
		stamped + "\n" + recorded + "\n":        recorded,
		stamped + "1\n" + recorded + "\n":       hash,
		stamped + "\n" + recorded[:len(hash)-1]: hash,
		"":                                      hash,
	} {
		os.WriteFile(records[0], []byte(record), 0o600)
		if got := of(old); got != want {
			t.Errorf("record %q: %s", record, got)
		}
	}
}

// TestTheHeader compares the copy of PJRT's C interface with the one that go-xla is built with: their structs must be
// the same.
func TestTheHeader(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Skipf("skipped: needs the go command and go-xla's module: %v", err)
	}
	theirs, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pjrt", "pjrt_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("pjrt_c_api.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Error("go-xla has another pjrt_c_api.h: copy it, and correct THIRD_PARTY.md")
	}
}
