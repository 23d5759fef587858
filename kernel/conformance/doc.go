// Package conformance holds the kernel against programs that others wrote: Go's own test programs, the examples of the
// standard library, and notebook dialogues. It has tests only.
package conformance
