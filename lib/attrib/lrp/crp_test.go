package lrp

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/model"
)

// The oracle is zennit-crp on PyTorch, given the same pixels: bench/oracles/concepts.py.
func TestConceptsAgreeWithZennitCRP(t *testing.T) {
	m, x, golden, classes := oracleCases[0].open(t, "resnet20-crp")
	conditions := []Condition{
		{"layer3.1": {5}},
		{"layer3.1": {5, 40}},
		{"layer3.1": {9}, "layer2.2": {3, 4, 20}},
		{"layer3.0.conv1": {7}},
		{"layer3.0.conv1": {7}, "layer1.1": {2}},
	}
	for key, c := range map[string]CRP{"only": {}, "parallel": {Parallel: true}} {
		t.Run("heatmaps_"+key, func(t *testing.T) {
			if c.Parallel {
				testenv.Heavy(t)
			}
			heat, err := c.Heatmaps(m, x, classes, conditions...)
			if err != nil {
				t.Fatal(err)
			}
			d := heat.Shape().Dimensions
			compare(t, golden, "heatmaps_"+key,
				oracle.Every(tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](heat), d[0]*d[1], d[2], d[3], 1),
					2), len(classes))
		})
		for layer, in := range map[string]string{"layer2.1": "only", "layer1": "parallel", "layer3.0.relu1": "parallel"} {
			if key != in {
				continue
			}
			t.Run(layer+"_"+key, func(t *testing.T) {
				testenv.Heavy(t)
				r, err := c.Concepts(m, x, classes, layer, conditions[:4]...)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, golden, layer+"_"+key, tensors.MustCopyFlatData[float32](r), len(classes))
			})
		}
	}
}

func TestReferencesAgreeWithZennitCRP(t *testing.T) {
	m, x, golden, classes := oracleCases[0].open(t, "resnet20-crp")
	ds, err := data.FromTensor(x, classes, nil)
	if err != nil {
		t.Fatal(err)
	}
	for target, search := range map[string]Maximization{"sum": {}, "max": {Largest: true}} {
		m.BatchSize = 2 // so that batches are merged
		all, err := search.Search(m, ds, "layer3.1")
		if err != nil {
			t.Fatal(err)
		}
		for what, best := range map[string][][]Reference{"relevance": all[0].Relevance, "activation": all[0].Activation} {
			var order, neuron []int64
			var value []float32
			for name, to := range map[string]any{"order": &order, "neuron": &neuron, "value": &value} {
				if err := golden.Read(what+"_"+target+"_"+name+".npy", to); err != nil {
					t.Fatal(err)
				}
			}
			for c := range best {
				if len(best[c]) != 4 {
					t.Fatalf("channel %d has %d references", c, len(best[c]))
				}
				for i, r := range best[c] {
					at := i*len(best) + c
					if !approx.Equal(r.Value, value[at], 1e-6*(1+math.Abs(r.Value))) {
						t.Errorf("%s %s: reference %d of channel %d has the value %g, the oracle's %g", what, target, i, c,
							r.Value, value[at])
					}
					tied := i > 0 && value[at] == value[at-len(best)] || i < 3 && value[at] == value[at+len(best)]
					if !tied && (r.Image != int(order[at]) || r.Row*8+r.Column != int(neuron[at])) {
						t.Errorf("%s %s: reference %d of channel %d is image %d at %d, the oracle's %d at %d", what, target, i, c,
							r.Image, r.Row*8+r.Column, order[at], neuron[at])
					}
				}
			}
		}
	}
}

