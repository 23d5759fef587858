package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/loupeml/loupe/lib/mime"
)

func TestTableOfStructs(t *testing.T) {
	type base struct{ Name string }
	type score struct {
		base
		Top1   float64 `display:"top-1,percent"`
		Secret string  `display:"-"`
		hidden int
		N      *int
	}
	n := 7
	rows := []score{{base{"a"}, 0.5, "x", 1, nil}, {base{"b"}, 0.25, "y", 2, &n}}
	got, err := Of(rows)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Name", "top-1", "N"}; !reflect.DeepEqual(got.Header, want) {
		t.Errorf("header %q, want %q", got.Header, want)
	}
	if len(got.Rows) != 2 || got.Rows[1][0] != "b" || got.Rows[1][1] != Percent(0.25) || got.Rows[1][2] != &n {
		t.Errorf("rows %v", got.Rows)
	}
	pointers, err := Of([]*score{&rows[0], nil})
	if err != nil || len(pointers.Rows) != 2 || pointers.Rows[0][1] != Percent(0.5) || len(pointers.Rows[1]) != 0 {
		t.Errorf("of pointers: %v, %v", pointers.Rows, err)
	}
	plain, err := Of([][]any{{"a", 1}, {"b", 2}})
	if err != nil || plain.Header != nil || !reflect.DeepEqual(plain.Rows, [][]any{{"a", 1}, {"b", 2}}) {
		t.Errorf("of rows: %v, %v", plain, err)
	}
	for _, wrong := range []any{nil, 3, "text", []int{1}, []struct{ x int }{{1}}} {
		if _, err := Of(wrong); err == nil || !strings.HasPrefix(err.Error(), "table: ") {
			t.Errorf("of %v: %v", wrong, err)
		}
	}
}

func TestTableTitlesAreNoFormats(t *testing.T) {
	of := Table{Title: "99% of them", Header: []string{"a long enough header"}}
	if text := of.String(); !strings.Contains(text, "99% of them") {
		t.Error(text)
	}
}

func TestTextForms(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{"a\nb", `"a\nb"`}, {3, "3"}, {[]string{"a b"}, `["a b"]`}, {struct{ A int }{1}, "{A:1}"},
		{(*bytes.Buffer)(nil), "<nil>"}, {nil, "<nil>"}, {(*int)(nil), "<nil>"}, {(func())(nil), "<nil>"},
		{[]*big.Int{big.NewInt(5)}, "[5]"}, {time.Second, "1s"},
		{func(int) string { return "" }, "func(int) string"},
	} {
		if got := Text(c.v); got != c.want {
			t.Errorf("Text(%#v) = %s, want %s", c.v, got, c.want)
		}
	}
	if got := Text(make([]int, 100000)); len(got) > 1000 || !strings.Contains(got, "100000 in all") {
		t.Errorf("a long slice is %d characters", len(got))
	}
}

// Within its limits, the text is what package fmt prints.
func TestTextIsThatOfFmt(t *testing.T) {
	type key struct {
		A any
		B [2]string
	}
	type words string
	n, cell := 7, &struct{ next *int }{}
	for _, v := range []any{
		true, -3, int8(4), uint64(1 << 63), uintptr(9), float32(0.1), 0.1, 1e6, 1e21, math.Inf(1), math.NaN(), 1 + 2i,
		complex64(-1i), words("a b"),
		[]byte("ab"), [3]int8{1, 2, 3}, []error{io.EOF, nil}, []any{nil, 1, "a", []string{"b"}, &n},
		map[string]int{"b": 1, "a": 2}, map[float64]bool{math.NaN(): true, 2: false, -1: true},
		map[bool]int{true: 1, false: 0}, map[key]int{{1, [2]string{"x"}}: 1, {0, [2]string{"y", "z"}}: 2},
		map[any]int{"b": 1, "a": 2}, map[[2]int]string{{2, 1}: "x", {1, 2}: "y"}, map[complex128]int{2i: 1, 1: 2},
		struct {
			A any
			b error
			c map[string][]int
			d *int
			E time.Duration
		}{1, io.EOF, map[string][]int{"k": {1}}, nil, time.Second},
		&map[string]int{"a": 1}, &[]int{1}, &[1]int{1}, cell, &n, struct{}{}, time.Unix(0, 0).UTC(), reflect.ValueOf(3),
		[][]string{{"a"}, nil},
		make(chan int), (chan int)(nil), errors.New("x"), struct{ V reflect.Value }{reflect.ValueOf("v")},
	} {
		if got, want := Text(v), fmt.Sprintf("%+v", v); got != want {
			t.Errorf("%T is %s, fmt has %s", v, got, want)
		}
	}
}

