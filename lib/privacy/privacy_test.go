package privacy

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/loupeml/loupe/internal/approx"
	"github.com/loupeml/loupe/internal/oracle"
	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/mime"
)

// numbers are the rows of a golden of bench/oracles/privacy.py, without its header.
func numbers(t testing.TB, file string) [][]float64 {
	t.Helper()
	var all [][]float64
	for _, row := range oracle.Rows(t, "testdata/"+file)[1:] {
		values := make([]float64, len(row))
		for i, cell := range row {
			var err error
			if values[i], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, values)
	}
	return all
}

func epsilon(t testing.TB, by Accountant, delta float64, phases ...Phase) float64 {
	t.Helper()
	g, err := Account{Phases: phases, By: by}.Epsilon(delta)
	if err != nil {
		t.Fatalf("%v, δ %g: %v", phases, delta, err)
	}
	return g.Epsilon
}

// TestEpsilonOfDPAccounting compares 200 settings with dp-accounting, among them those of De et al.
func TestEpsilonOfDPAccounting(t *testing.T) {
	rows := numbers(t, "epsilon.csv")
	if len(rows) != 200 {
		t.Errorf("there are %d settings, want 200", len(rows))
	}
	rdp := func(t *testing.T, r []float64) {
		p, delta := Phase{r[0], r[1], int(r[2])}, r[3]
		if got, want := epsilon(t, RDP, delta, p), r[4]; !approx.Equal(got, want, 1e-3*want) {
			t.Errorf("RDP, %s, δ %g: ε %v, want %v (order %v)", p, delta, got, want, r[5])
		}
	}
	pld := func(t *testing.T, r []float64) {
		p, delta := Phase{r[0], r[1], int(r[2])}, r[3]
		got, want := epsilon(t, PLD, delta, p), r[6]
		if math.IsInf(want, 1) {
			// Its exp(-ε) is no number any more where ε is above 700 or so. RDP's ε is a bound.
			if !(got > 0.8*r[4] && got <= r[4]) {
				t.Errorf("PLD, %s, δ %g: ε %v, want less than RDP's %v, and near it", p, delta, got, r[4])
			}
			return
		}
		if !approx.Equal(got, want, 1e-3*want) {
			t.Errorf("PLD, %s, δ %g: ε %v, want %v", p, delta, got, want)
		}
	}
	for i, r := range rows {
		rdp(t, r)
		if i%10 == 0 || math.IsInf(r[6], 1) {
			pld(t, r)
		}
	}
	t.Run("PLD of all settings", func(t *testing.T) {
		testenv.Heavy(t)
		for _, r := range rows {
			pld(t, r)
		}
	})
}

func TestPhasesOfDPAccounting(t *testing.T) {
	for _, r := range numbers(t, "composed.csv") {
		a, b, delta := Phase{r[0], r[1], int(r[2])}, Phase{r[3], r[4], int(r[5])}, r[6]
		for by, want := range map[Accountant]float64{RDP: r[7], PLD: r[8]} {
			if got := epsilon(t, by, delta, a, b); !approx.Equal(got, want, 1e-3*want) {
				t.Errorf("%s, %s and %s: ε %v, want %v", by, a, b, got, want)
			}
			// The order does not matter, and neither does it when a phase is cut in two.
			if got := epsilon(t, by, delta, b, Phase{a.Noise, a.Rate, 3}, Phase{a.Noise, a.Rate, a.Steps - 3}); !approx.Equal(
				got, want, 1e-3*want) {
				t.Errorf("%s, %s and %s the other way: ε %v, want %v", by, b, a, got, want)
			}
		}
	}
}

