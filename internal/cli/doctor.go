package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/gomlx/go-huggingface/hub"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/loupeml/loupe/internal/cli/kernelspec"
	"github.com/loupeml/loupe/kernel/worker"
	"github.com/loupeml/loupe/lib/assets"
)

// plainTable is a table that reads well in a terminal and in a bug report.
var plainTable = func() table.Style {
	s := table.StyleLight
	s.Options = table.Options{SeparateHeader: true}
	s.Format.Header = text.FormatDefault
	return s
}()

// finding is one row of the doctor's table.
type finding struct {
	what, detail string
	fix          string // what to do about it; empty when nothing needs doing
	essential    bool   // without it loupe does not do its work
}

func (f finding) state() string {
	switch {
	case f.fix == "":
		return "ok"
	case f.essential:
		return "NEEDED"
	}
	return "see below"
}

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Show what is there, and what to do about what is not", Args: cobra.NoArgs,
		Long: "Show what is there, and what to do about what is not. The exit status is 1 when something is missing " +
			"without which loupe does not do its work.",
		RunE: func(c *cobra.Command, _ []string) error {
			findings := examine(c.Context())
			report(c.OutOrStdout(), findings)
			for _, f := range findings {
				if f.essential && f.fix != "" {
					return alreadySaid{errors.New(f.fix)}
				}
			}
			return nil
		},
	}
}

func report(w io.Writer, findings []finding) {
	t := table.NewWriter()
	t.SetStyle(plainTable)
	t.AppendHeader(table.Row{"", "state", "what is there"})
	for _, f := range findings {
		t.AppendRow(table.Row{f.what, f.state(), f.detail})
	}
	fmt.Fprintln(w, t.Render())
	heading := "\nWhat to do:\n"
	for _, f := range findings {
		if f.fix != "" {
			fmt.Fprintf(w, "%s  %s: %s\n", heading, f.what, f.fix)
			heading = ""
		}
	}
	if heading != "" {
		fmt.Fprintln(w, "\nNothing is missing.")
	}
}

func examine(ctx context.Context) []finding {
	binary := workerBinary()
	list := []finding{goTool(ctx), compiler(ctx), binary}
	if binary.fix == "" {
		list = append(list, models(askWorker(ctx))...)
	}
	list = append(list, gonbFinding(), jupyter(ctx), spec())
	list = append(list, cached()...)
	return append(list, folders()...)
}

func goTool(ctx context.Context) finding {
	f := finding{what: "Go", essential: true, detail: "not in PATH",
		fix: "install Go 1.26 or later and put it in PATH: cells that are compiled need it"}
	path, err := exec.LookPath("go")
	if err != nil {
		return f
	}
	out, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
	version := strings.TrimSpace(string(out))
	if err != nil {
		f.detail, f.fix = path, "`go env` fails: install Go again"
		return f
	}
	f.detail, f.fix = version+" in "+path, ""
	if version != runtime.Version() {
		f.detail += ", loupe was built with " + runtime.Version()
		f.fix = "run ./install.sh again: compiled cells and loupe must come from one Go"
	}
	return f
}

func compiler(ctx context.Context) finding {
	cc := os.Getenv("CC")
	if cc == "" {
		if out, err := exec.CommandContext(ctx, "go", "env", "CC").Output(); err == nil {
			cc = strings.TrimSpace(string(out))
		}
	}
	if cc == "" {
		cc = "gcc"
	}
	path, err := exec.LookPath(strings.Fields(cc)[0])
	if err != nil {
		return finding{what: "C compiler", detail: cc + " is not in PATH", essential: true,
			fix: "install gcc or clang (Debian: build-essential, Fedora: gcc, macOS: xcode-select --install), or name one in " +
				"CC: XLA is reached through cgo"}
	}
	return finding{what: "C compiler", detail: path}
}

func workerBinary() finding {
	path, err := worker.Find("")
	if err != nil {
		return finding{what: "loupe-worker", detail: "not found", fix: err.Error(), essential: true}
	}
	return finding{what: "loupe-worker", detail: path}
}

func models(b backend) []finding {
	if b.Error != "" {
		return []finding{{what: "XLA plugin", detail: "does not work", fix: b.Error, essential: true}}
	}
	if b.Plugin == "" {
		f := finding{what: "XLA plugin", detail: "none: models run on GoMLX's pure-Go backend, hundreds of times slower",
			fix: "`loupe plugin`", essential: true}
		if os.Getenv("LOUPE_BACKEND") != "" {
			f = finding{what: "XLA plugin", detail: "not in use: LOUPE_BACKEND is " + os.Getenv("LOUPE_BACKEND")}
		}
		return []finding{f, {what: "devices", detail: strings.Join(b.Devices, ", ")}}
	}
	return []finding{
		{what: "XLA plugin", detail: b.Plugin + ", PJRT API " + b.API},
		{what: "devices", detail: fmt.Sprintf("%d: %s", len(b.Devices), strings.Join(b.Devices, ", "))},
		programs(b),
		{what: "kernels", detail: b.Kernels},
	}
}