func TestTextHasAnEnd(t *testing.T) {
	cyclic := map[string]any{"a": 1}
	cyclic["self"] = []any{cyclic}
	var deep any
	for range 1_000_000 {
		deep = []any{deep}
	}
	large := map[int][]int{}
	for i := range 1000 {
		large[i] = make([]int, 1000)
	}
	for want, v := range map[string]any{
		"map[a:1 self:[map[…]]]":       cyclic,
		"[[[[":                         deep,
		"map[0:[0 0":                   large,
		"50000000 in all":              make([]int32, 50_000_000),
		"(the rest is left out)":       slices.Repeat([][]int{make([]int, 3000)}, 100),
		"(10000000 characters in all)": strings.Repeat("ö", 10_000_000),
		"(10000002 characters in all)": errors.New(strings.Repeat("ab", 5_000_001)),
	} {
		if got := Text(v); !strings.Contains(got, want) || len(got) > 20_000 {
			t.Errorf("%.100s… of %d bytes, want %s", got, len(got), want)
		}
	}
}

func TestTaggedValuesAreTables(t *testing.T) {
	type score struct {
		Accuracy float64 `display:"accuracy,percent"`
		Images   int     `display:"images"`
	}
	one := score{0.125, 40}
	for name, v := range map[string]any{"struct": one, "pointer": &one, "slice": []score{one}, "pointers": []*score{&one},
		"map": map[string]score{"mine": one}} {
		shown, ok := OfTagged(v)
		if text := shown.String(); !ok || !strings.Contains(text, "accuracy") || !strings.Contains(text, "12.5%") ||
			name == "map" && !strings.Contains(text, "mine") {
			t.Errorf("%s: %v\n%s", name, ok, text)
		}
	}
	for _, v := range []any{nil, 3, (*score)(nil), struct{ A int }{1}, []int{1}, map[int]score{1: one}} {
		if shown, ok := OfTagged(v); ok {
			t.Errorf("%#v is shown as a table\n%s", v, shown)
		}
	}
}

func TestLongTablesShowTheirHead(t *testing.T) {
	var long Table
	for i := range 1234 {
		long.Add(i)
	}
	b := long.Bundle()
	if text := b.Data[mime.Text]; !strings.Contains(text, "100 of 1234") || strings.Count(text, "\n") > 120 {
		t.Errorf("the text is\n%.300s", text)
	}
	if page := b.Data[mime.HTML]; !strings.Contains(page, "100 of 1234") || strings.Count(page, "<tr>") > 101 {
		t.Errorf("the page is\n%.300s", page)
	}
}

// The third bar belongs to the third name, in a narrow window too, where names would be broken.
func TestLinesOfACellAreNotBroken(t *testing.T) {
	var names Table
	names.Add("Rhodesian ridgeback\nboxer <b>", "one line of words", Shares{0.5, 0.25})
	page := names.Bundle().Data[mime.HTML]
	if !strings.Contains(page, `<div style="white-space:nowrap">Rhodesian ridgeback<br>boxer &lt;b&gt;</div>`) {
		t.Error(page)
	}
	if strings.Count(page, "nowrap") != 1 {
		t.Errorf("one line may be broken:\n%s", page)
	}
}

func TestSharesOfNothingAreEmpty(t *testing.T) {
	nan := math.NaN()
	x := Table{Header: []string{"share", "rate"}}
	x.Add(Percent(nan), Rate{Value: 0.5, Low: nan, High: nan})
	if text := x.String(); strings.Contains(text, "NaN") || !strings.Contains(text, "│ 50.0% │") {
		t.Errorf("shown as\n%s", text)
	}
}

// A title that is longer than its table goes on in the next line between words: half a number would be another one.
func TestALongTitleIsBrokenBetweenWords(t *testing.T) {
	title := "mine: 0.0% (0.0 to 97.5%), 0 of 1, robust to L∞ ≤ 0.03137: 29.7% (15.9 to 47.0%), 11 of 37"
	for width := 12; width < 70; width++ {
		narrow := Table{Title: title, Header: []string{strings.Repeat("x", width)}}
		narrow.Add(1)
		text := narrow.String()
		for _, word := range strings.Fields(title) {
			if !strings.Contains(text, word) {
				t.Fatalf("%d letters wide, %q is torn apart:\n%s", width, word, text)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(line); n != width+4 {
				t.Fatalf("a line of %d letters in a table of %d:\n%s", n, width+4, text)
			}
		}
	}
}
