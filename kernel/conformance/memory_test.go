package conformance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// resident returns the resident memory of the worker in bytes.
func resident(t *testing.T, pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("skipped: needs /proc to see the memory of a process: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// Compiled cells stay in memory for as long as the worker lives. This says how much each takes.
func TestManyCompiledCells(t *testing.T) {
	count := 60
	if testenv.IsHeavy() {
		count = 2000
	}
	n := newNotebook(t, t.TempDir())
	n.run("%engine go", patience)
	cell := func(i int) string {
		return fmt.Sprintf("type record%d struct{ id, value int }\nfunc (r record%d) sum() int { return r.id + r.value "+
			"}\nlast := record%d{%d, 1}.sum()\nfmt.Sprintln(last)", i, i, i, i)
	}
	if r := n.run(cell(0), patience); r.failure != nil {
		t.Fatal(r.why())
	}
	start := resident(t, n.worker.Pid())
	slowest := time.Duration(0)
	warned := 0
	for i := 1; i <= count; i++ {
		began := time.Now()
		r := n.run(cell(i), patience)
		slowest = max(slowest, time.Since(began))
		if r.failure != nil {
			t.Fatalf("cell %d: %s", i, r.why())
		}
		if want := fmt.Sprintf("%q", fmt.Sprintln(i+1)); r.value != want {
			t.Fatalf("cell %d gives %s, want %s", i, r.value, want)
		}
		if strings.Contains(r.all, "restart") {
			warned++
		}
	}
	each := (resident(t, n.worker.Pid()) - start) / count
	t.Logf("%d compiled cells: %.2f MB resident each, %.0f MB in all; the slowest took %v; %d warnings", count,
		float64(each)/1e6, float64(resident(t, n.worker.Pid()))/1e6, slowest, warned)
	if each > 1<<20 {
		t.Errorf("each compiled cell takes %d bytes", each)
	}
	if r := n.run("record1{1, 1}.sum() + last", patience); r.value != strconv.Itoa(2+count+1) {
		t.Errorf("the first type and the last variable give %s %s", r.value, r.why())
	}
}
