package toolchain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// object is a Go object file, which the package cmd/internal/goobj of Go's sources describes. Of it is read what a cell
// refers to, and which functions are assembly.
type object []byte

const (
	objectMagic  = "\x00go120ld"
	flagsAt      = len(objectMagic) + 8
	offsetsAt    = flagsAt + 4
	fromAssembly = 1 << 2

	blockSymbols      = 3
	blockNonPackage   = 6
	blockReferences   = 7
	blockRelocations  = 14
	blockAuxiliary    = 15
	symbolSize        = 21
	relocationSize    = 23
	auxiliarySize     = 9
	nonPackage        = 1<<31 - 1 // as the package of a symbol: it is known by its name
	abi0, abiInternal = 0, 1
)

// reference is a symbol's name, with its calling convention where it is a function.
type reference struct {
	name string
	abi  uint16
	used bool // by code or data, not only as the name of something inlined
}

func (o object) number(at int) int { return int(binary.LittleEndian.Uint32(o[at:])) }

// block returns where a block begins and ends.
func (o object) block(n int) (start, end int) {
	return o.number(offsetsAt + 4*n), o.number(offsetsAt + 4*(n+1))
}

// symbols returns the symbols in a block.
func (o object) symbols(block int) []reference {
	var refs []reference
	start, end := o.block(block)
	for at := start; at+symbolSize <= end; at += symbolSize {
		n, off := o.number(at), o.number(at+4)
		refs = append(refs, reference{name: string(o[off : off+n]), abi: binary.LittleEndian.Uint16(o[at+8:])})
	}
	return refs
}

// references returns what the object refers to by name.
func (o object) references() []reference {
	refs := o.symbols(blockReferences)
	defined, end := o.block(blockNonPackage)
	first := (end - defined) / symbolSize
	use := func(at int) {
		if o.number(at) == nonPackage {
			if i := o.number(at+4) - first; i >= 0 && i < len(refs) {
				refs[i].used = true
			}
		}
	}
	for at, end := o.block(blockRelocations); at+relocationSize <= end; at += relocationSize {
		use(at + relocationSize - 8)
	}
	for at, end := o.block(blockAuxiliary); at+auxiliarySize <= end; at += auxiliarySize {
		use(at + auxiliarySize - 8)
	}
	return refs
}

// objects returns the Go objects of an archive.
func objects(archive []byte) []object {
	const head = 60
	var all []object
	for at := len("!<arch>\n"); at+head <= len(archive); {
		size, err := strconv.Atoi(strings.TrimSpace(string(archive[at+48 : at+58])))
		if err != nil || at+head+size > len(archive) {
			break
		}
		member := archive[at+head : at+head+size]
		// Lines about the compiler come before the object.
		if i := bytes.Index(member[:min(len(member), 4096)], []byte(objectMagic)); i >= 0 &&
			bytes.HasPrefix(member, []byte("go object ")) {
			all = append(all, object(member[i:]))
		}
		at += head + size + size%2
	}
	return all
}

// references returns what the Go object in a cell's archive refers to by name.
func references(archive []byte) ([]reference, error) {
	all := objects(archive)
	if len(all) != 1 {
		return nil, errors.New("the compiler's object format is not the one that is known")
	}
	return all[0].references(), nil
}

// assembled returns the assembly functions of an archive.
func assembled(archive []byte) map[reference]bool {
	known := map[reference]bool{}
	for _, o := range objects(archive) {
		if o[flagsAt]&fromAssembly == 0 {
			continue
		}
		for _, block := range []int{blockSymbols, blockNonPackage} {
			for _, r := range o.symbols(block) {
				known[r] = true
			}
		}
	}
	return known
}
