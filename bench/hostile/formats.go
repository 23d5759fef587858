package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// mutate changes a file by what it is: what is packed is unpacked, changed and packed again, so that lengths and sums
// fit. A third is changed byte by byte.
func mutate(r *rand.Rand, name string, raw, donor []byte, depth int) []byte {
	if r.IntN(3) == 0 || depth > 3 {
		return mutateBytes(r, raw, donor)
	}
	ext := strings.ToLower(filepath.Ext(name))
	switch {
	case bytes.HasPrefix(raw, []byte("PK\x03\x04")):
		return mutateZip(r, raw, depth)
	case bytes.HasPrefix(raw, []byte("\x1f\x8b")):
		return mutateGzip(r, strings.TrimSuffix(name, ".gz"), raw, depth)
	case bytes.HasPrefix(raw, []byte("gomlx_checkpointss\x04gzip")):
		return slices.Concat(raw[:23], mutateGzip(r, "", raw[23:], depth))
	case bytes.HasPrefix(raw, []byte("\x93NUMPY")):
		return mutateNPY(r, raw, donor)
	case bytes.HasPrefix(raw, []byte("\x89PNG")):
		return mutatePNG(r, raw)
	case ext == ".onnx":
		return mutateProto(r, raw, donor)
	case ext == ".safetensors":
		return mutateSafetensors(r, raw, donor)
	case ext == ".json":
		return mutateJSON(r, raw)
	case ext == ".pkl" || len(raw) > 0 && raw[0] == 0x80:
		return mutatePickle(r, raw, donor)
	case ext == ".csv" || ext == ".txt":
		return mutateNumber(r, raw)
	}
	return mutateBytes(r, raw, donor)
}

type entry struct {
	name    string
	method  uint16
	content []byte
}

func mutateZip(r *rand.Rand, raw []byte, depth int) []byte {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return mutateBytes(r, raw, nil)
	}
	var entries []entry
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			return mutateBytes(r, raw, nil)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return mutateBytes(r, raw, nil)
		}
		entries = append(entries, entry{f.Name, f.Method, content})
	}
	if len(entries) == 0 {
		return mutateBytes(r, raw, nil)
	}
	at := r.IntN(len(entries))
	switch r.IntN(8) {
	case 0:
		entries = slices.Insert(entries, at, entries[r.IntN(len(entries))])
	case 1:
		entries = slices.Delete(entries, at, at+1)
	case 2:
		entries[at].name = pick(r, []string{"../" + entries[at].name, "/" + entries[at].name, entries[at].name + "/", "",
			`a\b`, entries[r.IntN(len(entries))].name, "data.pkl", "metadata.json"})
	default:
		entries[at].content = mutate(r, entries[at].name, entries[at].content, entries[r.IntN(len(entries))].content, depth+1)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		to, err := w.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			return raw
		}
		to.Write(e.content) // to memory
	}
	w.Close()
	return out.Bytes()
}

func mutateGzip(r *rand.Rand, name string, raw []byte, depth int) []byte {
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return mutateBytes(r, raw, nil)
	}
	content, _ := io.ReadAll(z)
	return gzipped(mutate(r, name, content, nil, depth+1))
}

func gzipped(content []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(content) // to memory
	w.Close()
	return out.Bytes()
}

// mutateNPY changes the header's text and says its length anew.
func mutateNPY(r *rand.Rand, raw, donor []byte) []byte {
	if len(raw) < 10 {
		return mutateBytes(r, raw, donor)
	}
	n := min(int(binary.LittleEndian.Uint16(raw[8:])), len(raw)-10)
	head, data := bytes.Clone(raw[10:10+n]), raw[10+n:]
	switch r.IntN(4) {
	case 0:
		head = bytes.Replace(head, []byte(pick(r, []string{"'<f4'", "'|u1'", "False", ", ", "<", "shape"})),
			[]byte(pick(r, []string{"'>f8'", "'|O'", "'<f2'", "'<c16'", "True", "(", "", "'|S9'", "'<U3'", "'|V8'"})), 1)
	case 1:
		head = mutateBytes(r, head, nil)
	default:
		head = mutateNumber(r, head)
	}
	head = head[:min(len(head), 65535)]
	out := binary.LittleEndian.AppendUint16(bytes.Clone(raw[:8]), uint16(len(head)))
	return slices.Concat(out, head, data)
}

