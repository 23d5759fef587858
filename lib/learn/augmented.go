package learn

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/model"
)

// Augmented is what augmentations make of some of a source's examples, by the names of the columns, [B·V, ...] each: to
// look at what a run would learn from. The images are float32 in 0..1.
func Augmented(data Source, numbers []int, seed uint64, augment ...Augmentation) (map[string]*tensors.Tensor, error) {
	if data == nil || len(numbers) == 0 {
		return nil, fmt.Errorf("learn: there are no examples to change")
	}
	if err := checkData(data, augment); err != nil {
		return nil, err
	}
	values, err := data.Read(numbers, 0)
	if err != nil {
		return nil, err
	}
	columns := data.Columns()
	if len(values) != len(columns) {
		return nil, fmt.Errorf("learn: the data gives %d columns, and says that it has %d", len(values), len(columns))
	}
	var names []string
	exec, err := model.NewExec(func(in []*graph.Node) []*graph.Node {
		g := in[0].Graph()
		b := &Batch{g: g, columns: map[string]*graph.Node{}, numbers: in[len(columns)], views: 1,
			random: graph.RNGStateFromSeedForGraph(g, int64(seed))}
		for i, c := range columns {
			b.columns[c.Name] = in[i]
		}
		for _, a := range augment {
			a.Augment(b)
		}
		if b.Has(Images) {
			b.Images()
		}
		names = slices.Sorted(maps.Keys(b.columns))
		var out []*graph.Node
		for _, name := range names {
			out = append(out, b.columns[name])
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	at := tensors.FromShape(shapes.Make(dtypes.Int32, len(numbers)))
	if err := tensors.MutableFlatData(at, func(flat []int32) {
		for i, k := range numbers {
			flat[i] = int32(k)
		}
	}); err != nil {
		return nil, fmt.Errorf("learn: %w", err)
	}
	var args []any
	for _, v := range values {
		args = append(args, v)
	}
	out, err := exec.Call(append(args, at)...)
	if err != nil {
		return nil, ours(err)
	}
	changed := map[string]*tensors.Tensor{}
	for i, name := range names {
		changed[name] = out[i]
	}
	return changed, nil
}
