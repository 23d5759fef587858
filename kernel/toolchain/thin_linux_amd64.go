package toolchain

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

static void *where(const char *name) { return dlsym(RTLD_DEFAULT, name); }
*/
import "C"

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// A plugin as the go command makes it contains all that it imports a second time, megabytes of it, though the loader
// then takes what the process has already. A thin one contains the cell alone: it is linked in a tenth of the time, and
// takes kilobytes of memory. Go's linker makes one where it is told that all imports are in a shared library
// (-linkshared). That library is the process itself, which an ELF file with the few names that the cell refers to
// describes to the linker (stub.go). What the process has not got, a package that nothing has loaded or a function that
// was left out because nothing called it, is a reason to link in full.
//
// Everything that cells import is compiled with -linkshared, which makes it refer to other packages by name.
const thin = true

const library = "libprocess.so" // what the linker is told that the process is

// address returns where the process has a symbol, or nil.
func address(name string) unsafe.Pointer {
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	return C.where(c)
}

// cannot says why this program's cells cannot be linked thinly, or is "".
var cannot = sync.OnceValue(func() string {
	// The form of object files, of runtime.moduledata and of runtime._func is this version's.
	if v := runtime.Version(); v != "go1.26" && !strings.HasPrefix(v, "go1.26.") {
		return "what Go's linker makes is known of Go 1.26, and this is " + v
	}
	self, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	f, err := elf.Open(self)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if f.Type != elf.ET_EXEC {
		return "thin plugins have addresses of the program in them, and it is position-independent"
	}
	return ""
})

// linkThin links cell.a of the folder work into cell.so.
func (t *Toolchain) linkThin(ctx context.Context, work string, u Unit) error {
	if why := cannot(); why != "" {
		return notThin{why}
	}
	archive, err := os.ReadFile(filepath.Join(work, "cell.a"))
	if err != nil {
		return err
	}
	s := newStub()
	if err := t.describe(s, archive); err != nil {
		return err
	}
	all := map[string]string{}
	t.closure(append(u.Imports, "runtime", "runtime/cgo"), all)
	var cfg strings.Builder
	for _, path := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&cfg, "packageshlib %s=%s\n", path, filepath.Join(work, library))
	}
	hash, err := t.hashObject(ctx, work)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{library: s.file(), "importcfg.thin": []byte(cfg.String()), "hash.o": hash} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o644); err != nil {
			return fmt.Errorf("toolchain: %w", err)
		}
	}
	nothing := filepath.Join(work, "nothing")
	if err := os.WriteFile(nothing, nothingProgram(), 0o755); err != nil {
		return fmt.Errorf("toolchain: %w", err)
	}
	// The linker leaves its object, since the program that it thinks links it does nothing: the object has to be
	// changed, and what is left to do is little.
	if out, err := t.tool(ctx, work, t.config.Link, "-o", "unused.so", "-importcfg", "importcfg.thin", "-installsuffix",
		"dynlink", "-pluginpath", u.Path,
		"-buildmode=plugin", "-linkshared", "-s", "-w", "-compressdwarf=false", "-tmpdir", work, "-extld="+nothing,
		"cell.a"); err != nil {
		return notThin{fmt.Sprint(err, ": ", out)}
	}
	if err := mend(filepath.Join(work, "go.o")); err != nil {
		return notThin{err.Error()}
	}
	if out, err := t.tool(ctx, work, "ld", "-shared", "-s", "-z", "now", "-z", "nodelete", "-z", "noexecstack", "-o",
		"cell.so", "go.o", "hash.o"); err != nil {
		return notThin{fmt.Sprint(err, ": ", out)}
	}
	return nil
}

// describe puts into a stub what the cell's object and the linker refer to.
func (t *Toolchain) describe(s *stub, archive []byte) error {
	refs, err := references(archive)
	if err != nil {
		return notThin{err.Error()}
	}
	s.put("go:link.abihash."+library, kindObject, 0, 16)
	s.put("runtime.addmoduledata", kindFunction, 0, registrarSize)
	// The linker asks for it in any case.
	s.put("runtime.mapinitnoop.abiinternal", kindFunction, uint64(uintptr(address("runtime.mapinitnoop"))), 0)
	for _, r := range append(refs, reference{name: "type:runtime.moduledata", used: true},
		reference{name: "runtime.lastmoduledatap", used: true}) {
		if err := t.describeSymbol(s, r); err != nil {
			return err
		}
	}
	return nil
}

