package priors

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/display"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/stats"
	"github.com/loupeml/loupe/lib/table"
)

// Categories are the 16 that the images of a cue conflict have, in the order in which the first wins where two are as
// likely.
var Categories = []string{"airplane", "bear", "bicycle", "bird", "boat", "bottle", "car", "cat", "chair", "clock",
	"dog", "elephant", "keyboard", "knife", "oven", "truck"}

// classesOf are the classes of ImageNet-1k that belong to each category, as ranges from one to another.
var classesOf = map[string][][2]int{
	"airplane": {{404, 404}}, "bear": {{294, 297}}, "bicycle": {{444, 444}, {671, 671}},
	"bird":   {{8, 8}, {10, 16}, {18, 20}, {22, 24}, {80, 83}, {87, 96}, {98, 100}, {127, 133}, {135, 145}},
	"boat":   {{472, 472}, {554, 554}, {625, 625}, {814, 814}, {914, 914}},
	"bottle": {{440, 440}, {720, 720}, {737, 737}, {898, 899}, {901, 901}, {907, 907}},
	"car":    {{436, 436}, {511, 511}, {817, 817}}, "cat": {{281, 286}}, "chair": {{423, 423}, {559, 559}, {765, 765},
		{857, 857}},
	"clock": {{409, 409}, {530, 530}, {892, 892}},
	"dog": {{152, 191}, {193, 203}, {205, 226}, {228, 241}, {243, 250}, {252, 257}, {259, 259}, {261, 263},
		{265, 268}},
	"elephant": {{385, 386}}, "keyboard": {{508, 508}, {878, 878}}, "knife": {{499, 499}}, "oven": {{766, 766}},
	"truck": {{555, 555}, {569, 569}, {656, 656}, {675, 675}, {717, 717}, {734, 734}, {864, 864}, {867, 867}},
}

// Decisions are the categories that a network decides for, one of [Categories] for each image: of ImageNet's 1,000 the
// category whose classes have the largest mean probability, and of a network that has these 16 categories as its
// classes, by their names, the likeliest. Geirhos et al., "ImageNet-trained CNNs are biased towards texture", ICLR
// 2019.
func Decisions(answers *model.Answers) ([]string, error) {
	if answers == nil {
		return nil, fmt.Errorf("priors: there are no answers to decide by: they are nil")
	}
	var decisions []string
	if own := slices.Sorted(slices.Values(answers.Classes)); slices.Equal(own, Categories) {
		predicted, err := answers.Predicted()
		if err != nil {
			return nil, err
		}
		for _, class := range predicted {
			decisions = append(decisions, answers.Classes[class])
		}
		return decisions, nil
	}
	if k := answers.NumClasses(); k != 1000 {
		return nil, fmt.Errorf(
			"priors: %s has %d classes: a category is decided for by ImageNet's 1,000, or by the 16 categories themselves",
			answers.Model, k)
	}
	probabilities, err := answers.Probabilities()
	if err != nil {
		return nil, err
	}
	flat, err := tensors.CopyFlatData[float32](probabilities)
	if err != nil {
		return nil, fmt.Errorf("priors: %w", err)
	}
	for i := range answers.Len() {
		best, most := "", 0.0
		for _, category := range Categories {
			sum, n := 0.0, 0
			for _, r := range classesOf[category] {
				for class := r[0]; class <= r[1]; class++ {
					p := float64(flat[i*1000+class])
					if p != p {
						return nil, fmt.Errorf("priors: the probability of class %d for image %d is no number in %s", class, i,
							answers.Model)
					}
					sum, n = sum+p, n+1
				}
			}
			if mean := sum / float64(n); best == "" || mean > most {
				best, most = category, mean
			}
		}
		decisions = append(decisions, best)
	}
	return decisions, nil
}

