// Package backend starts what graphs are compiled for and run on: XLA on a CPU or a GPU, or GoMLX's backend in Go. A
// process has one.
package backend

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // the backend of last resort, said so when it is used
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/loupeml/loupe/internal/compilecache"
	"github.com/loupeml/loupe/internal/customcall"
	"github.com/loupeml/loupe/internal/xlaplugin"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/gradients"
)

// Kernels tells whether programs for a backend get loupe's kernels, where loupe has some for what they compute: it is
// one of XLA's for the CPU, and nothing else is asked for (see [Info]).
func Kernels(b compute.Backend) bool {
	mu.Lock()
	defer mu.Unlock()
	x, ok := b.(*xla.Backend)
	return ok && b == current && x.IsCPU() && programs.Plain() == ""
}

// pluginFolders says where PJRT plugins are looked for.
const pluginFolders = xlaplugin.FoldersVariable

var (
	mu      sync.Mutex // guards current, pluginPath, programs
	current compute.Backend
	// pluginPath is the plugin file behind it; empty when the backend is not XLA.
	pluginPath string
	// programs is where that plugin's compiled programs are kept; nil when the backend is not XLA.
	programs *compilecache.Cache
)

// Get returns the one backend of the process, on which every model and every graph
// runs. It is XLA, with the first PJRT plugin found in the folders of
// PJRT_PLUGIN_LIBRARY_PATH, in go-xla's own folders, or in the asset xla-cpu (a CUDA plugin goes
// before a CPU plugin in the same place, if there is a GPU). LOUPE_BACKEND names another
// one: "go", "xla:cuda", "xla:/path/to/plugin.so". Where there is no plugin at all, it is GoMLX's
// pure-Go backend, a few hundred times slower, and one line on standard error says so.
//
// It is an error, not a reason to fall back, when a plugin is there and cannot be used. The
// error is not remembered: Get can be called again when the cause is gone.
func Get() (compute.Backend, error) {
	mu.Lock()
	defer mu.Unlock()
	if current != nil {
		return current, nil
	}
	// Installing is the job of `loupe fetch`, which says what it does.
	xla.EnableAutoInstall(false)

	config, err := configOf(os.Getenv("LOUPE_BACKEND"))
	if err != nil {
		return nil, err
	}
	if config == "go" && os.Getenv("LOUPE_BACKEND") == "" {
		fmt.Fprintln(os.Stderr, "loupe: no XLA plugin found, so models run on GoMLX's pure-Go backend, which is hundreds "+
			"of times slower: get the plugin with `loupe fetch xla-cpu`")
	}
	b, err := start(config)
	if err != nil {
		return nil, err
	}
	current = b
	return current, nil
}

// Use starts the process's backend as if LOUPE_BACKEND were asked ("go", "xla:cpu", "xla:cuda",
// "xla:/path/to/plugin.so"). It is an error where another one has been started: what models and tensors there are live
// on that one, and cannot move.
func Use(asked string) error {
	config, err := configOf(asked)
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if current != nil {
		running := "go"
		if pluginPath != "" {
			running = "xla:" + pluginPath
		}
		if plugin, _, _ := strings.Cut(config, ","); plugin == running {
			return nil
		}
		return fmt.Errorf("backend: models and tensors of this process are on %s and cannot move to %s: restart, and "+
			"choose the backend before the first model is loaded", running, asked)
	}
	xla.EnableAutoInstall(false)
	b, err := start(config)
	if err != nil {
		return err
	}
	current = b
	return os.Setenv("LOUPE_BACKEND", asked)
}