func (t *Toolchain) describeSymbol(s *stub, r reference) error {
	r.name = mangle(r.name)
	// Where a function has two calling conventions, the name with nothing behind it is that of ABIInternal.
	var at unsafe.Pointer
	name := r.name
	if r.abi == abi0 {
		if at = address(r.name + ".abi0"); at != nil {
			name += ".abi0"
		}
	}
	if at == nil {
		at = address(r.name)
	}
	function, assembly := functionAt(at)
	switch {
	case at == nil && r.used && r.abi == abiInternal:
		return notThin{"the program has no " + r.name}
	case at == nil:
		return nil // it is named only as something that has been inlined, or the loader will miss it
	case !function && strings.HasPrefix(r.name, "type:") && !strings.HasPrefix(r.name, "type:."):
		s.putType(name, at)
	case !function:
		s.put(name, kindObject, uint64(uintptr(at)), 8)
	case name == r.name && (assembly && !t.isAssembled(r) || !assembly && r.abi == abi0):
		return notThin{r.name + " has another calling convention"}
	case r.abi == abiInternal && !strings.HasPrefix(r.name, "type:"):
		s.put(name+".abiinternal", kindFunction, uint64(uintptr(at)), 8)
	default:
		s.put(name, kindFunction, uint64(uintptr(at)), 8)
	}
	return nil
}

// functionAt tells whether there is a Go function at an address, and whether it is written in assembly.
func functionAt(at unsafe.Pointer) (function, assembly bool) {
	f := runtime.FuncForPC(uintptr(at))
	if f == nil || f.Entry() != uintptr(at) {
		return f != nil, false
	}
	const flagAt, isAssembly = 41, 4 // runtime._func.flag, abi.FuncFlagAsm
	return true, *(*byte)(unsafe.Add(unsafe.Pointer(f), flagAt))&isAssembly != 0
}

// isAssembled reports whether there is an assembly function of a calling convention. The runtime's may be in packages
// under it.
func (t *Toolchain) isAssembled(r reference) bool {
	r.used = false
	if t.assembled(packageOf(r.name))[r] {
		return true
	}
	t.mu.Lock()
	paths := slices.Collect(maps.Keys(t.config.Packages))
	t.mu.Unlock()
	for _, path := range paths {
		if strings.HasPrefix(path, "internal/") && t.assembled(path)[r] {
			return true
		}
	}
	return false
}

// assembled returns the assembly functions of a package.
func (t *Toolchain) assembled(path string) map[reference]bool {
	file, ok := t.archive(path)
	if !ok {
		return nil
	}
	if known, ok := assembly.Load(file); ok {
		return known.(map[reference]bool)
	}
	archive, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	known := assembled(archive)
	assembly.Store(file, known)
	return known
}

var assembly sync.Map // the assembly functions of archives, by file

// packageOf returns the import path in a function's name.
func packageOf(name string) string {
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return ""
	}
	return name[:slash+dot]
}