// CueConflict opens the images of a cue conflict, in a folder or a .zip with or without folders in it: Geirhos et al.
// have 1,280 of them, in which style transfer has given one object's shape another one's texture. The name of a file
// tells both, cat7-elephant1.png the shape of a cat and the texture of an elephant. The images have no labels. Another
// name is an error.
func CueConflict(folder string) (*data.Dataset, error) {
	open := data.Folder
	if info, err := os.Stat(folder); err == nil && !info.IsDir() {
		open = data.Zip
	}
	ds, err := open(folder, data.Options{Label: func(string) int { return -1 }})
	if err != nil {
		return nil, err
	}
	for i := range ds.Len() {
		if _, _, err := cues(ds.Name(i)); err != nil {
			return nil, err
		}
	}
	return ds, nil
}

var conflicting = regexp.MustCompile(`^([a-z]+)\d+-([a-z]+)\d+\.[A-Za-z]+$`)

// cues are the categories of the shape and of the texture by a file's name.
func cues(name string) (shape, texture string, err error) {
	found := conflicting.FindStringSubmatch(path.Base(strings.ReplaceAll(name, `\`, "/")))
	if found == nil || !slices.Contains(Categories, found[1]) || !slices.Contains(Categories, found[2]) {
		return "", "",
			fmt.Errorf("priors: %q does not name a shape and a texture, as cat7-elephant1.png does, of the categories %s", name,
				strings.Join(Categories, ", "))
	}
	return found[1], found[2], nil
}

// Bias is what a network decides by where shape and texture conflict.
type Bias struct {
	Model string
	// Categories are as counted by the shape, in their order.
	Categories []CategoryBias
	// Agreeing is how many images were left out, since their shape and their texture are of one category.
	Agreeing int
}

// CategoryBias is how often a network decides for the shape, the texture and anything else in images of a shape.
type CategoryBias struct {
	Shape                    string
	ByShape, ByTexture, Else int
}

// ShapeBias counts a network's decisions for shape and for texture on the images of [CueConflict], whose names the
// answers must have, as those of Model.Answers do.
func ShapeBias(answers *model.Answers) (*Bias, error) {
	decisions, err := Decisions(answers)
	if err != nil {
		return nil, err
	}
	if len(answers.Names) != len(decisions) {
		return nil, fmt.Errorf("priors: the answers of %s do not have the images' names, which tell shape and texture",
			answers.Model)
	}
	b := &Bias{Model: answers.Model}
	for _, category := range Categories {
		b.Categories = append(b.Categories, CategoryBias{Shape: category})
	}
	for i, decided := range decisions {
		shape, texture, err := cues(answers.Names[i])
		if err != nil {
			return nil, err
		}
		c := &b.Categories[slices.Index(Categories, shape)]
		switch {
		case shape == texture:
			b.Agreeing++
		case decided == shape:
			c.ByShape++
		case decided == texture:
			c.ByTexture++
		default:
			c.Else++
		}
	}
	return b, nil
}

// Share is the shape bias: of the images in which the network decided for the category of the shape or of the texture,
// how often it was the shape's.
func (b *Bias) Share() stats.Accuracy {
	var a stats.Accuracy
	for _, c := range b.Categories {
		a = a.Add(c.share())
	}
	return a
}

func (c CategoryBias) share() stats.Accuracy {
	return stats.Accuracy{Correct: c.ByShape, Total: c.ByShape + c.ByTexture}
}

// Else is in how many images the network decided for neither.
func (b *Bias) Else() (n int) {
	for _, c := range b.Categories {
		n += c.Else
	}
	return n
}

// Table has a row for each category of the shape.
func (b *Bias) Table() (table.Table, error) {
	t := table.Table{Header: []string{"shape", "decided by shape", "by texture", "else", "shape bias"}}
	if b == nil {
		return t, fmt.Errorf("priors: no decisions were counted")
	}
	for _, c := range b.Categories {
		t.Add(c.Shape, c.ByShape, c.ByTexture, c.Else, c.share().Rate())
	}
	return t, nil
}

func (b *Bias) String() string {
	if b == nil {
		return "no decisions were counted"
	}
	return fmt.Sprintf("shape bias of %s: %s; %d decisions for neither", b.Model, b.Share(), b.Else())
}

// Bundle shows the bias and the table.
func (b *Bias) Bundle() mime.Bundle {
	return display.Stack(mime.TextOf(b.String()), table.Shown(b.Table()))
}
