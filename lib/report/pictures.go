package report

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/issues"
)

// pictureKinds are the issues of single pictures, in words, and what a share of the images with it weighs.
var pictureKinds = []struct {
	kind      issues.Kind
	one, many string
	weight    float64
}{
	{issues.ExactDuplicates, "picture is there more than once", "pictures are there more than once", 1},
	{issues.NearDuplicates, "picture is nearly the same as another", "pictures are nearly the same as others", 0.5},
	{issues.Dark, "picture is dark", "pictures are dark", 0.5},
	{issues.Light, "picture is very light", "pictures are very light", 0.5},
	{issues.Blurry, "picture is blurry", "pictures are blurry", 0.5},
	{issues.LowInformation, "picture has next to nothing in it", "pictures have next to nothing in them", 0.5},
	{issues.OddSize, "picture is of another size than most", "pictures are of another size than most", 0.1},
	{issues.OddAspectRatio, "picture is very long or very narrow", "pictures are very long or very narrow", 0.2},
	{issues.Grayscale, "picture among coloured ones is grey", "pictures among coloured ones are grey", 0.1},
}

// pictureIssues is what is wrong with the pictures themselves, each of which is looked at.
func pictureIssues(r *run) error {
	if r.opened == nil {
		return errors.New("the pictures are not at hand as they were opened")
	}
	kinds := make([]issues.Kind, len(pictureKinds))
	for i, k := range pictureKinds {
		kinds[i] = k.kind
	}
	all, err := issues.Find(r.opened, issues.Options{Kinds: kinds})
	if all == nil {
		return err
	}
	part := ""
	if err != nil {
		if !interrupt.Is(err) {
			return err
		}
		part = fmt.Sprintf(" Only the first %s were looked at before the time was over or it was stopped.", plural.Grouped(all.Len(), "picture"))
	}
	n, with := all.Len(), map[int]bool{}
	var none, usual []string
	for _, k := range pictureKinds {
		found, err := all.Of(k.kind)
		if err != nil {
			return err
		}
		number := len(found.Indices)
		name := strings.ReplaceAll(string(k.kind), "_", " ")
		if number == 0 {
			none = append(none, name)
			continue
		}
		// What most pictures are, such as grey, is no issue of single ones.
		duplicates := k.kind == issues.ExactDuplicates || k.kind == issues.NearDuplicates
		if !duplicates && 2*number > n {
			usual = append(usual, fmt.Sprintf("%s (%s)", name, plural.Thousands(number)))
			continue
		}
		for _, i := range found.Indices {
			with[i] = true
		}
		shown := found.Indices[:min(mostShown, number)]
		pictures, err := r.asOpened(shown)
		if err != nil {
			return err
		}
		words := k.many
		if number == 1 {
			words = k.one
		}
		value := float64(number) / float64(n)
		r.found(Finding{
			Sentence: fmt.Sprintf("Pictures: %s %s, %s of %s.", plural.Thousands(number), words, percent(value),
				plural.Thousands(n)),
			Value: value, Low: value, High: value, Unit: "share", Weight: k.weight * value,
			Sure:     "A count, no estimate: every picture was looked at. Where the border lies is cleanvision's choice." + part,
			Evidence: []Evidence{{Pictures: pictures}},
			Cell:     fmt.Sprintf("loupe.Issues(photos).Of(%q)", k.kind),
		})
	}
	if part == "" {
		r.measure("clean_pictures", 1-float64(len(with))/float64(n), nan, nan)
	}
	if len(usual) > 0 {
		r.nothing(Finding{
			Sentence: fmt.Sprintf("Pictures: most of %s are %s: that is how they are, and no issue of single ones.",
				plural.Grouped(n, "picture"), strings.Join(usual, ", ")),
			Value: nan, Low: nan, High: nan, Cell: "loupe.Issues(photos).Counts()",
			Sure: "A count, no estimate: every picture was looked at." + part,
		})
	}
	if len(none) > 0 {
		r.nothing(Finding{
			Sentence: fmt.Sprintf("Pictures: in %s there is none of these: %s.", plural.Grouped(n, "picture"),
				strings.Join(none, ", ")),
			Value: nan, Low: nan, High: nan, Cell: "loupe.Issues(photos)",
			Sure: "A count, no estimate: every picture was looked at." + part,
		})
	}
	return nil
}

// asOpened are pictures as they were opened, which may be of several sizes.
func (r *run) asOpened(index []int) ([]Picture, error) {
	pictures := make([]Picture, len(index))
	for k, i := range index {
		img, err := r.opened.Image(i)
		if err != nil {
			return nil, err
		}
		drawn, _, err := img.Pictures(1)
		if err != nil {
			return nil, err
		}
		lines := []string{path.Base(r.opened.Name(i)), fmt.Sprintf("%d x %d", img.Width, img.Height)}
		if name := r.opened.ClassName(i); name != "" {
			lines = append(lines, "label: "+name)
		}
		pictures[k] = Picture{drawn[0], lines}
	}
	return pictures, nil
}
