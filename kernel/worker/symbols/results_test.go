package symbols

import (
	"fmt"
	"image"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// noResults are the exported types that functions of the library return and that need not show themselves, with the
// reason.
var noResults = map[string]string{
	"attrib.Method": settings, "attrib.Target": settings, "lrp.Composite": settings, "lrp.Condition": settings,
	"sound.Masks": settings, "learn.Schedule": settings,
	"labels.Fit": settings, "learn.Run": settings, "learn.Hook": settings,
	"learn.Source": "an interface: what implements it is looked at",

	"comm.Comm": handle, "data.Cursor": handle, "labels.ProbabilityFile": handle, "progress.Bar": handle,
	"shift.Testbed": handle, "sweep.Store": handle, "sweep.Local": "paths, which a worker has written down",
	"labels.Probabilities": handle, "stats.AccuracyFit": "an interface: what implements it is looked at",

	"model.Outputs": "nodes of a graph under construction", "model.CallOptions": "nodes of a graph under construction",
	"learn.Loss": "nodes of a graph under construction", "learn.Var": "nodes of a graph under construction",
	"display.Series": "a part of a plot, which has no looks of its own", "display.Tile": "a part of a grid",
	"mime.Bundle": "is what others show themselves by",
}

const (
	settings = "settings, which a person has written down"
	handle   = "a handle, whose contents are asked for by its methods"
)

// Every value that a function of the library returns is shown as what it is, never as a list of its fields: it has a
// method Bundle, pictures, tags that make it a table, or at least words of its own.
func TestEveryResultShowsItself(t *testing.T) {
	const module = "github.com/loupeml/loupe/lib"
	found := map[reflect.Type][]string{}
	var visit func(r reflect.Type, by string)
	visit = func(r reflect.Type, by string) {
		if r.Name() == "" || r.PkgPath() == "" {
			switch r.Kind() {
			case reflect.Pointer:
				if r.Elem().Name() == "" {
					visit(r.Elem(), by)
					return
				}
			case reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
				visit(r.Elem(), by)
				return
			default:
				return
			}
		}
		of := r
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if strings.HasPrefix(of.PkgPath(), module) && !slices.Contains(found[r], by) {
			found[r] = append(found[r], by)
		}
	}
	results := func(f reflect.Type, by string) {
		for i := range f.NumOut() {
			visit(f.Out(i), by)
		}
	}
	for key, members := range Symbols {
		if !strings.HasPrefix(key, module) {
			continue
		}
		pkg := path.Base(key)
		for name, v := range members {
			switch {
			case strings.HasPrefix(name, "_"):
			case v.Kind() == reflect.Func:
				results(v.Type(), pkg+"."+name)
			case v.Kind() == reflect.Pointer && v.IsNil(): // a type
				for _, r := range []reflect.Type{v.Type(), v.Type().Elem()} {
					for i := range r.NumMethod() {
						m := r.Method(i)
						if r.Kind() == reflect.Interface {
							continue
						}
						results(m.Type, pkg+"."+name+"."+m.Name)
					}
				}
			}
		}
	}
	if len(found) < 80 {
		t.Fatalf("only %d types of results were found", len(found))
	}
	unused := map[string]bool{}
	for name := range noResults {
		unused[name] = true
	}
	for r, by := range found {
		name := strings.TrimPrefix(r.String(), "*")
		if noResults[name] != "" {
			delete(unused, name)
			continue
		}
		if how := shows(r); how != "" {
			slices.Sort(by)
			t.Errorf("%s, which %s returns, %s", r, by[0], how)
		}
	}
	for name := range unused {
		t.Errorf("%s is exempt, and nothing returns it any more", name)
	}
}

// shows says what is wrong with how a value of a type is shown; "" if nothing.
func shows(r reflect.Type) string {
	for _, way := range []reflect.Type{reflect.TypeFor[display.Bundler](), reflect.TypeFor[display.Pictured](),
		reflect.TypeFor[fmt.Stringer](), reflect.TypeFor[image.Image]()} {
		if r.Implements(way) {
			return ""
		}
	}
	if table.Tagged(r) {
		for i := range elem(r).NumField() {
			if f := elem(r).Field(i); f.IsExported() && !f.Anonymous && f.Tag.Get("display") == "" && f.Tag != `display:""` {
				return fmt.Sprintf("has the field %s without a display tag", f.Name)
			}
		}
		return ""
	}
	if elem(r).Kind() != reflect.Struct {
		if elem(r).Kind() == reflect.Interface || elem(r).Kind() == reflect.Func {
			return "is shown as an address"
		}
		return ""
	}
	b := display.BundleOf(reflect.New(elem(r)).Elem().Interface())
	return fmt.Sprintf("is shown by its fields: %s; give it a method Bundle, or display tags", b.Data[mime.Text])
}

func elem(r reflect.Type) reflect.Type {
	if r.Kind() == reflect.Pointer {
		return r.Elem()
	}
	return r
}

// What a test can make of nothing does not fail when it is shown.
func TestFieldsAreNotDumped(t *testing.T) {
	dump := regexp.MustCompile(`\{[A-Z]\w*:`)
	for _, v := range []any{display.Table{}, table.Rate{Value: 0.5, Low: 0.25, High: 0.75}, []table.Rate{{}}} {
		if text := display.BundleOf(v).Data[mime.Text]; dump.MatchString(text) {
			t.Errorf("a %T is shown as %s", v, text)
		}
	}
}
