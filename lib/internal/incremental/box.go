package incremental

// stretch is what changes along one axis of a value: for each place of the window along that axis the positions from lo
// to hi, hi excluded.
type stretch struct {
	length int // of the axis
	lo, hi []int
}

// run is what is computed, or read, of one axis: from each place's start on, size positions. Those of a stretch's box
// lie on the axis; what a convolution reads may reach into the padding around it.
type run struct {
	start []int
	size  int
}

// box is the shortest run of one size for all places that holds what changes.
func (s stretch) box() run {
	r := run{start: make([]int, len(s.lo))}
	for p := range s.lo {
		r.size = max(r.size, s.hi[p]-s.lo[p])
	}
	for p, lo := range s.lo {
		r.start[p] = min(lo, s.length-r.size)
	}
	return r
}

// through is what changes of an axis of out positions, the o-th of which is computed from side positions from
// o·stride-before on.
func (s stretch) through(side, stride, before, out int) stretch {
	to := stretch{length: out}
	for p := range s.lo {
		lo := ceilDiv(s.lo[p]+before-side+1, stride)
		hi := ceilDiv(s.hi[p]+before, stride) // the first that begins past the last change
		lo = min(max(lo, 0), out-1)
		to.lo = append(to.lo, lo)
		to.hi = append(to.hi, max(min(hi, out), lo+1))
	}
	return to
}

// reads is the run that a run of such outputs is computed from.
func (r run) reads(side, stride, before int) run {
	from := run{size: (r.size-1)*stride + side}
	for _, o := range r.start {
		from.start = append(from.start, o*stride-before)
	}
	return from
}

// moved is the box on an axis of another length, by so many positions further on.
func (s stretch) moved(by, length int) stretch {
	to, box := stretch{length: length}, s.box()
	for _, start := range box.start {
		to.lo, to.hi = append(to.lo, start+by), append(to.hi, start+by+box.size)
	}
	return to
}

// with is what changes in either of two values.
func (s stretch) with(t stretch) stretch {
	to := stretch{length: s.length}
	for p := range s.lo {
		to.lo, to.hi = append(to.lo, min(s.lo[p], t.lo[p])), append(to.hi, max(s.hi[p], t.hi[p]))
	}
	return to
}

// after is where a run starts after another does, for each place.
func (r run) after(other run) []int {
	offsets := make([]int, len(r.start))
	for p := range offsets {
		offsets[p] = r.start[p] - other.start[p]
	}
	return offsets
}

func constant(values []int) bool {
	for _, v := range values {
		if v != values[0] {
			return false
		}
	}
	return true
}

// ceilDiv is a/b rounded up, for a of either sign.
func ceilDiv(a, b int) int {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}
