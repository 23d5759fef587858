package model

import (
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
)

// didYouMean is ", did you mean …?" for a name that is close to some of the known ones, else "".
func didYouMean(name string, known []string) string {
	names := nearest.Names(name, known, 3)
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
