package shift

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/stats"
)

// LOUPE_LOOK=DIR writes the papers' figures there, for a person to look at.
func TestLook(t *testing.T) {
	dir := os.Getenv("LOUPE_LOOK")
	if dir == "" {
		t.Skip("skipped: needs LOUPE_LOOK=DIR, a folder for the pictures")
	}
	r, timm := readTestbed(t), ok[*Results](t)(ReadTimm(testenv.SharedData(t, "timm")))
	above := func(condition string, least float64) func(string) bool {
		return func(m string) bool {
			c, ok := r.Cell(m, condition)
			return ok && c.Accuracy.Share() >= least && !strings.Contains(m, "subsample")
		}
	}
	for name, f := range map[string]struct {
		results    *Results
		scale      stats.AxisScale
		x, y       string
		fit, shown func(string) bool
		label      []string
	}{
		"v2": {r, stats.Logit, "val", matchedV2, r.TestbedFit, above("val", 0.55),
			[]string{"resnet50", "efficientnet-l2-noisystudent"}},
		"objectnet": {r, stats.Logit, "val-on-objectnet-classes", "objectnet-1.0-beta", r.TestbedFit,
			above("val-on-objectnet-classes", 0.55), nil},
		"a": {r, stats.Logit, "val-on-imagenet-a-classes", "imagenet-a", r.TestbedFit,
			above("val-on-imagenet-a-classes", 0.75), nil},
		"r": {r, stats.Logit, "val-on-imagenet-r-classes", "imagenet-r", r.TestbedFit,
			above("val-on-imagenet-r-classes", 0.75), []string{"resnet50_deepaugment_augmix"}},
		"all":     {r, stats.Logit, "val", matchedV2, r.TestbedFit, nil, nil},
		"cifar":   {readCIFAR101(t), stats.Linear, "CIFAR-10", "CIFAR-10.1", nil, nil, []string{"vgg16_keras"}},
		"timm-v2": {timm, stats.Logit, "imagenet", "imagenetv2", timm.OfType(ImageNet1k), nil, nil},
		"timm-r":  {timm, stats.Logit, "imagenet-r-clean", "imagenet-r", timm.OfType(ImageNet1k), nil, nil},
	} {
		fit := ok[stats.AccuracyFit](t)(f.results.Fit(f.scale, f.x, f.y, f.fit))
		s := ok[display.AccuracyScatter](t)(f.results.Scatter(fit, f.x, f.y, f.shown, f.label...))
		if err := save.Write(filepath.Join(dir, name+".png"), s); err != nil {
			t.Error(err)
		}
		page := s.Bundle().Data[mime.HTML]
		t.Logf("%s: %d bytes of HTML, %d of PNG", name, len(page), len(s.Bundle().Data[mime.PNG]))
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(page), 0o666); err != nil {
			t.Error(err)
		}
	}
}
