package learn

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/lib/model"
)

// roundsRun learns from selections of some bars.
func roundsRun(t *testing.T) (Run, *Tensors, []int) {
	t.Helper()
	images, labels := bars(48, 1)
	all, err := FromTensors(images, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Run{
		Nets: map[string]*model.Model{"net": network(t, 1)}, Sampler: Shuffled(8), Epochs: 2, Seed: 5,
		Augment:   []Augmentation{Flip{}},
		Step:      func(s *Step) Loss { return s.Classification(s.Call("net", s.Images()).Logits) },
		Optimizer: SGD{LearningRate: 0.05, Momentum: 0.9}, Schedule: Cosine,
	}, all, labels
}

func allWeights(t *testing.T, m *model.Model) (all []float32) {
	t.Helper()
	weights := m.Weights()
	var names []string
	for name := range weights {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		all = append(all, tensors.MustCopyFlatData[float32](weights[name])...)
	}
	return all
}

// Rounds of different sizes are what runs one after the other are, each from the weights of the one before and with a
// new optimizer, to the bit; and nothing is compiled after the first.
func TestRoundsAreRunsCompiledOnce(t *testing.T) {
	run, all, labels := roundsRun(t)
	rounds, err := run.Rounds()
	if err != nil {
		t.Fatal(err)
	}
	defer rounds.Close()
	net, compiled := run.Nets["net"], 0
	for round, numbers := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {40, 3, 3, 17, 5, 9, 21, 30, 31, 32, 33, 34, 35,
		36, 37, 38, 39}, {8, 7, 6, 5, 4, 3, 2, 1}} {
		var own []int
		for i, k := range numbers {
			own = append(own, (labels[k]+i%2)%2) // half of them wrong, and example 3 both ways
		}
		some, err := all.Select(numbers, own)
		if err != nil {
			t.Fatal(err)
		}
		before := model.Compilations()
		got, err := rounds.Do(some)
		if err != nil {
			t.Fatal(err)
		}
		if n := model.Compilations() - before; round == 0 {
			compiled = n
		} else if n != 0 {
			t.Errorf("round %d compiles %d programs", round, n)
		}
		images := tensors.FromFlatDataAndDimensions(pick(t, all, numbers),
			append([]int{len(numbers)}, all.columns[0].Shape.Dimensions...)...)
		apart, err := FromTensors(images, own)
		if err != nil {
			t.Fatal(err)
		}
		alone := run
		alone.Nets, alone.Data, alone.Seed = map[string]*model.Model{"net": net}, apart, run.Seed+uint64(round)
		want, err := alone.Do()
		if err != nil {
			t.Fatal(err)
		}
		net = want.Net()
		if a, b := allWeights(t, got.Net()), allWeights(t, net); !slices.Equal(a, b) {
			t.Errorf("round %d: %v", round, approx.All(a, b, 0))
		}
		if !slices.Equal(got.History.Loss, want.History.Loss) {
			t.Errorf("round %d has the losses %v, a run of its own %v", round, got.History.Loss, want.History.Loss)
		}
		if !slices.Equal(allWeights(t, rounds.Net("net")), allWeights(t, net)) {
			t.Error("Net is not as the last round left it")
		}
	}
	if compiled < 1 {
		t.Error("the first round compiles nothing: the test counts nothing")
	}
}

func pick(t *testing.T, all *Tensors, numbers []int) []float32 {
	t.Helper()
	read, err := all.Read(numbers, 0)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](read[0])
}

// A selection is read with its own labels where it is streamed, and has its examples' without them.
func TestSelection(t *testing.T) {
	images, labels := bars(6, 1)
	all, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range [][]int{nil, {1, 0, 1}} {
		some, err := all.Select([]int{4, 4, 1}, own)
		if err != nil {
			t.Fatal(err)
		}
		want := own
		if own == nil {
			want = []int{labels[4], labels[4], labels[1]}
		}
		if !slices.Equal(some.Labels(), want) || some.Len() != 3 {
			t.Errorf("%v has the labels %v", some, some.Labels())
		}
		read, err := some.Read([]int{2, 0}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.MustCopyFlatData[float32](read[0]); !slices.Equal(got, pick(t, all, []int{1, 4})) {
			t.Error("other images are read")
		}
		if got := tensors.MustCopyFlatData[int32](read[1]); got[0] != int32(want[2]) || got[1] != int32(want[0]) {
			t.Errorf("the labels %v are read of %v", got, want)
		}
	}
	for words, of := range map[string]struct{ numbers, labels []int }{"2 labels for 1": {[]int{1}, []int{0, 1}},
		"no example 6 of 6": {[]int{6}, nil}, "no example -1": {[]int{-1}, nil}} {
		if _, err := all.Select(of.numbers, of.labels); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestRoundsRefuse(t *testing.T) {
	run, all, labels := roundsRun(t)
	withFile := run
	withFile.Checkpoint = "x.safetensors"
	if _, err := withFile.Rounds(); err == nil {
		t.Error("rounds with a checkpoint")
	}
	rounds, err := run.Rounds()
	if err != nil {
		t.Fatal(err)
	}
	defer rounds.Close()
	first, err := all.Select([]int{0, 1, 2, 3, 4, 5, 6, 7}, labels[:8])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Do(first); err != nil {
		t.Fatal(err)
	}
	images, _ := bars(48, 1)
	others, err := FromTensors(images, labels)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Do(others); err == nil || !strings.Contains(err.Error(), "Select them of the same Tensors") {
		t.Errorf("other examples: %v", err)
	}
	if _, err := (&Rounds{}).Do(first); err == nil {
		t.Error("a round of nothing")
	}
}

// A round that begins from other weights is a run from these, and another architecture is refused.
func TestRoundsBegin(t *testing.T) {
	run, all, labels := roundsRun(t)
	rounds, err := run.Rounds()
	if err != nil {
		t.Fatal(err)
	}
	defer rounds.Close()
	some, err := all.Select([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}, labels[:9])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rounds.Do(some); err != nil {
		t.Fatal(err)
	}
	other := network(t, 7)
	if err := rounds.Begin(map[string]*model.Model{"net": other}); err != nil {
		t.Fatal(err)
	}
	before := model.Compilations()
	got, err := rounds.Do(some)
	if err != nil {
		t.Fatal(err)
	}
	if n := model.Compilations() - before; n != 0 {
		t.Errorf("other weights compile %d programs", n)
	}
	alone := run
	alone.Nets, alone.Data, alone.Seed = map[string]*model.Model{"net": other}, some, run.Seed+1
	want, err := alone.Do()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(allWeights(t, got.Net()), allWeights(t, want.Net())) {
		t.Error("a round from other weights is not a run from these")
	}
	wide, err := MLP(other.Spec(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for words, nets := range map[string]map[string]*model.Model{"another architecture": {"net": wide},
		"have no network": {"other": other}} {
		if err := rounds.Begin(nets); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
