package data

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// splitName is what folders of training, validation and test images are called, with the kind in it.
var splitName = regexp.MustCompile(`(?i)^(?:seg|images?|imgs?)?[ _-]?` +
	`(?:(train|training|trn)|(val|valid|validation|dev)|(test|testing|eval|evaluation))` +
	`[ _-]?(?:sets?|data|images?|imgs?|split)?[ _-]?(?:\d{1,4})?$`)

// splitKind is the kind of split that a folder is, "" if it is none.
func splitKind(name string) string {
	if m := splitName.FindStringSubmatch(name); m != nil {
		for i, kind := range []string{"train", "val", "test"} {
			if m[i+1] != "" {
				return kind
			}
		}
	}
	return ""
}

// splitsAmong are the folders that are splits.
func splitsAmong(folders []string) []string {
	var among []string
	for _, f := range folders {
		if splitKind(f) != "" {
			among = append(among, f)
		}
	}
	return among
}

// splitNamed is the folder of these that somebody calls so: of just that name, or else of that kind.
func splitNamed(wanted string, folders []string) (string, bool) {
	if slices.Contains(folders, wanted) {
		return wanted, true
	}
	var found []string
	for _, f := range folders {
		if strings.EqualFold(f, wanted) || splitKind(f) != "" && splitKind(f) == splitKind(wanted) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// splitsError says that a folder holds splits and how to open one.
func splitsError(title, root string, splits []string) error {
	one := splits[0]
	for _, s := range splits {
		if splitKind(s) == "val" || splitKind(s) == "test" && splitKind(one) == "train" {
			one = s
		}
	}
	how := fmt.Sprintf("data.Options{Split: %q}", one)
	if !isArchive(title) {
		how = fmt.Sprintf("loupe.Open(%q) or %s", filepath.ToSlash(filepath.Join(title, root, one)), how)
	}
	return fmt.Errorf("data: %s holds %s, which are parts of a dataset and no classes: open one of them, by %s",
		title, listed(splits), how)
}

// listed joins names by commas and "and".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// isArchive reports whether a file is an archive by its name.
func isArchive(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".zip") || strings.HasSuffix(name, ".tar")
}
