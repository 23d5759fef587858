package shift

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/stats"
)

// ReadAccuracies reads a table of accuracies: a CSV file with a column called model, and a column for each condition,
// in which full is what a perfect model has: 100 for percentages, 1 for shares. An empty cell is no result. size is the
// number of images of a condition; a column of which it says 0 is left out.
//
// The accuracies become counts of images, as which they began; it is an error where they are further than rounding from
// whole ones.
func ReadAccuracies(file string, full float64, size func(condition string) int) (*Results, error) {
	rows, at, err := readCSV(file, "model")
	if err != nil {
		return nil, err
	}
	r := NewResults()
	for i, row := range rows[1:] {
		for column, condition := range rows[0] {
			n := 0
			if column != at["model"] {
				n = size(condition)
			}
			if n == 0 || row[column] == "" {
				continue
			}
			accuracy, err := number(row[column])
			if err == nil {
				err = r.addAccuracy(row[at["model"]], condition, accuracy/full, n)
			}
			if err != nil {
				return nil, fmt.Errorf("shift: %s, row %d: %w", file, i+2, err)
			}
		}
	}
	return r, nil
}

// addAccuracy adds a published accuracy, which is a count of images over their number n, rounded.
func (r *Results) addAccuracy(model, condition string, accuracy float64, n int) error {
	if !(accuracy >= 0 && accuracy <= 1.0000001) {
		return fmt.Errorf("the accuracy of %s under %s is %v times a full score", model, condition, accuracy)
	}
	count := accuracy * float64(n)
	if whole := math.Round(count); math.Abs(count-whole) > 0.3 {
		return fmt.Errorf("the accuracy of %s under %s is %.6g, %.3f of %d images: is their number right?", model, condition,
			accuracy, count, n)
	}
	return r.Add(Cell{model, condition, stats.Accuracy{Correct: int(math.Round(count)), Total: n}})
}

// readCSV reads a table and finds columns by their names.
func readCSV(file string, columns ...string) (rows [][]string, at map[string]int, err error) {
	f, _, err := regular.Open(file)
	if err != nil {
		return nil, nil, fmt.Errorf("shift: %w", err)
	}
	defer f.Close()
	if rows, err = csv.NewReader(f).ReadAll(); err != nil {
		return nil, nil, fmt.Errorf("shift: %s: %w", file, err)
	}
	if len(rows) < 2 {
		return nil, nil, fmt.Errorf("shift: %s has no rows", file)
	}
	at = map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	for _, name := range columns {
		if _, ok := at[name]; !ok {
			return nil, nil, fmt.Errorf("shift: %s has no column %q", file, name)
		}
	}
	return rows, at, nil
}