// configOf turns what LOUPE_BACKEND asks for into GoMLX's notation, with a plugin as an absolute file name.
func configOf(asked string) (string, error) {
	name, options, _ := strings.Cut(asked, ":")
	switch {
	case asked == "":
		path, err := findPlugin("")
		if err != nil {
			return "", err
		}
		if path == "" {
			return "go", nil
		}
		return "xla:" + path, nil
	case name == "xla":
		plugin, rest, more := strings.Cut(options, ",")
		if !filepath.IsAbs(plugin) {
			path, err := findPlugin(plugin)
			if err != nil {
				return "", err
			}
			if path == "" {
				return "", fmt.Errorf("backend: LOUPE_BACKEND asks for %q and there is no such XLA plugin: `loupe fetch "+
					"xla-cpu` gets the one for the CPU, or name the folder of yours in %s", asked, pluginFolders)
			}
			plugin = path
		}
		if more {
			plugin += "," + rest
		}
		return "xla:" + plugin, nil
	default:
		return asked, nil
	}
}

func start(config string) (compute.Backend, error) {
	if plugin, ok := strings.CutPrefix(config, "xla:"); ok {
		path, options, _ := strings.Cut(plugin, ",")
		if err := checkPlugin(path); err != nil {
			return nil, err
		}
		cache, err := compilecache.FromEnvironment()
		if err != nil {
			return nil, fmt.Errorf("backend: %w", err)
		}
		var b compute.Backend
		if err = cache.Front(path, options); err == nil {
			b, err = compute.NewWithConfig(config)
		}
		if err != nil {
			return nil, fmt.Errorf("backend: the XLA plugin %s does not start: %s; `loupe fetch xla-cpu` gets one that does",
				path, failure.FirstLine(err))
		}
		if err := gradients.Probe(b); err != nil {
			return nil, err
		}
		pluginPath, programs = path, cache
		return b, nil
	}
	var b compute.Backend
	var err error
	if unknown := failure.Catch(func() { b, err = compute.NewWithConfig(config) }); unknown != nil {
		err = unknown
	}
	if err != nil {
		return nil, fmt.Errorf(
			"backend: LOUPE_BACKEND=%s: %s; known are go, xla, xla:cpu, xla:cuda and xla:/path/to/plugin.so", config,
			strings.TrimPrefix(failure.FirstLine(err), "model: "))
	}
	return b, gradients.Probe(b)
}

// findPlugin returns the plugin file of that name ("cpu", "cuda"; empty for the best one), or "" where there is none.
func findPlugin(name string) (string, error) {
	if list, set := os.LookupEnv(pluginFolders); set && list != "" {
		folders := filepath.SplitList(list)
		path := firstPlugin(folders, name)
		if path == "" && name == "" {
			return "", fmt.Errorf("backend: %s=%s holds no XLA plugin (a file pjrt_c_api_NAME_plugin%s): correct it, or "+
				"unset it and run `loupe fetch xla-cpu`", pluginFolders, list, libraryExt())
		}
		return path, nil
	}
	folders, damaged := xlaplugin.Folders()
	if damaged != nil {
		damaged = fmt.Errorf("backend: the XLA plugin cannot be used: %w", damaged) // told where there is no other plugin
	}
	path := firstPlugin(folders, name)
	if path == "" {
		return "", damaged
	}
	return path, nil
}

// firstPlugin looks in each folder for a plugin, one for the GPU first if there is a GPU.
func firstPlugin(folders []string, name string) string {
	kinds := []string{name}
	if name == "" {
		kinds = []string{"cpu"}
		if hasNvidiaGPU() {
			kinds = []string{"cuda", "cpu"}
		}
	}
	for _, kind := range kinds {
		for _, folder := range folders {
			for _, pattern := range []string{"pjrt_c_api_" + kind + "_plugin", "pjrt_c_api_" + kind + "_*_plugin",
				"pjrt-plugin-" + kind, "pjrt_plugin_" + kind} {
				found, _ := filepath.Glob(filepath.Join(folder, pattern+libraryExt()))
				if len(found) > 0 {
					if abs, err := filepath.Abs(found[len(found)-1]); err == nil {
						return abs
					}
				}
			}
		}
	}
	return ""
}

