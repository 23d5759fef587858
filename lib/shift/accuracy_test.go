package shift

import (
	"slices"
	"strconv"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/internal/testimages"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

// ResNet-20 is as often right on loupe's corrupted images as on those of the authors' program
// (bench/shift/corruptions.py): within one point where nothing is left to chance, within three and a half where the
// draws differ, which for means of three on 500 images is two and a half standard deviations. LOUPE_HEAVY=1 takes all
// corruptions, severities 1, 3 and 5, and 2,000 images, and two points.
func TestCorruptionsCostTheAccuracyThatTheAuthorsDo(t *testing.T) {
	rows := oracle.Rows(t, "testdata/corruption_accuracy.csv")
	if len(rows) < 6 {
		t.Fatalf("%d rows", len(rows))
	}
	weights := testenv.SharedData(t, "cifar-resnets", "resnet20.safetensors")
	archive := testenv.SharedData(t, "cifar10-jpeg", "test.zip")
	testenv.Asset(t, "imagenet-c-frost")
	step, column, limit := 20, 3, 0.035
	if testenv.IsHeavy() {
		step, column, limit = 5, 2, 0.02
	}
	set, err := testimages.CIFAR10(archive, step, 0)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Load(weights)
	if err != nil {
		t.Fatal(err)
	}
	images := tensors.FromFlatDataAndDimensions(set.Pixels, len(set.Labels), 32, 32, 3)
	for _, row := range rows[1:] {
		name, severity := row[0], row[1]
		t.Run(name+" "+severity, func(t *testing.T) {
			if severity != "3" || !slices.Contains([]string{"glass_blur", "snow", "frost", "spatter", "zoom_blur"}, name) {
				testenv.Heavy(t)
			}
			s, err1 := strconv.Atoi(severity)
			want, err2 := strconv.ParseFloat(row[column], 64)
			c, err3 := perturb.CorruptionNamed(name)
			if err1 != nil || err2 != nil || err3 != nil {
				t.Fatal(err1, err2, err3)
			}
			of, most := 3, limit
			if slices.Contains([]string{"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
				"gaussian_blur", "saturate"}, name) {
				of, most = 1, 0.01
			}
			right := 0
			for seed := range of {
				corrupted, err := c.Apply(images, s, uint64(seed))
				if err != nil {
					t.Fatal(err)
				}
				classes, err := m.Predict(corrupted)
				if err != nil {
					t.Fatal(err)
				}
				for i, class := range classes {
					if class == set.Labels[i] {
						right++
					}
				}
			}
			if got := float64(right) / float64(of*len(set.Labels)); !approx.Equal(got, want, most) {
				t.Errorf("%.1f%% are right, of the authors' images %.1f%%: more than %.1f points apart", 100*got,
					100*want, 100*most)
			}
		})
	}
}
