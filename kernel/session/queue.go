package session

import (
	"sync"

	"github.com/loupeml/loupe/kernel/wire"
)

// queue holds the requests that wait for the shell's goroutine. It has no bound: receiving must never wait, or a
// cell that fails would not find the cells behind it.
type queue struct {
	mu     sync.Mutex // guards the fields below
	ready  sync.Cond  // items or closed has changed
	items  []queued
	ended  bool // nothing more is taken on
	closed bool // what waits is not served any more
}

type queued struct {
	request wire.Message
	aborted bool // an earlier cell failed: not to be run
}

func newQueue() *queue {
	q := &queue{}
	q.ready.L = &q.mu
	return q
}

// put reports whether the queue takes the request on.
func (q *queue) put(m wire.Message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return false
	}
	q.items = append(q.items, queued{request: m})
	q.ready.Signal()
	return true
}

// take waits for the next request; ok is false when there will be none.
func (q *queue) take() (next queued, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && !q.ended {
		q.ready.Wait()
	}
	if q.closed || len(q.items) == 0 {
		return queued{}, false
	}
	next = q.items[0]
	q.items = q.items[1:]
	return next, true
}

// abort marks the cells that wait. Other requests stay as they are, and all stay in order.
func (q *queue) abort() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.items {
		if q.items[i].request.Header.Type == (wire.ExecuteRequest{}).MessageType() {
			q.items[i].aborted = true
		}
	}
}

// end has the queue take on nothing more. What waits in it is still served.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.ready.Broadcast()
}

// close has nothing more be served.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended, q.closed = true, true
	q.ready.Broadcast()
}
