package compilecache

/*
#cgo LDFLAGS: -ldl
#include <stdlib.h>
#include "front.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"

	"github.com/loupeml/loupe/internal/customcall"
)

// front is the thin plugin of this process. C's table of functions has no room for a pointer to it, so there is one.
var (
	frontMu sync.Mutex // held while front is set
	front   atomic.Pointer[thin]
)

// thin is a thin plugin in front of a real one.
type thin struct {
	cache *Cache
	real  *C.PJRT_Api
	path  string // the real plugin's file

	// same is the part of the circumstances that no client changes.
	same func() (string, error)
	// variables are the environment's when the plugin was loaded. XLA reads them once, and nobody knows when.
	variables    string
	variablesErr error
	options      string // the client's
	kernels      bool   // programs for the CPU get loupe's kernels

	clients sync.Map // *C.PJRT_Client to its part of the circumstances
}

// Front loads the plugin file through go-xla, and puts a thin plugin in front of it, which go-xla then finds under
// the same name. options are what the client will be made with. The error is that the plugin does not load. That it
// cannot be cached is none: [Cache.Report] and the first program say it.
func (c *Cache) Front(path, options string) error {
	frontMu.Lock()
	defer frontMu.Unlock()
	before := front.Load()
	if before != nil && before.path == path && before.options == options {
		return nil
	}
	stamped, stampErr := stamp(path)
	if _, err := pjrt.GetPlugin(path); err != nil {
		return err
	}
	plain, err := customcall.Plain()
	if err != nil {
		return err
	}
	c.leave(plain)
	switch {
	case c.off && plain != "":
		return nil
	case before != nil:
		c.none("this process has started another XLA plugin before")
		return nil
	case stampErr != nil:
		c.none(stampErr.Error())
		return nil
	}
	table, real, err := wrap(path)
	if err != nil {
		c.none(fmt.Sprintf("%s: %v", path, err))
		return nil
	}
	if plain == "" {
		if err := customcall.Register(unsafe.Pointer(real)); err != nil {
			plain = err.Error()
			c.leave(plain)
		}
	}
	t := &thin{cache: c, real: real, path: path, options: options, kernels: plain == ""}
	t.variables, t.variablesErr = environment()
	t.same = sync.OnceValues(func() (string, error) { return t.plugin(stamped) })
	front.Store(t)
	// It may have to be read whole; XLA's own start takes a while as well.
	go t.same()
	return pjrt.RegisterPreloadedPlugin(path, uintptr(unsafe.Pointer(table)))
}

// wrap returns the table of the thin plugin and of the real one.
func wrap(path string) (table, real *C.PJRT_Api, err error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why *C.char
	if real = C.loupe_open(name, &why); real == nil {
		return nil, nil, taken(why)
	}
	if table = C.loupe_front(real, &why); table == nil {
		return nil, nil, taken(why)
	}
	return table, real, nil
}

// taken turns a message of C's into an error, nil for none, and frees it.
func taken(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	text, _, _ := strings.Cut(C.GoString(message), "\n")
	return errors.New(text)
}

// loupeCompile stands in the plugin's table for PJRT_Client_Compile.
//
//export loupeCompile
func loupeCompile(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	return front.Load().compile(args)
}

// compile takes the program from the cache, or has XLA compile it and keeps it.
func (t *thin) compile(args *C.PJRT_Client_Compile_Args) *C.PJRT_Error {
	c := t.cache
	defer C.loupe_trim() // what compiling took, more than some programs do
	if t.kernels {
		switch platform, _, err := t.platform(args.client); {
		case err != nil:
			c.leave(err.Error())
		case platform == "cpu":
			defer t.rewrite(args)()
		default:
			c.leave("loupe's kernels are for the CPU, and this is " + platform)
		}
	}
	k, circumstances, err := t.key(args)
	if err == nil {
		if t.load(args, k, circumstances) {
			c.loaded.Add(1)
			return nil
		}
	}

	c.compiling.Add(1)
	began := time.Now()
	failed := C.loupe_compile(t.real, args)
	took := time.Since(began)
	c.compiling.Add(-1)
	if failed != nil {
		return failed
	}
	c.compiled.Add(1)

	if err == nil {
		err = t.store(args, k, circumstances, took)
	}
	if err != nil {
		c.say(err.Error())
	}
	return nil
}

// rewrite puts loupe's kernels into the program, and returns what puts the caller's own program back.
func (t *thin) rewrite(args *C.PJRT_Client_Compile_Args) (back func()) {
	given := args.program
	if C.GoStringN(given.format, C.int(given.format_size)) != "mlir" {
		return func() {}
	}
	text, n := customcall.Rewrite(unsafe.Slice((*byte)(unsafe.Pointer(given.code)), given.code_size))
	if n == 0 {
		return func() {}
	}
	t.cache.replaced.Add(int64(n))
	program := (*C.PJRT_Program)(C.malloc(C.sizeof_PJRT_Program)) // in C's memory, since args are
	*program = *given
	program.code = (*C.char)(C.CBytes(text))
	program.code_size = C.size_t(len(text))
	args.program = program
	return func() {
		args.program = given
		C.free(unsafe.Pointer(program.code))
		C.free(unsafe.Pointer(program))
	}
}

// platform is the name of what a client runs programs on, and its version.
func (t *thin) platform(client *C.PJRT_Client) (name, version string, err error) {
	var n C.PJRT_Client_PlatformName_Args
	var v C.PJRT_Client_PlatformVersion_Args
	if err := taken(C.loupe_platform(t.real, client, &n, &v)); err != nil {
		return "", "", err
	}
	return C.GoStringN(n.platform_name, C.int(n.platform_name_size)),
		C.GoStringN(v.platform_version, C.int(v.platform_version_size)), nil
}

// key returns what the program is kept under, or why it is not kept.
func (t *thin) key(args *C.PJRT_Client_Compile_Args) (k key, circumstances string, err error) {
	if err := t.cache.usable(); err != nil {
		return k, "", err
	}
	if args.extension_start != nil || args.program.extension_start != nil {
		return k, "", errors.New("it comes with an extension of PJRT that loupe does not know")
	}
	format := C.GoStringN(args.program.format, C.int(args.program.format_size))
	program := unsafe.Slice((*byte)(unsafe.Pointer(args.program.code)), args.program.code_size)
	options := unsafe.Slice((*byte)(unsafe.Pointer(args.compile_options)), args.compile_options_size)
	if !whole(format, program) {
		return k, "", errors.New("it has a custom call, whose meaning its text does not tell")
	}
	if circumstances, err = t.circumstances(args.client); err != nil {
		return k, "", err
	}
	return keyOf(circumstances, format, program, options), circumstances, nil
}

// circumstances describes all that shapes compiled programs besides their text and their options.
func (t *thin) circumstances(client *C.PJRT_Client) (string, error) {
	now, err := environment()
	switch {
	case t.variablesErr != nil:
		return "", t.variablesErr
	case err != nil:
		return "", err
	case now != t.variables:
		return "", errors.New("variables that XLA reads have changed since it was started")
	}
	same, err := t.same()
	if err != nil {
		return "", err
	}
	if known, ok := t.clients.Load(client); ok {
		return known.(string), nil
	}
	described, err := t.describe(client)
	if err != nil {
		return "", err
	}
	all := same + described
	t.clients.Store(client, all)
	return all, nil
}

// plugin is the part of the circumstances that is known without a client.
func (t *thin) plugin(stamped string) (string, error) {
	if err := t.cache.usable(); err != nil {
		return "", err
	}
	hash, err := t.cache.identity(t.path, stamped)
	if err != nil {
		return "", err
	}
	machine, err := machine()
	if err != nil {
		return "", err
	}
	version := t.real.pjrt_api_version
	return fmt.Sprintf("format %d\nplugin %s\npjrt %d.%d\noptions %s\n%s%s\n", format, hash,
		version.major_version, version.minor_version, t.options, machine, t.variables), nil
}

// describe is the part of the circumstances that the client tells.
func (t *thin) describe(client *C.PJRT_Client) (string, error) {
	platform, version, err := t.platform(client)
	if err != nil {
		return "", err
	}
	libraries, err := libraries(platform, t.path)
	if err != nil {
		return "", err
	}
	b := strings.Builder{}
	fmt.Fprintf(&b, "platform %s %s\n%s", platform, version, libraries)

	var devices **C.PJRT_Device
	var count C.size_t
	if err := taken(C.loupe_devices(t.real, client, &devices, &count)); err != nil {
		return "", err
	}
	for _, device := range unsafe.Slice(devices, count) {
		var kind C.PJRT_DeviceDescription_Kind_Args
		var text C.PJRT_DeviceDescription_DebugString_Args
		if err := taken(C.loupe_device(t.real, device, &kind, &text)); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "device %s %s\n", C.GoStringN(kind.device_kind, C.int(kind.device_kind_size)),
			C.GoStringN(text.debug_string, C.int(text.debug_string_size)))
	}
	return b.String(), nil
}

// load gives XLA the kept program, and tells whether there is one that it takes.
func (t *thin) load(args *C.PJRT_Client_Compile_Args, k key, circumstances string) bool {
	began := time.Now()
	payload, took, err := t.cache.load(k, circumstances)
	if err == nil {
		var program *C.PJRT_LoadedExecutable
		err = taken(C.loupe_load(t.real, args.client, (*C.char)(unsafe.Pointer(unsafe.SliceData(payload))),
			C.size_t(len(payload)), &program))
		if err == nil {
			args.executable = program
			t.cache.hit(k.file(), took-time.Since(began))
			return true
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.cache.damaged.Add(1) // what is compiled now is written in its place
	}
	return false
}

// store keeps the program that XLA has compiled.
func (t *thin) store(args *C.PJRT_Client_Compile_Args, k key, circumstances string, took time.Duration) error {
	var out C.PJRT_Executable_Serialize_Args
	var holder *C.PJRT_Executable
	if err := taken(C.loupe_serialize(t.real, args.executable, &out, &holder)); err != nil {
		return fmt.Errorf("XLA cannot save it: %w", err)
	}
	defer C.loupe_serialized_free(t.real, &out, holder)
	payload := unsafe.Slice((*byte)(unsafe.Pointer(out.serialized_bytes)), out.serialized_bytes_size)
	if err := t.cache.store(k, circumstances, payload, took); err != nil {
		return err
	}
	t.cache.stored.Add(1)
	return nil
}
