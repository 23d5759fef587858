package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
	"github.com/loupeml/loupe/lib/imagenet"
)

// LabelsOf returns a dataset's labels in the model's numbering, -1 where an image has none. It is the one place where
// labels meet a model's classes:
//
//   - Where both have names, classes meet by name: the model's own, without regard to case, hyphens and underscores; for ImageNet's
//     classes also WordNet's synonyms and ids ("n02123045", and what may follow it). The dataset's classes may be some of the model's.
//   - Where one has none, the numbers count. A dataset with names under a model without has to have as many classes as it.
//   - Names that are numbers are numbers.
//
// A class that the model does not have, a name that means several of its classes, and a label outside of its classes
// are errors.
func (m *Model) LabelsOf(ds Labeled) ([]int, error) {
	if err := m.classifier(); err != nil {
		return nil, err
	}
	if err := CheckDataset(ds); err != nil {
		return nil, err
	}
	labels := ds.Labels()
	names := ClassesOf(ds)
	if names == nil {
		return labels, m.CheckLabels(labels, ds.Len())
	}
	if err := CheckLabels(labels, ds.Len(), len(names)); err != nil {
		return nil, err
	}
	return m.known().relabel(labels, names, titleOf(ds))
}

// KnownLabelsOf is [Model.LabelsOf] for what takes labelled images alone: an image without a label is an error.
func (m *Model) KnownLabelsOf(ds Labeled) ([]int, error) {
	labels, err := m.LabelsOf(ds)
	if err != nil {
		return nil, err
	}
	if i := slices.Index(labels, -1); i >= 0 {
		return nil, fmt.Errorf("model: image %d of %s has no label: leave such images out with Subset", i, titleOf(ds))
	}
	return labels, nil
}

// Relabel returns a dataset's labels in the numbering of these names: see [Model.LabelsOf]. whose says whose they are.
func Relabel(ds Labeled, classes []string, whose string) ([]int, error) {
	if err := CheckDataset(ds); err != nil {
		return nil, err
	}
	labels, names := ds.Labels(), ClassesOf(ds)
	if names == nil || classes == nil {
		return labels, nil
	}
	if err := CheckLabels(labels, ds.Len(), len(names)); err != nil {
		return nil, err
	}
	return (&classNames{whose: whose, names: classes, count: len(classes)}).relabel(labels, names, titleOf(ds))
}

// CheckLabels returns an error unless there is a label for each of a number of images, one of the model's classes or
// -1 where it is unknown.
func (m *Model) CheckLabels(labels []int, images int) error {
	if err := m.there(); err != nil {
		return err
	}
	if err := CheckLabels(labels, images, m.classes); err != nil {
		return fmt.Errorf("%w of %s", err, m.spec.Name)
	}
	return nil
}

// CheckLabels is [Model.CheckLabels] for a number of classes.
func CheckLabels(labels []int, images, classes int) error {
	if len(labels) != images {
		return fmt.Errorf("model: %d labels for %d images", len(labels), images)
	}
	for i, label := range labels {
		if label < -1 || label >= classes {
			return fmt.Errorf("model: image %d has the label %d: a label is -1, unknown, or one of the classes 0 to %d", i,
				label, classes-1)
		}
	}
	return nil
}

// ClassesOf are the names of a dataset's classes; nil if it knows none.
func ClassesOf(ds Dataset) []string {
	if named, ok := ds.(interface{ Classes() []string }); ok {
		return named.Classes()
	}
	return nil
}

func titleOf(ds Dataset) string {
	if titled, ok := ds.(interface{ Title() string }); ok {
		return titled.Title()
	}
	return "the dataset"
}

// classNames are a model's classes as a dataset's meet them.
type classNames struct {
	whose string
	names []string // nil if there are none
	count int
	words *imagenet.Synsets // nil unless the classes are ImageNet-1k's
}

// known are the model's classes. A thousand classes without names are taken for ImageNet's, where a dataset's are such.
func (m *Model) known() *classNames {
	c := &classNames{whose: m.spec.Name, names: m.spec.Classes, count: m.classes}
	// Where the asset is missing, names meet as they are.
	if words, err := imagenet.Read(); err == nil && m.classes == len(words.IDs) {
		ours := true
		for i, name := range c.names {
			first, _, _ := strings.Cut(name, ",")
			ours = ours && (words.IDs[i] == name || words.Has(i, imagenet.Plain(first)))
		}
		if ours {
			c.words = words
		}
	}
	return c
}