// mutatePNG changes a chunk, or the pixels behind the packing, and says sums anew.
func mutatePNG(r *rand.Rand, raw []byte) []byte {
	type chunk struct {
		kind    string
		content []byte
	}
	var chunks []chunk
	for at := 8; at+12 <= len(raw); {
		n := int(binary.BigEndian.Uint32(raw[at:]))
		if n > len(raw)-at-12 {
			break
		}
		chunks = append(chunks, chunk{string(raw[at+4 : at+8]), raw[at+8 : at+8+n]})
		at += 12 + n
	}
	if len(chunks) == 0 {
		return mutateBytes(r, raw, nil)
	}
	at := r.IntN(len(chunks))
	switch c := &chunks[at]; {
	case r.IntN(6) == 0:
		chunks = slices.Insert(chunks, at, chunks[r.IntN(len(chunks))])
	case r.IntN(6) == 0:
		chunks = slices.Delete(chunks, at, at+1)
	case c.kind == "IHDR" && len(c.content) == 13:
		c.content = bytes.Clone(c.content)
		if r.IntN(2) == 0 {
			binary.BigEndian.PutUint32(c.content[4*r.IntN(2):], uint32(pick(r, append(extremes, 9000, 9459, 30000))))
		} else {
			c.content[8+r.IntN(5)] = byte(pick(r, []int{0, 1, 2, 3, 4, 6, 8, 16, 255}))
		}
	case c.kind == "IDAT":
		if z, err := zlib.NewReader(bytes.NewReader(c.content)); err == nil {
			content, _ := io.ReadAll(z)
			var out bytes.Buffer
			w := zlib.NewWriter(&out)
			w.Write(mutateBytes(r, content, nil)) // to memory
			w.Close()
			c.content = out.Bytes()
		}
	default:
		c.content = mutateBytes(r, c.content, nil)
	}
	out := bytes.Clone(raw[:8])
	for _, c := range chunks {
		out = binary.BigEndian.AppendUint32(out, uint32(len(c.content)))
		from := len(out)
		out = append(append(out, c.kind...), c.content...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[from:]))
	}
	return out
}

// mutateSafetensors changes the header and says its length anew.
func mutateSafetensors(r *rand.Rand, raw, donor []byte) []byte {
	if len(raw) < 8 || binary.LittleEndian.Uint64(raw) > uint64(len(raw)-8) {
		return mutateBytes(r, raw, donor)
	}
	n := binary.LittleEndian.Uint64(raw)
	header := mutateJSON(r, raw[8:8+n])
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header, raw[8+n:])
}

// mutateJSON changes a value somewhere, or the text.
func mutateJSON(r *rand.Rand, raw []byte) []byte {
	if r.IntN(4) == 0 {
		return mutateNumber(r, raw)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return mutateBytes(r, raw, nil)
	}
	count := 0
	var walk func(v any, change int) any
	walk = func(v any, change int) any {
		if count++; count-1 == change {
			return pick(r, []any{nil, json.Number("-1"), json.Number("0"), json.Number("9223372036854775807"),
				json.Number("4294967296"), json.Number("1e300"), json.Number("0.5"), "", "x",
				true, []any{}, map[string]any{}, []any{v, v}, map[string]any{"": v},
				json.RawMessage(strings.Repeat("[", 12000) + strings.Repeat("]", 12000)), strings.Repeat("9", 100)})
		}
		switch v := v.(type) {
		case []any:
			out := slices.Clone(v)
			for i := range out {
				out[i] = walk(out[i], change)
			}
			return out
		case map[string]any:
			out := map[string]any{}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				value := walk(v[key], change)
				out[key] = value
			}
			return out
		case string: // JSON in a string, as metadata has it
			if inner := []byte(v); len(inner) > 1 && inner[0] == '{' && json.Valid(inner) && r.IntN(20) == 0 {
				return string(mutateJSON(r, inner))
			}
		}
		return v
	}
	walk(v, -1)
	change := r.IntN(count)
	count = 0
	out, err := json.Marshal(walk(v, change))
	if err != nil {
		return mutateBytes(r, raw, nil)
	}
	return out
}

