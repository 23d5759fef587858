package goeval

import (
	"fmt"
	"go/types"
	"os"
	"reflect"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/loupeml/loupe/internal/procfs"
	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/goeval/constants"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
	"github.com/loupeml/loupe/kernel/goeval/peek"
)

func (r *run) who(args string) (string, error) {
	names := r.ns.OfType(args)
	if len(names) == 0 {
		return "nothing is defined", nil
	}
	return strings.Join(names, "  "), nil
}

func (r *run) whos(args string) (string, error) {
	names := r.ns.OfType(args)
	if len(names) == 0 {
		return "nothing is defined", nil
	}
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "name\ttype\tvalue\n")
	for _, name := range names {
		b := r.ns.Bindings[name]
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, cut(b.TypeText(), 40), r.valueText(b))
	}
	w.Flush()
	return strings.TrimRight(out.String(), "\n"), nil
}

// valueText is a variable's value, in one short line.
func (r *run) valueText(b *namespace.Binding) string {
	if b.Sort == namespace.Func {
		return ""
	}
	if c, ok := b.Object.(*types.Const); ok {
		return cut(constants.Text(c.Val()), 60)
	}
	if b.Sort != namespace.Var {
		return cut(strings.TrimPrefix(types.TypeString(b.Object.Type().Underlying(), nil), "type "), 60)
	}
	slot := cell.Find(b.Slot)
	if slot == nil || r.running > 0 {
		return ""
	}
	return cut(strings.Join(strings.Fields(peek.Value(reflect.ValueOf(slot).Elem(), r.options.Describe)), " "), 60)
}

func cut(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func (r *run) memoryUse(string) (string, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.loads.mu.Lock()
	cells, bytes := r.loads.cells, r.loads.bytes
	r.loads.mu.Unlock()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(what string, bytes int) { fmt.Fprintf(w, "%.1f MB\t %s\n", float64(bytes)/1e6, what) }
	line(fmt.Sprintf("resident, process %d", os.Getpid()), procfs.Bytes("/proc/self/status", "VmRSS:"))
	line("at most so far", procfs.Bytes("/proc/self/status", "VmHWM:"))
	line("Go's heap", int(m.HeapInuse))
	line(fmt.Sprintf("%d compiled cells", cells), bytes)
	line("available on this machine", procfs.Bytes("/proc/meminfo", "MemAvailable:"))
	w.Flush()
	return strings.TrimRight(out.String(), "\n"), nil
}
