// Command hostile opens mutated files of every kind that loupe reads, each the whole way a person goes, and counts what
// becomes of them.
//
//	go build -o hostile ./bench/hostile && ./hostile -n 10000 -out offenders
//
// A file is opened in a child process that is watched. What may come of it: it is good, or refused in one sentence.
// What may not: a panic (even one that is caught here), the death of the process, more than 5 s of the processor or 60
// s by the clock, more than 1 GB, or an error of more than a line. Offenders are kept in the folder -out. The same seed
// makes the same files.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/regular"
)

// The outcomes, in the order of the table.
var outcomes = []string{"good", "refused", "panic", "death", "hang", "memory", "long error"}

// often is how many files of a kind there are for one of another.
var often = map[string]int{"onnx": 5, "made onnx": 5, "pth": 3, "old pth": 2, "pkl": 2, "image": 4, "safetensors": 2,
	"saved": 2, "checkpoint": 2}

func main() {
	log.SetFlags(0)
	n := flag.Int("n", 10000, "how many files")
	seed := flag.Uint64("seed", 1, "which mutations are drawn")
	out := flag.String("out", "", "folder for the offenders; empty keeps none")
	only := flag.String("kinds", "", "kinds to open, with commas; empty means all")
	workers := flag.Int("workers", 2, "how many processes open files")
	child := flag.Bool("child", false, "open what standard input names")
	verbose := flag.Bool("v", false, "print what is said of each file")
	honest := flag.Bool("honest", false, "open the files as they are before mutation, once each")
	flag.Parse()
	if *child {
		serve()
		return
	}
	if err := run(*n, *seed, *out, *only, *workers, *verbose, *honest); err != nil {
		log.Fatal("hostile: ", err)
	}
}

func run(n int, seed uint64, out, only string, workers int, verbose, honest bool) error {
	scratch, err := os.MkdirTemp("", "hostile")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	seeds, err := makeSeeds(filepath.Join(scratch, "seeds"))
	if err != nil {
		return err
	}
	if only != "" {
		seeds = slices.DeleteFunc(seeds, func(s specimen) bool { return !slices.Contains(strings.Split(only, ","), s.kind) })
	}
	if len(seeds) == 0 {
		return fmt.Errorf("there are no kinds %q", only)
	}
	kinds := map[string][]specimen{}
	for _, s := range seeds {
		kinds[s.kind] = append(kinds[s.kind], s)
	}
	names := slices.Sorted(maps.Keys(kinds))
	var turns []string // of kinds: those with much to go wrong more often
	for _, kind := range names {
		turns = append(turns, slices.Repeat([]string{kind}, max(1, often[kind]))...)
	}
	if honest {
		n = len(seeds)
	}
	// draw makes the i-th file, of the kinds in turn.
	draw := func(i int) specimen {
		if honest {
			return seeds[i]
		}
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		same := kinds[turns[i%len(turns)]]
		return same[r.IntN(len(same))].mutated(r, same)
	}
	counts := map[string]map[string]int{}
	for _, kind := range names {
		counts[kind] = map[string]int{}
	}
	var mu sync.Mutex // guards counts and next
	next := 0
	var wait sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			watcher := &watcher{}
			defer watcher.stop()
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				s := draw(i)
				dir := filepath.Join(scratch, fmt.Sprint("case", w))
				if errs[w] = s.write(dir); errs[w] != nil {
					return
				}
				o, err := watcher.open(s.kind, dir)
				if errs[w] = err; err != nil {
					return
				}
				mu.Lock()
				counts[s.kind][o.Outcome]++
				if verbose || o.Outcome != "good" && o.Outcome != "refused" || honest && o.Outcome != "good" {
					log.Printf("%6d %-12s %-10s %4d MB %5.1f s  %s", i, s.kind, o.Outcome, o.Bytes>>20, o.Seconds,
						firstLines(o.Message, verbose))
				}
				mu.Unlock()
				if out != "" && o.Outcome != "good" && o.Outcome != "refused" {
					kept := filepath.Join(out, fmt.Sprintf("%s-%d-%d-%s", s.kind, seed, i, strings.ReplaceAll(o.Outcome, " ", "-")))
					if errs[w] = s.write(kept); errs[w] != nil {
						return
					}
					if errs[w] = os.WriteFile(filepath.Join(kept, "outcome.txt"), []byte(o.Message+"\n"), 0o644); errs[w] != nil {
						return
					}
				}
				if i%1000 == 999 {
					log.Printf("%d files", i+1)
				}
			}
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	printTable(names, counts)
	return nil
}

func firstLines(s string, all bool) string {
	if !all && len(s) > 400 {
		s = s[:400] + "…"
	}
	return s
}

func printTable(kinds []string, counts map[string]map[string]int) {
	fmt.Printf("| kind | files | %s |\n|---|---:%s|\n", strings.Join(outcomes, " | "),
		strings.Repeat("|---:", len(outcomes)))
	sums := map[string]int{}
	row := func(name string, of map[string]int) {
		all := 0
		for _, v := range of {
			all += v
		}
		fmt.Printf("| %s | %d", name, all)
		for _, o := range outcomes {
			fmt.Printf(" | %d", of[o])
		}
		fmt.Println(" |")
	}
	for _, kind := range kinds {
		row(kind, counts[kind])
		for o, v := range counts[kind] {
			sums[o] += v
		}
	}
	row("all", sums)
}

// specimen is a folder of files that are opened together.
type specimen struct {
	kind  string
	files map[string][]byte
	whole map[string]bool // those that are not mutated
}

func (s specimen) write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, content := range s.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mutated is the specimen with one of its files changed; others are of the same kind.
func (s specimen) mutated(r *rand.Rand, others []specimen) specimen {
	m := specimen{s.kind, maps.Clone(s.files), s.whole}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		if !s.whole[name] {
			names = append(names, name)
		}
	}
	name := names[r.IntN(len(names))]
	other := others[r.IntN(len(others))]
	donor := other.files[name]
	if donor == nil {
		for _, at := range slices.Sorted(maps.Keys(other.files)) {
			if filepath.Ext(at) == filepath.Ext(name) {
				donor = other.files[at]
			}
		}
	}
	m.files[name] = mutate(r, name, s.files[name], donor, 0)
	return m
}

// answer is what became of a file.
type answer struct {
	Outcome, Message string
	Bytes            int64 // the most of: what Go allocated, and what the process grew by
	Seconds          float64
}

// request is what a child is asked to open.
type request struct{ Kind, Dir string }

func decodeAnswer(line []byte) (a answer, err error) {
	err = json.Unmarshal(line, &a)
	return a, err
}

// readAll reads the files of a folder.
func readAll(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[name], err = regular.ReadFile(path)
		}
		return err
	})
	return files, err
}
