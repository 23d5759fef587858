package loupe

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/table"
)

// Of a linear network the values of an image sum to the logit of its class less that of black, which is what the
// definition of integrated gradients says.
func TestAnExplanationIsSaved(t *testing.T) {
	m, x := redness(), spots()
	ds, err := data.FromTensor(x, []int{0, 1}, []string{"red", "other"})
	if err != nil {
		t.Fatal(err)
	}
	e := Explain(m, ds, attrib.IntegratedGradients{Steps: 4}, attrib.Gradient{}, attrib.Gradient{})
	in := func(name string) string { return filepath.Join(t.TempDir(), name) }

	file := in("explanation.csv")
	Save(file, e)
	saved := Read(file).(table.Table)
	header := []string{"index", "file", "class", "name", "probability", "integrated gradients: sum of the values",
		"integrated gradients: completeness fails by",
		"gradient: sum of the values", "gradient (2): sum of the values"}
	if !slices.Equal(saved.Header, header) || len(saved.Rows) != 2 {
		t.Fatalf("%d rows of %q, want 2 of %q", len(saved.Rows), saved.Header, header)
	}
	logits, err := m.Output(x)
	if err != nil {
		t.Fatal(err)
	}
	black, err := m.Output(tensors.FromShape(x.Shape()))
	if err != nil {
		t.Fatal(err)
	}
	z, none := tensors.MustCopyFlatData[float32](logits), tensors.MustCopyFlatData[float32](black)
	k := len(z) / 2
	for i, row := range saved.Rows {
		class := slices.Index(z[i*k:(i+1)*k], slices.Max(z[i*k:(i+1)*k]))
		if got, want := fmt.Sprint(row[:4]), fmt.Sprint([]any{i, ds.Name(i), class, m.ClassName(class)}); got != want {
			t.Errorf("row %d begins with %s, want %s", i, got, want)
		}
		sum := 0.0
		for _, v := range z[i*k : (i+1)*k] {
			sum += math.Exp(float64(v - z[i*k+class]))
		}
		for column, want := range map[int]float64{4: 1 / sum, 5: float64(z[i*k+class] - none[i*k+class])} {
			if got, err := strconv.ParseFloat(fmt.Sprint(row[column]), 64); err != nil || !approx.Equal(got, want, 1e-5) {
				t.Errorf("row %d: %s is %v, want %g", i, header[column], row[column], want)
			}
		}
	}

	file = in("explanation.npz")
	Save(file, e)
	arrays := Read(file).(map[string]*tensors.Tensor)
	for name, want := range map[string]*tensors.Tensor{"images": x, "integrated gradients": e.Attributions[0].Values,
		"gradient": e.Attributions[1].Values, "gradient (2)": e.Attributions[2].Values} {
		if got := arrays[name]; got == nil || !got.Equal(want) {
			t.Errorf("%s came back as %v", name, got)
		}
	}
	if classes := arrays["classes"]; classes == nil || classes.Shape().Size() != 2 || len(arrays) != 5 {
		t.Errorf("the arrays are %v", arrays)
	}
	Save(in("explanation.png"), e)
	Save(in("explanation.json"), e)
}