// relabel turns labels that number names to those that number the classes.
func (c *classNames) relabel(labels []int, names []string, title string) ([]int, error) {
	if slices.Equal(names, c.names) {
		return labels, nil
	}
	to := make([]int, len(names))
	used := make([]bool, len(names))
	for _, label := range labels {
		if label >= 0 {
			used[label] = true
		}
	}
	numbers := numbersIn(names)
	byName := func() error { return c.meet(to, names, used, title) }
	switch {
	case c.names == nil && numbers != nil:
		for i, n := range numbers {
			if used[i] && n != i {
				return nil, fmt.Errorf("model: class %q of %s comes at place %d and %s has no names, so that it may be class %d "+
					"or class %d: give the model its names (Spec.Classes)",
					names[i], title, i, c.whose, n, i)
			}
			to[i] = i
		}
	case numbers != nil && numbersIn(c.names) == nil:
		copy(to, numbers)
	case c.names == nil && (c.words == nil || byName() != nil):
		if len(names) != c.count {
			return nil, fmt.Errorf("model: %s has %d classes without names, %s names %d (%s): which is which is not known; "+
				"give the model its names (Spec.Classes)",
				c.whose, c.count, title, len(names), listed(names))
		}
		for i := range to {
			to[i] = i
		}
	default:
		if err := byName(); err != nil {
			return nil, err
		}
	}
	out := make([]int, len(labels))
	for i, label := range labels {
		if out[i] = -1; label >= 0 {
			out[i] = to[label]
		}
		if out[i] >= c.count {
			return nil, fmt.Errorf("model: class %q of %s is none of the classes 0 to %d of %s", names[label], title,
				c.count-1, c.whose)
		}
	}
	return out, nil
}

// meet finds the class of each name that is used.
func (c *classNames) meet(to []int, names []string, used []bool, title string) error {
	var unknown []string
	by := map[int]string{}
	for i, name := range names {
		if to[i] = -1; !used[i] {
			continue
		}
		found := c.find(name)
		switch len(found) {
		case 0:
			unknown = append(unknown, name)
		case 1:
			if other, twice := by[found[0]]; twice {
				return fmt.Errorf("model: the classes %q and %q of %s are both class %d of %s, %s: put them together, or name "+
					"them as the model does",
					other, name, title, found[0], c.whose, c.name(found[0]))
			}
			to[i], by[found[0]] = found[0], name
		default:
			var which []string
			for _, f := range found {
				which = append(which, fmt.Sprintf("%d (%s)", f, c.long(f)))
			}
			return fmt.Errorf("model: class %q of %s may be %s of %s: name it by its WordNet id, or as the model does", name,
				title, strings.Join(which, " or "), c.whose)
		}
	}
	if len(unknown) > 0 {
		all := c.names
		if all == nil {
			all = imagenet.ClassesOf(c.count)
		}
		are := "is no class"
		if len(unknown) > 1 {
			are = "are no classes"
		}
		return fmt.Errorf("model: %s of %s %s of %s%s; its classes are %s, the dataset's are %s", listed(quoted(unknown)),
			title, are, c.whose,
			nearest.DidYouMean(unknown[0], all), listed(all), listed(names))
	}
	return nil
}

// find are the classes that a name may mean: by the first way that finds any.
func (c *classNames) find(name string) []int {
	matching := func(same func(i int, class string) bool) []int {
		var found []int
		for i, class := range c.names {
			if same(i, class) {
				found = append(found, i)
			}
		}
		return found
	}
	if found := matching(func(_ int, class string) bool { return class == name }); len(found) > 0 {
		return found
	}
	if id, ok := imagenet.ID(name); ok {
		if c.words != nil {
			if i := slices.Index(c.words.IDs, id); i >= 0 {
				return []int{i}
			}
			return nil
		}
		if words, err := imagenet.Read(); err == nil {
			if at := slices.Index(words.IDs, id); at >= 0 {
				return matching(func(_ int, class string) bool { return words.Has(at, imagenet.Plain(class)) })
			}
		}
		return nil
	}
	plain := imagenet.Plain(name)
	if plain == "" {
		return nil
	}
	if found := matching(func(_ int, class string) bool { return imagenet.Plain(class) == plain }); len(found) > 0 {
		return found
	}
	if found := matching(func(_ int, class string) bool {
		return slices.ContainsFunc(strings.Split(class, ","), func(part string) bool { return imagenet.Plain(part) == plain })
	}); len(found) > 0 {
		return found
	}
	if c.words == nil {
		return nil
	}
	having := func(has func(i int) bool) []int {
		var found []int
		for i := range c.words.IDs {
			if has(i) {
				found = append(found, i)
			}
		}
		return found
	}
	if strings.Contains(name, ",") {
		return having(func(i int) bool { return imagenet.Plain(c.words.Lemmas[i]) == plain })
	}
	if found := having(func(i int) bool { return c.words.First(i) == plain }); len(found) > 0 {
		return found
	}
	return having(func(i int) bool { return c.words.Has(i, plain) })
}

func (c *classNames) name(class int) string {
	if class < len(c.names) {
		return c.names[class]
	}
	return c.long(class)
}

// long tells classes of one name apart.
func (c *classNames) long(class int) string {
	if c.words != nil {
		return c.words.IDs[class] + ", " + c.words.Lemmas[class]
	}
	return c.name(class)
}

// numbersIn are the names as numbers; nil unless all are.
func numbersIn(names []string) []int {
	numbers := make([]int, len(names))
	for i, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 {
			return nil
		}
		numbers[i] = n
	}
	return numbers
}

// listed are the first of a list, and how many there are.
func listed(names []string) string {
	const shown = 8
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, … (%d)", strings.Join(names[:shown], ", "), len(names))
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = strconv.Quote(name)
	}
	return out
}
