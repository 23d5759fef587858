package backend

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

// The process has one backend, so each of these cases is a process of its own: this test binary, told by
// the environment to start the backend and say how it went.
func TestMain(m *testing.M) {
	if os.Getenv("LOUPE_TEST_BACKEND") != "" {
		info, err := Describe()
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error())
		} else {
			os.Stdout.WriteString(info.Name + " " + info.Plugin + " " + info.API + " " + strings.Join(info.Devices, ","))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startBackend(t *testing.T, env ...string) (stdout, stderr string) {
	t.Helper()
	empty := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"LOUPE_TEST_BACKEND=1", "HOME=" + empty, "XDG_CACHE_HOME=" + empty,
		"PATH=" + os.Getenv("PATH")}, env...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("the process died: %v\n%s\n%s", err, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func TestWithoutAPluginTheGoBackendRunsAndSaysSo(t *testing.T) {
	if firstPlugin([]string{"/usr/local/lib/go-xla"}, "") != "" {
		t.Skip("skipped: needs a machine without a system-wide plugin")
	}
	out, errs := startBackend(t)
	if !strings.HasPrefix(out, "go ") {
		t.Errorf("backend: %s", out)
	}
	if strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "loupe fetch xla-cpu") ||
		!strings.Contains(errs, "slower") {
		t.Errorf("standard error: %q", errs)
	}
	// Asked for, it has nothing to say.
	if out, errs := startBackend(t, "LOUPE_BACKEND=go"); !strings.HasPrefix(out, "go ") || errs != "" {
		t.Errorf("backend %q, standard error %q", out, errs)
	}
}

func TestThePluginIsFound(t *testing.T) {
	dir := testenv.Asset(t, "xla-cpu")
	cache := filepath.Dir(filepath.Dir(dir))
	for _, env := range [][]string{{"PJRT_PLUGIN_LIBRARY_PATH=" + dir}, {"LOUPE_CACHE=" + cache},
		{"LOUPE_CACHE=" + cache, "LOUPE_BACKEND=xla:cpu"}} {
		out, errs := startBackend(t, env...)
		if !strings.HasPrefix(out, "xla "+dir+string(filepath.Separator)) || !strings.Contains(out, "0.") || errs != "" {
			t.Errorf("%v: %q, standard error %q", env, out, errs)
		}
	}
}

func TestBrokenPluginsAreErrorsOfOneSentence(t *testing.T) {
	real := firstPlugin([]string{testenv.Asset(t, "xla-cpu")}, "cpu")
	whole, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	executable, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		says    string
	}{
		"empty":             {nil, "not a shared library"},
		"a web page":        {[]byte("<html>not found</html>"), "not a shared library"},
		"cut in half":       {whole[:len(whole)/2], "cut short"},
		"cut near its head": {whole[:100_000], "cut short"},
		"another program":   {executable, "not an XLA plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
			if err := os.WriteFile(path, c.content, 0o700); err != nil {
				t.Fatal(err)
			}
			out, _ := startBackend(t, "PJRT_PLUGIN_LIBRARY_PATH="+dir)
			message, isError := strings.CutPrefix(out, "error: ")
			if !isError || !strings.HasPrefix(message, "backend: ") || strings.Contains(message, "\n") {
				t.Fatalf("got %q", out)
			}
			for _, part := range []string{path, c.says, "loupe fetch xla-cpu"} {
				if !strings.Contains(message, part) {
					t.Errorf("%q does not say %q", message, part)
				}
			}
		})
	}
	for env, says := range map[string]string{
		"PJRT_PLUGIN_LIBRARY_PATH=" + t.TempDir(): "holds no XLA plugin",
		"LOUPE_BACKEND=xla:cuda":                  "no such XLA plugin",
		"LOUPE_BACKEND=xla:/no/such/plugin.so":    "cannot be read",
		"LOUPE_BACKEND=tpu":                       "known are go, xla",
	} {
		if out, _ := startBackend(t, env); !strings.HasPrefix(out, "error: backend: ") || !strings.Contains(out, says) ||
			strings.Contains(out, "\n") {
			t.Errorf("%s: %q", env, out)
		}
	}
}
