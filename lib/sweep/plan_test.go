package sweep

import (
	"path/filepath"
	"strings"
	"testing"
)

// plan is one that Check takes.
func plan() Plan {
	return Plan{Models: []Model{{Name: "m", File: "m.onnx"}}, Data: []Data{{Name: "d", Path: "d"}},
		Conditions: []Condition{{Data: "d"}, {Data: "d", Corruption: "fog", Severity: 3, Seed: 7, Among: "imagenet-r"}}}
}

func TestAPlanIsCompleted(t *testing.T) {
	p := plan()
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	if p.Conditions[0].Name != "d" || p.Conditions[1].Name != "d, fog 3, among imagenet-r" || len(p.Methods) != 1 ||
		p.Methods[0] != Predictions {
		t.Errorf("%+v", p)
	}
	keys := p.Keys()
	if len(keys) != 2 || keys[1] != (Key{"m", "d, fog 3, among imagenet-r", Predictions}) ||
		keys[1].String() != "m under d, fog 3, among imagenet-r" {
		t.Errorf("%v", keys)
	}
	if k := (Key{"m", "d", Faithfulness + "Grad-CAM"}); k.String() != "m under d by faithfulness:Grad-CAM" {
		t.Error(k)
	}
}

func TestPlansThatMakeNoSense(t *testing.T) {
	for want, spoil := range map[string]func(p *Plan){
		"one of the plan's models has no name":        func(p *Plan) { p.Models[0].Name = "" },
		"the model m has no file":                     func(p *Plan) { p.Models[0].File = "" },
		`its normalisation "imagnet" is none of`:      func(p *Plan) { p.Models[0].Normalisation = "imagnet" },
		"two of the plan's models are called m":       func(p *Plan) { p.Models = append(p.Models, p.Models[0]) },
		`models is called "m\n": a name has no co`:    func(p *Plan) { p.Models[0].Name = "m\n" },
		`is called " m": a name has no control`:       func(p *Plan) { p.Models[0].Name = " m" },
		"has 201 bytes, and may have 200":             func(p *Plan) { p.Models[0].Name = strings.Repeat("n", 201) },
		"of the plan's data is called \"d\\x1b[31m\"": func(p *Plan) { p.Data[0].Name = "d\x1b[31m" },
		"the data d has no path":                      func(p *Plan) { p.Data[0].Path = "" },
		"d is partial, which is about labels":         func(p *Plan) { p.Data[0].Partial = true },
		"two of the plan's data are called d":         func(p *Plan) { p.Data = append(p.Data, p.Data[0]) },
		`shows "e", which is no data of the plan`:     func(p *Plan) { p.Conditions[0].Data = "e" },
		`is among "imagenet-o": it is imagenet-a or`:  func(p *Plan) { p.Conditions[0].Among = "imagenet-o" },
		"has a severity or a seed and no corruption":  func(p *Plan) { p.Conditions[0].Severity = 1 },
		"has the severity 6: it is 1 to 5":            func(p *Plan) { p.Conditions[1].Severity = 6 },
		"has the severity 0: it is 1 to 5":            func(p *Plan) { p.Conditions[1].Severity = 0 },
		"fogg":                                        func(p *Plan) { p.Conditions[1].Corruption = "fogg" },
		"two of the plan's conditions are called d:":  func(p *Plan) { p.Conditions[1] = p.Conditions[0] },
		`there is no method "prediction": there are`:  func(p *Plan) { p.Methods = []string{"prediction"} },
		"two of the plan's methods are called pred":   func(p *Plan) { p.Methods = []string{Predictions, Predictions} },
		`is called "m\xff": a name has`:               func(p *Plan) { p.Models[0].Name = "m\xff" },
	} {
		p := plan()
		spoil(&p)
		wantError(t, p.Check(), want)
	}
}

func TestReadPlan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	write(t, path, []byte(`{"models": [{"name": "m", "file": "m.onnx", "type": "standard"}],
		"data": [{"name": "d", "path": "d", "split": "val"}],
		"conditions": [{"data": "d", "corruption": "fog", "severity": 2}], "methods": ["predictions"]}`))
	p := ok[Plan](t)(ReadPlan(path))
	if err := p.Check(); err != nil || p.Models[0].Type != "standard" || p.Data[0].Split != "val" ||
		p.Conditions[0].Name != "d, fog 2" {
		t.Errorf("%+v, %v", p, err)
	}
	for want, text := range map[string]string{
		`unknown field "modells"`:                       `{"modells": []}`,
		`unknown field "sevirity"`:                      `{"conditions": [{"data": "d", "sevirity": 1}]}`,
		"goes on after its plan":                        `{"models": []} {}`,
		"is no plan":                                    `{"models": [`,
		"the model m has an identity":                   `{"models": [{"name": "m", "identity": "1"}]}`,
		"the data d have an identity":                   `{"data": [{"name": "d", "pictures": 3}]}`,
		"its field conditions.seed is a number -1":      `{"conditions": [{"seed": -1}]}`,
		"its field conditions.severity is a number 1.5": `{"conditions": [{"severity": 1.5}]}`,
	} {
		write(t, path, []byte(text))
		_, err := ReadPlan(path)
		wantError(t, err, want, path)
	}
	_, err := ReadPlan(path + "x")
	wantError(t, err, path+"x")
}

func TestSweepNames(t *testing.T) {
	for _, name := range []string{"first", "A-1_b", strings.Repeat("n", 64)} {
		if err := CheckSweepName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "-x", "a b", "a/b", "..", "ä", "a.b", strings.Repeat("n", 65)} {
		wantError(t, CheckSweepName(name), "a sweep cannot be called")
	}
}

// Tokens are other ones where anything is another one that a cell depends on, and the same where only labels are.
func TestTokens(t *testing.T) {
	first := Job{Of: Model{Name: "m", Identity: "1"}, Under: Condition{Name: "c", Data: "d"},
		Seen: Data{Name: "d", Identity: "2"}, Key: Key{"m", "c", Predictions}}
	seen := map[string]string{}
	for what, change := range map[string]func(j *Job){
		"nothing": func(*Job) {}, "the model's name": func(j *Job) { j.Of.Name = "n" },
		"the model": func(j *Job) { j.Of.Identity = "3" }, "the data": func(j *Job) { j.Seen.Identity = "3" },
		"the seed": func(j *Job) { j.Under.Seed = 1 }, "the method": func(j *Job) { j.Method = "x" },
		"the classes": func(j *Job) { j.Under.Among = "imagenet-a" },
	} {
		j := first
		change(&j)
		if other, there := seen[j.Token()]; there || len(j.Token()) != 24 {
			t.Errorf("with %s and with %s changed the token is %q", what, other, j.Token())
		}
		seen[j.Token()] = what
	}
	j := first
	j.Seen.Labelling, j.Labelled.Labels, j.Of.Type = "x", 7, "robust"
	if j.Token() != first.Token() {
		t.Error("the token depends on labels")
	}
}
