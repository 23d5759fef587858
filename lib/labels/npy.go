package labels

import (
	"fmt"
	"io"
	"math"
	"os"

	"golang.org/x/sys/unix"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/internal/numpy"
)

// ProbabilityFile is probabilities in a NumPy file, [N, K] of float16, float32 or float64, which may be larger than
// memory: it is mapped, and what has been read is given back.
type ProbabilityFile struct {
	mapped  []byte // all of the file
	data    []byte // its numbers
	n, k    int
	element element
}

// OpenProbabilities maps the probabilities of a NumPy file. Close it when it is done with.
func OpenProbabilities(file string) (*ProbabilityFile, error) {
	f, size, err := regular.Open(file)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	defer f.Close()
	h, err := numpy.Header(f)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	begin, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	p := &ProbabilityFile{}
	switch h.Descr.Type {
	case "<f2":
		p.element = half
	case "<f4":
		p.element = single
	case "<f8":
		p.element = double
	default:
		return nil, fmt.Errorf("labels: the numbers of %s are of type %s; probabilities are float16, float32 or float64, "+
			"the lowest byte first: save them again with astype('<f4')", file, h.Descr.Type)
	}
	shape := h.Descr.Shape
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 2 {
		return nil, fmt.Errorf("labels: the numbers of %s have the shape %v; probabilities are [N, K], of one example or "+
			"more and of two classes or more", file, shape)
	}
	if h.Descr.Fortran {
		return nil, fmt.Errorf(
			"labels: %s is in Fortran's order, column by column: save it again with numpy.ascontiguousarray", file)
	}
	p.n, p.k = shape[0], shape[1]
	have := size - begin
	if p.n > math.MaxInt64/p.k/p.element.bytes() || have < int64(p.n)*int64(p.k)*int64(p.element.bytes()) {
		return nil, fmt.Errorf(
			"labels: %s is cut short: its header tells of %d rows of %d numbers, and there are %d bytes for them", file,
			p.n, p.k, have)
	}
	if p.mapped, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("labels: %s cannot be mapped into memory: %w", file, err)
	}
	p.data = p.mapped[begin:]
	return p, nil
}

// Dims is the number of examples and of classes; none once the file is closed.
func (p *ProbabilityFile) Dims() (n, k int) { return p.n, p.k }

// Row returns the probabilities of an example, in buffer. It panics once the file is closed.
func (p *ProbabilityFile) Row(i int, buffer []float64) []float64 {
	width := p.k * p.element.bytes()
	buffer = buffer[:p.k]
	p.element.widen(p.data[i*width:(i+1)*width], buffer)
	return buffer
}

func (p *ProbabilityFile) within(do func([]byte, element) error) error { return do(p.data, p.element) }

// release lets go of the memory that rows lo to hi take, but for pages that others share. They are read again from the
// file when they are asked for.
func (p *ProbabilityFile) release(lo, hi int) {
	width := p.k * p.element.bytes()
	page := os.Getpagesize()
	begin := len(p.mapped) - len(p.data)
	from, to := (begin+lo*width+page-1)/page*page, (begin+hi*width)/page*page
	if from < to {
		_ = unix.Madvise(p.mapped[from:to], unix.MADV_DONTNEED) // advice: what the system makes of it is its affair
	}
}

// Close unmaps the file.
func (p *ProbabilityFile) Close() error {
	mapped := p.mapped
	p.mapped, p.data, p.n, p.k = nil, nil, 0, 0
	if mapped == nil {
		return nil
	}
	if err := unix.Munmap(mapped); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	return nil
}

// ReadLabels reads the labels of a NumPy file, [N] of any type of integers.
func ReadLabels(file string) ([]int, error) {
	labels, shape, err := numpy.ReadInts(file)
	if err != nil {
		return nil, fmt.Errorf("labels: %w", err)
	}
	if len(shape) != 1 {
		return nil, fmt.Errorf("labels: the labels of %s have the shape %v, they are [N]", file, shape)
	}
	return labels, nil
}
