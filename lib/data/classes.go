package data

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
)

// tree is images by the folders that they lie in.
type tree struct {
	title  string
	place  string // the folder or the archive of it all
	images []string
	root   string   // the folder that tops lie in; "." at the top
	tops   []string // the folders with images in root, sorted
	loose  []string // the images in root itself
	apart  []string // images of other splits, which tables of labels may name
}

// treeAt is the tree of the images in root.
func treeAt(title, root string, images []string) tree {
	t := tree{title: title, place: title, images: images, root: root}
	seen := map[string]bool{}
	for _, name := range images {
		top, _ := t.top(name)
		if top == "" {
			t.loose = append(t.loose, name)
		} else if !seen[top] {
			seen[top] = true
			t.tops = append(t.tops, top)
		}
	}
	sort.Strings(t.tops) // as Python's sorted does: UTF-8 has the order of its characters
	return t
}

// top is the folder in root that an image lies in, "" for none, and the rest of its path.
func (t tree) top(name string) (top, rest string) {
	if t.root != "." {
		name = strings.TrimPrefix(name, t.root+"/")
	}
	top, rest, in := strings.Cut(name, "/")
	if !in {
		return "", top
	}
	return top, rest
}

// opened goes into a folder that lies alone, and into those in it, if that leads to several.
func (t tree) opened() tree {
	for inside := t; len(inside.tops) == 1 && len(inside.loose) == 0; {
		inside = treeAt(t.title, path.Join(inside.root, inside.tops[0]), t.images)
		if len(inside.tops) > 1 && len(inside.loose) == 0 {
			return inside
		}
	}
	return t
}

// seconds are the folders in the tops, sorted.
func (t tree) seconds() []string {
	seen := map[string]bool{}
	for _, name := range t.images {
		_, rest := t.top(name)
		if second, _, in := strings.Cut(rest, "/"); in {
			seen[second] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ofSplit leaves the images of one split, which is a folder at the top or one in each class.
func (l listing) ofSplit(title, wanted string) (listing, tree, error) {
	t := treeAt(title, ".", l.images).opened()
	root := t.root
	in := func(name string) bool { return true }
	if chosen, ok := splitNamed(wanted, t.tops); ok {
		root = path.Join(t.root, chosen)
		in = func(name string) bool { return strings.HasPrefix(name, root+"/") }
	} else if chosen, ok := splitNamed(wanted, splitsAmong(t.seconds())); ok {
		in = func(name string) bool {
			top, rest := t.top(name)
			second, _, _ := strings.Cut(rest, "/")
			return second == chosen || top == "" || rest == ""
		}
	} else {
		there := append(slices.Clone(t.tops[:min(len(t.tops), 20)]), splitsAmong(t.seconds())...)
		return l, t, fmt.Errorf("data: %s has no part %q, its folders are %s", title, wanted, listed(there))
	}
	keep := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !in(name) })
	}
	all := l.images
	l.images, l.folders = keep(l.images), keep(l.folders)
	for _, names := range []*[]string{&l.hidden, &l.hiddenFiles, &l.foreign, &l.links} {
		*names = keep(*names)
	}
	if root == t.root {
		l.images = without(l.images, t.loose)
		t = treeAt(title, root, l.images)
	} else {
		t = treeAt(title, root, l.images).opened()
	}
	t.apart = without(all, l.images)
	return l, t, nil
}

// foundClasses are classes by folders.
type foundClasses struct {
	classes []string // sorted; nil where there are no folders
	left    []string // images that lie beside the classes, which are left out
	notes   []string
}

// classFolders takes the tops of a tree for classes, as torchvision's ImageFolder does. known, unless nil, are the
// classes that there have to be.
func (t tree) classFolders(folders []string, known *numbering) (f foundClasses, err error) {
	if splits := splitsAmong(t.tops); len(splits) > 1 {
		return f, splitsError(t.title, t.root, splits)
	}
	if len(t.tops) == 0 || len(t.tops) == 1 && splitKind(t.tops[0]) != "" && len(t.loose) == 0 && known == nil {
		f.notes = []string{"labels are unknown: the images lie in no folders"}
		if len(t.tops) == 1 {
			f.notes[0] = "labels are unknown: the images of " + t.tops[0] + " lie in no folders"
		}
		return f, nil
	}
	f.classes = t.tops
	var empty []string
	isClass := set(t.tops)
	for _, folder := range folders {
		name := path.Base(folder)
		switch {
		case path.Dir(folder) != t.root || isClass[name]:
		case known == nil:
			return f, fmt.Errorf("data: the folder %s of %s has no images, and folders are classes: "+
				"put some in, take it away, or name all classes in Options.Classes", name, t.title)
		default:
			empty = append(empty, name)
		}
	}
	where := "its folders"
	if t.root != "." {
		where = "the folders in " + t.root
	}
	f.notes = []string{"classes are " + where}
	if known != nil {
		for _, c := range t.tops {
			if _, ok := known.number[c]; !ok {
				return f, fmt.Errorf("data: the folder %s of %s is none of the classes in %s%s",
					c, t.title, known.from, known.didYouMean(c))
			}
		}
	}
	if seconds := t.seconds(); len(splitsAmong(seconds)) > 1 && len(splitsAmong(seconds)) == len(seconds) {
		f.notes = append(f.notes,
			fmt.Sprintf("they hold %s, which are all taken: Options.Split takes one", listed(seconds)))
	}
	if len(empty) > 0 {
		f.notes = append(f.notes, "no images are in "+some(empty))
	}
	switch {
	case len(t.loose) > 0 && len(t.tops) > 1:
		f.left = t.loose
		f.notes = append(f.notes, leftOut("image beside the classes", "images beside the classes", t.loose))
	case len(t.loose) > 0:
		f.notes = append(f.notes, fmt.Sprintf("%d beside these have no label (%s)", len(t.loose), some(t.loose)))
	}
	return f, nil
}

// set is names as a set.
func set(names []string) map[string]bool {
	in := make(map[string]bool, len(names))
	for _, name := range names {
		in[name] = true
	}
	return in
}

// without is names less others.
func without(names, others []string) []string {
	out := set(others)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return out[name] })
}

// elsewhere are classes that other splits beside this one have and it has not, sorted.
func (t tree) elsewhere() []string {
	beside := treeAt(t.title, path.Dir(t.root), t.apart)
	there, found := set(t.tops), map[string]bool{}
	for _, name := range t.apart {
		split, rest := beside.top(name)
		if class, _, in := strings.Cut(rest, "/"); in && splitKind(split) != "" && !there[class] {
			found[class] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// sortAsWalked sorts images as torchvision's ImageFolder does: by class, then by folder, then by name.
func (t tree) sortAsWalked() {
	slices.SortFunc(t.images, func(a, b string) int {
		topA, restA := t.top(a)
		topB, restB := t.top(b)
		if c := strings.Compare(topA, topB); c != 0 {
			return c
		}
		dirA, fileA := path.Split(restA) // the class's own images have none, and come first
		dirB, fileB := path.Split(restB)
		if c := strings.Compare(strings.TrimSuffix(dirA, "/"), strings.TrimSuffix(dirB, "/")); c != 0 {
			return c
		}
		return strings.Compare(fileA, fileB)
	})
}
