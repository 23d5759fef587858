package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/kernel/notebook"
	"github.com/loupeml/loupe/lib/assets"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// loupe runs the binary in an empty home and returns what it printed and its exit status.
func loupe(t *testing.T, env []string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), args...)
	cmd.Env = append(emptyHome(t), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// emptyHome returns the environment of somebody who has installed loupe and has nothing else: caches are shared, for to
// compile what cells import anew takes minutes.
func emptyHome(t *testing.T) []string {
	t.Helper()
	cache, err := assets.Dir()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	caches := strings.Fields(string(out))
	home := t.TempDir()
	// The go command's telemetry goes on writing when the command has ended.
	telemetry := filepath.Join(home, ".config", "go", "telemetry")
	if err := os.MkdirAll(telemetry, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off"), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LOUPE_HISTORY=off",
		"LOUPE_CACHE=" + cache, "GOCACHE=" + caches[0], "GOMODCACHE=" + caches[1], "GOPROXY=" + os.Getenv("GOPROXY"),
		"GOFLAGS=" + os.Getenv("GOFLAGS"),
	}
}

// sharedCache is the one in which what cells import is compiled already.
func sharedCache(t *testing.T) string {
	t.Helper()
	cache, err := assets.Dir()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
}

// write makes a notebook of code cells.
func write(t *testing.T, sources ...string) string {
	t.Helper()
	nb := &notebook.Notebook{Minor: 4, Metadata: map[string]any{"kernelspec": map[string]any{"name": "loupe",
		"language": "go", "display_name": "Go (loupe)"}}}
	for _, s := range sources {
		nb.Cells = append(nb.Cells, &notebook.Cell{Type: notebook.Code, Source: s})
	}
	path := filepath.Join(t.TempDir(), "nb.ipynb")
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

var cells = []string{
	"x := 20\nfmt.Println(\"hello\")",
	"func double(n int) int { return 2 * n }",
	"fmt.Fprintln(os.Stderr, \"to stderr\")\ndouble(x) + 2",
	"p := plot.New()\np.Title.Text = \"a plot\"\np",
}

func TestRun(t *testing.T) {
	path := write(t, cells...)
	out := filepath.Join(filepath.Dir(path), "out")
	_, said, status := loupe(t, nil, "run", path, "-o", filepath.Join(out, "nb.ipynb"), "--html",
		filepath.Join(out, "nb.html"), "--pictures", out)
	if status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	want(t, said, "[1/4]", "[4/4]", "x := 20")
	nb, err := notebook.Read(filepath.Join(out, "nb.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	if outputs := nb.Cells[2].Outputs; len(outputs) != 2 || outputs[0]["text"] != "to stderr\n" ||
		outputs[1].Data()["text/plain"] != "42" {
		t.Errorf("third cell: %v", outputs)
	}
	page, err := os.ReadFile(filepath.Join(out, "nb.html"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, string(page), "<title>nb</title>", "hello", "<pre>42</pre>", "data:image/png;base64,")
	if picture, err := os.ReadFile(filepath.Join(out, "cell-04-1.png")); err != nil ||
		!bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("picture: %v", err)
	}
}

// With -p the notebook runs with other values, run again as well; a value of another type is the cell's own error.
func TestRunWithParameters(t *testing.T) {
	path := write(t, "seeds, name := 3, \"all\"", "fmt.Sprint(2*seeds, \" \", name)")
	out := filepath.Join(filepath.Dir(path), "out.ipynb")
	for _, c := range []struct {
		from, seeds, want string
	}{{path, "5", "10 7"}, {out, "6", "12 7"}} {
		if _, said, status := loupe(t, nil, "run", c.from, "-o", out, "-p", "seeds="+c.seeds, "-r", "name=7"); status != 0 {
			t.Fatalf("status %d: %s", status, said)
		}
		nb, err := notebook.Read(out)
		if err != nil || len(nb.Cells) != 3 {
			t.Fatalf("%d cells, %v", len(nb.Cells), err)
		}
		if shown := nb.Cells[2].Outputs[0].Data()["text/plain"]; shown != "\""+c.want+"\"" && shown != c.want {
			t.Errorf("seeds of %s: %v, want %s", c.seeds, shown, c.want)
		}
	}
	_, said, status := loupe(t, nil, "run", path, "-o", out, "-p", "seeds=few")
	if want(t, said, "cannot use \"few\"", "as int"); status != 1 {
		t.Errorf("status %d", status)
	}
	_, said, _ = loupe(t, nil, "run", path, "-o", out, "-p", "seed=1")
	want(t, said, "no cell defines a variable seed; there are seeds, name")
	_, said, _ = loupe(t, nil, "run", path, "-o", out, "--no-run", "-p", "seeds=1")
	want(t, said, "--no-run")
}

// The notebook has the same outputs under Jupyter's own client, which finds the kernel where `loupe install` put it.
func TestJupyterGivesTheSame(t *testing.T) {
	python := testenv.Python(t, "nbclient", "nbformat")
	path := write(t, cells...)
	dir := filepath.Dir(path)
	if _, said, status := loupe(t, nil, "run", path, "-o", filepath.Join(dir, "loupe.ipynb")); status != 0 {
		t.Fatal(said)
	}
	prefix := t.TempDir()
	printed, said, status := loupe(t, nil, "install", "--prefix", prefix)
	if status != 0 {
		t.Fatal(said)
	}
	want(t, printed, "Go (loupe)", filepath.Join(prefix, "share", "jupyter", "kernels", "loupe"))
	const execute = `
import sys, nbformat
from nbclient import NotebookClient
nb = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(nb, kernel_name="loupe", timeout=60, record_timing=False).execute()
nbformat.write(nb, sys.argv[2])`
	cmd := exec.Command(python, "-c", execute, path, filepath.Join(dir, "jupyter.ipynb"))
	cmd.Env = append(emptyHome(t), "JUPYTER_PATH="+filepath.Join(prefix, "share", "jupyter"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var contents [2]any
	for i, name := range []string{"loupe.ipynb", "jupyter.ipynb"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &contents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(contents[0], contents[1]) {
		t.Errorf("loupe run gives %v\nand nbclient   %v", contents[0], contents[1])
	}
}

func TestRunStopsAtAnError(t *testing.T) {
	path := write(t, "x := 1", "y := undefinedName", "x")
	out := filepath.Join(filepath.Dir(path), "out.ipynb")
	_, said, status := loupe(t, nil, "run", path, "-o", out)
	if status != 1 {
		t.Errorf("status %d", status)
	}
	want(t, said, "undefinedName", "cell [2] failed", "did not run")
	nb, err := notebook.Read(out)
	if err != nil {
		t.Fatalf("what came until the error is lost: %v", err)
	}
	if outputs := nb.Cells[1].Outputs; len(outputs) != 1 || outputs[0].Type() != "error" || nb.Cells[2].Count != nil {
		t.Errorf("%v, third cell %v", outputs, nb.Cells[2].Count)
	}
	if _, said, status := loupe(t, nil, "run", path, "-o", out, "--allow-errors"); status != 0 {
		t.Errorf("status %d: %s", status, said)
	}
	if nb, err = notebook.Read(out); err != nil || len(nb.Cells[2].Outputs) != 1 {
		t.Errorf("%v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	path := write(t, "1")
	_, said, status := loupe(t, nil, "run", path)
	if want(t, said, "nothing would be kept", "-o"); status != 1 {
		t.Errorf("status %d", status)
	}
	nb, err := notebook.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	nb.Metadata["kernelspec"] = map[string]any{"name": "ir", "language": "R"}
	if err := nb.Write(path); err != nil {
		t.Fatal(err)
	}
	_, said, _ = loupe(t, nil, "run", path, "-o", path)
	want(t, said, "a notebook for r and loupe runs Go")
	_, said, _ = loupe(t, []string{"LOUPE_WORKER=/nowhere"}, "run", write(t, "1"), "-o", path)
	want(t, said, "/nowhere", "install.sh")
}

// Without ipywidgets a lesson's buttons are text, and nothing else says why.
func TestDoctorMissesIPyWidgets(t *testing.T) {
	for versions, found := range map[string]bool{
		"ipywidgets       : 8.1.8\njupyterlab       : 4.5.0":         true,
		"ipywidgets       : not installed\njupyterlab       : 4.5.0": false,
	} {
		bin := t.TempDir()
		script := "#!/bin/sh\ncat <<'EOF'\n" + versions + "\nEOF\n"
		if err := os.WriteFile(filepath.Join(bin, "jupyter"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		printed, _, _ := loupe(t, []string{"LOUPE_WORKER=/nowhere",
			"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}, "doctor")
		want(t, printed, filepath.Join(bin, "jupyter")+", jupyterlab 4.5.0")
		if strings.Contains(printed, "pip install ipywidgets") == found {
			t.Errorf("%q: ipywidgets are asked for or not:\n%s", versions, printed)
		}
	}
}

func TestDoctor(t *testing.T) {
	printed, _, status := loupe(t, []string{"LOUPE_WORKER=/nowhere"}, "doctor")
	want(t, printed, "loupe-worker", "NEEDED", "What to do:", "install.sh", "`loupe install`", "cache folder")
	if status != 1 {
		t.Errorf("without a worker the status is %d", status)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "pjrt_c_api_cpu_plugin.so"), []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	printed, _, status = loupe(t, []string{"PJRT_PLUGIN_LIBRARY_PATH=" + broken}, "doctor")
	want(t, printed, "XLA plugin", "does not work", broken)
	if status != 1 {
		t.Errorf("with a broken plugin the status is %d", status)
	}
	cache := t.TempDir()
	cut := filepath.Join(cache, "assets", "xla-cpu", "pjrt_c_api_cpu_plugin.so")
	if err := os.MkdirAll(filepath.Dir(cut), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, []byte("\x7fELF, and no more"), 0o644); err != nil {
		t.Fatal(err)
	}
	printed, _, status = loupe(t, []string{"LOUPE_CACHE=" + cache}, "doctor")
	want(t, printed, "xla-cpu is damaged", "`loupe fetch xla-cpu`")
	if status != 1 {
		t.Errorf("with a plugin cut short the status is %d", status)
	}
	plugin := testenv.Asset(t, "xla-cpu")
	data := t.TempDir()
	env := []string{"PJRT_PLUGIN_LIBRARY_PATH=" + plugin, "JUPYTER_DATA_DIR=" + data}
	if _, said, status := loupe(t, env, "install"); status != 0 {
		t.Fatal(said)
	}
	// Two programs were taken from the cache, and saved 1.5 seconds each.
	cache = t.TempDir()
	programs := filepath.Join(cache, "programs")
	if err := os.Mkdir(programs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(programs, "hits"), []byte{0xdc, 5, 0, 0, 0xdc, 5, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	env = append(env, "LOUPE_CACHE="+cache)
	printed, _, status = loupe(t, env, "doctor")
	want(t, printed, plugin, "PJRT API", "devices", filepath.Join(data, "kernels", "loupe"),
		"compiled programs", "0 in "+programs, "at most 2.0 GB", "taken 2 times", "saved 3s")
	if status != 0 {
		t.Errorf("status %d:\n%s", status, printed)
	}
	printed, _, status = loupe(t, append(env, "LOUPE_COMPILE_CACHE=off"), "doctor")
	if want(t, printed, "not kept: switched off by LOUPE_COMPILE_CACHE"); status != 0 {
		t.Errorf("with the cache switched off the status is %d", status)
	}
	printed, _, status = loupe(t, append(env, "LOUPE_COMPILE_CACHE=maybe"), "doctor")
	if want(t, printed, `LOUPE_COMPILE_CACHE is "maybe"`); status != 1 {
		t.Errorf("with a setting that cannot be read the status is %d", status)
	}
	os.Chmod(programs, 0o777)
	printed, _, status = loupe(t, env, "doctor")
	if want(t, printed, "others than its owner may write it", programs); status != 0 {
		t.Errorf("with a folder that is open to others the status is %d", status)
	}
	printed, _, _ = loupe(t, env, "uninstall")
	want(t, printed, "removed")
	printed, _, status = loupe(t, env, "uninstall")
	if want(t, printed, "there is no kernel"); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestFetch(t *testing.T) {
	content := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(content, []byte("weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	config, cache := t.TempDir(), t.TempDir()
	entry := `{"assets": [{"name": "mine", "description": "my own", "licence": "MIT", "source": {"path": "` +
		content + `"},
"files": [{"from": "weights.bin", "size": 7, "sha256": "9cf2220d64e6f5cd88cef9b4f26e0ce7b56e6ac6ab0ac24c8cd79ed9a7c3d0b5"}]}]}`
	file := filepath.Join(config, "sources.json")
	if err := os.WriteFile(file, []byte(entry), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"LOUPE_CONFIG=" + config, "LOUPE_CACHE=" + cache}
	_, said, status := loupe(t, env, "fetch", "mine")
	if want(t, said, "sha256", "9cf2220d"); status != 1 {
		t.Errorf("the wrong file was taken: %d", status)
	}
	if err := os.WriteFile(file,
		[]byte(strings.Replace(entry, `, "sha256": "9cf2220d64e6f5cd88cef9b4f26e0ce7b56e6ac6ab0ac24c8cd79ed9a7c3d0b5"`, "",
			1)), 0o644); err != nil {
		t.Fatal(err)
	}
	printed, said, status := loupe(t, env, "fetch", "mine", "nosuch")
	want(t, printed, "mine is in "+cache)
	if want(t, said, `no asset "nosuch"`); status != 1 {
		t.Errorf("status %d", status)
	}
	printed, _, status = loupe(t, env, "fetch", "--list")
	if want(t, printed, "my own", "efficientnet-lite0", "fashion-mnist"); status != 0 {
		t.Errorf("status %d", status)
	}
	printed, _, _ = loupe(t, env, "fetch", "--verify")
	want(t, printed, "mine is whole")
	if err := os.Truncate(filepath.Join(cache, "assets", "mine", "weights.bin"), 1); err != nil {
		t.Fatal(err)
	}
	_, said, status = loupe(t, env, "fetch", "--verify")
	if want(t, said, "mine is damaged"); status != 1 {
		t.Errorf("status %d", status)
	}
	printed, _, _ = loupe(t, env, "fetch", "--remove", "mine")
	want(t, printed, "mine removed")
	_, said, status = loupe(t, env, "fetch", "--nonsense")
	if want(t, said, "unknown flag"); status != 1 {
		t.Errorf("status %d", status)
	}
}

// fakeWorker is a loupe-worker that does what the script says.
func fakeWorker(t *testing.T, script string) (env string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "loupe-worker")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return "LOUPE_WORKER=" + path
}

func TestPlugin(t *testing.T) {
	// No address that the installers would download from is reached.
	offline := []string{"HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1", "LOUPE_CONFIG=" + t.TempDir(),
		"LOUPE_CACHE=" + t.TempDir()}

	_, said, status := loupe(t,
		append(offline, fakeWorker(t, `echo '{"Name":"xla","Plugin":"/there/pjrt_c_api_cuda_plugin.so","API":"0.106"}'`)),
		"plugin", "--cuda")
	if want(t, said, "the XLA plugin is /there/pjrt_c_api_cuda_plugin.so, PJRT API 0.106"); status != 0 {
		t.Errorf("one is there: status %d", status)
	}
	_, said, status = loupe(t, append(offline, "PATH="+t.TempDir(), fakeWorker(t, `echo '{"Name":"go"}'`)), "plugin")
	if want(t, said, "go-xla's own installer does not get the plugin"); status != 1 {
		t.Errorf("none can be had: status %d", status)
	}
	if runtime.GOOS+"/"+runtime.GOARCH == "linux/amd64" {
		want(t, said, "pip is not here", "fastatomstruct-xla-cpu==2026.6.23", "pjrt_c_api_cpu_plugin.so (sha256 ")
	}
	_, said, status = loupe(t, append(offline, fakeWorker(t, `echo '{"Name":"go"}'`)), "plugin", "--cuda")
	if want(t, said, "the CUDA plugin cannot be had"); status != 1 {
		t.Errorf("no CUDA: status %d", status)
	}
	// A plugin that takes its process down takes down only the worker that was asked.
	crash := fakeWorker(t, "echo 'fatal error: unexpected signal' >&2; kill -SEGV $$")
	_, said, status = loupe(t, append(offline, crash), "plugin")
	if want(t, said, "ends the process that loads it", "fatal error: unexpected signal"); status != 1 {
		t.Errorf("crash: status %d", status)
	}
	printed, _, status := loupe(t, append(offline, crash), "doctor")
	if want(t, printed, "does not work", "ends the process that loads it", "cache folder"); status != 1 {
		t.Errorf("crash: status %d", status)
	}
}
