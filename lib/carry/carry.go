// Package carry takes values from one program to another through a file: between the cells of a notebook that are
// programs of their own and those that are not.
//
// It carries numbers, strings, bools, slices, arrays, maps, pointers, structs of exported fields, images, what encodes
// itself (encoding.BinaryMarshaler, encoding/gob) and, with package arrays, tensors and datasets.
package carry

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"go/token"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/regular"
)

// Header says what is in a file.
type Header struct {
	Type    string   // as Go writes it
	Imports []string // the packages that Type names
	Codec   string   // the type of the codec that has written it; empty means encoding/gob
}

// Codec carries a type that encoding/gob cannot.
type Codec struct {
	Type    string // as Go writes it, such as *tensors.Tensor
	Imports []string
	Is      func(v any) bool
	Save    func(w io.Writer, v any) error
	Load    func(r io.Reader) (any, error)
}

var (
	mu     sync.Mutex // guards codecs
	codecs []Codec
)

// Register adds a codec.
func Register(c Codec) {
	mu.Lock()
	defer mu.Unlock()
	codecs = append(codecs, c)
}

func codecFor(is func(Codec) bool) (Codec, bool) {
	mu.Lock()
	defer mu.Unlock()
	if i := slices.IndexFunc(codecs, is); i >= 0 {
		return codecs[i], true
	}
	return Codec{}, false
}

// Save writes a value to a file. An error names the part of the value whose type cannot be carried.
func Save(file string, v any) (err error) {
	if v == nil {
		return fmt.Errorf("carry: nil has no type to be carried as")
	}
	codec, special := codecFor(func(c Codec) bool { return c.Is(v) })
	h := Header{Type: codec.Type, Imports: codec.Imports, Codec: codec.Type}
	if !special {
		imports := map[string]bool{}
		if h.Type, err = typeText(reflect.TypeOf(v), "the value", imports, map[reflect.Type]bool{}); err != nil {
			return err
		}
		h.Imports = slices.Sorted(maps.Keys(imports))
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	defer func() {
		if e := f.Close(); err == nil && e != nil {
			err = fmt.Errorf("carry: %w", e)
		}
	}()
	buffered, sum := bufio.NewWriter(f), sha256.New()
	w := io.MultiWriter(buffered, sum)
	if err := json.NewEncoder(w).Encode(h); err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	if special {
		err = codec.Save(w, v)
	} else {
		err = gob.NewEncoder(w).Encode(v)
	}
	if err == nil {
		_, err = buffered.Write(sum.Sum(nil))
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return fmt.Errorf("carry: %w", err)
	}
	return nil
}

// Describe reads what is in a file.
func Describe(file string) (Header, error) {
	f, _, err := regular.Open(file)
	if err != nil {
		return Header{}, fmt.Errorf("carry: %w", err)
	}
	defer f.Close()
	h, _, err := header(f)
	return h, err
}

func header(f io.Reader) (h Header, rest *bufio.Reader, err error) {
	rest = bufio.NewReader(f)
	line, err := rest.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err != nil {
		return h, nil, fmt.Errorf("carry: this is no file of a value, or it was cut short: %w", err)
	}
	return h, rest, nil
}

// Load reads a value from a file. It panics where that fails: it stands where a variable is declared.
func Load[T any](file string) T {
	v, err := load[T](file)
	if err != nil {
		panic(err)
	}
	return v
}

// whole checks that a file is as [Save] has written it, and returns its contents without the sum at their end.
// encoding/gob trusts sizes that it reads: a damaged one could fill the memory.
func whole(f io.ReadSeeker, size int64) (io.Reader, error) {
	content := io.LimitReader(f, size-sha256.Size)
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return nil, err
	}
	said, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(said, sum.Sum(nil)) {
		return nil, errors.New("it is damaged, or was cut short")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.LimitReader(f, size-sha256.Size), nil
}

func load[T any](file string) (v T, err error) {
	f, size, err := regular.Open(file)
	if err != nil {
		return v, fmt.Errorf("carry: %w", err)
	}
	defer f.Close()
	content, err := whole(f, size)
	if err != nil {
		return v, fmt.Errorf("carry: %s: %w", file, err)
	}
	h, rest, err := header(content)
	if err != nil {
		return v, err
	}
	if h.Codec == "" {
		if err := gob.NewDecoder(rest).Decode(&v); err != nil {
			return v, fmt.Errorf("carry: a %s cannot be read as %T: %w", h.Type, v, err)
		}
		return v, nil
	}
	codec, ok := codecFor(func(c Codec) bool { return c.Type == h.Codec })
	if !ok {
		return v, fmt.Errorf("carry: nothing here reads a %s", h.Codec)
	}
	loaded, err := codec.Load(rest)
	if err != nil {
		return v, fmt.Errorf("carry: %w", err)
	}
	v, ok = loaded.(T)
	if !ok {
		return v, fmt.Errorf("carry: a %s is no %T", h.Type, v)
	}
	return v, nil
}

var (
	binaryMarshaler = reflect.TypeFor[encoding.BinaryMarshaler]()
	gobEncoder      = reflect.TypeFor[gob.GobEncoder]()
)

// typeText writes a type for another program. Types that a program or a cell has declared are written out, for the
// other one does not have them.
func typeText(t reflect.Type, where string, imports map[string]bool, within map[reflect.Type]bool) (string, error) {
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("carry: %s has the type %s, %s", where, t, why)
	}
	if within[t] {
		return refuse("which holds itself")
	}
	within[t] = true
	defer delete(within, t)
	local := t.PkgPath() == "main" || strings.HasPrefix(t.PkgPath(), "cells/") || strings.HasPrefix(t.PkgPath(), "gonb_")
	if t.Name() != "" && t.PkgPath() != "" && !local {
		if strings.Contains(t.Name(), "[") {
			return refuse("a generic one, which cannot be carried")
		}
		encodes := t.Implements(binaryMarshaler) || reflect.PointerTo(t).Implements(binaryMarshaler) ||
			t.Implements(gobEncoder) || reflect.PointerTo(t).Implements(gobEncoder)
		if !encodes {
			if _, err := structureText(t, where, imports, within); err != nil {
				return "", err
			}
		}
		imports[t.PkgPath()] = true
		return t.String(), nil
	}
	if t.Name() != "" && t.PkgPath() == "" {
		switch t.Kind() {
		case reflect.Interface, reflect.Uintptr, reflect.UnsafePointer:
			return refuse("which cannot be carried")
		}
		return t.Name(), nil
	}
	return structureText(t, where, imports, within)
}

