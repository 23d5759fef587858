// Package sweep runs a grid of models x conditions x methods, one cell after the other or on many machines, and keeps
// what each model said of each picture. The grid is that of Taori et al., "Measuring Robustness to Natural Distribution
// Shifts in Image Classification", NeurIPS 2020, where 204 models meet 213 conditions.
//
//   - A [Plan] says which models, data, conditions and methods there are.
//   - A [Store] holds a plan and what its cells gave, in an SQLite file or in PostgreSQL.
//   - A [Runner] computes a cell. It keeps models and pictures between cells.
//   - A [Sweep] is what a person looks at: progress, table, scatter, and results that package shift fits lines to.
//
// Package jobs hands the cells out to workers.
package sweep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/regular"
	"github.com/loupeml/loupe/lib/perturb"
)

// Plan is a grid: each model under each condition, by each method. It is read from JSON by [ReadPlan].
type Plan struct {
	Models     []Model     `json:"models"`
	Data       []Data      `json:"data"`
	Conditions []Condition `json:"conditions"`
	Methods    []string    `json:"methods"` // see [Methods]; none means predictions alone
}

// Model is a network that takes part.
type Model struct {
	Name string `json:"name"`
	// File is a path, or the name of a model that loupe fetches.
	File string `json:"file"`
	// Beside are further files that the model needs, such as weights that lie apart. What lies beside it under the usual
	// names (config.json, preprocessor_config.json, FILE.data) is found.
	Beside []string `json:"beside,omitempty"`
	// Normalisation is imagenet, half or none; empty leaves it to the file.
	Normalisation string `json:"normalisation,omitempty"`
	// Classes is a file with the names of the classes, in the order of the network's outputs.
	Classes string `json:"classes,omitempty"`
	// Type is what its training is called, by which plots colour it.
	Type string `json:"type,omitempty"`

	// Identity and Files are found by [Plan.Resolve].
	Identity string `json:"identity,omitempty"`
	Files    []File `json:"-"`
}

// Data are pictures that conditions show, as they are or changed.
type Data struct {
	Name string `json:"name"`
	// Path is a folder, an archive or a file, or the name of a dataset that loupe fetches.
	Path    string `json:"path"`
	Split   string `json:"split,omitempty"`   // the part that is read, such as val
	Labels  string `json:"labels,omitempty"`  // a table of labels
	Partial bool   `json:"partial,omitempty"` // with labels: pictures may have none
	Skip    bool   `json:"skip,omitempty"`    // damaged pictures are left out

	// What follows is found by [Plan.Resolve].
	Identity string `json:"identity,omitempty"`
	Files    []File `json:"-"`
	Pictures int    `json:"pictures,omitempty"`
	Named    string `json:"named,omitempty"` // a digest of the pictures' names in order
	// Labelling is a digest of how labels are numbered: [Labelled.Digest].
	Labelling string `json:"labelling,omitempty"`
}

// Condition is what models are tried under.
type Condition struct {
	Name string `json:"name"` // empty is made of the data's name and the corruption
	Data string `json:"data"` // the name of one of the plan's
	// Corruption is the name of one of perturb.Corruptions, at a severity from 1 to 5; empty is none.
	Corruption string `json:"corruption,omitempty"`
	Severity   int    `json:"severity,omitempty"`
	Seed       uint64 `json:"seed,omitempty"` // decides what chance decides in a corruption
	// Among restricts it to some of ImageNet's classes, imagenet-a or imagenet-r: pictures of others do not count, and
	// the model chooses among these alone.
	Among string `json:"among,omitempty"`
}

// Key names a cell of the grid.
type Key struct {
	Model     string `json:"model"`
	Condition string `json:"condition"`
	Method    string `json:"method"`
}

func (k Key) String() string {
	if k.Method == Predictions {
		return k.Model + " under " + k.Condition
	}
	return fmt.Sprintf("%s under %s by %s", k.Model, k.Condition, k.Method)
}

// Token is a short name of the model and what it is, of letters and digits alone.
func (m Model) Token() string { return token(m.Name, m.Identity) }