// programs is about what XLA has compiled and loupe keeps for the next process.
func programs(b backend) finding {
	p := b.Programs
	f := finding{what: "compiled programs"}
	switch {
	case p.Reason != "" && p.Limit == 0:
		f.detail = "not kept: " + p.Reason
	case p.Reason != "":
		f.detail = "not kept"
		f.fix = p.Reason + ": mend it, or set LOUPE_COMPILE_CACHE=off; until then each process compiles its models again, " +
			"which takes seconds for each question"
	default:
		f.detail = fmt.Sprintf("%d in %s, %s of at most %s; taken %s, which saved %v of compiling",
			p.Programs, p.Folder, bytesText(p.Bytes), bytesText(p.Limit), times(p.Hits), p.Saved.Round(time.Second))
	}
	return f
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func gonbFinding() finding {
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), "gonb")
			if _, err := os.Stat(beside); err == nil {
				return finding{what: "gonb", detail: beside}
			}
		}
	}
	if path, err := exec.LookPath("gonb"); err == nil {
		return finding{what: "gonb", detail: path}
	}
	return finding{what: "gonb", detail: "not found",
		fix: "./install.sh builds it; only cells that begin with %%gonb need it"}
}

func jupyter(ctx context.Context) finding {
	path, err := exec.LookPath("jupyter")
	if err != nil {
		return finding{what: "Jupyter", detail: "not in PATH",
			fix: "`python3 -m pip install jupyterlab ipywidgets` gets it; VS Code's Jupyter extension does as well, and " +
				"`loupe run` needs neither"}
	}
	out, _ := exec.CommandContext(ctx, path, "--version").Output()
	versions := strings.Join(strings.Fields(string(out)), " ")
	if m := regexp.MustCompile(`jupyterlab\s*:\s*(\S+)`).FindStringSubmatch(string(out)); m != nil {
		versions = "jupyterlab " + m[1]
	} else if m := regexp.MustCompile(`jupyter_client\s*:\s*(\S+)`).FindStringSubmatch(string(out)); m != nil {
		versions = "jupyter_client " + m[1]
	}
	f := finding{what: "Jupyter", detail: path + ", " + versions}
	if regexp.MustCompile(`ipywidgets\s*:\s*not installed`).Match(out) {
		f.detail += " without ipywidgets"
		f.fix = "`python3 -m pip install ipywidgets` where JupyterLab is: without it sliders and buttons are lines of text"
	}
	return f
}

func spec() finding {
	data, err := kernelspec.UserData()
	if err != nil {
		return finding{what: "kernelspec", detail: err.Error(), fix: "`loupe install --prefix FOLDER`"}
	}
	s, dir, err := kernelspec.Installed(data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{what: "kernelspec", detail: "not in " + data, fix: "`loupe install`"}
	case err != nil:
		return finding{what: "kernelspec", detail: err.Error(), fix: "`loupe install`"}
	case len(s.Argv) == 0:
		return finding{what: "kernelspec", detail: dir + " names no program", fix: "`loupe install`"}
	}
	if _, err := os.Stat(s.Argv[0]); err != nil {
		return finding{what: "kernelspec", detail: dir + " names " + s.Argv[0] + ", which is not there",
			fix: "`loupe install`"}
	}
	return finding{what: "kernelspec", detail: dir + " runs " + s.Argv[0]}
}

// cached reads every asset that is here, which finds damage that sizes do not show.
func cached() []finding {
	list, err := assets.List()
	var findings []finding
	var missing []string
	for _, a := range list {
		dir, pathErr := assets.Path(a.Name)
		if errors.Is(pathErr, fs.ErrNotExist) {
			missing = append(missing, a.Name)
			continue
		}
		f := finding{what: "asset " + a.Name, detail: bytesText(folderSize(dir)) + " in " + dir}
		if e := assets.Verify(a.Name); e != nil {
			f.detail, f.fix = "damaged", e.Error()
		}
		findings = append(findings, f)
	}
	if len(missing) > 0 {
		findings = append(findings, finding{what: "assets not here", detail: strings.Join(missing, ", ") +
			" (`loupe fetch NAME` gets one)"})
	}
	if err != nil {
		findings = append(findings, finding{what: "own sources", detail: "not readable", fix: err.Error()})
	}
	return findings
}

func folders() []finding {
	cache, err := assets.Dir()
	if err != nil {
		return []finding{{what: "cache folder", detail: "none", fix: err.Error(), essential: true}}
	}
	f := finding{what: "cache folder", detail: cache}
	if free, err := assets.Free(cache); err == nil {
		f.detail += ", " + bytesText(free) + " free"
		if free < 1e9 {
			f.fix = "less than 1 GB is free: make room, or set LOUPE_CACHE to a folder on another disk"
		}
	}
	if err := writable(cache); err != nil {
		f.fix, f.essential = fmt.Sprintf("it cannot be written (%v): set LOUPE_CACHE to a folder of your own", err), true
	}
	findings := []finding{f, {what: "hub's cache", detail: hub.DefaultCacheDir()}}
	if data, err := kernelspec.UserData(); err == nil {
		findings = append(findings, finding{what: "Jupyter's data", detail: data})
	}
	if file, err := assets.SourcesFile(); err == nil {
		detail := file
		if _, err := os.Stat(file); err != nil {
			detail += " (none of your own; `loupe fetch --help` tells its form)"
		}
		findings = append(findings, finding{what: "own sources", detail: detail})
	}
	return findings
}

// writable tries to write in a folder, or in the nearest one above that exists.
func writable(folder string) error {
	for {
		f, err := os.CreateTemp(folder, ".doctor-")
		if err == nil {
			f.Close()
			return os.Remove(f.Name())
		}
		parent := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || parent == folder {
			return err
		}
		folder = parent
	}
}

func folderSize(dir string) (n int64) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := os.Stat(path); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
