package stats

import "fmt"

// AdjustedRandIndex says how far two ways to put the same things into groups agree: 1 where they are the same but for
// the groups' names, 0 on average where they have nothing to do with each other (Hubert and Arabie 1985, equation 5). a
// and b hold a group's number for each thing; two groupings into one group each, or into single things, agree.
func AdjustedRandIndex(a, b []int) (float64, error) {
	if len(a) != len(b) || len(a) == 0 {
		return 0, fmt.Errorf("stats: two groupings of the same things have equal lengths, not %d and %d", len(a), len(b))
	}
	both, first, second := map[[2]int]int{}, map[int]int{}, map[int]int{}
	for i := range a {
		both[[2]int{a[i], b[i]}]++
		first[a[i]]++
		second[b[i]]++
	}
	// Pairs that are together in both, in each, and overall, each in both orders: what comes out is their ratio.
	var together, inFirst, inSecond float64
	for _, n := range both {
		together += pairs(n)
	}
	for _, n := range first {
		inFirst += pairs(n)
	}
	for _, n := range second {
		inSecond += pairs(n)
	}
	if len(first) == len(second) && (len(first) == 1 || len(first) == len(a)) {
		return 1, nil
	}
	expected := inFirst * inSecond / pairs(len(a))
	return (together - expected) / ((inFirst+inSecond)/2 - expected), nil
}

func pairs(n int) float64 { return float64(n) * float64(n-1) }
