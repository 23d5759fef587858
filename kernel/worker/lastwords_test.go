package worker

import (
	"strings"
	"testing"
)

func TestLastWords(t *testing.T) {
	trace := strings.Repeat("goroutine 1 [running]:\n\tmain.f(0x1)\n", 300)
	fault := "unexpected fault address 0x400000000000\nfatal error: fault\n[signal SIGSEGV: segmentation violation " +
		"code=0x1 addr=0x400000000000 pc=0x7f]\n\n" + trace
	for _, c := range []struct{ name, stderr, want string }{
		{"nothing", "hello\n", ""},
		{"a fault", fault, "unexpected fault address 0x400000000000"},
		{"a panic with a signal", "panic: runtime error: invalid memory address or nil pointer dereference\n[signal " +
			"SIGSEGV: segmentation violation]\n" + trace,
			"panic: runtime error: invalid memory address or nil pointer dereference"},
		{"in C", "SIGSEGV: segmentation violation\nPC=0x7f m=0 sigcode=1\n\nsignal arrived during cgo execution\n" + trace,
			"SIGSEGV: segmentation violation"},
		{"in the runtime", unexpected + "\n[signal SIGSEGV: segmentation violation code=0x1]\n" + trace,
			"signal SIGSEGV: segmentation violation code=0x1"},
		{"a cell spoke of a panic before", "panic: only printed\n" + strings.Repeat("and it goes on\n", 10) + fault,
			"unexpected fault address 0x400000000000"},
		{"an endless line before", strings.Repeat("x", 1<<20) + "panic: no\n" + fault,
			"unexpected fault address 0x400000000000"},
	} {
		for _, piece := range []int{1, 7, 100, 4096, 1 << 21} {
			var w lastWords
			for rest := c.stderr; rest != ""; {
				n := min(piece, len(rest))
				w.hear(rest[:n])
				rest = rest[n:]
			}
			if w.reason != c.want {
				t.Errorf("%s, in pieces of %d bytes: %q, want %q", c.name, piece, w.reason, c.want)
			}
		}
	}
}
