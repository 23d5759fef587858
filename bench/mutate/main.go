// Command mutate makes random small mistakes in packages and counts those that the tests notice.
//
//	go run ./bench/mutate -n 200 -out mutants.jsonl ./lib/stats ./lib/shift
//	go run ./bench/mutate -again -out mutants.jsonl ./lib/stats ./lib/shift   # what survived, once more
//
// A mistake is one of: a comparison with or without equality, a negated condition, other arithmetic, a constant that is
// one more or less, a statement left out. Left alone are numbers returned beside an error, and progress bars. The
// sources stay as they are (go test -overlay). A mutant that does not compile does not count; one whose tests do not
// end counts as caught. Results are appended as they come, and what is in the file is not run again, so that a run may
// be cut into pieces (-minutes).
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// result is a line of the results.
type result struct {
	mutant
	Status string // caught, timeout, survived, or invalid: it does not compile
	By     string `json:",omitempty"` // the package whose tests noticed
}

func main() {
	log.SetFlags(0)
	seed := flag.Uint64("seed", 1, "which mutants are drawn, and in which order")
	n := flag.Int("n", 200, "how many mutants count")
	out := flag.String("out", "mutants.jsonl", "where results are kept")
	again := flag.Bool("again", false, "run what survived once more, and nothing else")
	importers := flag.Bool("importers", false,
		"let the tests of packages that import the mutant's see what its own do not notice")
	list := flag.Bool("list", false, "print the first n that are drawn, whether they compile or not, and run none")
	minutes := flag.Float64("minutes", 60, "begin no mutant after this time")
	flag.Parse()
	packages, err := load(flag.Args())
	check(err)
	var drawn []mutant
	for _, name := range slices.Sorted(maps.Keys(packages)) { // in an order, so that the seed alone says what is drawn
		p := packages[name]
		sites, err := p.mutants()
		check(err)
		drawn = append(drawn, sites...)
	}
	rand.New(rand.NewPCG(*seed, 0)).Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	drawn = slices.DeleteFunc(drawn, func(m mutant) bool { return packages[m.Package].idle[m] })
	if *list {
		for _, m := range drawn[:min(*n, len(drawn))] {
			check(json.NewEncoder(os.Stdout).Encode(m))
		}
		return
	}
	known, err := results(*out)
	check(err)
	f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(err)
	defer f.Close()
	counted, begun := 0, time.Now()
	for _, m := range drawn {
		if counted == *n {
			break
		}
		r, ok := known[m]
		if !ok && !*again || ok && r.Status == "survived" && *again {
			if time.Since(begun).Minutes() > *minutes {
				break
			}
			r, err = packages[m.Package].try(m, *importers)
			check(err)
			check(json.NewEncoder(f).Encode(r))
			known[m] = r
			log.Printf("%-8s %s", r.Status, m)
		}
		if r.Status != "" && r.Status != "invalid" {
			counted++
		}
	}
	tell(drawn, known, *n)
}

// results reads those that are there; a later line replaces an earlier one.
func results(file string) (map[mutant]result, error) {
	known := map[mutant]result{}
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, err
		}
		known[r.mutant] = r
	}
	return known, lines.Err()
}

// tell prints how many of the first n that count were caught, package by package, and all that survived.
func tell(drawn []mutant, known map[mutant]result, n int) {
	type tally struct{ caught, all int }
	by, all := map[string]*tally{}, &tally{}
	for _, m := range drawn {
		r := known[m]
		if r.Status == "" || r.Status == "invalid" || all.all == n {
			continue
		}
		if by[m.Package] == nil {
			by[m.Package] = &tally{}
		}
		for _, t := range []*tally{by[m.Package], all} {
			t.all++
			if r.Status != "survived" {
				t.caught++
			}
		}
		if r.Status == "survived" {
			fmt.Println("survived", m)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(by)) {
		t := by[p]
		fmt.Printf("%s: %d of %d caught\n", p, t.caught, t.all)
	}
	fmt.Printf("all: %d of %d caught\n", all.caught, all.all)
}

func check(err error) {
	if err != nil {
		log.Fatal("mutate: ", err)
	}
}
