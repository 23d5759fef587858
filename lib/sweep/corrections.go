package sweep

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/loupeml/loupe/internal/regular"
)

// ReadCorrections reads what [Store.Correct] takes from a CSV file with two columns: the names of pictures, and their
// classes or numbers, empty where a picture is not to count. Its first line may be "file,label".
func ReadCorrections(file string) (map[string]string, error) {
	fail := func(err error) (map[string]string, error) { return nil, fmt.Errorf("sweep: %s: %w", file, err) }
	f, _, err := regular.Open(file)
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = 2
	rows, err := r.ReadAll()
	if err != nil {
		return fail(err)
	}
	if len(rows) > 0 && slices.Equal(rows[0], []string{"file", "label"}) {
		rows = rows[1:]
	}
	if len(rows) == 0 {
		return fail(fmt.Errorf("it names no picture"))
	}
	labels := map[string]string{}
	for _, row := range rows {
		name, label := strings.TrimSpace(row[0]), strings.TrimSpace(row[1])
		if was, twice := labels[name]; twice && was != label {
			return fail(fmt.Errorf("it has %s twice, as %q and as %q", name, was, label))
		}
		labels[name] = label
	}
	return labels, nil
}
