package worker

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
)

// families are calls of the library that take long, one cell each. m is a network; photos and what else [session]
// defines are there already.
var families = []struct{ name, call string }{
	{"attribution", `for _, method := range attrib.Methods() { sure(method.Attribute(m, photos, nil)) }`},
	{"Explain", `loupe.Explain(m, photos)`},
	{"Evaluate", `e := loupe.Evaluate(m, ds); sure(e.ROC()); sure(e.LabelIssues()); sure(sure(e.Unlike(3)).Grid())`},
	{"Issues", `loupe.Issues(ds, issues.Options{Model: m})`},
	{"what was learnt", `loupe.Spurious(m, ds, 0, spurious.NeuralPCA{Components: 2, Method: attrib.Gradient{}}); ` +
		`loupe.SpRAy(m, ds, spray.SpRAy{Neighbors: 2}); loupe.Concepts(m, photos)`},
	{"LRP", `sure(lrp.LRP{}.Attribute(m, photos, nil))`},
	{"CRP", `sure(lrp.CRP{}.Concepts(m, photos, nil, layer)); sure(lrp.Maximization{}.Search(m, ds, layer))`},
	{"SpRAy", `sure(spray.SpRAy{Neighbors: 2}.Classes(m, ds))`},
	{"SIS", `sure(mask.SIS{}.Collection(m, one)); sure(mask.BatchedGradientSIS{}.BackSelect(m, photos))`},
	{"sound masks", `sure(sound.Insertion{Points: 5}.Compare(m, photos, sound.All(m, n), sound.Masks{Others: photos, ` +
		`Steps: 60, Fillers: 2}, sound.Random{}))`},
	{"faithful", `sure(faithful.Tests{Insertion: faithful.Insertion{Steps: 5}, Deletion: faithful.Deletion{Steps: ` +
		`5}}.Compare(m, photos, nil, attrib.GradCAM{})); sure(faithful.Infidelity{Samples: 9}.Run(m, photos, nil, ` +
		`attrib.Gradient{})); sure(faithful.Sensitivity{Samples: 3}.Run(m, photos, nil, attrib.Gradient{}))`},
	{"missing", `sure(missing.LIME{Masks: 40}.Explain(m, photos, sure(missing.Patches(n, side, side, side/4))))`},
	{"labels", `sure(labels.CrossValidate(truth, 4, 1, labels.LinearHead(sure(m.Features(photos)), truth, classes, 1)))`},
	{"uncertainty",
		`logits := sure(m.Logits(photos)); sure(uncertainty.FitTemperature(logits, truth)); sure(uncertainty.Of(m, ds))`},
	{"ood", `fits := ood.KLMatching{}; _ = fits; logits := sure(m.Logits(photos)); sure(ood.Of(ood.Energy{}, logits)); ` +
		`sure(ood.AUROCInterval(sure(ood.Of(ood.MaxLogit{}, logits)), sure(ood.Of(ood.Entropy{}, logits)), 1))`},
	{"shift", `sure(shift.CorruptionSweep(m, photos, truth, 1, sure(perturb.CorruptionNamed("gaussian_noise")), ` +
		`sure(perturb.CorruptionNamed("defocus_blur"))))`},
	{"spurious", `c := sure(spurious.ClassPCA(m, ds, 0)); sure(c.Sheet(m, photos, 2, 2, attrib.Gradient{})); e := ` +
		`sure(spurious.ExamplesOf(m, ds)); sure(spurious.TuneHead(sure(m.Head()), e, spurious.Tuning{Epochs: 20, ` +
		`BatchSize: 4}))`},
	{"transfer", `sure(transfer.FixedFeatures(m, transfer.Task{Name: "the same", Classes: classes, Train: ds, ` +
		`Validation: ds, Test: ds}, learn.LogisticRegression{}, []float64{1, 0.01}))`},
	{"training", `loupe.Train(m, ds, recipe)`},
	{"manifold", `points := sure(m.Features(photos)); sure(manifold.TSNE{Iterations: 300}.Embed(points)); ` +
		`sure(manifold.UMAP{Epochs: 50}.Embed(points))`},
	{"attack", `sure(attack.APGD{Eps: 0.5, Steps: 20}.Robustness(m, photos, truth)); sure(attack.FeatureAttack{Steps: ` +
		`10}.Maximize(m, photos, nil))`},
	{"universal perturbations", `p := sure(universal.Attack{Eps: 0.5, Steps: 5, BatchSize: n/2, Targets: []int{0, ` +
		`1}}.On(m, ds)); sure(p.Success(m, ds)); sure(universal.Shifts{Most: 2}.On(m, ds, p))`},
	{"augment", `sure(augment.AugMix{}.Apply(photos, 1)); sure(m.Predict(photos))`},
}

