package shift

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/backend"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/stats"
)

// thresholdModel says class 1 where an image's mean is above at, and is a model with one weight, so that it can be told
// from others. A third class has a logit between the two.
func thresholdModel(t *testing.T, name string, at float32) *model.Model {
	t.Helper()
	weights := map[string]*tensors.Tensor{"at": tensors.FromValue([]float32{at})}
	m, err := model.FromTensors(weights, model.Spec{Name: name, Height: 8, Width: 8, Channels: 3},
		func(b *model.Builder, x *graph.Node) *graph.Node {
			score := graph.InsertAxes(graph.Sub(graph.ReduceMean(x, 1, 2, 3), graph.Reshape(b.Weight("at"))), -1)
			return graph.Concatenate([]*graph.Node{graph.Neg(score), score, graph.MulScalar(graph.OnesLike(score), 0.26)}, 1)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// spy counts what is asked of a dataset.
type spy struct {
	model.Labeled
	mu    *sync.Mutex
	asked *int
	after func(asked int)
}

func (s spy) Images(numbers ...int) (*tensors.Tensor, error) {
	s.mu.Lock()
	*s.asked += len(numbers)
	now := *s.asked
	s.mu.Unlock()
	if s.after != nil {
		s.after(now)
	}
	return s.Labeled.Images(numbers...)
}

func spied(t *testing.T) spy {
	t.Helper()
	x, labels := images()
	return spy{Labeled: ok[*data.Dataset](t)(data.FromTensor(x, labels, nil)), mu: &sync.Mutex{}, asked: new(int)}
}

func newTestbed(t *testing.T) *Testbed {
	t.Helper()
	tb := ok[*Testbed](t)(NewTestbed(filepath.Join(t.TempDir(), "of mine? 100%#.db")))
	t.Cleanup(func() { tb.Close() })
	return tb
}

func TestTestbedDoesNotRepeatWhatIsDone(t *testing.T) {
	tb, ds := newTestbed(t), spied(t)
	models := []*model.Model{thresholdModel(t, "half", 0.5), thresholdModel(t, "high", 0.72)}
	brighter := Changed("brighter", ds, func(x *tensors.Tensor, _ []int) (*tensors.Tensor, error) {
		return graph.CallOnce(ok2(backend.Get()), func(x *graph.Node) *graph.Node {
			return graph.MinScalar(graph.AddScalar(x, 0.3), 1)
		}, x)
	})
	conditions := []Condition{{Name: "clean", Data: ds}, {Name: "dark only", Data: ds, Classes: []int{0, 2}},
		{Name: "two classes", Data: ds, Classes: []int{0, 1}}, brighter}
	r := ok[*Results](t)(tb.Run(models, conditions...))
	// Means 0.05 to 0.95 in steps of a tenth, label 1 from 0.55 on. The third class wins where the mean is within 0.26
	// of the threshold.
	want := map[string][2]string{
		"half": {"clean 4/10", "two classes 10/10"},
		"high": {"clean 5/10", "two classes 8/10"},
	}
	for m, cells := range want {
		for _, cell := range cells {
			name, count := cell[:strings.LastIndex(cell, " ")], cell[strings.LastIndex(cell, " ")+1:]
			c, _ := r.Cell(m, name)
			if got := fmt.Sprintf("%d/%d", c.Accuracy.Correct, c.Accuracy.Total); got != count {
				t.Errorf("%s under %s: %s, want %s", m, name, got, count)
			}
		}
	}
	if c, _ := r.Cell("half", "dark only"); c.Accuracy.Total != 5 || c.Accuracy.Correct != 2 {
		t.Errorf("of the dark ones half recognises %d of %d", c.Accuracy.Correct, c.Accuracy.Total)
	}
	if c, _ := r.Cell("half", "brighter"); c.Accuracy.Total != 10 || c.Accuracy.Correct != 5 {
		t.Errorf("of the brighter ones half recognises %d of %d", c.Accuracy.Correct, c.Accuracy.Total)
	}

	// A second run looks at a few images to know the conditions by, and at no more, even after closing.
	*ds.asked = 0
	again := ok[*Results](t)(tb.Run(models, conditions...))
	if looks := 10 + 5 + 10 + 10; *ds.asked != looks {
		t.Errorf("a second run asks for %d images, and knows the conditions by %d", *ds.asked, looks)
	}
	path := tb.path
	if err := tb.Close(); err != nil {
		t.Fatal(err)
	}
	tb = ok[*Testbed](t)(NewTestbed(path))
	defer tb.Close()
	stored := ok[*Results](t)(tb.Results())
	for _, m := range models {
		for _, c := range conditions {
			a, _ := r.Cell(m.Name(), c.Name)
			b, _ := again.Cell(m.Name(), c.Name)
			d, _ := stored.Cell(m.Name(), c.Name)
			if a != b || a != d || a.Accuracy.Total == 0 {
				t.Errorf("%v, %v and %v", a, b, d)
			}
		}
	}

	// Names mean what they meant.
	for want, do := range map[string]func() error{
		"half in " + path + " is another model": func() error {
			_, err := tb.Run([]*model.Model{thresholdModel(t, "half", 0.4)}, conditions[0])
			return err
		},
		"clean in " + path + " is another condition": func() error {
			_, err := tb.Run(models, Changed("clean", ds, brighter.Data.(changed).change))
			return err
		},
		"two models are called": func() error {
			_, err := tb.Run([]*model.Model{thresholdModel(t, "new", 0.4), thresholdModel(t, "new", 0.3)}, conditions[0])
			return err
		},
		"two conditions are called": func() error {
			_, err := tb.Run(models, Condition{Name: "new", Data: ds}, Changed("new", ds, brighter.Data.(changed).change))
			return err
		},
		"has the class 7": func() error {
			_, err := tb.Run(models, Condition{Name: "seven", Data: ds, Classes: []int{0, 7}})
			return err
		},
		"none of the 10 images": func() error {
			_, err := tb.Run(models, Condition{Name: "none", Data: ds, Classes: []int{2}})
			return err
		},
		"lacks one":              func() error { _, err := tb.Run(models, Condition{Name: "empty"}); return err },
		"0 models":               func() error { _, err := tb.Run(nil, conditions...); return err },
		"no model \"nobody\"":    func() error { return tb.SetType("nobody", "x") },
		"no model \"no one\"":    func() error { return tb.Forget("no one") },
		"no condition \"never\"": func() error { return tb.ForgetCondition("never") },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error that says %q, got %v", want, err)
		}
	}
	if err := tb.SetType("half", "mine"); err != nil {
		t.Error(err)
	}
	if k := ok[*Results](t)(tb.Results()).Kind("half"); k.Type != "mine" || k.Weights != "half" {
		t.Errorf("half is %+v", k)
	}
	if err := tb.Forget("half"); err != nil {
		t.Error(err)
	}
	retrained := ok[*Results](t)(tb.Run([]*model.Model{thresholdModel(t, "half", 0.4)}, conditions[2]))
	if c, _ := retrained.Cell("half", "two classes"); c.Accuracy.Correct != 9 {
		t.Errorf("retrained, half recognises %d", c.Accuracy.Correct)
	}
}

func ok2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTestbedKeepsWhatIsDoneWhenInterrupted(t *testing.T) {
	tb, ds := newTestbed(t), spied(t)
	models := []*model.Model{thresholdModel(t, "a", 0.3), thresholdModel(t, "b", 0.5), thresholdModel(t, "c", 0.7)}
	ctx, cancel := context.WithCancel(context.Background())
	stopping := ds
	stopping.after = func(asked int) {
		if asked > 10+10 { // once to know the condition, once for model a
			cancel()
		}
	}
	release := interrupt.Use(ctx)
	part, err := tb.Run(models, Condition{Name: "clean", Data: stopping})
	release()
	if err == nil || !strings.Contains(err.Error(), "interrupted after 1 of 3 trials") {
		t.Fatalf("got %v", err)
	}
	if got := part.Models(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("done are %v", got)
	}
	*ds.asked = 0
	whole := ok[*Results](t)(tb.Run(models, Condition{Name: "clean", Data: ds}))
	if *ds.asked != 10+2*10 || len(whole.Models()) != 3 {
		t.Errorf("the rest asks for %d images, results are of %v", *ds.asked, whole.Models())
	}
}

// Corruptions do not depend on how many images a batch has, and are those of a sweep.
func TestCorruptedIsTheSweeps(t *testing.T) {
	x, labels := images()
	m := brightOrDark(t)
	noise := ok[perturb.Corruption](t)(perturb.CorruptionNamed("gaussian_noise"))
	sweep := ok[*Sweep](t)(CorruptionSweep(m, x, labels, 5, noise))
	m.BatchSize = 3
	ds := ok[*data.Dataset](t)(data.FromTensor(x, labels, nil))
	r := ok[*Results](t)(newTestbed(t).Run([]*model.Model{m}, Corrupted(ds, noise, 5, 5)))
	if c, _ := r.Cell("bright", "gaussian_noise 5"); c.Accuracy.Correct != sweep.Accuracy[0][5].Correct ||
		c.Accuracy.Total != 10 {
		t.Errorf("%d of %d, the sweep has %v", c.Accuracy.Correct, c.Accuracy.Total, sweep.Accuracy)
	}
	whole := ok[*tensors.Tensor](t)(noise.Apply(x, 5, 5))
	part := ok[*tensors.Tensor](t)(Corrupted(ds, noise, 5, 5).Data.Images(7, 2))
	a, b := tensors.MustCopyFlatData[float32](whole), tensors.MustCopyFlatData[float32](part)
	if n := 8 * 8 * 3; !slices.Equal(a[7*n:8*n], b[:n]) || !slices.Equal(a[2*n:3*n], b[n:]) {
		t.Error("an image is corrupted in another way in another batch")
	}
}

func TestOwnModelsAmongPublishedOnes(t *testing.T) {
	published := readTestbed(t)
	tb := ok[*Testbed](t)(NewTestbed(filepath.Join(t.TempDir(), "testbed.db"), published))
	t.Cleanup(func() { tb.Close() })
	if err := tb.Import(published); err != nil {
		t.Errorf("importing again: %v", err)
	}
	ds := spied(t)
	own := thresholdModel(t, "mine", 0.5)
	for i, name := range []string{"val", matchedV2} {
		trial := ok[*Results](t)(tb.RunAs("my networks", []*model.Model{own},
			Condition{Name: name, Data: ds, Classes: []int{i, 1 - i, 2}}))
		if trial.Kind("mine").Type != "my networks" || len(trial.Models()) != 1 {
			t.Errorf("the trial is of %v, a %+v", trial.Models(), trial.Kind("mine"))
		}
	}
	r := ok[*Results](t)(tb.Results())
	if kind := r.Kind("mine").Type; kind != "my networks" || r.Kind("resnet50").Type != Standard {
		t.Errorf("the own model is of the type %q", kind)
	}
	if len(r.Models()) != 339 || len(r.Conditions()) != 213 {
		t.Errorf("%d models under %d conditions", len(r.Models()), len(r.Conditions()))
	}
	before := ok[stats.AccuracyFit](t)(published.Fit(stats.Logit, "val", matchedV2, published.TestbedFit)).(*stats.FitLine)
	after := ok[stats.AccuracyFit](t)(r.Fit(stats.Logit, "val", matchedV2, r.TestbedFit)).(*stats.FitLine)
	if before.Slope != after.Slope || len(after.Models) != 85 {
		t.Errorf("the table's fit is %v, the files' %v", after, before)
	}
	if !slices.ContainsFunc(ok[[]Robustness](t)(r.Effective(after, "val", matchedV2)),
		func(e Robustness) bool { return e.Model == "mine" }) {
		t.Error("the own model is not among them")
	}
	if _, err := tb.Run([]*model.Model{thresholdModel(t, "resnet50", 0.5)},
		Condition{Name: "val", Data: ds}); err == nil ||
		!strings.Contains(err.Error(), "resnet50 is the name of a published model") {
		t.Errorf("a model of a published one's name: %v", err)
	}
	other := NewResults()
	other.Add(Cell{"new", "val", of(5, 10)})
	other.Add(Cell{"resnet50", "val", of(5, 10)})
	if err := tb.Import(other); err == nil || !strings.Contains(err.Error(),
		"resnet50 under val is published with 5 of 10") {
		t.Errorf("a contradiction: %v", err)
	}
	if _, ok := ok[*Results](t)(tb.Results()).Cell("new", "val"); ok {
		t.Error("a part of what was to be imported is in the table")
	}
}

// Processes that write at once lose nothing. The child processes are this test again.
func TestTestbedOfSeveralProcesses(t *testing.T) {
	const each = 40
	if path := os.Getenv("LOUPE_TESTBED"); path != "" {
		tb := ok[*Testbed](t)(NewTestbed(path))
		defer tb.Close()
		for i := range each {
			r := NewResults()
			r.Add(Cell{"common", fmt.Sprint(i), of(i, each)})
			r.Add(Cell{"of " + os.Getenv("LOUPE_TESTBED_NAME"), fmt.Sprint(i), of(i, each)})
			if err := tb.Import(r); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	path := filepath.Join(t.TempDir(), "testbed.db")
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			run := exec.Command(os.Args[0], "-test.run=^TestTestbedOfSeveralProcesses$")
			run.Env = append(os.Environ(), "LOUPE_TESTBED="+path, fmt.Sprint("LOUPE_TESTBED_NAME=", i))
			if out, err := run.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	tb := ok[*Testbed](t)(NewTestbed(path))
	defer tb.Close()
	r := ok[*Results](t)(tb.Results())
	for _, m := range []string{"common", "of 0", "of 1", "of 2"} {
		for i := range each {
			if c, ok := r.Cell(m, fmt.Sprint(i)); !ok || c.Accuracy.Correct != i {
				t.Fatalf("%s under %d is %v", m, i, c)
			}
		}
	}
}

func TestFilesThatAreNoTestbed(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("These are my notes. ", 200)), 0o666); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.db")
	tb := ok[*Testbed](t)(NewTestbed(foreign))
	for _, q := range []string{"PRAGMA application_id = 7", "DROP TABLE models"} {
		if _, err := tb.db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	tb.Close()
	for path, want := range map[string]string{
		text:                                  "not a database",
		foreign:                               "another program's",
		filepath.Join(dir, "nowhere", "a.db"): "there is no folder",
	} {
		if tb, err := NewTestbed(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", path, tb, err)
		}
	}
}
