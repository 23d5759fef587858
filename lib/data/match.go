package data

import (
	"path"
	"path/filepath"
	"strings"
)

// matcher finds the image that a table of labels means by a name: the path of a file, or its end, with or without the
// ending. A path may begin in the folder that the images lie in, or further out.
type matcher struct {
	images  []string
	exact   map[string]int // by path, and by path without ending
	ends    map[string]int // by the ends of these
	outside string         // the name of the folder of the images
}

const ambiguous = -1

func newMatcher(title string, images []string) *matcher {
	m := &matcher{images: images, exact: map[string]int{}, ends: map[string]int{}}
	if whole, err := filepath.Abs(title); err == nil {
		m.outside = path.Base(filepath.ToSlash(whole))
		if isArchive(title) {
			m.outside = strings.TrimSuffix(m.outside, path.Ext(m.outside))
		}
	}
	add := func(to map[string]int, name string, i int) {
		if before, there := to[name]; there && before != i {
			i = ambiguous
		}
		to[name] = i
	}
	for i, name := range images {
		m.exact[name] = i
	}
	for i, name := range images {
		for k, form := range []string{name, strings.TrimSuffix(name, path.Ext(name))} {
			at, there := m.exact[form]
			if k == 1 && !(there && at != ambiguous && images[at] == form) { // a file of just that name goes first
				add(m.exact, form, i)
			}
			for rest, in := form, true; in; {
				if _, rest, in = strings.Cut(rest, "/"); in {
					add(m.ends, rest, i)
				}
			}
		}
	}
	return m
}

// find is the number of the image, and how many there may be: 0, 1 or more.
func (m *matcher) find(name string) (i, found int) {
	name = strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/")
	for rest, before, in := name, "", true; in; {
		if before == "" || before == m.outside {
			if i, there := m.exact[rest]; there {
				return m.one(i)
			}
		}
		before, rest, in = strings.Cut(rest, "/")
	}
	if i, there := m.ends[name]; there {
		return m.one(i)
	}
	return 0, 0
}

func (m *matcher) one(i int) (int, int) {
	if i == ambiguous {
		return 0, 2
	}
	return i, 1
}

// endingIn are images that a name could mean.
func (m *matcher) endingIn(name string) []string {
	name = strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/")
	var all []string
	for _, image := range m.images {
		for _, form := range []string{image, strings.TrimSuffix(image, path.Ext(image))} {
			if form == name || strings.HasSuffix(form, "/"+name) {
				all = append(all, image)
				break
			}
		}
	}
	return all
}
