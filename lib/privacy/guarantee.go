package privacy

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/table"
)

// Guarantee is what an account has spent. It shows itself, with what it does not vouch for.
type Guarantee struct {
	// Epsilon and Delta hold for neighbours that differ by one example, added or removed. Epsilon may be infinite.
	Epsilon, Delta float64
	// Order is the order of Rényi divergence that gave Epsilon; 0 with PLD, and where nothing was spent.
	Order   float64
	Account Account
}

// Caveats are what the guarantee does not vouch for, a sentence each; none where all that the account was told is
// counted.
func (g Guarantee) Caveats() []string {
	var all []string
	if math.IsInf(g.Epsilon, 1) {
		all = append(all, "There is no privacy: a step was taken without noise.")
	}
	if g.Account.Shuffled {
		all = append(all, "Batches were cut out of a shuffled order. ε is that of Poisson sampling, and of such batches "+
			"it is not known to hold.")
	}
	if g.Account.LookedAt {
		all = append(all, "Private examples outside of the counted steps have decided something, such as a validation set "+
			"when to stop. That is not counted.")
	}
	if n := g.Account.Searched; n == 1 {
		all = append(all, "Another training with the same examples had a part in choosing the settings. It is not counted.")
	} else if n > 1 {
		all = append(all,
			fmt.Sprintf("%d other trainings with the same examples had a part in choosing the settings. They are not counted.",
				n))
	}
	return all
}

// Vouched says whether the guarantee holds as it stands: ε is finite and there are no caveats.
func (g Guarantee) Vouched() bool { return len(g.Caveats()) == 0 }

func (g Guarantee) String() string {
	s := fmt.Sprintf("ε %.4g at δ %.3g by %s, add or remove one example", g.Epsilon, g.Delta, g.Account.By)
	if caveats := g.Caveats(); len(caveats) > 0 {
		s += ". Not vouched for: " + strings.Join(caveats, " ")
	}
	return s
}

// Table is a row for each phase, and the ε and δ of all of them together in each row.
func (g Guarantee) Table() table.Table {
	t := table.Table{Header: []string{"phase", "noise multiplier", "sampling rate", "steps", "ε of all phases", "δ",
		"accountant", "neighbours", "vouched for"}}
	vouched := "yes"
	if !g.Vouched() {
		vouched = strings.Join(g.Caveats(), " ")
	}
	for i, p := range g.Account.Phases {
		t.Add(i+1, p.Noise, p.Rate, p.Steps, g.Epsilon, g.Delta, g.Account.By.String(), "one example added or removed",
			vouched)
	}
	return t
}

// Bundle shows the table; where nothing was done yet, a sentence.
func (g Guarantee) Bundle() mime.Bundle {
	if len(g.Account.Phases) == 0 {
		return mime.TextOf(g.String())
	}
	return g.Table().Bundle()
}

// plain is a Guarantee whose ε is a text where JSON has no number for it.
type plain struct {
	Epsilon, Delta any
	Order          float64
	Account        Account
}

// MarshalJSON writes an infinite ε as "infinite".
func (g Guarantee) MarshalJSON() ([]byte, error) {
	p := plain{g.Epsilon, g.Delta, g.Order, g.Account}
	if math.IsInf(g.Epsilon, 1) {
		p.Epsilon = "infinite"
	}
	return json.Marshal(p)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (g *Guarantee) UnmarshalJSON(text []byte) error {
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("privacy: %w", err)
	}
	delta, ok := p.Delta.(float64)
	epsilon, finite := p.Epsilon.(float64)
	if !finite && p.Epsilon == "infinite" {
		epsilon, finite = math.Inf(1), true
	}
	if !ok || !finite {
		return fmt.Errorf("privacy: no guarantee has ε %v and δ %v", p.Epsilon, p.Delta)
	}
	*g = Guarantee{epsilon, delta, p.Order, p.Account}
	return nil
}
