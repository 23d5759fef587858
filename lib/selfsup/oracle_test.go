package selfsup

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/internal/graphops"
	"github.com/loupeml/loupe/lib/model"
)

// The figures are lightly's: bench/oracles/selfsup.py.
const losses = "testdata/losses.npz"

// given is one of the oracle's tensors, in double precision.
func given(t *testing.T, name string, dims ...int) *tensors.Tensor {
	t.Helper()
	var wide []float64
	for _, v := range oracle.Read[float32](t, losses, name) {
		wide = append(wide, float64(v))
	}
	return tensors.FromFlatDataAndDimensions(wide, dims...)
}

func call(t *testing.T, fn func(in []*graph.Node) []*graph.Node, args ...*tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	exec, err := model.NewExec(fn)
	if err != nil {
		t.Fatal(err)
	}
	defer exec.Finalize()
	var in []any
	for _, a := range args {
		in = append(in, a)
	}
	out, err := exec.Call(in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// agree compares a loss and its gradients with the oracle's, to 1e-9.
func agree(t *testing.T, name string, out ...*tensors.Tensor) {
	t.Helper()
	for i, got := range out {
		array := name
		if i > 0 {
			array = fmt.Sprintf("%s_gradient%d", name, i-1)
		}
		if err := approx.All(tensors.MustCopyFlatData[float64](got), oracle.Read[float64](t, losses, array),
			1e-9); err != nil {
			t.Errorf("%s: %v", array, err)
		}
	}
}

// withGradients are the mean of a loss and its gradients by the leaves.
func withGradients(each *graph.Node, leaves ...*graph.Node) []*graph.Node {
	loss := graph.ReduceAllMean(each)
	return append([]*graph.Node{loss}, graph.Gradient(loss, leaves...)...)
}

// Four steps of InfoNCE with a bank of 12 keys, to which each step adds its four: lightly's, bank and all.
func TestInfoNCEWithAQueueIsLightlys(t *testing.T) {
	bank := call(t, func(in []*graph.Node) []*graph.Node { // lightly begins to overwrite its first keys
		of := func(lo int) *graph.Node { return graph.Slice(graphops.Unit(in[0]), graph.AxisRange(lo, lo+4)) }
		return []*graph.Node{graph.Concatenate([]*graph.Node{of(8), of(4), of(0)}, 0)}
	}, given(t, "bank", 12, 6))[0]
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		logits := Contrast(in[0], in[1], in[2], nil, nil, 0.2)
		return append(withGradients(InfoNCE(logits), in[0]), queued(in[2], graphops.Unit(in[1])))
	})
	if err != nil {
		t.Fatal(err)
	}
	for step := range 4 {
		out, err := exec.Call(given(t, fmt.Sprintf("query%d", step), 4, 6), given(t, fmt.Sprintf("key%d", step), 4, 6), bank)
		if err != nil {
			t.Fatal(err)
		}
		agree(t, fmt.Sprintf("moco%d", step), out[:2]...)
		bank = out[2]
	}
	// lightly's bank is a ring, whose first four are the last step's here.
	got, want := tensors.MustCopyFlatData[float64](bank), oracle.Read[float64](t, losses, "bank_after")
	for i, block := range []int{0, 2, 1} {
		if err := approx.All(got[i*24:(i+1)*24], want[block*24:(block+1)*24], 1e-9); err != nil {
			t.Errorf("keys %d: %v", block, err)
		}
	}
}

// A negative of the query's own is as if the queue had it for this query alone; where it is absent nothing changes.
func TestMatchedNegativeIsOneMore(t *testing.T) {
	query, key, bank := given(t, "query0", 4, 6), given(t, "key0", 4, 6), given(t, "bank", 12, 6)
	matched := given(t, "key1", 4, 6)
	there := tensors.FromFlatDataAndDimensions([]bool{true, false, true, false}, 4)
	out := call(t, func(in []*graph.Node) []*graph.Node {
		with := InfoNCE(Contrast(in[0], in[1], in[2], in[3], in[4], 0.2))
		all := InfoNCE(Contrast(in[0], in[1], in[2], in[3], nil, 0.2))
		var slow []*graph.Node
		for i := range 4 { // one query at a time, with a queue of 13
			row := func(x *graph.Node) *graph.Node { return graph.Slice(x, graph.AxisRange(i, i+1)) }
			queue := graph.Concatenate([]*graph.Node{in[2], row(in[3])}, 0)
			slow = append(slow, InfoNCE(Contrast(row(in[0]), row(in[1]), queue, nil, nil, 0.2)))
		}
		return []*graph.Node{with, all, graph.Concatenate(slow, 0), InfoNCE(Contrast(in[0], in[1], in[2], nil, nil, 0.2))}
	}, query, key, bank, matched, there)
	flat := func(i int) []float64 { return tensors.MustCopyFlatData[float64](out[i]) }
	with, all, slow, without := flat(0), flat(1), flat(2), flat(3)
	if err := approx.All(all, slow, 1e-12); err != nil {
		t.Error(err)
	}
	for i, v := range with {
		want := slow[i]
		if i%2 == 1 {
			want = without[i]
		}
		if !approx.Equal(v, want, 1e-12) {
			t.Errorf("query %d: %v, want %v", i, v, want)
		}
	}
}