func token(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d %s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Job is what a worker computes: a cell, and all that it has to know of it but the files.
type Job struct {
	Key
	Of    Model     `json:"of"`
	Under Condition `json:"under"`
	Seen  Data      `json:"seen"`
	// Labelled are the data's classes, which come with the files.
	Labelled Labelled `json:"-"`
}

// Labelled are how the labels of data are numbered.
type Labelled struct {
	Classes []string `json:"classes,omitempty"` // by label; nil has no names
	Labels  int      `json:"labels"`            // one more than the highest label
}

// Labelled are how the pictures' labels are numbered.
func (p Pictures) Labelled() Labelled {
	return Labelled{p.Classes, max(slices.Max(append([]int{-1}, p.Labels...))+1, len(p.Classes))}
}

// String is how many labels there are.
func (l Labelled) String() string { return plural.Of(l.Labels, "label") }

// Digest tells it from another one.
func (l Labelled) Digest() string {
	return token(append([]string{strconv.Itoa(l.Labels)}, l.Classes...)...)
}

// Token is a short name of the cell and of what is computed for it, of letters and digits alone: it is another one
// where the model or the data are others.
func (j Job) Token() string {
	under, err := json.Marshal(j.Under)
	if err != nil {
		panic(err) // a struct of texts and numbers
	}
	return token(j.Of.Name, j.Of.Identity, string(under), j.Seen.Identity, j.Method)
}

// byName finds parts of a plan.
func byName[T any](all []T, name func(T) string) map[string]T {
	found := map[string]T{}
	for _, one := range all {
		found[name(one)] = one
	}
	return found
}

// Jobs are the jobs of the plan's cells, all of a model one after the other.
func (p Plan) Jobs() iter.Seq[Job] {
	data := byName(p.Data, func(d Data) string { return d.Name })
	return func(yield func(Job) bool) {
		for _, m := range p.Models {
			for _, c := range p.Conditions {
				for _, method := range p.Methods {
					if !yield(Job{Key: Key{m.Name, c.Name, method}, Of: m, Under: c, Seen: data[c.Data]}) {
						return
					}
				}
			}
		}
	}
}

// ReadPlan reads a plan from a JSON file. A field that it does not know is an error.
func ReadPlan(file string) (Plan, error) {
	raw, err := regular.ReadUpTo(file, 64<<20)
	if err != nil {
		return Plan{}, fmt.Errorf("sweep: %w", err)
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		var other *json.UnmarshalTypeError
		switch {
		case errors.Is(err, io.EOF):
			err = errors.New("it is empty")
		case errors.As(err, &other):
			err = fmt.Errorf("its field %s is a %s, which cannot stand there", other.Field, other.Value)
		}
		return Plan{}, fmt.Errorf("sweep: %s is no plan: %w", file, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Plan{}, fmt.Errorf("sweep: %s goes on after its plan", file)
	}
	for _, m := range p.Models {
		if m.Identity != "" {
			return Plan{}, fmt.Errorf("sweep: %s: the model %s has an identity: a sweep finds it itself", file, m.Name)
		}
	}
	for _, d := range p.Data {
		if d.Identity != "" || d.Pictures != 0 || d.Named != "" || d.Labelling != "" {
			return Plan{}, fmt.Errorf("sweep: %s: the data %s have an identity, pictures, named or labelling: a sweep finds "+
				"these itself", file, d.Name)
		}
	}
	return p, nil
}

// Check fills in what is left to be understood, such as a condition's name, and says what makes no sense.
func (p *Plan) Check() error {
	if len(p.Methods) == 0 && len(p.Conditions) > 0 {
		p.Methods = []string{Predictions}
	}
	data := map[string]bool{}
	for _, d := range p.Data {
		if err := checkName("data", d.Name, data); err != nil {
			return err
		}
		if d.Path == "" {
			return fmt.Errorf("sweep: the data %s has no path", d.Name)
		}
		if d.Partial && d.Labels == "" {
			return fmt.Errorf("sweep: the data %s is partial, which is about labels, and it names no table of them", d.Name)
		}
	}
	models := map[string]bool{}
	for _, m := range p.Models {
		if err := checkName("model", m.Name, models); err != nil {
			return err
		}
		if m.File == "" {
			return fmt.Errorf("sweep: the model %s has no file", m.Name)
		}
		if m.Normalisation != "" && !slices.Contains(Normalisations(), m.Normalisation) {
			return fmt.Errorf("sweep: the model %s: its normalisation %q is none of %s", m.Name, m.Normalisation,
				strings.Join(Normalisations(), ", "))
		}
	}
	conditions := map[string]bool{}
	for i := range p.Conditions {
		c := &p.Conditions[i]
		if c.Name == "" {
			c.Name = c.Data
			if c.Corruption != "" {
				c.Name = fmt.Sprintf("%s, %s %d", c.Data, c.Corruption, c.Severity)
			}
			if c.Among != "" {
				c.Name += ", among " + c.Among
			}
		}
		if err := checkName("condition", c.Name, conditions); err != nil {
			return err
		}
		if err := c.check(data); err != nil {
			return err
		}
	}
	methods := map[string]bool{}
	for _, name := range p.Methods {
		if err := checkName("method", name, methods); err != nil {
			return err
		}
		if _, err := methodNamed(name); err != nil {
			return err
		}
	}
	return nil
}

func (c Condition) check(data map[string]bool) error {
	if !data[c.Data] {
		return fmt.Errorf("sweep: the condition %s shows %q, which is no data of the plan", c.Name, c.Data)
	}
	if _, ok := amongs[c.Among]; !ok {
		return fmt.Errorf("sweep: the condition %s is among %q: it is imagenet-a or imagenet-r", c.Name, c.Among)
	}
	if c.Corruption == "" {
		if c.Severity != 0 || c.Seed != 0 {
			return fmt.Errorf("sweep: the condition %s has a severity or a seed and no corruption", c.Name)
		}
		return nil
	}
	corruption, err := perturb.CorruptionNamed(c.Corruption)
	if err != nil {
		return fmt.Errorf("sweep: the condition %s: %w", c.Name, err)
	}
	if c.Severity < 1 || c.Severity > perturb.Severities {
		return fmt.Errorf("sweep: the condition %s has the severity %d: it is 1 to %d", c.Name, c.Severity,
			perturb.Severities)
	}
	if err := corruption.Ready(); err != nil {
		return fmt.Errorf("sweep: the condition %s: %w", c.Name, err)
	}
	return nil
}

// longest is how many bytes a name may have.
const longest = 200

func checkName(kind, name string, seen map[string]bool) error {
	all := kind + "s"
	if kind == "data" {
		all = kind
	}
	switch {
	case name == "":
		return fmt.Errorf("sweep: one of the plan's %s has no name", all)
	case len(name) > longest:
		return fmt.Errorf("sweep: the name of the %s %.40s… has %d bytes, and may have %d", kind, name, len(name), longest)
	case strings.IndexFunc(name, unicode.IsControl) >= 0 || strings.TrimSpace(name) != name || !utf8.ValidString(name):
		return fmt.Errorf("sweep: one of the plan's %s is called %q: a name has no control characters, no blanks around it, "+
			"and is UTF-8", all, name)
	case seen[name]:
		return fmt.Errorf("sweep: two of the plan's %s are called %s: rename one", all, name)
	}
	seen[name] = true
	return nil
}

// CheckSweepName is an error unless a sweep may be called so: up to 64 letters, digits, - and _.
func CheckSweepName(name string) error {
	ok := name != "" && len(name) <= 64 && !strings.HasPrefix(name, "-")
	for _, r := range name {
		ok = ok && (r == '-' || r == '_' || r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)))
	}
	if !ok {
		return fmt.Errorf("sweep: a sweep cannot be called %q: a name has up to 64 letters, digits, - and _, and does not "+
			"begin with -", name)
	}
	return nil
}

// String is how large the grid is.
func (p Plan) String() string {
	return fmt.Sprintf("%s x %s x %s", plural.Of(len(p.Models), "model"), plural.Of(len(p.Conditions), "condition"),
		plural.Of(len(p.Methods), "method"))
}

// Keys are the cells, all of a model one after the other.
func (p Plan) Keys() []Key {
	var keys []Key
	for j := range p.Jobs() {
		keys = append(keys, j.Key)
	}
	return keys
}
