package imagenet

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// hypernymTable has a line for each of ImageNet's classes and for everything above them in WordNet: the synset, its
// name, its hypernyms.
//
//go:embed hypernyms.txt
var hypernymTable string

// Similarity returns how alike two of ImageNet-1k's classes, 0 to 999, are in meaning: the similarity of Wu and Palmer
// (ACL 1994) in WordNet 3.0,
//
//	2 depth(s) / (path(a, s) + path(b, s) + 2 depth(s))
//
// with s the lowest synset above both, depth the number of synsets from the root to it, and path the number of steps.
// It is 1 for the same class, about 0.75 for two breeds of dog and 0.4 for a dog and a maze. Where a synset has several
// hypernyms it goes as NLTK does, whose figures Jain et al. (ICLR 2022) took: s has the longest shortest way to the
// root, and of several the first by name; its depth is by the longest way. (NLTK gives some classes less than 1 beside
// themselves.) It returns an error for other classes.
func Similarity(a, b int) (float64, error) {
	w := tree()
	for _, class := range []int{a, b} {
		if class < 0 || class >= len(w.classes) {
			return 0, fmt.Errorf("imagenet: ImageNet-1k has no class %d: its classes are 0 to %d", class, len(w.classes)-1)
		}
	}
	if a == b {
		return 1, nil
	}
	x, y := w.classes[a], w.classes[b]
	s := w.subsumer(x, y)
	depth := float64(w.longest[s] + 1)
	return 2 * depth / (float64(w.path(x, s)+w.path(y, s)) + 2*depth), nil
}

// hypernyms are synsets by their number in the table.
type hypernyms struct {
	names   []string
	classes []int
	// above[s] has the number of steps to every synset above s, s among them.
	above []map[int]int
	// shortest and longest are the ways to the root.
	shortest, longest []int
}

var tree = sync.OnceValue(func() *hypernyms {
	var lines [][]string
	number := map[string]int{}
	for line := range strings.Lines(hypernymTable) {
		if !strings.HasPrefix(line, "#") {
			fields := strings.Fields(line)
			number[fields[0]] = len(lines)
			lines = append(lines, fields)
		}
	}
	w := &hypernyms{above: make([]map[int]int, len(lines)), shortest: make([]int, len(lines)),
		longest: make([]int, len(lines))}
	up := make([][]int, len(lines))
	isAbove := make([]bool, len(lines))
	for i, fields := range lines {
		w.names = append(w.names, fields[1])
		for _, synset := range fields[2:] {
			up[i] = append(up[i], number[synset])
			isAbove[number[synset]] = true
		}
	}
	var fill func(s int)
	fill = func(s int) {
		if w.above[s] != nil {
			return
		}
		w.above[s] = map[int]int{s: 0}
		for i, h := range up[s] {
			fill(h)
			if i == 0 || w.shortest[h] < w.shortest[s]-1 {
				w.shortest[s] = w.shortest[h] + 1
			}
			w.longest[s] = max(w.longest[s], w.longest[h]+1)
			for far, steps := range w.above[h] {
				if known, has := w.above[s][far]; !has || steps+1 < known {
					w.above[s][far] = steps + 1
				}
			}
		}
	}
	for s := range lines {
		fill(s)
		// No class of ImageNet's is above another, and their order is that of their synsets' numbers, as is the
		// table's.
		if !isAbove[s] {
			w.classes = append(w.classes, s)
		}
	}
	return w
})

func (w *hypernyms) subsumer(a, b int) int {
	var common []int
	for s := range w.above[a] {
		if _, has := w.above[b][s]; has {
			common = append(common, s)
		}
	}
	return slices.MinFunc(common, func(x, y int) int {
		if w.shortest[x] != w.shortest[y] {
			return w.shortest[y] - w.shortest[x]
		}
		return strings.Compare(w.names[x], w.names[y])
	})
}

// path may go above s and come down to it again where that is shorter.
func (w *hypernyms) path(a, s int) int {
	shortest := w.above[a][s]
	for far, steps := range w.above[a] {
		if more, has := w.above[s][far]; has {
			shortest = min(shortest, steps+more)
		}
	}
	return shortest
}