func TestNegativeCosineIsLightlys(t *testing.T) {
	agree(t, "cosine", call(t, func(in []*graph.Node) []*graph.Node {
		return withGradients(NegativeCosine(in[0], in[1]), in[0])
	}, given(t, "prediction", 5, 6), given(t, "projection", 5, 6))...)
}

// Codes are lightly's, and those of a few samples among absent ones are the codes of these few.
func TestSinkhornIsLightlys(t *testing.T) {
	there := make([]bool, 15)
	for i := range 6 {
		there[i] = true
	}
	out := call(t, func(in []*graph.Node) []*graph.Node {
		scores := graph.Einsum("nd,kd->nk", graphops.Unit(in[0]), graphops.Unit(in[1]))
		more := graph.Concatenate([]*graph.Node{scores, graph.Einsum("nd,kd->nk", graphops.Unit(in[2]),
			graphops.Unit(in[1]))}, 0)
		return []*graph.Node{Sinkhorn(scores, nil, 0.05, 3), Sinkhorn(scores, nil, 0.03, 10), Sinkhorn(more, in[3], 0.05, 3),
			Sinkhorn(scores, nil, 1e-4, 3)}
	}, given(t, "view0", 6, 8), given(t, "prototypes", 5, 8), given(t, "queue0", 9, 8),
		tensors.FromFlatDataAndDimensions(there, 15))
	agree(t, "sinkhorn_three", out[0])
	agree(t, "sinkhorn_sharp", out[1])
	masked := tensors.MustCopyFlatData[float64](out[2])
	if err := approx.All(masked[:30], oracle.Read[float64](t, losses, "sinkhorn_three"), 1e-9); err != nil {
		t.Error("with absent samples: ", err)
	}
	if err := approx.All(masked[30:], make([]float64, 45), 0); err != nil {
		t.Error("of absent samples: ", err)
	}
	for i, row := 0, tensors.MustCopyFlatData[float64](out[3]); i < 6; i++ { // exp(1/1e-4) is no number
		var sum float64
		for _, v := range row[i*5 : (i+1)*5] {
			sum += v
		}
		if !approx.Equal(sum, 1, 1e-9) {
			t.Errorf("with epsilon 1e-4 the codes of sample %d sum to %v", i, sum)
		}
	}
}

func TestSwappedIsLightlys(t *testing.T) {
	var views []*tensors.Tensor
	for i := range 4 {
		views = append(views, given(t, fmt.Sprintf("view%d", i), 6, 8))
	}
	views = append(views, given(t, "queue0", 9, 8), given(t, "queue1", 9, 8), given(t, "prototypes", 5, 8))
	out := call(t, func(in []*graph.Node) (out []*graph.Node) {
		var scores, codes, among []*graph.Node
		for _, x := range in[:6] {
			scores = append(scores, graph.Einsum("nd,kd->nk", graphops.Unit(x), graphops.Unit(in[6])))
		}
		for i := range 2 {
			codes = append(codes, Sinkhorn(scores[i], nil, 0.05, 3))
			all := graph.Concatenate([]*graph.Node{scores[i], scores[4+i]}, 0)
			among = append(among, graph.Slice(Sinkhorn(all, nil, 0.05, 3), graph.AxisRange(0, 6)))
		}
		large, small := scores[:2], scores[2:4]
		out = append(out, withGradients(Swapped(large, nil, codes, 0.1), large...)...)
		out = append(out, withGradients(Swapped(large, small, codes, 0.1), scores[:4]...)...)
		return append(out, withGradients(Swapped(large, small, among, 0.1), scores[:4]...)...)
	}, views...)
	agree(t, "swav", out[:3]...)
	agree(t, "swav_small", out[3:8]...)
	agree(t, "swav_queue", out[8:]...)
}