func TestBudgetsOfDPAccounting(t *testing.T) {
	for row, r := range numbers(t, "calibrated.csv") {
		target, delta, rate, steps := r[0], r[1], r[2], int(r[3])
		for i, by := range []Accountant{RDP, PLD} {
			if by == PLD && !testenv.Some(row, 2) {
				continue
			}
			wantNoise, given, wantSteps := r[4+3*i], r[5+3*i], r[6+3*i]
			a := Account{By: by}
			p, err := a.NoiseFor(Phase{Rate: rate, Steps: steps}, target, delta)
			if err != nil {
				t.Fatal(err)
			}
			if !approx.Equal(p.Noise, wantNoise, 1e-3*wantNoise) {
				t.Errorf("%s, ε %v in %d steps at %v: noise multiplier %v, want %v", by, target, steps, rate, p.Noise, wantNoise)
			}
			if got := epsilon(t, by, delta, p); !(got <= target && got > 0.9999*target) {
				t.Errorf("%s spends ε %v of %v", p, got, target)
			}
			p, err = a.StepsFor(Phase{Noise: given, Rate: rate}, target, delta)
			if err != nil {
				t.Fatal(err)
			}
			if !approx.Equal(p.Steps, int(wantSteps), 1+2e-3*wantSteps) {
				t.Errorf("%s, ε %v at noise %v, rate %v: %d steps, want %v", by, target, given, rate, p.Steps, wantSteps)
			}
			more := p
			more.Steps++
			if got, next := epsilon(t, by, delta, p), epsilon(t, by, delta, more); !(got <= target && next > target) {
				t.Errorf("%s: %d steps spend ε %v, one more %v, where %v is allowed", by, p.Steps, got, next, target)
			}
		}
	}
	testenv.RestIsHeavy(t, 2)
}

// TestGaussianInClosedForm compares full batches with the Gaussian mechanism's exact δ: Balle and Wang, ICML 2018,
// Theorem 8. PLD's ε must not be too small, and is not much too large.
func TestGaussianInClosedForm(t *testing.T) {
	for _, p := range []Phase{{1, 1, 1}, {0.5, 1, 3}, {4, 1, 100}, {20, 1, 5000}, {50, 1, 10}, {0.05, 1, 1}} {
		sigma := p.Noise / math.Sqrt(float64(p.Steps))
		for _, delta := range []float64{1e-2, 1e-8} {
			got := epsilon(t, PLD, delta, p)
			at := func(e float64) float64 {
				n := distuv.UnitNormal
				return n.CDF(1/(2*sigma)-e*sigma) - math.Exp(e+math.Log(n.CDF(-1/(2*sigma)-e*sigma)))
			}
			if got > 0 && !(at(got) <= delta*(1+1e-6) && (got < 1e-3 || at(got*0.999) > delta)) {
				t.Errorf("%s: δ is %g at ε %v, and %g at a little less, for δ %g", p, at(got), got, at(got*0.999), delta)
			}
			if rdp := epsilon(t, RDP, delta, p); rdp < got*(1-1e-3) {
				t.Errorf("%s: RDP's ε %v is less than what is true, %v", p, rdp, got)
			}
		}
	}
}

// TestMomentsByIntegration compares the Rényi divergence with its definition, the integral of P^α Q^(1-α), by the
// trapezoidal rule. Between integers it is a bound.
func TestMomentsByIntegration(t *testing.T) {
	for _, p := range []Phase{{1, 0.01, 1}, {2, 0.3, 1}, {0.7, 0.05, 1}, {4, 0.9, 1}} {
		for _, alpha := range []float64{1.5, 2, 3.7, 8, 12} {
			sum, h := 0.0, p.Noise/200
			for x := -40 * p.Noise; x < alpha+40*p.Noise; x += h {
				q := distuv.Normal{Mu: 0, Sigma: p.Noise}.Prob(x)
				ratio := 1 - p.Rate + p.Rate*math.Exp((2*x-1)/(2*p.Noise*p.Noise))
				if v := q * math.Pow(ratio, alpha); !math.IsNaN(v) && !math.IsInf(v, 0) {
					sum += v * h
				}
			}
			want := math.Log(sum) / (alpha - 1)
			got := rdp(p.Noise, p.Rate, alpha)
			if alpha == math.Floor(alpha) && !approx.Equal(got, want, 1e-6*want) || !(got >= want*(1-1e-6)) {
				t.Errorf("%s, order %v: %v, want %v", p, alpha, got, want)
			}
		}
	}
}

func TestNothingSpentAndNoNoise(t *testing.T) {
	for _, by := range []Accountant{RDP, PLD} {
		for _, p := range []Phase{{1, 0.1, 0}, {1, 0, 100}, {0, 0, 100}, {0, 0.5, 0}} {
			if got := epsilon(t, by, 1e-5, p); got != 0 {
				t.Errorf("%s, %s: ε %v", by, p, got)
			}
		}
		g, err := Account{By: by}.Add(Phase{1, 0.1, 10}).Add(Phase{0, 0.1, 1}).Epsilon(1e-5)
		if err != nil || !math.IsInf(g.Epsilon, 1) || g.Vouched() || !strings.Contains(g.String(), "There is no privacy") {
			t.Errorf("%s, a step without noise: %v, %v", by, g, err)
		}
		if got := epsilon(t, by, 1e-5, Phase{1, 1e-8, 1}); !(got >= 0 && got < 1e-3) {
			t.Errorf("%s: a step that hardly looks spends ε %v", by, got)
		}
	}
}