// number reads numbers with commas at the thousands too, as timm's tables have.
func number(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

// The types of training in the testbed of Taori et al.
const (
	Standard = "standard training"         // on ImageNet alone, without an intervention: what the fit rests on
	MoreData = "trained with more data"    // than ImageNet's
	Robust   = "robustness intervention"   // other than the next
	LpRobust = "adversarially robust (Lp)" // trained against attacks of a bounded norm, or smoothed
)

// testbedTypes are the names of types in plotting/model_types.py.
var testbedTypes = map[string]string{
	"STANDARD": Standard, "MORE_DATA": MoreData, "ROBUST_INTV": Robust, "LP_ADV": LpRobust,
	"LOW_ACCURACY_CNN": "low-accuracy CNN",
	"RANDOM_FEATURES":  "random features", "LINEAR_PIXELS": "linear classifier of pixels",
	"RANDOM_FORESTS": "random forest", "NEAREST_NEIGHBORS": "nearest neighbour",
}

// ReadTestbed reads the published results of Taori et al., NeurIPS 2020 (modestyachts/imagenet-testbed):
// robustness_top1s.csv, 338 models under 213 conditions, and a table of the models' types (columns model and type, from
// plotting/model_types.py).
func ReadTestbed(top1s, types string) (*Results, error) {
	r, err := ReadAccuracies(top1s, 100, testbedSize)
	if err != nil {
		return nil, err
	}
	rows, at, err := readCSV(types, "model", "type")
	if err != nil {
		return nil, err
	}
	for _, row := range rows[1:] {
		if _, tried := r.kinds[row[at["model"]]]; tried { // some of those with a type have no published result
			r.kinds[row[at["model"]]] = ModelInfo{Type: cmp.Or(testbedTypes[row[at["type"]]], row[at["type"]])}
		}
	}
	for _, m := range r.models {
		if r.kinds[m].Type == "" {
			return nil, fmt.Errorf("shift: %s has no type for %s", types, m)
		}
	}
	return r, nil
}

// testbedSize is the number of images of each of the testbed's conditions, after src/eval_settings. There
// ImageNet-Sketch and YTBB-Robust are given 50,000 and 2,530, but the published accuracies are shares of the 50,889 and
// 2,030 here.
func testbedSize(condition string) int {
	switch condition {
	case "imagenet-a":
		return 7500
	case "imagenet-r":
		return 30000
	case "imagenet-sketch":
		return 50889
	case "imagenet-vid-robust_pm0", "imagenet-vid-robust_pm10":
		return 1109
	case "ytbb-robust_pm0", "ytbb-robust_pm10":
		return 2030
	case "objectnet-1.0-beta":
		return 18514
	case "val-on-imagenet-a-classes", "val-on-imagenet-r-classes":
		return 10000
	case "val-on-objectnet-classes", "val_subsampled_class_1_8":
		return 6250
	case "val-on-vid-robust-classes":
		return 14400
	case "val-on-ytbb-robust-classes":
		return 11550
	case "imagenetv2-matched-frequency-format-val_subsampled_class_1_8":
		return 1250
	}
	if strings.HasPrefix(condition, "imagenetv2-") {
		return 10000
	}
	return 50000
}

// TestbedFit tells which models of the testbed a fit rests on: those of standard training, less those that differ only
// in their batch size, were trained by Amazon's recipe or on a part of the data (names with batch64, aws or subsample),
// as in plotting/paper_nat_shift_imagenetv2.py. It is an argument of Fit.
func (r *Results) TestbedFit(model string) bool {
	name := strings.ToLower(model)
	return r.kinds[model].Type == Standard && !strings.Contains(name, "aws") && !strings.Contains(name, "batch64") &&
		!strings.Contains(name, "subsample")
}

// timmFiles are timm's tables, by the condition, and the numbers of images. Those called clean have ImageNet's
// validation images of ImageNet-A's and ImageNet-R's 200 classes, among which the models choose.
var timmFiles = []struct {
	condition, file string
	images          int
}{
	{"imagenet", "results-imagenet.csv", 50000},
	{"imagenetv2", "results-imagenetv2-matched-frequency.csv", 10000},
	{"imagenet-real", "results-imagenet-real.csv", 46837},
	{"imagenet-a-clean", "results-imagenet-a-clean.csv", 10000},
	{"imagenet-a", "results-imagenet-a.csv", 7500},
	{"imagenet-r-clean", "results-imagenet-r-clean.csv", 10000},
	{"imagenet-r", "results-imagenet-r.csv", 30000},
}

// ReadTimm reads the results of timm's pretrained models (the folder results of huggingface/pytorch-image-models): the
// conditions imagenet, imagenetv2, imagenet-real, imagenet-a, imagenet-r, and for the last two imagenet-a-clean and
// imagenet-r-clean, their x axes. A model is called by its name and image size, as resnet50.a1_in1k@288, since many
// stand in the tables at two sizes; [ModelInfo] has the name as Weights, and as Type what [TimmTraining] says.
func ReadTimm(folder string) (*Results, error) {
	r := NewResults()
	for _, f := range timmFiles {
		file := filepath.Join(folder, f.file)
		rows, at, err := readCSV(file, "model", "img_size", "top1")
		if err != nil {
			return nil, err
		}
		for i, row := range rows[1:] {
			top1, err := number(row[at["top1"]])
			name := row[at["model"]]
			model := name + "@" + row[at["img_size"]]
			if err == nil {
				err = r.addAccuracy(model, f.condition, top1/100, f.images)
			}
			if err == nil {
				err = r.SetKind(model, ModelInfo{Type: TimmTraining(name), Weights: name})
			}
			if err != nil {
				return nil, fmt.Errorf("shift: %s, row %d: %w", file, i+2, err)
			}
		}
	}
	return r, nil
}

// What timm's models have been trained on.
const (
	ImageNet1k    = "ImageNet-1k"
	ImageNet1kAdv = "ImageNet-1k, robustness intervention"
	ImageNet21k   = "ImageNet-21k"
	TaughtByMore  = "taught by a model of more data"
	WebScale      = "web-scale images"
	UnknownData   = "unknown"
)

// TimmTraining is what a model of timm has been trained on, by the tag after the dot in its name:
//
//   - [WebScale]: hundreds of millions of images or collections merged of many (LAION, OpenAI's, WebLI, JFT, Instagram, YFCC, merged-30M and 38M), also by a
//     teacher trained on such as a CLIP model is (BEiT-2, BEiT-3, EVA)
//   - [ImageNet21k]: ImageNet-21k, 22k or 12k
//   - [TaughtByMore]: ImageNet-1k with labels of a teacher that has seen more, or its choice of unlabelled images (SSLD, USI, BiT distilled)
//   - [ImageNet1kAdv]: ImageNet-1k with adversarial training, AdvProp or AugMix
//   - [ImageNet1k]: ImageNet-1k alone, teachers trained on it included
func TimmTraining(model string) string {
	name, tag, tagged := strings.Cut(strings.ToLower(model), ".")
	words := strings.Split(tag, "_")
	has := func(parts ...string) bool {
		for _, p := range parts {
			for _, w := range words {
				if w == p {
					return true
				}
			}
		}
		return false
	}
	family := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
		return false
	}
	switch {
	case !tagged:
		return UnknownData
	case has("laion2b", "laiona", "laion400m", "openai", "clip", "webli", "jft", "ig1b", "swag", "seer", "yfcc100m",
		"m30m", "m38m", "dfn", "datacomp", "lvd142m"),
		family("eva", "beitv2", "beit3"):
		return WebScale
	case has("in21k", "in22k", "in12k"):
		return ImageNet21k
	case has("ssld", "usi") || strings.HasSuffix(name, "_ssld") || tag == "goog_distilled_in1k":
		return TaughtByMore
	case has("adv", "ap", "am", "ram"):
		return ImageNet1kAdv
	case has("in1k"):
		return ImageNet1k
	}
	return UnknownData
}

// WriteAccuracies writes the table that [ReadAccuracies] reads, as robustness_top1s.csv of the testbed of Taori et al.
// is laid out: a row for each model, a column for each condition, in order of their names, and accuracies in which full
// is what a perfect model has. A model that was not tried under a condition has an empty cell.
func (r *Results) WriteAccuracies(file string, full float64) error {
	if !(full > 0) || math.IsInf(full, 0) {
		return fmt.Errorf("shift: a full score of %v: it is 100 for percentages, 1 for shares", full)
	}
	models, conditions := slices.Sorted(slices.Values(r.models)), slices.Sorted(slices.Values(r.conditions))
	return wholefile.Write(file, func(to io.Writer) error {
		w := csv.NewWriter(to)
		w.Write(append([]string{"model"}, conditions...)) // errors stay until Error
		for _, m := range models {
			row := []string{m}
			for _, condition := range conditions {
				text := ""
				if c, tried := r.Cell(m, condition); tried {
					text = strconv.FormatFloat(full*float64(c.Accuracy.Correct)/float64(c.Accuracy.Total), 'g', -1, 64)
				}
				row = append(row, text)
			}
			w.Write(row)
		}
		w.Flush()
		return w.Error()
	})
}
