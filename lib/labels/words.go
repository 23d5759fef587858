package labels

import (
	"encoding/binary"
	"math"
	"sort"
	"unsafe"
)

// rows are probabilities in reach of a loop that looks at their bits where they lie. Of one slice at most there is
// something; without any, rows come from p.
type rows struct {
	p       Probabilities
	n, k    int
	doubles []uint64
	singles []uint32
	halves  []uint16
}

// stored is what probabilities are that lie in memory as they are, row after row. within calls do while they do.
type stored interface {
	within(do func(data []byte, e element) error) error
}

// littleEndian is whether numbers lie in memory as they do in a file.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// within calls do with the rows of p.
func within(p Probabilities, do func(r rows) error) error {
	n, k := p.Dims()
	r := rows{p: p, n: n, k: k}
	if s, ok := p.(stored); ok && littleEndian {
		reached := false
		err := s.within(func(data []byte, e element) error {
			first := unsafe.Pointer(unsafe.SliceData(data))
			if uintptr(first)%uintptr(e.bytes()) != 0 { // a file's header may end anywhere
				return nil
			}
			reached = true
			switch e {
			case double:
				r.doubles = unsafe.Slice((*uint64)(first), n*k)
			case single:
				r.singles = unsafe.Slice((*uint32)(first), n*k)
			case half:
				r.halves = unsafe.Slice((*uint16)(first), n*k)
			}
			return do(r)
		})
		if reached || err != nil {
			return err
		}
	}
	return do(r)
}

// row is [Probabilities.Row].
func (r rows) row(i int, buffer []float64) []float64 {
	if r.doubles == nil && r.singles == nil && r.halves == nil {
		return r.p.Row(i, buffer)
	}
	for j := range buffer {
		buffer[j] = r.at(i, j, nil)
	}
	return buffer
}

// at is one probability. buffer is [K].
func (r rows) at(i, j int, buffer []float64) float64 {
	switch at := i*r.k + j; {
	case r.doubles != nil:
		return fromDouble(r.doubles[at])
	case r.singles != nil:
		return fromSingle(r.singles[at])
	case r.halves != nil:
		return fromHalf(r.halves[at])
	}
	return r.p.Row(i, buffer)[j]
}

func fromDouble(w uint64) float64 { return math.Float64frombits(w) }
func fromSingle(w uint32) float64 { return float64(math.Float32frombits(w)) }
func fromHalf(w uint16) float64   { return float64(halfTable()[w]) }

// floors is a positive number in each precision, rounded down.
type floors struct {
	double uint64
	single uint32
	half   uint16
}

func floorsOf(v float64) floors {
	narrow := float32(v)
	if float64(narrow) > v {
		narrow = math.Nextafter32(narrow, 0)
	}
	table := halfTable()
	infinite := 0x7c00
	above := sort.Search(infinite, func(bits int) bool { return float64(table[bits]) > v })
	return floors{math.Float64bits(v), math.Float32bits(narrow), uint16(max(above-1, 0))}
}

// sight is what one look at a row tells.
type sight struct {
	other           float64 // the largest probability but that of the label
	rival           int     // the first class that has it
	confident, last int     // how many classes reach their threshold, and the last of them
	inside          bool    // whether all are probabilities
}

// look goes through a row once. floor is no more than any of reach. buffer is [K].
func (r rows) look(i, y int, reach []float64, floor floors, buffer []float64) sight {
	lo, hi := i*r.k, (i+1)*r.k
	switch {
	case r.doubles != nil:
		return look(r.doubles[lo:hi], y, reach, floor.double, fromDouble)
	case r.singles != nil:
		return look(r.singles[lo:hi], y, reach, floor.single, fromSingle)
	case r.halves != nil:
		return look(r.halves[lo:hi], y, reach, floor.half, fromHalf)
	}
	row := r.p.Row(i, buffer)
	return look(unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(row))), len(row)), y, reach, floor.double,
		fromDouble)
}

// look compares bits: those of numbers that are not negative are in the order of the numbers, and all others', NaN
// among them, come after these. So one comparison tells that a probability is neither the largest, nor reaches a
// threshold, nor is outside 0..1.
func look[W uint16 | uint32 | uint64](row []W, y int, reach []float64, floor W, value func(W) float64) sight {
	s := sight{other: -2 * tolerance, inside: true}
	var least W
	for j, w := range row {
		if w < least {
			continue
		}
		v := value(w)
		if !(v >= -tolerance && v <= 1+tolerance) {
			s.inside = false
		}
		if v >= reach[j] {
			s.confident++
			s.last = j
		}
		if v > s.other && j != y {
			s.other, s.rival = v, j
			if v > 0 {
				least = min(w, floor)
			}
		}
	}
	return s
}

// bytesOf are the bytes of numbers where they lie.
func bytesOf[T float32 | float64](values []T) []byte {
	var v T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(v)))
}