func TestWhatCannotBe(t *testing.T) {
	nan := math.NaN()
	good := Phase{1, 0.1, 10}
	for want, err := range map[string]error{
		"sampling rate is 1.5":                failed(Account{Phases: []Phase{{1, 1.5, 1}}}.Epsilon(1e-5)),
		"sampling rate is -1":                 failed(Account{Phases: []Phase{{1, -1, 1}}}.Epsilon(1e-5)),
		"sampling rate is NaN":                failed(Account{Phases: []Phase{{1, nan, 1}}}.Epsilon(1e-5)),
		"phase 2: the noise multiplier is -1": failed(Account{Phases: []Phase{good, {-1, 0.1, 1}}}.Epsilon(1e-5)),
		"noise multiplier is NaN":             failed(Account{Phases: []Phase{{nan, 0.1, 1}}}.Epsilon(1e-5)),
		"noise multiplier is +Inf":            failed(Account{Phases: []Phase{{math.Inf(1), 0.1, 1}}}.Epsilon(1e-5)),
		"as good as none":                     failed(Account{Phases: []Phase{{0.001, 0.1, 1}}}.Epsilon(1e-5)),
		"-3 steps":                            failed(Account{Phases: []Phase{{1, 0.1, -3}}}.Epsilon(1e-5)),
		"δ is 0,":                             failed(Account{Phases: []Phase{good}}.Epsilon(0)),
		"δ is 1,":                             failed(Account{Phases: []Phase{good}}.Epsilon(1)),
		"δ is NaN":                            failed(Account{Phases: []Phase{good}}.Epsilon(nan)),
		"rounding is too large below 1e-10":   failed(Account{Phases: []Phase{good}, By: PLD}.Epsilon(1e-12)),
		"no accountant 7":                     failed(Account{By: 7}.Epsilon(1e-5)),
		"-1 other trainings":                  failed(Account{Searched: -1}.Epsilon(1e-5)),
		"too far apart for PLD":               failed(Account{Phases: []Phase{{0.01, 1, 1e9}}, By: PLD}.Epsilon(1e-5)),
		"looked for, and given as 2":          failed(Account{}.NoiseFor(Phase{2, 0.1, 10}, 1, 1e-5)),
		"spend nothing and need no noise":     failed(Account{}.NoiseFor(Phase{0, 0.1, 0}, 1, 1e-5)),
		"spent before it is 2.": failed(Account{Phases: []Phase{{1, 0.01, 1000}}}.NoiseFor(Phase{0, 0.1, 10}, 1,
			1e-5)),
		"ε to stay within is 0": failed(Account{}.NoiseFor(Phase{0, 0.1, 10}, 0,
			1e-5)),
		"ε to stay within is +Inf": failed(Account{}.NoiseFor(Phase{0, 0.1, 10},
			math.Inf(1), 1e-5)),
		"looked for, and given as 10": failed(Account{}.StepsFor(good, 1, 1e-5)),
		"not even one step is private": failed(Account{}.StepsFor(Phase{0, 0.1, 0}, 1,
			1e-5)),
		"any number of steps spends nothing": failed(Account{}.StepsFor(Phase{1, 0, 0}, 1,
			1e-5)),
		"even a phase of noise multiplier 0.5, sampling rate 0.5, 1 steps": failed(Account{}.StepsFor(Phase{0.5, 0.5, 0},
			0.1, 1e-5)),
		"1e12 steps and more":    failed(Account{}.StepsFor(Phase{1e6, 1e-6, 0}, 1, 1e-5)),
		"the sampling rate is 2": failed(Account{}.StepsFor(Phase{1, 2, 0}, 1, 1e-5)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
}

func failed[T any](_ T, err error) error { return err }

// TestBudgetAfterSpending keeps to what an earlier phase has left.
func TestBudgetAfterSpending(t *testing.T) {
	for _, by := range []Accountant{RDP, PLD} {
		a := Account{By: by}.Add(Phase{1.1, 0.01, 500})
		p, err := a.NoiseFor(Phase{Rate: 0.02, Steps: 500}, 3, 1e-5)
		if err != nil {
			t.Fatal(err)
		}
		if got := epsilon(t, by, 1e-5, append(a.Phases, p)...); !(got <= 3 && got > 2.999) {
			t.Errorf("%s: ε %v after %s", by, got, p)
		}
		q, err := a.StepsFor(Phase{Noise: p.Noise, Rate: 0.02}, 3, 1e-5)
		if err != nil || q.Steps != 500 {
			t.Errorf("%s: %d steps have room, want 500; %v", by, q.Steps, err)
		}
	}
}

func TestCaveats(t *testing.T) {
	a := Account{Phases: []Phase{{1, 0.01, 100}}}
	g, err := a.Epsilon(1e-5)
	if err != nil || !g.Vouched() || strings.Contains(g.String(), "ot vouched") {
		t.Errorf("%v, %v", g, err)
	}
	a.Shuffled, a.LookedAt, a.Searched = true, true, 12
	doubtful, err := a.Epsilon(1e-5)
	if err != nil || doubtful.Epsilon != g.Epsilon || doubtful.Vouched() {
		t.Errorf("%v, %v", doubtful, err)
	}
	for _, want := range []string{"shuffled order", "validation set", "12 other trainings", "RDP", "added or removed"} {
		if shown := doubtful.Bundle().Data[mime.Text]; !strings.Contains(strings.Join(strings.Fields(shown), " "), want) {
			t.Errorf("%q is not shown:\n%s", want, shown)
		}
	}
	a.Searched = 1
	if one, _ := a.Epsilon(1e-5); len(one.Caveats()) != 3 || !strings.Contains(one.Caveats()[2], "Another training") {
		t.Errorf("caveats %q", one.Caveats())
	}
	if none, err := (Account{}).Epsilon(1e-5); err != nil ||
		!strings.Contains(none.Bundle().Data[mime.Text], "ε 0 at δ 1e-05 by RDP") {
		t.Errorf("%v, %v", none, err)
	}
}

func TestTravels(t *testing.T) {
	for _, a := range []Account{
		{},
		{Phases: []Phase{{1.1, 0.01, 100}, {2, 1, 3}}, By: PLD, Shuffled: true, LookedAt: true, Searched: 3},
		{Phases: []Phase{{0, 0.01, 100}}},
	} {
		g, err := a.Epsilon(1e-5)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(g)
		var back Guarantee
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || !reflect.DeepEqual(back, g) {
			t.Errorf("JSON %s: %v, want %v; %v", text, back, g, err)
		}
		var wire bytes.Buffer
		var again Account
		if err := gob.NewEncoder(&wire).Encode(a); err != nil {
			t.Fatal(err)
		}
		if err := gob.NewDecoder(&wire).Decode(&again); err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("gob: %v, want %v; %v", again, a, err)
		}
	}
	var g Guarantee
	if err := json.Unmarshal([]byte(`{"Epsilon":"much","Delta":1e-5}`), &g); err == nil {
		t.Errorf("an ε that is no number was read as %v", g)
	}
	if err := json.Unmarshal([]byte(`{"Epsilon":1,"Delta":1e-5,"Account":{"By":"GDP"}}`), &g); err == nil ||
		!strings.Contains(err.Error(), `"GDP"`) {
		t.Errorf("an accountant that is not there: %v", err)
	}
}

func TestAddLeavesTheOldOne(t *testing.T) {
	a := Account{}.Add(Phase{1, 0.1, 2})
	b := a.Add(Phase{1, 0.1, 3}).Add(Phase{2, 0.1, 1})
	if want := []Phase{{1, 0.1, 5}, {2, 0.1, 1}}; !reflect.DeepEqual(b.Phases, want) || a.Phases[0].Steps != 2 {
		t.Errorf("%v and %v", a.Phases, b.Phases)
	}
	if want := "noise multiplier 1, sampling rate 0.1, 5 steps; noise multiplier 2, sampling rate 0.1, 1 steps; " +
		"counted by RDP"; b.String() != want {
		t.Errorf("%s, want %s", b, want)
	}
}

func BenchmarkEpsilon(b *testing.B) {
	for _, by := range []Accountant{RDP, PLD} {
		b.Run(by.String(), func(b *testing.B) {
			for b.Loop() {
				epsilon(b, by, 1e-5, Phase{1.1, 0.01, 10000})
			}
		})
	}
}
