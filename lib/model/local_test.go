package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
)

// localCase is a network with windows to change; whole says that it has to be computed as it is.
type localCase struct {
	name          string
	m             *Model
	height, width int
	rows, columns []int
	whole         bool
}

// checkLocal compares a Local's logits with those of the images themselves, with two windows at once, for two images.
func checkLocal(t *testing.T, c localCase) {
	t.Helper()
	spec := c.m.Spec()
	l, err := c.m.Local(c.height, c.width, c.rows, c.columns)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f%% of the multiplications are left, %d activations are read", 100*l.share, len(l.reads))
	if l.whole != c.whole {
		t.Errorf("computed as a whole: %v, want %v", l.whole, c.whole)
	}
	const images, windows = 2, 2
	pixels := make([]float32, images*spec.Height*spec.Width*spec.Channels)
	for i := range pixels {
		pixels[i] = float32(0.5 + 0.5*math.Sin(float64(i)*0.37+0.01*float64(i%911)))
	}
	x := tensors.FromFlatDataAndDimensions(pixels, images, spec.Height, spec.Width, spec.Channels)
	base, err := NewExec(func(in []*graph.Node) []*graph.Node { return l.Base(in[0]) })
	if err != nil {
		t.Fatal(err)
	}
	call, err := NewExec(func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{l.Call(in[2:], in[0], in[1])}
	})
	if err != nil {
		t.Fatal(err)
	}
	activations, err := base.Call(x)
	if err != nil {
		t.Fatal(err)
	}
	var at []int32
	for r := range c.rows {
		for k := range c.columns {
			at = append(at, int32(r), int32(k))
		}
	}
	for first := 0; first < len(at)/2; first += windows {
		first := min(first, len(at)/2-windows)
		patch := make([]float32, windows*images*c.height*c.width*spec.Channels)
		for i := range patch {
			patch[i] = float32(0.5 + 0.5*math.Cos(float64(i*(first+1))*1.7))
		}
		changed := make([]float32, 0, windows*len(pixels))
		for w := range windows {
			copied := append([]float32(nil), pixels...)
			top, left := c.rows[at[2*(first+w)]], c.columns[at[2*(first+w)+1]]
			for n := range images {
				for y := range c.height {
					row := patch[((w*images+n)*c.height+y)*c.width*spec.Channels:][:c.width*spec.Channels]
					copy(copied[((n*spec.Height+top+y)*spec.Width+left)*spec.Channels:], row)
				}
			}
			changed = append(changed, copied...)
		}
		want, err := c.m.Output(tensors.FromFlatDataAndDimensions(changed, windows*images, spec.Height, spec.Width, spec.Channels))
		if err != nil {
			t.Fatal(err)
		}
		args := []any{tensors.FromFlatDataAndDimensions(patch, windows*images, c.height, c.width, spec.Channels), tensors.FromFlatDataAndDimensions(at[2*first:2*(first+windows)], windows, 2)}
		for _, a := range activations {
			args = append(args, a)
		}
		got, err := call.Call(args...)
		if err != nil {
			t.Fatal(err)
		}
		worst, largest := oracle.Difference(flat32(got[0]), flat32(want))
		if !(worst <= 1e-4*largest) {
			t.Errorf("windows %v: the logits differ by %.2g of %.2g", at[2*first:2*(first+windows)], worst, largest)
		}
	}
}

// flat32 are a tensor's values, of either precision.
func flat32(x *tensors.Tensor) []float32 {
	if wide, err := tensors.CopyFlatData[float64](x); err == nil {
		values := make([]float32, len(wide))
		for i, v := range wide {
			values[i] = float32(v)
		}
		return values
	}
	return tensors.MustCopyFlatData[float32](x)
}

func TestLocalOfNetworks(t *testing.T) {
	resnet, err := Load(testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	double, err := resnet.Double()
	if err != nil {
		t.Fatal(err)
	}
	ensemble, err := Ensemble("", resnet, resnet)
	if err != nil {
		t.Fatal(err)
	}
	cases := []localCase{
		{"resnet20", resnet, 8, 8, []int{0, 3, 13, 24}, []int{0, 11, 24}, false},
		{"resnet20, small", resnet, 3, 5, []int{0, 7, 29}, []int{0, 1, 2, 27}, false},
		{"resnet20, one pixel", resnet, 1, 1, []int{0, 31}, []int{0, 16, 31}, false},
		{"resnet20, large", resnet, 30, 31, []int{0, 2}, []int{0, 1}, true},
		{"double", double, 6, 4, []int{5, 26}, []int{0, 28}, false},
		{"ensemble", ensemble, 6, 4, []int{5, 26}, []int{0, 28}, false},
	}
	for _, name := range []string{"squeezenet", "efficientnet-lite0"} {
		testenv.Asset(t, name)
		m, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases,
			localCase{name, m, 64, 64, []int{0, 40, 160}, []int{80, 160}, false},
			localCase{name + ", small", m, 13, 30, []int{0, 101, 211}, []int{0, 57}, false})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkLocal(t, c) })
	}
}

var _ = fmt.Sprint
