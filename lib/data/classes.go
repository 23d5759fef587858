package data

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/loupeml/loupe/internal/nearest"
)

// isHidden reports whether a folder is none of the person's: of Jupyter, the Finder, a NAS, version control.
func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__MACOSX" || name == "@eaDir"
}

// splits are what folders of training and test images are called.
var splits = []string{"train", "training", "val", "valid", "validation", "test", "testing", "dev"}

// foundClasses are classes by folders.
type foundClasses struct {
	classes []string // nil where there are no folders
	of      func(name string) string
	note    string
}

// classFolders takes the topmost folders of images for classes, or those in it if there is one alone. known, unless
// nil, are the classes that there have to be.
func classFolders(title string, images, folders, known []string) (foundClasses, error) {
	root := "."
	within := func(dir string) (classes []string, loose bool) { // the folders of images in dir, and whether images lie in it themselves
		seen := map[string]bool{}
		for _, name := range images {
			rest := name
			if dir != "." {
				rest = strings.TrimPrefix(name, dir+"/")
			}
			top, _, below := strings.Cut(rest, "/")
			if !below {
				loose = true
			} else if !seen[top] {
				seen[top] = true
				classes = append(classes, top)
			}
		}
		sort.Strings(classes)
		return classes, loose
	}
	classes, loose := within(root)
	for inside, single, open := root, classes, loose; len(single) == 1 && !open; {
		inside = path.Join(inside, single[0])
		if single, open = within(inside); len(single) > 1 && !open {
			root, classes, loose = inside, single, false
		}
	}
	f := foundClasses{of: func(name string) string {
		rest := name
		if root != "." {
			rest = strings.TrimPrefix(name, root+"/")
		}
		top, _, below := strings.Cut(rest, "/")
		if !below {
			return ""
		}
		return top
	}}
	if len(classes) == 0 {
		f.classes, f.note = known, "labels are unknown: the images lie in no folders"
		return f, nil
	}
	if len(classes) > 1 && !slices.ContainsFunc(classes, func(c string) bool { return !slices.Contains(splits, strings.ToLower(c)) }) {
		return f, fmt.Errorf("data: %s holds %s, which are parts of a dataset and no classes: open one of them", title, strings.Join(classes, " and "))
	}
	for _, folder := range folders {
		if path.Dir(folder) == root && !slices.Contains(classes, path.Base(folder)) {
			return f, fmt.Errorf("data: the folder %s of %s has no images, and folders are classes: put some in, take it away, or give Options.Label", path.Base(folder), title)
		}
	}
	where := "its folders"
	if root != "." {
		where = "the folders in " + root
	}
	if known != nil {
		for _, c := range classes {
			if !slices.Contains(known, c) {
				return f, fmt.Errorf("data: the folder %s of %s is none of the classes in Options.Classes%s", c, title, nearest.DidYouMean(c, known))
			}
		}
	}
	if f.classes = known; known == nil {
		f.classes = classes
	}
	f.note = "classes are " + where
	if loose {
		f.note += "; images beside these have no label"
	}
	return f, nil
}

// leftOut is a note of what was not read.
func leftOut(what string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	shown := strings.Join(names[:min(len(names), 3)], ", ")
	if len(names) > 3 {
		shown += ", …"
	}
	if len(names) > 1 {
		what = strings.ReplaceAll(what, "file that is no image", "files that are no images")
		what = strings.ReplaceAll(what, "hidden folder", "hidden folders")
	}
	return []string{fmt.Sprintf("left out %d %s (%s)", len(names), what, shown)}
}
