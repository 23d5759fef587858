package sweep

import (
	"bytes"
	"compress/flate"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/internal/safetensors"
)

func TestOutcomesComeBackAsTheyWere(t *testing.T) {
	o := &Outcome{Truth: []int{3, 0, 2}, Arrays: map[string]*tensors.Tensor{
		"classes": tensors.FromFlatDataAndDimensions([]int32{1, 2, 3, 4}, 2, 2),
		"areas":   tensors.FromFlatDataAndDimensions([]float32{0.25, float32(math.Inf(1))}, 2),
	}}
	encoded := ok[[]byte](t)(o.Encode())
	if again := ok[[]byte](t)(o.Encode()); !bytes.Equal(encoded, again) {
		t.Error("the same outcome gives other bytes")
	}
	back := ok[*Outcome](t)(Decode(encoded))
	if !slices.Equal(back.Truth, o.Truth) || len(back.Arrays) != 2 {
		t.Errorf("%+v", back)
	}
	for name, want := range o.Arrays {
		if got := back.Arrays[name]; got == nil || !got.Shape().Equal(want.Shape()) ||
			!reflect.DeepEqual(got.Value(), want.Value()) {
			t.Errorf("%s: %v, was %v", name, got, want)
		}
	}
}

// packed deflates.
func packed(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := ok[*flate.Writer](t)(flate.NewWriter(&b, flate.BestSpeed))
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withMetadata is an outcome of another make.
func withMetadata(t testing.TB, metadata map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, said(1).Arrays, metadata); err != nil {
		t.Fatal(err)
	}
	return packed(t, b.Bytes())
}

func TestDamagedOutcomesAreRefused(t *testing.T) {
	whole := ok[[]byte](t)(said(1, 2, 3).Encode())
	for n := range len(whole) {
		if _, err := Decode(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for an outcome", n, len(whole))
		}
	}
	for want, encoded := range map[string][]byte{
		"1 byte after its end":         append(slices.Clone(whole), 0),
		"a cell's outcome is damaged":  []byte("PK\x03\x04 something else"),
		`its format is "loupe-sweep-2`: withMetadata(t, map[string]string{"format": "loupe-sweep-2", "truth": "[]"}),
		`its format is ""`:             withMetadata(t, nil),
		"its label 1 is the class -1":  withMetadata(t, map[string]string{"format": outcomeFormat, "truth": "[1,-1]"}),
		"unexpected end of JSON":       withMetadata(t, map[string]string{"format": outcomeFormat}),
	} {
		_, err := Decode(encoded)
		wantError(t, err, want)
	}
	bomb := packed(t, make([]byte, 1<<20))
	if len(bomb) > 10000 {
		t.Errorf("the bomb has %d bytes", len(bomb))
	}
	_, err := decode(bomb, 1<<16)
	wantError(t, err, "it unpacks to more than 65536 bytes")
}

// What a cell is summed up to where its arrays are not what its method makes.
func TestMeasuresOfDamagedArrays(t *testing.T) {
	labels := []int{1, 2, 3}
	for want, spoil := range map[string]func(o *Outcome){
		`a cell has no array "classes"`: func(o *Outcome) { delete(o.Arrays, "classes") },
		"and there are 3 pictures":      func(o *Outcome) { *o = *said(1, 2) },
		`the array "classes"`: func(o *Outcome) {
			o.Arrays["classes"] = tensors.FromFlatDataAndDimensions([]float32{1, 2, 3}, 3, 1)
		},
		"3 classes and 1 probabilities": func(o *Outcome) {
			o.Arrays["classes"] = tensors.FromFlatDataAndDimensions(make([]int32, 9), 3, 3)
		},
		"has the label 1, and the cell knows 1": func(o *Outcome) { o.Truth = []int{0} },
	} {
		o := said(1, 2, 3)
		spoil(o)
		_, err := o.Measures(Predictions, "", labels)
		wantError(t, err, want)
	}
	_, err := said(1, 2, 3).Measures("other", "", labels)
	wantError(t, err, `there is no method "other"`)
	_, err = said(1, 2, 3).Measures(Predictions, "", []int{-1, -1, -1})
	wantError(t, err, "none of the 3 pictures counts")
	m := ok[[]Measure](t)(said(1, 2, 3).Measures(Predictions, "", []int{1, 0, -1}))
	if m[0].Correct != 1 || m[0].Total != 2 || !approx.Equal(m[0].Value, 0.5, 0) || !approx.Equal(m[2].Value, 0.5, 0) {
		t.Errorf("%+v", m)
	}
}

// A column that is not as long as there are pictures, whatever the bytes are, is an error and no crash.
func FuzzOutcome(f *testing.F) {
	f.Add(ok[[]byte](f)(said(1, 2, 3).Encode()))
	f.Add(ok[[]byte](f)((&Outcome{Truth: []int{0}, Arrays: map[string]*tensors.Tensor{
		"insertion": tensors.FromFlatDataAndDimensions([]float32{0.5, 0.25, 1}, 3)}}).Encode()))
	f.Add(withMetadata(f, map[string]string{"format": outcomeFormat, "truth": "[1,2]"}))
	f.Add(packed(f, []byte{8, 0, 0, 0, 0, 0, 0, 0, '{', '}'}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		o, err := decode(encoded, 1<<20)
		if err != nil {
			return
		}
		for _, method := range []string{Predictions, Faithfulness + "Grad-CAM"} {
			for _, among := range []string{"", "imagenet-a"} {
				measures, err := o.Measures(method, among, []int{0, 1, -1})
				for _, m := range measures {
					if err != nil || m.Correct > m.Total || m.Total > 3 {
						t.Errorf("%+v, %v", measures, err)
					}
				}
			}
		}
		again, err := o.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatal(err)
		}
	})
}