// mend changes what the linker has made of a cell so that it fits a program in place of a shared library.
func mend(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return err
	}
	symbols, names, text := f.Section(".symtab"), f.Section(".strtab"), f.Section(".text")
	if symbols == nil || names == nil || text == nil {
		return errors.New("the linker's object has another form than is known")
	}
	const entry, hidden = 24, 2
	registers := false
	for at := symbols.Offset; at+entry <= symbols.Offset+symbols.Size; at += entry {
		start := names.Offset + uint64(binary.LittleEndian.Uint32(data[at:]))
		name := data[start:]
		name = name[:bytes.IndexByte(name, 0)]
		switch {
		// The program's functions have no suffix that tells their calling convention.
		case bytes.HasSuffix(name, []byte(".abiinternal")):
			name[len(name)-len(".abiinternal")] = 0
		// The runtime would compare these with the program's, which is compiled without -linkshared. That a cell fits
		// its program has been seen to before.
		case bytes.HasPrefix(name, []byte("go:link.pkghash")):
			copy(name, "go:cell.pkghash")
			data[at+5] = hidden
		// By this function a plugin registers itself. The linker leaves room for it and says that it is elsewhere, in
		// two entries with one name.
		case string(name) == "runtime.addmoduledata":
			room := data[text.Offset+binary.LittleEndian.Uint64(data[at+8:]):][:registrarSize]
			if registers {
				binary.LittleEndian.PutUint32(data[at:], binary.LittleEndian.Uint32(data[at:])+1)
			} else if bytes.Count(room, []byte{0xcc}) != len(room) {
				return errors.New("there is no room for runtime.addmoduledata")
			}
			data[at+5] = hidden
			binary.LittleEndian.PutUint16(data[at+6:], uint16(slices.Index(f.Sections, text)))
			copy(room, registrar())
			registers = true
		}
	}
	if !registers {
		return errors.New("runtime.addmoduledata is missing")
	}
	return os.WriteFile(path, data, 0o644)
}

// registrar returns the code of runtime.addmoduledata: it puts the module that DI points to at the end of the program's
// list.
func registrar() []byte {
	last := uint64(uintptr(address("runtime.lastmoduledatap")))
	size := *(*uintptr)(address("type:runtime.moduledata"))
	next := uint32(size - 8)   // moduledata's last field
	code := []byte{0x48, 0xb8} // MOVQ $last, AX
	code = binary.LittleEndian.AppendUint64(code, last)
	code = append(code, 0x48, 0x8b, 0x08) // MOVQ (AX), CX
	code = append(code, 0x48, 0x89, 0xb9) // MOVQ DI, next(CX)
	code = binary.LittleEndian.AppendUint32(code, next)
	return append(code, 0x48, 0x89, 0x38, 0xc3) // MOVQ DI, (AX); RET
}

const registrarSize = 32 // with room to spare

// nothingProgram returns an ELF program that does nothing. The linker starts it four times, and the system's own one
// takes a millisecond each time.
func nothingProgram() []byte {
	code := []byte{0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05} // MOVL $60 (exit), AX; XORL DI, DI; SYSCALL
	const at, headers = 0x400000, 64 + 56
	header := elfHeader(elf.ET_EXEC)
	header.Entry, header.Phoff, header.Phentsize, header.Phnum = at+headers, 64, 56, 1
	size := uint64(headers + len(code))
	var out bytes.Buffer
	binary.Write(&out, binary.LittleEndian, header)
	binary.Write(&out, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: at, Paddr: at, Filesz: size, Memsz: size, Align: 0x1000})
	out.Write(code)
	return out.Bytes()
}

// hashObject returns hashSource, assembled, which is the same for each cell.
func (t *Toolchain) hashObject(ctx context.Context, work string) ([]byte, error) {
	if known := hashes.Load(); known != nil {
		return *known, nil
	}
	if err := os.WriteFile(filepath.Join(work, "hash.s"), []byte(hashSource), 0o644); err != nil {
		return nil, fmt.Errorf("toolchain: %w", err)
	}
	if out, err := t.tool(ctx, work, "as", "-o", "hash.o", "hash.s"); err != nil {
		return nil, notThin{fmt.Sprint(err, ": ", out)}
	}
	object, err := os.ReadFile(filepath.Join(work, "hash.o"))
	if err != nil {
		return nil, fmt.Errorf("toolchain: %w", err)
	}
	hashes.Store(&object)
	return object, nil
}

var hashes atomic.Pointer[[]byte] // what hashObject has made

// hashSource defines the hash of the shared library's interface, a Go string, which the runtime compares when the
// plugin is loaded with the one that the linker has seen (stub.file).
const hashSource = `
	.section .data.rel.ro,"aw"
	.globl "go:link.abihash.` + library + `"
	.hidden "go:link.abihash.` + library + `"
	.type "go:link.abihash.` + library + `", @object
"go:link.abihash.` + library + `":
	.quad hash
	.quad 20
	.size "go:link.abihash.` + library + `", 16
	.section .rodata
hash:
	.zero 20
	.section .note.GNU-stack,"",@progbits
`
