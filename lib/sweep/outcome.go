package sweep

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/internal/safetensors"
)

// Outcome is what a cell gave.
type Outcome struct {
	// Arrays are what the method keeps of each picture, [N] or [N, k].
	Arrays map[string]*tensors.Tensor
	// Truth[c] is the number that the model gives the data's label c, so that labels can be corrected later.
	Truth []int
}

// String names the arrays and their shapes.
func (o *Outcome) String() string {
	if o == nil {
		return "no outcome"
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o.Arrays)) {
		parts = append(parts, fmt.Sprintf("%s %s", name, o.Arrays[name].Shape()))
	}
	return "outcome: " + strings.Join(parts, ", ")
}

// outcomeFormat marks outcomes and says how they are laid out.
const outcomeFormat = "loupe-sweep-1"

// Encode writes the outcome down: a .safetensors file, deflated. The same outcome gives the same bytes.
func (o *Outcome) Encode() ([]byte, error) {
	truth, err := json.Marshal(o.Truth)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	metadata := map[string]string{"format": outcomeFormat, "truth": string(truth)}
	if err := safetensors.Write(w, o.Arrays, metadata); err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// most is how many bytes an outcome may have, unpacked.
const most = 1 << 30

// Decode reads what [Outcome.Encode] has written. The bytes come from other machines and are not trusted: it is an
// error where they are damaged, where anything comes after them, or where they unpack to more than 1 GiB.
func Decode(encoded []byte) (*Outcome, error) { return decode(encoded, most) }

func decode(encoded []byte, most int64) (*Outcome, error) {
	fail := func(err error) (*Outcome, error) {
		return nil, fmt.Errorf("sweep: a cell's outcome is damaged: %w", err)
	}
	packed := bytes.NewReader(encoded) // which flate reads no further than it has to
	r := flate.NewReader(packed)
	// The reader of .safetensors takes a file, which is checked there as any other.
	f, err := os.CreateTemp("", "outcome-*.safetensors")
	if err != nil {
		return nil, fmt.Errorf("sweep: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	n, err := io.Copy(f, io.LimitReader(r, most+1))
	if err != nil {
		return fail(err)
	}
	if n > most {
		return fail(fmt.Errorf("it unpacks to more than %d bytes", most))
	}
	if packed.Len() > 0 {
		return fail(fmt.Errorf("%s after its end", plural.Of(packed.Len(), "byte")))
	}
	arrays, metadata, skipped, err := safetensors.Read(f.Name())
	if err != nil {
		return fail(err)
	}
	if metadata["format"] != outcomeFormat || len(skipped) > 0 {
		return fail(fmt.Errorf("its format is %q, and this loupe reads %s", metadata["format"], outcomeFormat))
	}
	o := &Outcome{Arrays: arrays}
	if err := json.Unmarshal([]byte(metadata["truth"]), &o.Truth); err != nil {
		return fail(err)
	}
	if i := slices.IndexFunc(o.Truth, func(class int) bool { return class < 0 }); i >= 0 {
		return fail(fmt.Errorf("its label %d is the class %d", i, o.Truth[i]))
	}
	return o, nil
}

// Measures sums the outcome up, by the method of that name and by labels [N] in the data's own numbering. among
// restricts which pictures count, as [Condition].Among does.
func (o *Outcome) Measures(method, among string, labels []int) ([]Measure, error) {
	m, err := methodNamed(method)
	if err != nil {
		return nil, err
	}
	chosen := amongs[among]()
	theirs := make([]int, len(labels))
	for i, label := range labels {
		theirs[i] = -1
		if label < 0 {
			continue
		}
		if label >= len(o.Truth) {
			return nil, fmt.Errorf("sweep: picture %d has the label %d, and the cell knows %d", i, label, len(o.Truth))
		}
		if class := o.Truth[label]; chosen == nil || slices.Contains(chosen, class) {
			theirs[i] = class
		}
	}
	return m.Measure(o.Arrays, theirs)
}
