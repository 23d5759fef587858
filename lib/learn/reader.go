package learn

import (
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/interrupt"
)

// batchRead is what one call of the device gets.
type batchRead struct {
	numbers []int32
	mask    []float32         // of a run in parts
	values  []*tensors.Tensor // nil where the columns lie on the device
	more    bool              // another part of the same step follows
	err     error
}

// ahead is how many batches are read while others are computed on.
const ahead = 2

// reader gives the batches of the calls to come. Those of a source that is not in memory are read in the background.
type reader struct {
	e       *engine
	batches func() []int
	left    []int // of the step's numbers, in parts
	within  bool  // a step has been begun
	step    int

	queue chan batchRead // nil where nothing is read
	quit  chan struct{}
	once  sync.Once
}

func (e *engine) reader(batches func() []int) *reader {
	r := &reader{e: e, batches: batches, step: e.done}
	if e.on.resident != nil {
		return r
	}
	r.queue, r.quit = make(chan batchRead, ahead), make(chan struct{})
	go func() {
		defer close(r.queue)
		for {
			epoch := r.step / e.epoch
			b := r.draw()
			if len(b.numbers) == 0 && b.err == nil {
				return
			}
			if b.err == nil {
				b.values, b.err = e.readRows(b.numbers, epoch)
			}
			select {
			case r.queue <- b:
				if b.err != nil {
					return
				}
			case <-r.quit:
				return
			}
		}
	}()
	return r
}

// readRows are the examples with these numbers, as the source's columns say that they are.
func (e *engine) readRows(at []int32, epoch int) ([]*tensors.Tensor, error) {
	numbers := make([]int, len(at))
	for i, k := range at {
		numbers[i] = int(k)
	}
	values, err := e.r.Data.Read(numbers, epoch)
	if err != nil {
		return nil, err
	}
	if len(values) != len(e.columns) {
		return nil, fmt.Errorf("the data gives %d columns, and says that it has %d", len(values), len(e.columns))
	}
	for i, c := range e.columns {
		want := batchShape(len(at), c)
		if values[i] == nil || values[i].CheckValid() != nil {
			return nil, fmt.Errorf("the data gives no %s of %d examples", c.Name, len(at))
		}
		if is := values[i].Shape(); !is.Equal(want) {
			return nil, fmt.Errorf("the data gives the %s of %d examples as %s, not %s", c.Name, len(at), is, want)
		}
	}
	return values, nil
}

// draw are the numbers of the next call, none after the last step.
func (r *reader) draw() batchRead {
	if r.step >= r.e.total {
		return batchRead{}
	}
	if !r.within {
		r.left, r.within = slices.Clone(r.batches()), true
		for _, k := range r.left {
			if k < 0 || k >= r.e.n {
				return batchRead{err: fmt.Errorf("the sampler draws example %d of %d", k, r.e.n)}
			}
		}
		if !r.e.parted && len(r.left) != r.e.rows {
			return batchRead{err: fmt.Errorf("the sampler draws %d examples for a step of always %d", len(r.left), r.e.rows)}
		}
	}
	n := min(len(r.left), r.e.rows)
	b := batchRead{numbers: make([]int32, r.e.rows), more: len(r.left) > n}
	if r.e.parted {
		b.mask = make([]float32, r.e.rows)
	}
	for i := range n {
		b.numbers[i] = int32(r.left[i])
		if r.e.parted {
			b.mask[i] = 1
		}
	}
	for i := n; i < r.e.rows; i++ { // an example again: it can raise no error that the data does not
		b.numbers[i] = b.numbers[max(n-1, 0)]
	}
	r.left = r.left[n:]
	if !b.more {
		r.within = false
		r.step++
	}
	return b
}

// next is the batch of the next call.
func (r *reader) next() (batchRead, error) {
	if r.queue == nil {
		b := r.draw()
		return b, b.err
	}
	select {
	case b := <-r.queue:
		return b, b.err
	case <-interrupt.Context().Done():
		return batchRead{}, interrupt.Err()
	}
}

// stop ends the reading.
func (r *reader) stop() {
	if r.quit != nil {
		r.once.Do(func() { close(r.quit) })
	}
}
