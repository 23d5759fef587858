package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
)

// mostClasses is the largest number of classes: a label beyond is taken for a mistake.
const mostClasses = 1 << 20

// numbering says which class has which number.
type numbering struct {
	classes []string // by number
	number  map[string]int
	from    string // what it was said by
}

// numbering is what the options say of classes; nil if nothing.
func (o Options) numbering() (*numbering, error) {
	switch {
	case o.Classes != nil && o.ClassToIdx != nil:
		return nil, errors.New("data: Options.Classes and Options.ClassToIdx both number the classes: give one")
	case o.ClassToIdx != nil:
		return byIdx(o.ClassToIdx, "Options.ClassToIdx")
	case o.Classes != nil:
		n := numberingOf(o.Classes, "Options.Classes")
		return n, nil
	}
	return nil, nil
}

// numberingOf numbers classes in their order. A name that comes twice has the number of its first place.
func numberingOf(classes []string, from string) *numbering {
	n := &numbering{classes: classes, number: map[string]int{}, from: from}
	for i, c := range classes {
		if _, twice := n.number[c]; !twice {
			n.number[c] = i
		}
	}
	return n
}

// byIdx numbers classes as torchvision's class_to_idx. A number between that no class has is called by itself.
func byIdx(number map[string]int, from string) (*numbering, error) {
	if len(number) == 0 {
		return nil, fmt.Errorf("data: %s is empty", from)
	}
	of := map[int]string{}
	most := 0
	names := make([]string, 0, len(number))
	for c := range number {
		names = append(names, c)
	}
	sort.Strings(names)
	for _, c := range names {
		i := number[c]
		if i < 0 || i >= mostClasses {
			return nil, fmt.Errorf("data: %s gives the class %s the number %d, numbers are 0 to %d",
				from, c, i, mostClasses-1)
		}
		if other, twice := of[i]; twice {
			return nil, fmt.Errorf("data: %s gives the classes %s and %s the same number %d", from, other, c, i)
		}
		of[i] = c
		most = max(most, i)
	}
	n := &numbering{classes: make([]string, most+1), number: number, from: from}
	for i := range n.classes {
		if n.classes[i] = of[i]; n.classes[i] == "" {
			n.classes[i] = strconv.Itoa(i)
		}
	}
	return n, nil
}

// didYouMean offers classes with names like that, or says how many there are.
func (n *numbering) didYouMean(name string) string {
	if like := nearest.DidYouMean(name, n.classes); like != "" {
		return like
	}
	return fmt.Sprintf(" (%s)", some(n.classes))
}

// classNumber reads a label that is a number, as a table writes it: 3, or 3.0 where a column had gaps.
func classNumber(label string) (int, bool) {
	if n, err := strconv.Atoi(label); err == nil {
		return n, true
	}
	v, err := strconv.ParseFloat(label, 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) >= 1<<52 || !strings.Contains(label, ".") {
		return 0, false
	}
	return int(v), true
}

// numbered gives each label a number: by the names of known classes; by itself, where all are numbers; or else the
// classes are the labels, sorted. all are those of the whole table, so that each part of it has the same numbers. what
// says where a label stands.
func numbered(
	labels, all []string, known *numbering, from string, what func(i int) string,
) (numbers []int, classes []string, note string, err error) {
	byName := slices.ContainsFunc(all, func(label string) bool { _, ok := classNumber(label); return !ok })
	numbers = make([]int, len(labels))
	for i, label := range labels {
		numbers[i], _ = classNumber(label)
	}
	if known != nil && !byName { // names may look like numbers
		byName = !slices.ContainsFunc(labels, func(label string) bool { _, ok := known.number[label]; return !ok })
	}
	switch {
	case byName && known == nil:
		known = numberingOf(slices.Sorted(maps.Keys(set(all))), from)
		note = "classes are the labels in " + from
	case byName:
		note = fmt.Sprintf("labels are from %s, classes from %s", from, known.from)
	case known == nil:
		known = &numbering{}
		note = "labels are the numbers in " + from
	default:
		note = fmt.Sprintf("labels are the numbers in %s, classes from %s", from, known.from)
	}
	classes = known.classes
	for i, label := range labels {
		if byName {
			n, ok := known.number[label]
			if !ok {
				return nil, nil, "", fmt.Errorf("data: %s: %q is none of the classes in %s%s",
					what(i), label, known.from, known.didYouMean(label))
			}
			numbers[i] = n
			continue
		}
		most := mostClasses
		if classes != nil {
			most = len(classes)
		}
		if n := numbers[i]; n < 0 || n >= most {
			from1 := ""
			if lowest := slices.Min(numbers); classes != nil && lowest == 1 && slices.Max(numbers) == len(classes) {
				from1 = "; they seem to be counted from 1"
			}
			return nil, nil, "", fmt.Errorf("data: %s: the label %s is out of range, the classes are 0 to %d%s",
				what(i), label, most-1, from1)
		}
	}
	return numbers, classes, note, nil
}
