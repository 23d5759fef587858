//go:build !linux

package goeval

// work is what a cell has begun, of which the system tells nothing here.
type work struct{}

func begunNow() *work { return &work{} }

func (*work) end(bool) {}
