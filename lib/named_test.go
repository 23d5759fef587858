package loupe

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/attrib"
	"github.com/loupeml/loupe/lib/attrib/lrp"
	"github.com/loupeml/loupe/lib/attrib/spray"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/labels"
	"github.com/loupeml/loupe/lib/mask"
	"github.com/loupeml/loupe/lib/missing"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/save"
	"github.com/loupeml/loupe/lib/shift"
	"github.com/loupeml/loupe/lib/spurious"
	"github.com/loupeml/loupe/lib/table"
	"github.com/loupeml/loupe/lib/uncertainty"
)

// A file of single images says which image each row is of: its number in the dataset, its name and its class by name.
func TestRowsOfImagesAreNamed(t *testing.T) {
	m := toldColours(t)
	whole := colours(t, "red", "green", "blue")
	unknown := whole.Labels()
	unknown[0] = -1
	holes := must(data.FromTensor(must(whole.All()), unknown, whole.Classes()))
	answers, wrong := must(m.Answers(holes)), whole.Labels()
	wrong[4] = 2
	mistaken := must(m.Answers(must(data.FromTensor(must(whole.All()), wrong, whole.Classes()))))
	issues := must(labels.Find(mistaken, labels.Options{Filter: labels.PredictedNotGiven}))
	review := must(labels.OpenReview(filepath.Join(t.TempDir(), "r.json"), whole, issues.List, whole.Classes()))
	images := must(whole.All())
	for name, c := range map[string]struct {
		result any
		row    []string // the cells that the first row begins with
	}{
		"answers":     {answers, []string{"0", "image 0", "", "red"}},
		"uncertainty": {must(uncertainty.FromAnswers(answers)), []string{"1", "image 1", "green", "green"}},
		"issues":      {issues, []string{"4", "image 4", "blue", "green"}},
		"review":      {review, []string{"4", "image 4", "blue", "green", "undecided"}},
		"filtration":  {must(shift.Filter{LabelBelow: 1}.Keep([]*model.Answers{mistaken})), []string{"4", "image 4", "blue"}},
		"ranking": {must(spurious.Rank(must(spurious.ExamplesOf(m, whole)), 2, []int{2})),
			[]string{"2", "image 2", "blue"}},
		"top-k": {TopK(m, whole, 1), []string{"0", "image 0", "red", "0", "red"}},
		"references": {must(lrp.Maximization{Count: 1}.Search(m, whole, "layer"))[0],
			[]string{"33", "image 33", "0", "1", "0", "red"}},
		"SpRAy":       {must(spray.SpRAy{Neighbors: 3}.Classes(m, whole, 1))[0], []string{"1", "image 1", "green"}},
		"attribution": {Attribute(m, whole, attrib.Gradient{}), []string{"0", "image 0", "0", "red"}},
		"explanation": {Explain(m, whole, attrib.Gradient{}), []string{"0", "image 0", "0", "red"}},
		"ordering":    {BackSelect(m, whole, mask.BatchedGradientSIS{}), []string{"0", "image 0", "0", "red"}},
		"LIME": {must(missing.LIME{Masks: 20}.Explain(m, images, must(missing.Patches(36, 4, 4, 2)))),
			[]string{"0", "0", "red"}},
	} {
		file := filepath.Join(t.TempDir(), "rows.csv")
		if err := save.Write(file, c.result); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		back := must(save.Read(file)).(table.Table)
		var row []string
		for _, cell := range back.Rows[0] {
			row = append(row, table.Text(cell))
		}
		for i := range row {
			row[i] = strings.Trim(row[i], `"`)
		}
		if len(row) < len(c.row) || !slices.Equal(row[:len(c.row)], c.row) || back.Header[0] != "index" {
			t.Errorf("%s: the first row is %q below %q, want %q", name, row, back.Header, c.row)
		}
	}
}
