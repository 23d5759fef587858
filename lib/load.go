package loupe

import (
	"fmt"
	"os"

	"github.com/loupeml/loupe/lib/model"
	_ "github.com/loupeml/loupe/lib/pretrained" // published networks by the names of their weights
)

// What [Load] can be told of a model's file:
//
//	loupe.Load("net.onnx", loupe.ImageNet, loupe.ClassNames("classes.txt"))
var (
	ImageNet     = model.ImageNet     // pixels are normalised by ImageNet's mean and standard deviation
	HalfHalf     = model.HalfHalf     // pixels go from -1 to 1
	Unnormalized = model.Unnormalized // pixels go from 0 to 1
	Normalized   = model.Normalized   // pixels are normalised by a mean and a standard deviation for each channel
	Size         = model.Size         // images are so many pixels high and wide
	CropFrom     = model.CropFrom     // photographs are brought to so many pixels before the middle is cut out
	ClassNames   = model.ClassNames   // the classes' names: a list, a dataset, or the path of a file
)

// Load loads a model by the name of an asset, such as "efficientnet-lite0", or from a file: see model.Load. What
// neither the file nor an option says, and is taken for likely, a line on standard error says.
func Load(name string, options ...model.Option) *model.Model {
	m := must(model.Load(name, options...))
	if assumed := m.Assumptions(); assumed != "" {
		fmt.Fprintf(os.Stderr, "loupe: %s: %s\n", name, assumed)
	}
	return m
}
