//go:build linux

package backend

import (
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"golang.org/x/sys/unix"

	"github.com/loupeml/loupe/internal/customcall"
)

// What a program computes on the way, here 64 MB, comes in large pages: in small ones these are 16,384 faults a call.
func TestMemoryOfProgramsComesInLargePages(t *testing.T) {
	if modes, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil ||
		strings.Contains(string(modes), "[never]") {
		t.Skipf("skipped: needs a system with large pages: %s %v", modes, err)
	}
	b, err := Get()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := Describe(); err != nil || info.Name != "xla" {
		t.Skipf("skipped: needs XLA, the memory of %s is its own: %v", info.Name, err)
	}
	if plain := os.Getenv(customcall.Variable); plain == "1" {
		t.Skipf("skipped: needs %s to be unset, which leaves memory to XLA", customcall.Variable)
	}
	const n = 4096
	exec, err := graph.NewExec(b, func(x *graph.Node) *graph.Node {
		products := graph.Tanh(graph.Einsum("ik,jk->ij", x, x))
		return graph.Einsum("ij,jk->ik", products, x)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	faults := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return u.Minflt
	}
	var before int64
	for range 2 { // the first call compiles
		before = faults()
		results, err := exec.Call(tensors.FromShape(shapes.Make(dtypes.Float32, n, 8)))
		if err != nil {
			t.Fatal(err)
		}
		results[0].FinalizeAll()
	}
	if n := faults() - before; n > 8192 {
		t.Errorf("%d page faults", n)
	}
}
