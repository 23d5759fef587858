package augment

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/stat"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
)

// network is an autoencoder of the 20 images, trained once.
var network = sync.OnceValues(func() (*Autoencoder, error) { return TrainAutoencoder(trainedOn, 250, 1) })

var trainedOn *tensors.Tensor

func trained(t *testing.T) (*Autoencoder, *tensors.Tensor) {
	t.Helper()
	testenv.Asset(t, "xla-cpu")
	trainedOn = cifar(t)
	a, err := network()
	if err != nil {
		t.Fatal(err)
	}
	return a, trainedOn
}

func rms(a, b []float32) float64 {
	sum := 0.
	for i, v := range a {
		sum += float64(v-b[i]) * float64(v-b[i])
	}
	return math.Sqrt(sum / float64(len(a)))
}

func TestAutoencoderGivesItsImagesBack(t *testing.T) {
	a, images := trained(t)
	got, err := a.Reconstruct(images)
	if err != nil {
		t.Fatal(err)
	}
	far := rms(tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](images))
	t.Logf("trained to %.4f, the images come back to %.4f", a.RMSE, far)
	if !(a.RMSE < .09) || !(far <= 1.2*a.RMSE) {
		t.Errorf("training ends at a root mean square error of %g, and images come back to %g", a.RMSE, far)
	}
	again, err := TrainAutoencoder(images, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if once, _ := TrainAutoencoder(images, 3, 1); once.RMSE != again.RMSE ||
		once.layers[3].weights[7] != again.layers[3].weights[7] {
		t.Error("the same seed trains another network")
	}
}

// Each distortion changes what comes out, and what comes out is still of the image that went in: over all distortions
// the mean correlation with it is far above that with the next image.
func TestDeepAugmentDistortsImages(t *testing.T) {
	a, images := trained(t)
	plain, err := a.Reconstruct(images)
	if err != nil {
		t.Fatal(err)
	}
	of, none := tensors.MustCopyFlatData[float32](images), tensors.MustCopyFlatData[float32](plain)
	const size = 32 * 32 * 3
	wide := func(v []float32) []float64 {
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = float64(x)
		}
		return out
	}
	for _, d := range slices.Concat(WeightDistortions(), CodeDistortions(), EDSRDistortions()) {
		got, err := DeepAugment{Network: a, Distortions: []Distortion{d}}.Apply(images, 3)
		if err != nil {
			t.Fatal(err)
		}
		if far := rms(tensors.MustCopyFlatData[float32](got), none); !(far >= .005) {
			t.Errorf("%s moves images by %g only", d.Name, far)
		}
	}
	d := DeepAugment{Network: a}
	got, err := d.Apply(images, 3)
	if err != nil {
		t.Fatal(err)
	}
	var own, other float64
	made := tensors.MustCopyFlatData[float32](got)
	for i := range 20 {
		from := wide(made[i*size : (i+1)*size])
		next := (i + 1) % 20
		own += stat.Correlation(from, wide(of[i*size:(i+1)*size]), nil) / 20
		other += stat.Correlation(from, wide(of[next*size:(next+1)*size]), nil) / 20
	}
	t.Logf("correlation with the image %.2f, with another %.2f", own, other)
	if !(own > other+.2) {
		t.Errorf("what comes out correlates with %.2f with the image, and with %.2f with another", own, other)
	}
	again, _ := d.Apply(images, 3)
	if another, _ := d.Apply(images, 4); !got.Equal(again) || got.Equal(another) {
		t.Error("images do not depend on the seed alone")
	}
	// The network is as it was, and the released slips make a difference.
	if after, _ := a.Reconstruct(images); !after.Equal(plain) {
		t.Error("distortions stay in the network")
	}
	d.Released = true
	if released, _ := d.Apply(images, 3); released.Equal(got) {
		t.Error("Released makes no difference")
	}
	before := model.Compilations() // the programs are there
	if _, err := d.Apply(images, 5); err != nil {
		t.Fatal(err)
	}
	if n := model.Compilations() - before; n != 0 {
		t.Errorf("20 more images compile %d programs", n)
	}
}

// Odd and large sizes, and one channel.
func TestAutoencoderOfOtherImages(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	for _, dims := range [][]int{{2, 2, 3, 1}, {1, 61, 50, 3}} {
		flat := make([]float32, dims[0]*dims[1]*dims[2]*dims[3])
		for i := range flat {
			flat[i] = float32(i%97) / 96
		}
		images := tensors.FromFlatDataAndDimensions(flat, dims...)
		a, err := TrainAutoencoder(images, 2, 1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DeepAugment{Network: a}.Apply(images, 1)
		if err != nil || !got.Shape().Equal(images.Shape()) {
			t.Errorf("%v becomes %v (%v)", images.Shape(), got.Shape(), err)
		}
	}
}

func TestInterruptedDeepAugmentKeepsWhatIsDone(t *testing.T) {
	a, images := trained(t)
	testenv.Interrupt(t, func() (*tensors.Tensor, error) { return DeepAugment{Network: a}.Apply(images, 1) },
		func(x *tensors.Tensor) int {
			if x == nil {
				return 0
			}
			return x.Shape().Dimensions[0]
		})
}

func TestInterruptedAutoencoderIsReturned(t *testing.T) {
	testenv.Asset(t, "xla-cpu")
	images := tensors.FromFlatDataAndDimensions(make([]float32, 8*8*8), 8, 8, 8, 1)
	release := interrupt.Use(testenv.CancelledAfter(2))
	defer release()
	a, err := TrainAutoencoder(images, 5, 1)
	if a == nil || err == nil || !strings.Contains(err.Error(), "2 of 5") || !math.IsNaN(a.RMSE) {
		t.Errorf("it returns %v and %v", a, err)
	}
}

func TestDeepAugmentNamesWhatIsWrong(t *testing.T) {
	a, images := trained(t)
	grey := tensors.FromFlatDataAndDimensions(make([]float32, 64), 1, 8, 8, 1)
	for want, call := range map[string]func() error{
		"needs a network":             func() error { _, err := DeepAugment{}.Apply(images, 0); return err },
		"images of 3 channels, not 1": func() error { _, err := DeepAugment{Network: a}.Apply(grey, 0); return err },
		"3 channels, not 1":           func() error { _, err := a.Reconstruct(grey); return err },
		"a distortion is empty": func() error {
			_, err := DeepAugment{Network: a, Distortions: make([]Distortion, 1)}.Apply(images, 0)
			return err
		},
		"trained in -1 steps": func() error { _, err := TrainAutoencoder(images, -1, 0); return err },
		"2 x 2 pixels or more, not 1 ": func() error {
			_, err := TrainAutoencoder(tensors.FromFlatDataAndDimensions(make([]float32, 3), 1, 1, 1, 3), 1, 0)
			return err
		},
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want one that says %q", err, want)
		}
	}
}
