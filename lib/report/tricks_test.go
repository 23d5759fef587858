package report

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/internal/testnets"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

// alone makes one check.
func alone(m *model.Model, photos *data.Dataset, name string) *Report {
	r := begin(m, photos, Options{Budget: time.Minute})
	r.ask()
	for _, c := range checks {
		if c.name == name {
			r.make(c)
		}
	}
	return r.report
}

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// A network has learnt that coats have a bright square in a corner, which 15 in 100 have: that is found, with the
// pictures, and put onto others it makes coats of them. A network that has learnt the same pictures without the square
// has no trick: not with its own pictures, and not with those that have it.
func TestTricks(t *testing.T) {
	testenv.Asset(t, "fashion-mnist")
	plain, err := data.Open("fashion-mnist-train")
	if err != nil {
		t.Fatal(err)
	}
	plain = plain.Shuffle(1).Take(1600)
	const coat = 4
	marked, on, err := perturb.Patch{Row: 1, Column: 1, Side: 4, Value: 1}.Plant(plain, 0.15, coat)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		learnt, asked *data.Dataset
		found         bool
	}{{"marked", marked, marked, true}, {"plain", plain, plain, false}, {"plain, asked of the marked", plain,
		marked, false}} {
		images, err := c.learnt.All()
		if err != nil {
			t.Fatal(err)
		}
		m := testnets.SmallCNN(t, images, c.learnt.Labels(), 8, 1)
		r := alone(m, c.asked, "tricks")
		if !c.found {
			f := finding(t, r.Nothing, "tricks", "Tricks: of 8 groups of images that stand apart")
			if f.Low > 0 || len(f.Evidence) != 1 || len(f.Evidence[0].Rows) != 8 {
				t.Errorf("%s: %+v", c.name, f)
			}
			continue
		}
		f := finding(t, r.Findings, "tricks", "Tricks: 23 of the 154 images of \"4\" stand apart by what the "+
			"network goes by. A part of theirs, 7 x 7 pixels at row 0, column 0, put onto images of other classes, makes")
		if len(on) != 23 || f.Unit != "points" || f.Low < 5 || f.High > 60 || !(f.Low < f.Value && f.Value < f.High) {
			t.Errorf("%d are marked, and found is %+v", len(on), f)
		}
		if len(f.Evidence) != 4 || len(f.Evidence[0].Pictures) != 4 || len(f.Evidence[2].Pictures) != 4 {
			t.Errorf("the evidence is %+v", f.Evidence)
		}
		if !strings.Contains(f.Cell, "all := spray.SpRAy{}.Classes(net, sample, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)") ||
			!strings.Contains(f.Cell, "spray.Transplant{Images: 100, Seed: 0}.Of(net, sample, all[0], 0)") {
			t.Errorf("the cell is\n%s", f.Cell)
		}
	}
}
