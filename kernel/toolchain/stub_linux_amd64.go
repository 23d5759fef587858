package toolchain

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"unsafe"
)

// stub is an ELF file that describes the process to Go's linker as a shared library: names, and of types the heads,
// from which the linker takes where variables of theirs have pointers.
type stub struct {
	names   bytes.Buffer // .dynstr
	symbols bytes.Buffer // .dynsym
	types   bytes.Buffer
	seen    map[string]bool
}

const (
	kindObject   = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_OBJECT)
	kindFunction = byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC)
	typesAt      = 0x10000000 // the address of the types' section
	typesSection = 5
)

func newStub() *stub {
	s := &stub{seen: map[string]bool{}}
	s.names.WriteByte(0)
	s.symbols.Write(make([]byte, elf.Sym64Size))
	return s
}

// put adds a symbol.
func (s *stub) put(name string, kind byte, value, size uint64) {
	if s.seen[name] {
		return
	}
	s.seen[name] = true
	binary.Write(&s.symbols, binary.LittleEndian, elf.Sym64{Name: uint32(s.names.Len()), Info: kind, Shndx: typesSection,
		Value: value, Size: size})
	s.names.WriteString(name)
	s.names.WriteByte(0)
}

// putType adds a type whose descriptor is at an address of this process.
func (s *stub) putType(name string, at unsafe.Pointer) {
	const (
		headSize = 48 // of abi.Type, with these fields in it
		pointers = 8  // how many bytes have pointers in them
		flags    = 20
		maskAt   = 32
		onDemand = 1 << 4 // the mask is made when it is needed; the linker refuses variables of such types
	)
	head := slices.Clone(unsafe.Slice((*byte)(at), headSize))
	words := binary.LittleEndian.Uint64(head[pointers:]) / 8
	mask := make([]byte, (words+63)/64*8+8)
	if head[flags]&onDemand == 0 && words > 0 {
		copy(mask, unsafe.Slice(*(**byte)(unsafe.Add(at, maskAt)), (words+7)/8))
	}
	value := typesAt + uint64(s.types.Len())
	binary.LittleEndian.PutUint64(head[maskAt:], value+headSize)
	s.types.Write(head)
	s.types.Write(mask)
	s.put(name, kindObject, value, headSize)
}

// file returns the ELF file.
func (s *stub) file() []byte {
	note := func(tag uint32, text []byte) []byte {
		var b bytes.Buffer
		binary.Write(&b, binary.LittleEndian, []uint32{4, uint32(len(text)), tag})
		b.WriteString("Go\x00\x00")
		b.Write(text)
		return b.Bytes()
	}
	const interfaceHash, dependencies = 2, 3 // tags of notes
	alloc := uint64(elf.SHF_ALLOC)
	sections := []struct {
		name string
		elf.Section64
		data []byte
	}{
		{},
		{".dynsym", elf.Section64{Type: uint32(elf.SHT_DYNSYM), Flags: alloc, Link: 2, Info: 1, Entsize: elf.Sym64Size},
			s.symbols.Bytes()},
		{".dynstr", elf.Section64{Type: uint32(elf.SHT_STRTAB), Flags: alloc}, s.names.Bytes()},
		{".note.go.abihash", elf.Section64{Type: uint32(elf.SHT_NOTE), Flags: alloc}, note(interfaceHash, make([]byte, 20))},
		{".note.go.deps", elf.Section64{Type: uint32(elf.SHT_NOTE), Flags: alloc}, note(dependencies, nil)},
		{".types", elf.Section64{Type: uint32(elf.SHT_PROGBITS), Flags: alloc, Addr: typesAt}, append(s.types.Bytes(), 0)},
		{".rela", elf.Section64{Type: uint32(elf.SHT_RELA), Flags: alloc, Link: 1, Entsize: 24}, nil},
		{".shstrtab", elf.Section64{Type: uint32(elf.SHT_STRTAB)}, nil},
	}
	last := len(sections) - 1
	names := []byte{0}
	for i := range sections[1:] {
		sections[i+1].Name = uint32(len(names))
		names = append(append(names, sections[i+1].name...), 0)
	}
	sections[last].data = names
	const headerSize, entrySize = 64, 64
	var body, table bytes.Buffer
	align := func() {
		for body.Len()%8 != 0 {
			body.WriteByte(0)
		}
	}
	for i := range sections {
		align()
		if i > 0 {
			sections[i].Off, sections[i].Size, sections[i].Addralign = uint64(headerSize+body.Len()),
				uint64(len(sections[i].data)), 8
		}
		binary.Write(&table, binary.LittleEndian, sections[i].Section64)
		body.Write(sections[i].data)
	}
	align()
	header := elfHeader(elf.ET_DYN)
	header.Shoff, header.Shentsize, header.Shnum, header.Shstrndx = uint64(headerSize+body.Len()), entrySize,
		uint16(len(sections)), uint16(last)
	var out bytes.Buffer
	binary.Write(&out, binary.LittleEndian, header)
	out.Write(body.Bytes())
	out.Write(table.Bytes())
	return out.Bytes()
}

// elfHeader begins a file of this system's kind.
func elfHeader(kind elf.Type) elf.Header64 {
	header := elf.Header64{Type: uint16(kind), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT), Ehsize: 64}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01") // 64 bits, little endian
	return header
}

// mangle shortens the names of types as the linker does (typeSymbolMangle in cmd/link).
func mangle(name string) string {
	isType := strings.HasPrefix(name, "type:")
	switch {
	case !isType && !strings.Contains(name, "@"), strings.HasPrefix(name, "type:runtime."),
		strings.HasPrefix(name, "go:string."), len(name) <= 14 && !strings.Contains(name, "@"):
		return name
	}
	short := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		sum[0] ^= 0xff
		return base64.StdEncoding.EncodeToString(sum[:6])
	}
	if isType {
		if name[5] == '.' {
			return "type:." + short(name[5:])
		}
		return "type:" + short(name[5:])
	}
	i, j := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if j <= i {
		j = len(name)
	}
	return name[:i+1] + short(name[i+1:j]) + name[j:]
}