// structureText writes a type's structure.
func structureText(t reflect.Type, where string, imports map[string]bool, within map[reflect.Type]bool) (string,
	error) {
	part := func(t reflect.Type, where string) (string, error) { return typeText(t, where, imports, within) }
	switch t.Kind() {
	case reflect.Pointer:
		s, err := part(t.Elem(), where)
		return "*" + s, err
	case reflect.Slice:
		s, err := part(t.Elem(), "an element of "+where)
		return "[]" + s, err
	case reflect.Array:
		s, err := part(t.Elem(), "an element of "+where)
		return fmt.Sprintf("[%d]%s", t.Len(), s), err
	case reflect.Map:
		k, err := part(t.Key(), "a key of "+where)
		if err != nil {
			return "", err
		}
		v, err := part(t.Elem(), "an element of "+where)
		return "map[" + k + "]" + v, err
	case reflect.Struct:
		var fields []string
		for i := range t.NumField() {
			f := t.Field(i)
			if !token.IsExported(f.Name) {
				return "", fmt.Errorf("carry: the field %s of %s is not exported", f.Name, where)
			}
			s, err := part(f.Type, "the field "+f.Name+" of "+where)
			if err != nil {
				return "", err
			}
			fields = append(fields, f.Name+" "+s)
		}
		return "struct{ " + strings.Join(fields, "; ") + " }", nil
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr:
		return "", fmt.Errorf("carry: %s has the type %s, which cannot be carried", where, t)
	}
	return t.Kind().String(), nil
}
