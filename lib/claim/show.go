package claim

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Claims are the claims of one cell. They show themselves as a table; as text, one line of JSON stands below it, which
// [Read] reads back.
type Claims []Claim

// Table is a row for each claim.
func (all Claims) Table() table.Table {
	t := table.Table{Header: []string{"claim", "value (95% interval)", "control", "its value", "difference",
		"interval over", "seeds"}}
	for _, c := range all {
		said := map[string]string{} // empty where the claim has no such number
		for _, r := range c.ranges() {
			said[r.name] = r.String()
		}
		control := c.Control
		if control == "" {
			control = "none"
		}
		t.Add(c.Name, said["value"], control, said["control"], said["difference"], fmt.Sprintf("%d %s", c.N, c.Unit), c.Seeds)
	}
	return t
}

// String is such as "41.8 (30.1 to 53.6)": small numbers have more decimals. What is known, without an interval, stands
// alone.
func (s span) String() string {
	decimals := 3
	switch largest := max(math.Abs(s.low), math.Abs(s.high)); {
	case largest >= 10:
		decimals = 1
	case largest >= 2:
		decimals = 2
	}
	if s.low == s.high {
		return fmt.Sprintf("%.*f", decimals, s.value)
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", decimals, s.value, decimals, s.low, decimals, s.high)
}

// prefix is how the line of JSON begins.
const prefix = `{"claims":`

// line is the claims as one line of JSON.
type line struct {
	Claims Claims `json:"claims"`
}

// Bundle shows the table; its text has the line of JSON as well. A claim that lacks something is shown as an error.
func (all Claims) Bundle() mime.Bundle {
	for _, c := range all {
		if err := c.check(); err != nil {
			return mime.TextOf(err.Error())
		}
	}
	text, err := json.Marshal(line{all})
	if err != nil {
		return mime.TextOf(err.Error())
	}
	b := all.Table().Bundle()
	b.Data[mime.Text] += "\n" + string(text)
	return b
}

// Bundle shows the claim as [Claims] does.
func (c Claim) Bundle() mime.Bundle { return Claims{c}.Bundle() }

// Read returns the claims in a text that claims were shown in, such as what a notebook printed, by their names. It
// returns an error where there are none, where two have the same name, and where one lacks something.
func Read(text string) (map[string]Claim, error) {
	found := map[string]Claim{}
	for at := range strings.Lines(text) {
		if !strings.HasPrefix(at, prefix) {
			continue
		}
		var one line
		if err := json.Unmarshal([]byte(at), &one); err != nil {
			return nil, fmt.Errorf("claim: %w in %s", err, at)
		}
		for _, c := range one.Claims {
			if err := c.check(); err != nil {
				return nil, err
			}
			if _, twice := found[c.Name]; twice {
				return nil, fmt.Errorf("claim: two claims are named %q", c.Name)
			}
			found[c.Name] = c
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("claim: there is no claim in %d letters of text", len(text))
	}
	return found, nil
}
