package spray

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
)

// cornered are pictures of 16 x 16 pixels, half of them dark and half light, and of the light ones the first so many
// have a bright mark of 3 x 3 at the lower right.
func cornered(t *testing.T, n, marked int) *data.Dataset {
	t.Helper()
	pixels, labels := make([]float32, n*16*16), make([]int, n)
	for i := range n {
		labels[i] = i % 2
		for p := range 16 * 16 {
			v := 0.2 + 0.3*float32(labels[i]) + 0.01*float32((i*7+p*13)%10)
			if y, x := p/16, p%16; labels[i] == 1 && i/2 < marked && y >= 12 && y < 15 && x >= 12 && x < 15 {
				v = 1
			}
			pixels[i*16*16+p] = v
		}
	}
	ds, err := data.FromTensor(tensors.FromFlatDataAndDimensions(pixels, n, 16, 16, 1), labels, []string{"dark", "light"})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// byCorner says light by the whole picture, or, so it is told, by the mark alone as well.
func byCorner(t *testing.T, mark float64) *model.Model {
	t.Helper()
	m, err := model.FromFunc(model.Spec{Name: "corner", Height: 16, Width: 16, Channels: 1, Classes: []string{"dark",
		"light"}}, func(x *graph.Node) *graph.Node {
		all := graph.ExpandAxes(graph.ReduceMean(x, 1, 2, 3), -1)
		corner := graph.Slice(x, graph.AxisRange(), graph.AxisRange(12, 15), graph.AxisRange(12, 15), graph.AxisRange())
		bright := graph.Max(graph.AddScalar(graph.ExpandAxes(graph.ReduceMean(corner, 1, 2, 3), -1), -0.8),
			graph.ScalarZero(x.Graph(), x.DType()))
		light := graph.Add(graph.MulScalar(graph.AddScalar(all, -0.4), 10), graph.MulScalar(bright, mark))
		return graph.Concatenate([]*graph.Node{graph.MulScalar(light, -1), light}, -1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// groupOf is an analysis in which the marked pictures are the group, by heatmaps that have the mark where they do.
func groupOf(t *testing.T, ds *data.Dataset, marked int) *Analysis {
	t.Helper()
	a := &Analysis{Class: 1, ClassName: "light"}
	var heat []float32
	var members []bool
	for i, label := range ds.Labels() {
		if label != 1 {
			continue
		}
		one := make([]float32, 8*8)
		for j := range one {
			one[j] = 0.05
		}
		if i/2 < marked {
			for _, j := range []int{6*8 + 6, 6*8 + 7, 7*8 + 6, 7*8 + 7} {
				one[j] = 0.5
			}
		}
		a.Images, heat, members = append(a.Images, i), append(heat, one...), append(members, i/2 < marked)
	}
	a.Reduced = tensors.FromFlatDataAndDimensions(heat, len(members), 8, 8)
	a.Strategies = []Strategy{{Members: members, Conductance: 0.1}}
	return a
}

// The part lies where the mark is; put onto others it turns all of them where the network goes by it, and none where it
// does not.
func TestTransplant(t *testing.T) {
	const n, marked = 60, 8
	ds := cornered(t, n, marked)
	a := groupOf(t, ds, marked)
	for _, c := range []struct {
		mark float64
		want float64
	}{{100, 1}, {0, 0}} {
		m := byCorner(t, c.mark)
		d, err := Transplant{Images: 25, Seed: 3}.Of(m, ds, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		if d.Row != 12 || d.Column != 12 || d.Height != 4 || d.Width != 4 || d.Size != marked || len(d.Onto) != 25 {
			t.Errorf("%+v", d)
		}
		if with, without := shareOf(d.Taken).Share(), shareOf(d.Before).Share(); with != c.want || without != 0 {
			t.Errorf("with %v for the mark %v and %v are taken for it: %v", c.mark, with, without, d)
		}
		pair, err := d.Paired()
		if err != nil || pair.Difference() != c.want || (pair.Interval().Low > 0) != (c.want > 0) {
			t.Errorf("%v, %v", pair, err)
		}
		labels := ds.Labels()
		for k, i := range d.Onto {
			from, control := slices.Index(a.Images, d.From[k]), slices.Index(a.Images, d.Control[k])
			if labels[i] != 0 || from < 0 || control < 0 || !a.Strategies[0].Members[from] || a.Strategies[0].Members[control] {
				t.Errorf("image %d has a part of %d, or of %d", i, d.From[k], d.Control[k])
			}
		}
		// What says where the part lies is not what it is cut from.
		if slices.Contains(d.From, 1) {
			t.Errorf("the first of the group says where, and is cut from: %v", d.From)
		}
		pasted, err := d.Pasted(ds, 0, 7)
		if err != nil {
			t.Fatal(err)
		}
		before, err := ds.Images(d.Onto[0], d.Onto[7])
		if err != nil {
			t.Fatal(err)
		}
		after, was := tensors.MustCopyFlatData[float32](pasted), tensors.MustCopyFlatData[float32](before)
		part, err := ds.Images(d.From[0], d.From[7])
		if err != nil {
			t.Fatal(err)
		}
		from := tensors.MustCopyFlatData[float32](part)
		for p, v := range after {
			want := was[p]
			if y, x := p%256/16, p%16; y >= 12 && x >= 12 {
				want = from[p]
			}
			if v != want {
				t.Fatalf("pixel %d is %v, want %v", p, v, want)
			}
		}
		if again, err := (Transplant{Images: 25, Seed: 3}).Of(m, ds, a, 0); err != nil || !slices.Equal(again.Onto, d.Onto) ||
			!slices.Equal(again.From, d.From) {
			t.Error("the same seed draws others")
		}
		if text := d.Bundle().Data["text/plain"]; !strings.Contains(text, "points more with the group's part") {
			t.Errorf("it shows %s", text)
		}
	}
}

func TestTransplantSaysWhatIsMissing(t *testing.T) {
	ds := cornered(t, 60, 8)
	m, a := byCorner(t, 100), groupOf(t, ds, 8)
	one := groupOf(t, ds, 1)
	all := byCorner(t, 0)
	everything, err := model.FromFunc(all.Spec(), func(x *graph.Node) *graph.Node {
		zero := graph.MulScalar(graph.ReduceMean(x, 1, 2), 0)
		return graph.Concatenate([]*graph.Node{zero, graph.AddScalar(zero, 3)}, -1)
	})
	if err != nil {
		t.Fatal(err)
	}
	for want, do := range map[string]func() (*Transplanted, error){
		"no such group":  func() (*Transplanted, error) { return Transplant{}.Of(m, ds, a, 1) },
		"no such group ": func() (*Transplanted, error) { return Transplant{}.Of(m, ds, nil, 0) },
		"a part of 2":    func() (*Transplanted, error) { return Transplant{Side: 2}.Of(m, ds, a, 0) },
		"a part of NaN":  func() (*Transplanted, error) { return Transplant{Side: math.NaN()}.Of(m, ds, a, 0) },
		"on -1 images":   func() (*Transplanted, error) { return Transplant{Images: -1}.Of(m, ds, a, 0) },
		"give the one that was analysed": func() (*Transplanted, error) {
			return Transplant{}.Of(m, ds.Take(5), a, 0)
		},
		"no images of another class": func() (*Transplanted, error) {
			light := *a
			light.Images = nil
			for i := range a.Images {
				light.Images = append(light.Images, i)
			}
			return Transplant{}.Of(m, ds.OfClass(1), &light, 0)
		},
		"a group of 1 image":          func() (*Transplanted, error) { return Transplant{}.Of(m, ds, one, 0) },
		"are taken for light already": func() (*Transplanted, error) { return Transplant{}.Of(everything, ds, a, 0) },
	} {
		if d, err := do(); d != nil || err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
