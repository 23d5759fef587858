package compilecache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// key is a SHA-256 of all that shapes a compiled program.
type key [sha256.Size]byte

// keyOf hashes a program with the circumstances that it is compiled in. The length before each part keeps parts apart. The
// name of the program's module is left out: GoMLX numbers them, so that one program has another name where another order
// of cells compiles it.
func keyOf(circumstances, programFormat string, program, options []byte) (k key) {
	if text, ok := bytes.CutPrefix(program, []byte("module @")); ok && programFormat == "mlir" {
		program = text[max(0, bytes.IndexAny(text, " {\n")):]
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(circumstances), []byte(programFormat), program, options} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(k[:0])
	return k
}

// machine describes what XLA compiles for, besides the plugin and its devices: the processor and what it can do, and how
// many of its threads this process may use, which decides into how many parts XLA splits an operation.
func machine() (string, error) {
	p, err := processor()
	if err != nil {
		return "", fmt.Errorf("the processor is not known: %w", err)
	}
	return fmt.Sprintf("%s/%s\nthreads %d\n%s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), p), nil
}

// environment returns the variables that XLA and the libraries under it read.
// A file of flags, which XLA_FLAGS may name, stands with its contents.
func environment() (string, error) {
	var list []string
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		read := slices.ContainsFunc(xlaVariables, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		if !read || name == "PJRT_PLUGIN_LIBRARY_PATH" {
			continue
		}
		list = append(list, v)
		if file := strings.TrimSpace(value); name == "XLA_FLAGS" && file != "" && !strings.HasPrefix(file, "-") {
			flags, err := os.ReadFile(file)
			if err != nil {
				return "", fmt.Errorf("XLA_FLAGS: %w", err)
			}
			list = append(list, string(flags))
		}
	}
	slices.Sort(list)
	all := strings.Join(list, "\n")
	if strings.Contains(all, "xla_dump") {
		return "", errors.New("XLA_FLAGS asks XLA to dump what it compiles")
	}
	return all, nil
}

// xlaVariables are what the names of such variables begin with.
var xlaVariables = []string{"XLA_", "PJRT_", "NPROC", "OMP_", "KMP_", "DNNL_", "ONEDNN_", "NVIDIA_", "CUDA_", "CUDNN_", "CUBLAS_",
	"TF_XLA_", "TF_CUDNN_", "TF_CUBLAS", "TF_ENABLE_", "TF_DISABLE_", "TF_FORCE_", "TF_GPU_", "TF_USE_", "TF_DETERMINISTIC"}

// libraries describes what programs for a platform depend on besides the plugin and its devices: nothing on the CPU; on CUDA the
// driver and NVIDIA's libraries, which go-xla puts beside the plugin and by which XLA chooses kernels.
func libraries(platform, plugin string) (string, error) {
	switch platform {
	case "cpu":
		return "", nil
	case "cuda":
	default:
		return "", fmt.Errorf("loupe does not know what shapes programs for %s", platform)
	}
	driver, err := os.ReadFile("/proc/driver/nvidia/version")
	if err != nil {
		return "", fmt.Errorf("the version of NVIDIA's driver is not known: %w", err)
	}
	folder := filepath.Join(filepath.Dir(filepath.Dir(plugin)), "nvidia")
	files, _ := filepath.Glob(filepath.Join(folder, "*", "lib", "*.so*"))
	if len(files) == 0 {
		return "", fmt.Errorf("NVIDIA's libraries are not in %s, so loupe does not know which ones XLA uses", folder)
	}
	b := strings.Builder{}
	b.Write(driver)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d %d\n", file, info.Size(), info.ModTime().UnixNano())
	}
	return b.String(), nil
}

// whole tells whether a program's text tells all that it does. A custom call's does not: it is a name, and what the name
// stands for is registered by the process. The exception are cuDNN's, whose meaning is in the plugin and its libraries.
func whole(programFormat string, program []byte) bool {
	if programFormat != "mlir" {
		return !bytes.Contains(program, []byte("custom_call")) && !bytes.Contains(program, []byte("custom-call"))
	}
	return bytes.Count(program, []byte("custom_call")) == bytes.Count(program, []byte(`call_target_name = "__cudnn$`))
}
