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
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/customcall"
)

// key is a SHA-256 of all that shapes a compiled program.
type key [sha256.Size]byte

// keyOf hashes a program with the circumstances that it is compiled in. The length before each part keeps parts apart.
func keyOf(circumstances, programFormat string, program, options []byte) (k key) {
	if programFormat == "mlir" {
		program = unnamed(program)
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(circumstances), []byte(programFormat), program, options} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	h.Sum(k[:0])
	return k
}

// unnamed takes the names out of a program's text that say nothing of what it does: its module's, and those of its
// values, each of which becomes a number, the same wherever it stands. GoMLX numbers modules in the order in which a
// process compiles them, and its trainers have random names for their metrics. MLIR's bytecode, and text that does
// not begin with a module, stay as they are.
func unnamed(program []byte) []byte {
	const module = "module @"
	if !bytes.HasPrefix(program, []byte(module)) {
		return program
	}
	rest := program[len(module):]
	rest = rest[max(0, bytes.IndexAny(rest, " {\n")):]
	out := append(make([]byte, 0, len(program)), module...)
	numbers := map[string]int{}
	for len(rest) > 0 {
		n := bytes.IndexAny(rest, `%"/`)
		if n < 0 {
			break
		}
		out, rest = append(out, rest[:n]...), rest[n:]
		end := 1
		switch {
		case rest[0] == '"': // a string stays as it is
			for end < len(rest) && rest[end] != '"' {
				if rest[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(rest))
		case bytes.HasPrefix(rest, []byte("//")): // and so does a comment
			if end = bytes.IndexByte(rest, '\n'); end < 0 {
				end = len(rest)
			}
		case rest[0] == '%':
			for end < len(rest) && inName(rest[end]) {
				end++
			}
			number, known := numbers[string(rest[1:end])]
			if !known {
				number = len(numbers)
				numbers[string(rest[1:end])] = number
			}
			out, rest = strconv.AppendInt(append(out, '%'), int64(number), 10), rest[end:]
			continue
		}
		out, rest = append(out, rest[:end]...), rest[end:]
	}
	return append(out, rest...)
}

// inName tells whether a byte can stand in the name of a value.
func inName(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.' ||
		b == '$' || b == '-'
}

// machine describes what XLA compiles for, besides the plugin and its devices: the processor and what it can do, and
// how many of its threads this process may use, which decides into how many parts XLA splits an operation.
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
var xlaVariables = []string{"XLA_", "PJRT_", "NPROC", "OMP_", "KMP_", "DNNL_", "ONEDNN_", "NVIDIA_", "CUDA_",
	"CUDNN_", "CUBLAS_",
	"TF_XLA_", "TF_CUDNN_", "TF_CUBLAS", "TF_ENABLE_", "TF_DISABLE_", "TF_FORCE_", "TF_GPU_", "TF_USE_",
	"TF_DETERMINISTIC"}

// libraries describes what programs for a platform depend on besides the plugin and its devices: nothing on the CPU;
// on CUDA the driver and NVIDIA's libraries, which go-xla puts beside the plugin and by which XLA chooses kernels.
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

// whole tells whether a program's text tells all that it does. A custom call's does not: it is a name, and what the
// name stands for is registered by the process. The exceptions are cuDNN's, whose meaning is in the plugin and its
// libraries, and loupe's own, whose name changes with its meaning.
func whole(programFormat string, program []byte) bool {
	if programFormat != "mlir" {
		return !bytes.Contains(program, []byte("custom_call")) && !bytes.Contains(program, []byte("custom-call"))
	}
	known := bytes.Count(program, []byte(`call_target_name = "__cudnn$`))
	for _, target := range customcall.Targets {
		known += bytes.Count(program, []byte(`call_target_name = "`+target+`"`))
	}
	return bytes.Count(program, []byte("custom_call")) == known
}
