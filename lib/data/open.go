package data

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/loupeml/loupe/lib/assets"
)

// digits and garments are the classes of MNIST and Fashion-MNIST.
var (
	digits   = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	garments = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
		"Ankle boot"}
)

// named are the datasets that have names; each is read from a folder of an asset.
var named = map[string]struct {
	asset string
	read  func(dir string) (*Dataset, error)
}{
	"mnist":               {"mnist", idxPair("t10k", digits)},
	"mnist-train":         {"mnist", idxPair("train", digits)},
	"fashion-mnist":       {"fashion-mnist", idxPair("t10k", garments)},
	"fashion-mnist-train": {"fashion-mnist", idxPair("train", garments)},
	"sample-imagenet":     {"foolbox-samples", sample("imagenet_", nil)},
	"sample-cifar10":      {"foolbox-samples", sample("cifar10_", CIFAR10Classes)},
	"sample-cifar100":     {"foolbox-samples", sample("cifar100_", nil)},
	"sample-mnist":        {"foolbox-samples", sample("mnist_", digits)},
}

// Names are the names that [Open] knows.
func Names() []string { return slices.Sorted(maps.Keys(named)) }

func idxPair(prefix string, classes []string) func(string) (*Dataset, error) {
	return func(dir string) (*Dataset, error) {
		return IDX(filepath.Join(dir, prefix+"-images-idx3-ubyte.gz"), filepath.Join(dir, prefix+"-labels-idx1-ubyte.gz"),
			classes)
	}
}

func sample(prefix string, classes []string) func(string) (*Dataset, error) {
	return func(dir string) (*Dataset, error) {
		all, err := Folder(dir, Options{Label: LastNumber})
		if err != nil {
			return nil, err
		}
		var chosen []int
		for i := range all.Len() {
			if strings.HasPrefix(all.Name(i), prefix) {
				chosen = append(chosen, i)
			}
		}
		d := all.Subset(chosen)
		d.classes = classes
		return d, nil
	}
}

// Open opens a dataset by name (see [Names]), fetching it if it is not there yet, or a path: an image, a folder of
// images, a zip or tar archive of them, a .npz file with the arrays images and labels, or a .npy file. Options are for
// folders and archives; an image takes AsStored and MostPixels.
func Open(nameOrPath string, options ...Options) (*Dataset, error) {
	if len(options) > 1 {
		return nil, fmt.Errorf("data: %s is opened with one set of options, not %d", nameOrPath, len(options))
	}
	of := append(options, Options{})[0]
	if n, ok := named[nameOrPath]; ok {
		if len(options) > 0 {
			return nil, fmt.Errorf("data: %s takes no options: they are for folders and archives", nameOrPath)
		}
		dir, err := assets.Path(n.asset)
		if err != nil {
			return nil, err
		}
		d, err := n.read(dir)
		if err != nil {
			return nil, fmt.Errorf("%w; `loupe fetch --verify %s` gets it again", err, n.asset)
		}
		d.title = nameOrPath
		return d, nil
	}
	info, err := os.Stat(nameOrPath)
	if errors.Is(err, fs.ErrNotExist) || nameOrPath == "" {
		return nil, fmt.Errorf("data: %q is neither a path nor a dataset's name; the names are %s", nameOrPath,
			strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	ext := strings.ToLower(filepath.Ext(nameOrPath))
	switch {
	case info.IsDir():
		return Folder(nameOrPath, of)
	case ext == ".zip":
		return Zip(nameOrPath, of)
	case ext == ".tar":
		return Tar(nameOrPath, of)
	}
	ofFiles := Options{AsStored: of.AsStored, MostPixels: of.MostPixels}
	if !reflect.DeepEqual(of, ofFiles) || len(options) > 0 && strings.HasPrefix(ext, ".np") {
		return nil, fmt.Errorf("data: %s takes no such options: they are for folders and archives, "+
			"AsStored and MostPixels for images too", nameOrPath)
	}
	switch ext {
	case ".npz":
		return NPZ(nameOrPath, "images", "labels", nil)
	case ".npy":
		return NPY(nameOrPath, "", nil)
	case ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst":
		return nil, fmt.Errorf("data: %s is packed so that single images cannot be read: "+
			"unpack it, or pack it as .zip or .tar", nameOrPath)
	}
	d, err := filesBy(of, nameOrPath)
	if err != nil {
		return nil, fmt.Errorf("%w; loupe opens images, folders, .zip, .tar, .npz and .npy; "+
			"for IDX and CIFAR files there are data.IDX and data.CIFAR10", err)
	}
	return d, nil
}
