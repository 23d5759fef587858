package report

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/learn"
	"github.com/loupeml/loupe/lib/model"
)

// The images of the training say how unlike them the others are, and whether some are the same.
func TestUnlikeTraining(t *testing.T) {
	m, err := learn.SmallCNN(model.Spec{Height: side, Width: side, Channels: 3, Classes: names}, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(11, 12))
	painted := func(by, noise int) *data.Dataset {
		dir := t.TempDir()
		for c, name := range names {
			for i := range 40 {
				paint(t, filepath.Join(dir, name, fmt.Sprintf("%d.png", i)), c, by, noise, rng)
			}
		}
		return open(t, dir)
	}
	training, same, other := painted(40, 40), painted(40, 40), painted(110, 40)
	asked := func(ds *data.Dataset, training *data.Dataset) *Report {
		r, err := Of(m, ds.Map(m.Prepare()...), Options{Opened: ds, Budget: time.Minute, Training: training,
			Begin: "begin()"})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, r)
		return r
	}
	f := finding(t, asked(other, training).Findings, "unlike training", "Unlike training: of two images, one of these")
	if f.Unit != "area" || f.Low <= 0.5 || f.High > 1 || len(f.Evidence[0].Pictures) != mostShown {
		t.Errorf("%+v", f)
	}
	r := asked(same, training)
	if value, ok := measured(r, "like_training"); !ok || value < 0.3 || value > 0.7 {
		t.Errorf("images like those of the training: %v, %v", value, ok)
	}
	finding(t, r.Nothing, "unlike training", "Unlike training: nothing shows that these images are")
	f = finding(t, asked(training, training).Findings, "unlike training", "Unlike training: ")
	if !strings.Contains(f.Sentence, "of 120 images have the very features of an image of the training") || f.Value < 0.4 {
		t.Errorf("of the training's own images: %+v", f)
	}
	few := asked(same, training.Take(5))
	for _, left := range few.LeftOut {
		if left.Check == "unlike training" && strings.Contains(left.Why, "it takes 40 images of the training, and there "+
			"are 5") {
			return
		}
	}
	t.Errorf("of a training of 5 images is said %v", few.LeftOut)
}
