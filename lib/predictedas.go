package loupe

import (
	"fmt"

	"github.com/loupeml/loupe/lib/model"
)

// PredictedAs is the percentage of images for which a model predicts a class: of images that show none, such as others
// with a mark that was planted, how many are taken for it.
func PredictedAs(m *model.Model, images any, class int) float64 {
	predicted := must(m.Predict(Images(m, images)))
	if class < 0 || class >= m.NumClasses() {
		panic(fmt.Errorf("loupe: %s has the classes 0 to %d, and no %d", m.Name(), m.NumClasses()-1, class))
	}
	n := 0
	for _, c := range predicted {
		if c == class {
			n++
		}
	}
	return 100 * float64(n) / float64(len(predicted))
}
