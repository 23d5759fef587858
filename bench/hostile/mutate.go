package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"regexp"
	"slices"
)

// extremes are numbers that a file may tell of and hardly have.
var extremes = []uint64{0, 1, 2, 127, 128, 255, 256, 1<<15 - 1, 1 << 15, 1<<16 - 1, 1 << 16, 1 << 20, 1 << 24,
	1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32,
	1<<32 + 1, 1 << 40, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}

var extremeWords = []string{"0", "-1", "1e400", "NaN", "null", "2147483648", "4294967296", "4611686018427387904",
	"9223372036854775807",
	"99999999999999999999", "65536", "100000000", "true", `"x"`, "[]", "{}", "0.5"}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// mutateBytes changes bytes without knowing what they are. donor are those of another file, or nil.
func mutateBytes(r *rand.Rand, raw, donor []byte) []byte {
	raw = bytes.Clone(raw)
	for range 1 + r.IntN(3) {
		raw = mutateOnce(r, raw, donor)
	}
	return raw
}

func mutateOnce(r *rand.Rand, raw, donor []byte) []byte {
	if len(raw) == 0 {
		return []byte{byte(r.Uint32())}
	}
	at := r.IntN(len(raw))
	if r.IntN(2) == 0 { // where headers are
		at = r.IntN(min(len(raw), 256))
	}
	end := min(len(raw), at+1+r.IntN(64))
	switch r.IntN(11) {
	case 0:
		for range 1 + r.IntN(8) {
			raw[r.IntN(len(raw))] ^= 1 << r.IntN(8)
		}
	case 1:
		raw[at] = byte(pick(r, extremes))
	case 2, 3: // a number of some width
		var wide [8]byte
		v := pick(r, extremes)
		if width := 1 << r.IntN(4); r.IntN(2) == 0 {
			binary.LittleEndian.PutUint64(wide[:], v)
			copy(raw[at:], wide[:width])
		} else {
			binary.BigEndian.PutUint64(wide[:], v)
			copy(raw[at:], wide[8-width:])
		}
	case 4:
		raw = raw[:at]
	case 5:
		raw = append(raw, bytes.Repeat(raw[at:end], 1+r.IntN(20))...)
	case 6: // doubled
		raw = slices.Insert(raw, at, raw[at:end]...)
	case 7: // left out
		raw = slices.Delete(raw, at, end)
	case 8: // exchanged
		to := r.IntN(len(raw))
		n := min(end-at, len(raw)-to)
		part := bytes.Clone(raw[to : to+n])
		copy(raw[to:], raw[at:at+n])
		copy(raw[at:], part)
	case 9: // spliced
		if len(donor) > 0 {
			from := r.IntN(len(donor))
			if r.IntN(2) == 0 {
				raw = append(raw[:at], donor[from:]...)
			} else {
				copy(raw[at:], donor[from:min(len(donor), from+1+r.IntN(256))])
			}
		}
	case 10:
		raw = mutateNumber(r, raw)
	}
	return raw
}

var numbers = regexp.MustCompile(`-?\d+(\.\d+)?`)

// mutateNumber puts another word in the place of a number in text.
func mutateNumber(r *rand.Rand, raw []byte) []byte {
	found := numbers.FindAllIndex(raw[:min(len(raw), 1<<16)], -1)
	if len(found) == 0 {
		return raw
	}
	at := pick(r, found)
	return slices.Concat(raw[:at[0]], []byte(pick(r, extremeWords)), raw[at[1]:])
}
