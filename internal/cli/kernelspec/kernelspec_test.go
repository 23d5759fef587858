package kernelspec_test

import (
	"bytes"
	"errors"
	"image/png"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/cli/kernelspec"
	"github.com/loupeml/loupe/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

func TestInstallInAnEmptyHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("JUPYTER_DATA_DIR", "")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("LOUPE_CACHE", "/elsewhere")
	data, err := kernelspec.UserData()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && data != filepath.Join(home, ".local", "share", "jupyter") {
		t.Errorf("data folder %s", data)
	}
	for range 2 { // the second time replaces the first
		dir, err := kernelspec.Install(data, kernelspec.New("/opt/loupe"))
		if err != nil {
			t.Fatal(err)
		}
		for name, size := range map[string]int{"logo-32x32.png": 32, "logo-64x64.png": 64} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(bytes.NewReader(content))
			if err != nil || picture.Bounds().Dx() != size || picture.Bounds().Dy() != size {
				t.Errorf("%s: %v %v", name, picture.Bounds(), err)
			}
		}
	}
	spec, _, err := kernelspec.Installed(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(spec.Argv, " "); got != "/opt/loupe kernel -f {connection_file}" {
		t.Errorf("argv %s", got)
	}
	if spec.InterruptMode != "message" || spec.Env["LOUPE_CACHE"] != "/elsewhere" {
		t.Errorf("%+v", spec)
	}
	left, err := filepath.Glob(filepath.Join(data, "kernels", "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the kernel lie %v", left)
	}
	if dir, err := kernelspec.Uninstall(data); err != nil || dir == "" {
		t.Errorf("uninstall: %q %v", dir, err)
	}
	if dir, err := kernelspec.Uninstall(data); err != nil || dir != "" {
		t.Errorf("uninstall of nothing: %q %v", dir, err)
	}
	if _, _, err := kernelspec.Installed(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after uninstall: %v", err)
	}
}

// Jupyter's own code finds the kernel in the folder where it is put.
func TestJupyterFindsIt(t *testing.T) {
	python := testenv.Python(t, "jupyter_client")
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("JUPYTER_DATA_DIR", "")
	t.Setenv("XDG_DATA_HOME", "")
	data, err := kernelspec.UserData()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kernelspec.Install(data, kernelspec.New("/opt/loupe")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
from jupyter_client.kernelspec import KernelSpecManager
s = KernelSpecManager(ensure_native_kernel=False).get_kernel_spec("loupe")
print(s.display_name, s.language, s.interrupt_mode, s.argv[1], s.kernel_protocol_version)`).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "Go (loupe) go message kernel 5.5" {
		t.Errorf("%s %v", out, err)
	}
}
