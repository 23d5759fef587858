// Package nearest finds what a person may have meant by a name that does not exist.
package nearest

import (
	"sort"
	"strings"
)

// Names returns up to max of the candidates that are close to the word, the closest first: those that
// differ in at most a third of its letters, and those that contain it or are contained in it.
func Names(word string, candidates []string, max int) []string {
	type scored struct {
		name     string
		distance int
	}
	lower := strings.ToLower(word)
	var close []scored
	for _, c := range candidates {
		name := strings.ToLower(c)
		d := distance(lower, name)
		within := d <= (len(lower)+2)/3
		contains := len(lower) > 2 && strings.Contains(name, lower) || len(name) > 2 && strings.Contains(lower, name)
		if within || contains {
			close = append(close, scored{c, d})
		}
	}
	sort.SliceStable(close, func(i, j int) bool { return close[i].distance < close[j].distance })
	var names []string
	for i, s := range close {
		if i == max {
			break
		}
		names = append(names, s.name)
	}
	return names
}

// distance is Levenshtein's: how many bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// DidYouMean is ", did you mean …?" for a name that is close to some of the known ones, else "".
func DidYouMean(name string, known []string) string {
	names := Names(name, known, 3)
	if len(names) == 0 {
		return ""
	}
	return ", did you mean " + strings.Join(names, " or ") + "?"
}

// InBrackets is " (did you mean …?)" for a name that is close to some of the known ones, else "".
func InBrackets(name string, known []string) string {
	if near := Names(name, known, 3); len(near) > 0 {
		return " (did you mean " + strings.Join(near, " or ") + "?)"
	}
	return ""
}