// session defines what the families work on: a small network, or one that people use.
const session = `import (
	"slices"
	"github.com/loupeml/loupe/lib/attack/universal"
	"github.com/loupeml/loupe/lib/attrib/faithful"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/sound"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/augment"
	"github.com/loupeml/loupe/lib/issues"
)
func sure[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
%s
net := fresh()
photos := func() *tensors.Tensor {
	flat := make([]float32, n*side*side*3)
	for i := range flat {
		flat[i] = float32(0.5 + 0.5*math.Sin(float64(i)*float64(1+i%%7)))
	}
	return tensors.FromFlatDataAndDimensions(flat, n, side, side, 3)
}()
truth := make([]int, n)
for i := range truth {
	truth[i] = i %% classes
}
ds := sure(data.FromTensor(photos, truth, nil))
one := sure(sure(data.FromTensor(photos, truth, nil)).Subset([]int{0}).All())
recipe := learn.Default
recipe.Epochs, recipe.BatchSize, recipe.LearningRate = 3, n/2, 0.01
layer := ""
for _, l := range net.Layers() {
	if len(l.Shape) == 3 {
		layer = l.Name
	}
}
want := tensors.MustCopyFlatData[float32](sure(net.Logits(photos)))`

const smallNetwork = `const n, side, classes = 12, 8, 3
func fresh() *model.Model {
	return sure(learn.SmallCNN(model.Spec{Name: "small", Height: side, Width: side, Channels: 3, Classes: []string{"a", "b", "c"}}, classes, 1, 2, 2))
}`

const realNetwork = `const n, side, classes = 4, 224, 3
func fresh() *model.Model { return sure(sound.Among(loupe.Load("efficientnet-lite0"), 1, 2, 3)) }`

// stillThere is a cell that needs all that a session has, and computes anew what it knows the answer of.
const stillThere = `slices.Equal(tensors.MustCopyFlatData[float32](sure(net.Logits(photos))), want) && ds.Len() == n`

// Interrupted at random moments no call loses the session: the process, its variables and its models stay and give
// the right answer. Some of the moments lie in calls on a new model, the others in calls on the model that the session
// goes on to use. With LOUPE_HEAVY=1 there are 20 of each, and the network is EfficientNet-Lite0.
func TestNoFamilyLosesTheSession(t *testing.T) {
	network, compiling, compiled := smallNetwork, 2, 4
	if testenv.IsHeavy() {
		testenv.Asset(t, "efficientnet-lite0")
		network, compiling, compiled = realNetwork, 20, 20
	}
	w := newWorker(t)
	if r := begin(t, w, fmt.Sprintf(session, network)).end(); r.Failure != nil {
		t.Fatalf("%s", strings.Join(r.Failure.Traceback, "\n"))
	}
	pid := w.Pid()
	healthy := func() {
		t.Helper()
		if r := begin(t, w, stillThere).end(); value(r) != "true" || w.Pid() != pid {
			t.Fatalf("the next cell gives %s, in process %d where %d was", value(r), w.Pid(), pid)
		}
	}
	healthy()
	for i, family := range families {
		t.Run(family.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(17, uint64(i)))
			for _, on := range []struct {
				model   string
				moments int
			}{{"fresh()", compiling}, {"net", compiled}} {
				cell := "{ m := " + on.model + "; " + family.call + " }"
				var took time.Duration
				for range 2 { // the first time compiles what the second does not
					from := time.Now()
					if r := begin(t, w, cell).end(); r.Failure != nil {
						t.Fatalf("%s", strings.Join(r.Failure.Traceback, "\n"))
					}
					took = time.Since(from)
				}
				stopped := 0
				for range on.moments {
					c := begin(t, w, cell)
					time.Sleep(time.Duration(rng.Float64() * float64(took)))
					c.stop()
					r := c.end()
					switch {
					case r.Lost || r.Failure != nil && r.Failure.Name != "Interrupted":
						t.Fatalf("%+v, lost: %t", r.Failure, r.Lost)
					case r.Failure != nil && strings.Contains(r.Failure.Message, "left behind"):
						t.Errorf("the call goes on: %s", r.Failure.Message)
					case r.Failure != nil:
						stopped++
					}
					healthy()
				}
				t.Logf("on %s it takes %v, and %d of %d times it was stopped", on.model, took.Round(time.Millisecond), stopped,
					on.moments)
			}
		})
	}
}
