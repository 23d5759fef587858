package symbols

import (
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// examples are values of the library's types that a function can do something with.
func examples(t *testing.T) map[reflect.Type]reflect.Value {
	t.Helper()
	const side, classes = 8, 3
	m, err := model.FromFunc(model.Spec{Name: "net", Height: side, Width: side, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			return b.Features(b.Record("means", graph.MulScalar(graph.ReduceMean(x, 1, 2), 5)))
		})
	if err != nil {
		t.Fatal(err)
	}
	flat, labels := make([]float32, 4*side*side*3), []int{0, 1, 2, 0}
	for i := range flat {
		flat[i] = float32(i*i%23) / 23
	}
	x := tensors.FromFlatDataAndDimensions(flat, 4, side, side, 3)
	ds, err := data.FromTensor(x, labels, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := m.Answers(ds)
	if err != nil {
		t.Fatal(err)
	}
	predictions, err := uncertainty.FromAnswers(answers)
	if err != nil {
		t.Fatal(err)
	}
	a, err := attrib.Gradient{}.Attribute(m, x, nil)
	if err != nil {
		t.Fatal(err)
	}
	head, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	segments, err := missing.Patches(4, side, side, 4)
	if err != nil {
		t.Fatal(err)
	}
	explanations, err := missing.LIME{Masks: 20}.Explain(m, x, segments)
	if err != nil {
		t.Fatal(err)
	}
	ordering, err := mask.BatchedGradientSIS{K: 16}.BackSelect(m, x)
	if err != nil {
		t.Fatal(err)
	}
	results := shift.NewResults()
	if err := results.AddPredictions("all", labels, 1, answers); err != nil {
		t.Fatal(err)
	}
	found := map[reflect.Type]reflect.Value{}
	for _, v := range []any{m, x, ds, answers, predictions, a, head, segments, explanations, ordering, results, labels,
		flat, mask.Mean(), "name"} {
		found[reflect.TypeOf(v)] = reflect.ValueOf(v)
	}
	for _, r := range []reflect.Type{reflect.TypeFor[model.Dataset](), reflect.TypeFor[model.Labeled]()} {
		found[r] = reflect.ValueOf(ds)
	}
	found[reflect.TypeFor[attrib.Method]()] = reflect.ValueOf(attrib.Gradient{})
	return found
}

// A nil where a model, a dataset or a tensor belongs is an error that says so, and never a fault of the program's: each
// function and method of the library that returns an error is called with nothing at all, and with one argument missing
// at a time. The functions of package loupe panic with their errors, which is as good.
func TestNilArgumentsAreErrors(t *testing.T) {
	const module = "github.com/loupeml/loupe/lib"
	t.Chdir(t.TempDir())
	have := examples(t)
	calls, leftOut := 0, []string{}
	for _, key := range slices.Sorted(maps.Keys(Symbols)) {
		if !strings.HasPrefix(key, module) {
			continue
		}
		pkg := path.Base(key)
		for _, name := range slices.Sorted(maps.Keys(Symbols[key])) {
			v := Symbols[key][name]
			switch {
			case strings.HasPrefix(name, "_"):
			case v.Kind() == reflect.Func:
				if pkg == "loupe" || fails(v.Type()) {
					calls += callWithNil(t, pkg+"."+name, v, have)
				}
			case v.Kind() == reflect.Pointer && v.IsNil():
				of := v.Type().Elem()
				receiver, ok := have[v.Type()]
				if of.Kind() == reflect.Interface {
					continue
				}
				if !ok {
					receiver = reflect.Zero(of)
				}
				for i := range receiver.NumMethod() {
					if fails(receiver.Method(i).Type()) {
						calls += callWithNil(t, pkg+"."+name+"."+receiver.Type().Method(i).Name, receiver.Method(i), have)
					}
				}
				for i := range v.Type().NumMethod() {
					if m := v.Type().Method(i); !ok && fails(m.Type) && !hasMethod(of, m.Name) {
						leftOut = append(leftOut, pkg+"."+name+"."+m.Name)
					}
				}
			}
		}
	}
	t.Logf("%d calls; left out are the methods of values that only the library makes: %s", calls,
		strings.Join(leftOut, ", "))
	if calls < 300 {
		t.Errorf("only %d calls", calls)
	}
}

func hasMethod(of reflect.Type, name string) bool {
	_, has := of.MethodByName(name)
	return has
}

// fails reports whether a function's last result is an error.
func fails(f reflect.Type) bool {
	return f.NumOut() > 0 && f.Out(f.NumOut()-1) == reflect.TypeFor[error]()
}

// callWithNil calls a function with nothing, and with one of the pointers and interfaces missing while the others are
// there.
func callWithNil(t *testing.T, name string, f reflect.Value, have map[reflect.Type]reflect.Value) (calls int) {
	in := f.Type().NumIn()
	if f.Type().IsVariadic() {
		in--
	}
	nothing, all := make([]reflect.Value, in), make([]reflect.Value, in)
	for i := range in {
		nothing[i] = reflect.Zero(f.Type().In(i))
		all[i] = nothing[i]
		if v, ok := have[f.Type().In(i)]; ok {
			all[i] = v
		}
	}
	lists := [][]reflect.Value{nothing}
	for i := range in {
		if kind := f.Type().In(i).Kind(); kind == reflect.Pointer || kind == reflect.Interface {
			one := slices.Clone(all)
			one[i] = nothing[i]
			lists = append(lists, one)
		}
	}
	for n, list := range lists {
		if os.Getenv("LOUPE_NIL_TRACE") != "" {
			fmt.Fprintln(os.Stderr, name, n)
		}
		if fault := faultOf(f, list); fault != "" {
			t.Errorf("%s, call %d (%v): %s", name, n, f.Type(), fault)
		}
	}
	return len(lists)
}

// faultOf is a runtime error that a call ends in, with the line that it comes from; "" for an error and for a panic
// that says what is wrong.
func faultOf(f reflect.Value, in []reflect.Value) (fault string) {
	defer interrupt.Use(testenv.CancelledAfter(20))() // a nil that stands for a default is no reason to compute
	defer func() {
		if err, ok := recover().(runtime.Error); ok {
			fault = err.Error()
			for _, line := range strings.Split(string(debug.Stack()), "\n") {
				if strings.Contains(line, "/lib/") && strings.Contains(line, ".go:") {
					fault += " at " + strings.TrimSpace(line)
					break
				}
			}
		}
	}()
	f.Call(in)
	return ""
}
