package conformance

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// before and after surround a fuzzed cell: what the first defines, the second must find as it was, whatever came
// between.
const (
	before = "type sentinelType struct{ a int }\nfunc (s sentinelType) twice() int { return 2 * s.a }\nfunc " +
		"sentinelFunc(n int) int { return n + 1 }\nsentinel := map[string][]int{\"a\": {1, 2, 3}}\nsentinelValue := " +
		"sentinelType{21}"
	after  = "fmt.Sprint(sentinel, sentinelValue, sentinelValue.twice(), sentinelFunc(41))"
	intact = `"map[a:[1 2 3]] {21} 42 42"`
)

// budget is how long a fuzzed cell may run; what is stopped then must be gone before nobody waits for it any more.
const budget = 3 * time.Second

// fuzzed runs a cell and looks whether the kernel and what was defined have come to harm.
func fuzzed(t *testing.T, n *notebook, cell string) {
	t.Helper()
	n.t = t
	if strings.Contains(cell, "sentinel") {
		return // it may well change them
	}
	start := time.Now()
	r := n.run(cell, budget)
	if took := time.Since(start); took > budget+patience {
		t.Errorf("the cell took %v, with a budget of %v:\n%s", took, budget, cell)
	}
	if r.failure != nil && r.failure.Name == "WorkerLost" {
		for _, excuse := range []string{"stack", "concurrent map", "goroutine", "out of memory", "panic: ",
			"all goroutines", "SIG"} {
			if strings.Contains(r.failure.Message, excuse) {
				n.run(before, patience)
				return // what no Go process survives
			}
		}
		t.Errorf("the cell costs the worker: %s\n%s", r.why(), cell)
		n.run(before, patience)
		return
	}
	if r.failure != nil && r.failure.Name == "InterpreterError" {
		t.Errorf("the interpreter was given what it does not know: %s\n%s", r.why(), cell)
	}
	for _, internal := range []string{"Ø", "ø", "goeval", "nil pointer dereference [recovered]"} {
		if r.failure != nil && strings.Contains(r.why(), internal) && !strings.Contains(cell, internal) {
			t.Errorf("the message speaks of loupe's own: %s\nthe cell:\n%s", r.why(), cell)
		}
	}
	if r := n.run(after, patience); r.value != intact {
		t.Errorf("afterwards there is %q %s, want %q; the cell:\n%s", r.value, r.why(), intact, cell)
		n.run("%reset", patience)
		n.run(before, patience)
	}
	n.count = 1 // positions in messages stay small
}

// seeds are the cells of the dialogues.
func seeds(t testing.TB) []string {
	var out []string
	for _, d := range dialogues(t) {
		for _, turn := range d.turns {
			if !strings.Contains(turn.cell, "%") && !strings.Contains(d.file, "loupe") {
				out = append(out, turn.cell)
			}
		}
	}
	return out
}

// FuzzCells gives the kernel cells that nobody would write.
func FuzzCells(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	if !fuzzing() {
		f.Skip("skipped: the seeds alone are run by TestDialogues; go test -fuzz FuzzCells ./kernel/conformance goes on " +
			"from them")
	}
	n := newNotebook(f, f.TempDir())
	n.run(before, patience)
	f.Fuzz(func(t *testing.T, cell string) { fuzzed(t, n, cell) })
}

func fuzzing() bool {
	for _, a := range os.Args {
		if strings.HasPrefix(a, "-test.fuzz=") {
			return true
		}
	}
	return false
}

func TestMutatedCells(t *testing.T) {
	t.Parallel()
	count := 120
	if testenv.IsHeavy() {
		count = 5000
	}
	all := seeds(t)
	n := newNotebook(t, t.TempDir())
	n.run(before, patience)
	random := rand.New(rand.NewPCG(1, 2))
	for range count {
		fuzzed(t, n, mutate(random, all))
	}
}

// mutate makes a cell out of others: cut short, with lines moved, tokens exchanged or two of them in one.
func mutate(random *rand.Rand, all []string) string {
	cell := all[random.IntN(len(all))]
	for range 1 + random.IntN(3) {
		switch random.IntN(6) {
		case 0:
			cell = cell[:random.IntN(len(cell)+1)]
		case 1:
			cell = cell[random.IntN(len(cell)+1):]
		case 2:
			lines := strings.Split(cell, "\n")
			random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			cell = strings.Join(lines, "\n")
		case 3:
			cell += "\n" + all[random.IntN(len(all))]
		case 4:
			words := strings.Fields(all[random.IntN(len(all))])
			mine := strings.Split(cell, " ")
			if len(words) > 0 {
				mine[random.IntN(len(mine))] = words[random.IntN(len(words))]
			}
			cell = strings.Join(mine, " ")
		case 5:
			if i := random.IntN(len(cell) + 1); i < len(cell) {
				cell = cell[:i] + string("(){}[];:=.,\"`'*&%\x00\xffé"[random.IntN(21)]) + cell[i+1:]
			}
		}
	}
	return cell
}