// mutatePickle puts another number in the place of one of a pickle, or changes bytes.
func mutatePickle(r *rand.Rand, raw, donor []byte) []byte {
	var at []int
	for i := 2; i+9 < len(raw); i++ {
		if raw[i] == 0x8a && raw[i+1] == 8 || raw[i] == 'J' || raw[i] == 'X' || raw[i] == 'K' || raw[i] == 'M' {
			at = append(at, i)
		}
	}
	if len(at) == 0 || r.IntN(3) == 0 {
		return mutateBytes(r, raw, donor)
	}
	raw = bytes.Clone(raw)
	v := pick(r, extremes)
	switch i := pick(r, at); raw[i] {
	case 0x8a:
		binary.LittleEndian.PutUint64(raw[i+2:], v)
	case 'J', 'X':
		binary.LittleEndian.PutUint32(raw[i+1:], uint32(v))
	case 'M':
		binary.LittleEndian.PutUint16(raw[i+1:], uint16(v))
	case 'K':
		raw[i+1] = byte(v)
	}
	return raw
}

// part is a field of a protocol buffer; parts are those of a message in it.
type part struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
	parts  []*part
}

// parts takes a message apart; nil if it is none.
func parts(raw []byte, depth int) []*part {
	var all []*part
	for len(raw) > 0 {
		number, kind, n := protowire.ConsumeTag(raw)
		if n < 0 || number > 64 {
			return nil
		}
		raw = raw[n:]
		p := &part{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			p.value, n = protowire.ConsumeVarint(raw)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(raw)
			p.value = uint64(v)
		case protowire.Fixed64Type:
			p.value, n = protowire.ConsumeFixed64(raw)
		case protowire.BytesType:
			p.bytes, n = protowire.ConsumeBytes(raw)
			if n >= 0 && depth < 8 && len(p.bytes) < 1<<16 {
				p.parts = parts(p.bytes, depth+1)
			}
		default:
			return nil
		}
		if n < 0 {
			return nil
		}
		raw, all = raw[n:], append(all, p)
	}
	return all
}

// assembled puts a message together, with lengths that fit.
func assembled(all []*part) []byte {
	var raw []byte
	for _, p := range all {
		raw = protowire.AppendTag(raw, p.number, p.kind)
		switch p.kind {
		case protowire.VarintType:
			raw = protowire.AppendVarint(raw, p.value)
		case protowire.Fixed32Type:
			raw = protowire.AppendFixed32(raw, uint32(p.value))
		case protowire.Fixed64Type:
			raw = protowire.AppendFixed64(raw, p.value)
		case protowire.BytesType:
			content := p.bytes
			if p.parts != nil {
				content = assembled(p.parts)
			}
			raw = protowire.AppendBytes(raw, content)
		}
	}
	return raw
}

// mutateProto changes fields of a message somewhere.
func mutateProto(r *rand.Rand, raw, donor []byte) []byte {
	root := &part{parts: parts(raw, 0)}
	if root.parts == nil {
		return mutateBytes(r, raw, donor)
	}
	var within func(p *part, all []*part) []*part
	within = func(p *part, all []*part) []*part { // those that hold others
		if len(p.parts) > 0 {
			all = append(all, p)
		}
		for _, inner := range p.parts {
			all = within(inner, all)
		}
		return all
	}
	for range 1 + r.IntN(2) {
		holders := within(root, nil)
		holder := pick(r, holders)
		if len(holder.parts) == 0 {
			continue
		}
		at := r.IntN(len(holder.parts))
		p := holder.parts[at]
		switch r.IntN(9) {
		case 0:
			holder.parts = slices.Delete(holder.parts, at, at+1)
		case 1:
			for range 1 + r.IntN(40) {
				holder.parts = slices.Insert(holder.parts, at, p)
			}
		case 2: // exchanged with another of the same message
			to := r.IntN(len(holder.parts))
			holder.parts[at], holder.parts[to] = holder.parts[to], holder.parts[at]
		case 3: // another's content
			if from := pick(r, holders); len(from.parts) > 0 {
				again := parts(assembled([]*part{from.parts[r.IntN(len(from.parts))]}), 0) // a copy, for it may hold the place
				if again != nil {
					again[0].number = p.number
					holder.parts[at] = again[0]
				}
			}
		case 4:
			if other := (&part{parts: parts(donor, 0)}); other.parts != nil {
				holder.parts[at] = pick(r, pick(r, within(other, nil)).parts)
			}
		default:
			switch {
			case p.kind != protowire.BytesType:
				p.value = pick(r, extremes)
			case p.parts != nil:
				leaf := pick(r, p.parts)
				leaf.value = pick(r, extremes)
				if leaf.kind == protowire.BytesType && leaf.parts == nil {
					leaf.bytes = mutateBytes(r, leaf.bytes, nil)
				}
			default:
				p.bytes = mutateBytes(r, p.bytes, nil)
			}
		}
		if root.parts == nil {
			return nil
		}
	}
	return assembled(root.parts)
}