// What flows through all the channels of a layer, one at a time, is what flows through the layer; and where nothing
// flows beside it, all there is.
func TestConditionalMapsSumToTheWhole(t *testing.T) {
	m, x, _, classes := oracleCases[0].open(t, "resnet20-crp")
	conditions, err := Each(m, "layer3.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(conditions) != 64 {
		t.Fatalf("%d conditions", len(conditions))
	}
	heat, err := CRP{}.Heatmaps(m, x, classes, append(conditions, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	flat := tensors.MustCopyFlatData[float32](heat)
	const size, k = 32 * 32, 65
	whole, summed := make([]float32, 4*size), make([]float32, 4*size)
	for i := range 4 {
		for c := range k {
			for p := range size {
				if v := flat[(i*k+c)*size+p]; c == 64 {
					whole[i*size+p] = v
				} else {
					summed[i*size+p] += v
				}
			}
		}
	}
	if e := relativeError(summed, whole); !(e < 1e-5) {
		t.Errorf("the sum of the conditional maps differs from the unconditional by %.2g", e)
	}
	a, err := LRP{}.Attribute(m, x, classes)
	if err != nil {
		t.Fatal(err)
	}
	unconditional, err := a.Heatmap()
	if err != nil {
		t.Fatal(err)
	}
	if e := relativeError(whole, tensors.MustCopyFlatData[float32](unconditional)); !(e < 1e-6) {
		t.Errorf("an empty condition differs from LRP by %.2g", e)
	}
	// The concepts of a layer are its relevance, summed over positions.
	r, err := CRP{}.Relevance(m, x, classes, "layer3.0")
	if err != nil {
		t.Fatal(err)
	}
	concepts, err := CRP{}.Concepts(m, x, classes, "layer3.0")
	if err != nil {
		t.Fatal(err)
	}
	sums := make([]float32, 4*64)
	for at, v := range tensors.MustCopyFlatData[float32](r) {
		sums[at/(64*64)*64+at%64] += v
	}
	if e := relativeError(tensors.MustCopyFlatData[float32](concepts), sums); !(e < 1e-5) {
		t.Errorf("concept relevances differ from the sums over positions by %.2g", e)
	}
}

func TestBadConditions(t *testing.T) {
	m, x, _, classes := oracleCases[0].open(t, "resnet20-crp")
	for says, c := range map[string]Condition{
		"no layer":             {"layer9": {1}},
		"the channels 0 to 63": {"layer3.0": {64}},
		"no channel":           {"layer3.0": {}},
	} {
		_, err := CRP{}.Heatmaps(m, x, classes, c)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: want an error that says %q, got %v", c, says, err)
		}
	}
	if _, err := (CRP{}).Heatmaps(m, x, classes); err == nil || !strings.Contains(err.Error(), "no conditions") {
		t.Errorf("without conditions: %v", err)
	}
	// One layer beside the other: none of what comes through the first gets to the second.
	beside := Condition{"layer3.1.relu1": {1}, "layer3.1": {1}}
	if _, err := (CRP{}).Heatmaps(m, x, classes, beside); err != nil {
		t.Errorf("%v: %v", beside, err)
	}
}

// How far conditional heatmaps lie inside a box is the share of their absolute values there, heatmap by heatmap.
func TestInside(t *testing.T) {
	m, err := learn.SmallCNN(model.Spec{Height: 8, Width: 8, Channels: 1}, 3, 1, 4)
	if err != nil {
		t.Fatal(err)
	}
	flat := make([]float32, 2*64)
	for i := range flat {
		flat[i] = float32(i*i%11) / 11
	}
	images, box := tensors.FromFlatDataAndDimensions(flat, 2, 8, 8, 1), mask.Box{Row: 1, Column: 2, Height: 3, Width: 4}
	conditions := []Condition{{}, {"conv1": {1}}, {"conv1": {0, 3}}}
	got, err := CRP{}.Inside(m, images, []int{2}, box, conditions...)
	if err != nil {
		t.Fatal(err)
	}
	heat, err := CRP{}.Heatmaps(m, images, []int{2}, conditions...)
	if err != nil {
		t.Fatal(err)
	}
	values := tensors.MustCopyFlatData[float32](heat)
	if len(got.Share) != 6 {
		t.Fatalf("there are %d shares", len(got.Share))
	}
	for i, share := range got.Share {
		var in, all float64
		for p, v := range values[i*64 : (i+1)*64] {
			all += math.Abs(float64(v))
			if y, x := p/8, p%8; y >= 1 && y < 4 && x >= 2 && x < 6 {
				in += math.Abs(float64(v))
			}
		}
		if want := in / all; !(share == want || math.Abs(share-want) < 1e-9 || share != share && all == 0) {
			t.Errorf("heatmap %d lies inside by %g, want %g", i, share, want)
		}
	}
	if _, err := (CRP{}).Inside(m, images, []int{2}, mask.Box{Row: 7, Height: 3, Width: 1}, conditions...); err == nil ||
		!strings.Contains(err.Error(), "does not lie in") {
		t.Errorf("the error is %v", err)
	}
	if _, err := (CRP{}).Inside(m, images, []int{2}, box); err == nil || !strings.Contains(err.Error(), "no conditions") {
		t.Errorf("the error is %v", err)
	}
}