func hasNvidiaGPU() bool {
	_, err := os.Stat("/dev/nvidiactl")
	return err == nil
}

func libraryExt() string {
	switch runtime.GOOS {
	case "darwin":
		return ".dylib"
	case "windows":
		return ".dll"
	}
	return ".so"
}

// checkPlugin says what is wrong with a plugin file before the system's loader gets it:
// a library cut short by a broken download does not fail to load, it kills the process.
func checkPlugin(path string) error {
	const fix = "get it again with `loupe fetch xla-cpu`"
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("backend: the XLA plugin %s cannot be read: %w; %s", path, err, fix)
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	f, err := elf.Open(path)
	if errors.Is(err, io.EOF) && info.Size() > 64 {
		return fmt.Errorf("backend: the XLA plugin %s is cut short, or no shared library: it has only %d bytes; %s", path,
			info.Size(), fix)
	}
	if err != nil {
		return fmt.Errorf("backend: the XLA plugin %s is not a shared library: %s; %s", path, failure.FirstLine(err), fix)
	}
	defer f.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if want, known := machines[runtime.GOARCH]; known && f.Machine != want {
		return fmt.Errorf("backend: the XLA plugin %s is for %s, this machine is %s; %s", path, f.Machine, want, fix)
	}
	for _, segment := range f.Progs {
		if end := segment.Off + segment.Filesz; segment.Type == elf.PT_LOAD && end > uint64(info.Size()) {
			return fmt.Errorf("backend: the XLA plugin %s is cut short: it has %d bytes and should have %d or more; %s", path,
				info.Size(), end, fix)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return fmt.Errorf("backend: the XLA plugin %s is damaged: %s; %s", path, failure.FirstLine(err), fix)
	}
	for _, s := range symbols {
		if s.Name == pjrt.GetPJRTApiFunctionName {
			return nil
		}
	}
	return fmt.Errorf("backend: %s is a shared library but not an XLA plugin (it has no %s); %s", path,
		pjrt.GetPJRTApiFunctionName, fix)
}

// Info describes the backend in use, for `loupe doctor`.
type Info struct {
	Name   string `display:"backend"` // "xla" or "go"
	Plugin string `display:"plugin"`  // the plugin's file; empty without XLA
	// version of the PJRT C API that the plugin speaks, such as "0.106"; empty without XLA
	API     string   `display:"PJRT API"`
	Devices []string `display:"devices"` // one description a device

	// Programs says where compiled programs are kept and how many, and how many this process has compiled and taken
	// from there. It is zero without XLA.
	Programs compilecache.Report `display:"compiled programs"`

	// Kernels says who computes the gradients of convolutions by their kernels, convolutions of few channels, and batch
	// and group normalisation in training: "loupe, with AVX-512", or "XLA" and why. All else is XLA's.
	Kernels string `display:"kernels"`
}

// Describe starts the backend if it has not been and says what it is.
func Describe() (Info, error) {
	b, err := Get()
	if err != nil {
		return Info{}, err
	}
	mu.Lock()
	info := Info{Name: "go", Plugin: pluginPath}
	cache := programs
	mu.Unlock()
	if info.Plugin != "" {
		info.Name, info.Programs = "xla", cache.Report()
		if info.Kernels = "loupe, with " + customcall.Vectors(); cache.Plain() != "" {
			info.Kernels = "XLA: " + cache.Plain()
		}
		plugin, err := pjrt.GetPlugin(info.Plugin)
		if err != nil {
			return info, fmt.Errorf("backend: %s: %s", info.Plugin, failure.FirstLine(err))
		}
		major, minor := plugin.Version()
		info.API = fmt.Sprintf("%d.%d", major, minor)
	}
	for d := range b.NumDevices() {
		info.Devices = append(info.Devices, b.DeviceDescription(compute.DeviceNum(d)))
	}
	return info, nil
}
