package sweep

import (
	"cmp"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/progress"
)

// The states of a cell.
const (
	Done   = "done"
	Failed = "failed"
)

// Cell is what is known of a cell that has ended.
type Cell struct {
	Key
	State    string    // Done or Failed
	Error    string    // why it failed
	Tries    int       // how often it was tried
	Worker   string    // who computed it
	Seconds  float64   // how long that took
	Finished string    // when
	Measures []Measure // with the labels as they are now
	Digest   string    // of the outcome
	// Outcome is what [Outcome.Encode] gave. Where cells are listed it is nil: [Store.Outcome].
	Outcome []byte
}

// Put puts cells that have ended into a sweep, all or none. A cell that is done already stays as it is, so that a cell
// that comes twice counts once; one that is no part of the sweep, such as of a model that was forgotten meanwhile, is
// left out. differs are those that came twice with other outcomes.
func (s *Store) Put(sweep string, cells []Cell) (differs []Key, err error) {
	// Two that put the same cells in other orders would wait for each other.
	cells = slices.SortedStableFunc(slices.Values(cells), func(a, b Cell) int { return a.Key.compare(b.Key) })
	err = s.change(func(t tx) error {
		differs = nil
		if err := t.together(sweep); err != nil {
			return err
		}
		conditions, err := t.conditions(sweep)
		if err != nil {
			return err
		}
		models, err := t.names("sweep_models", sweep)
		if err != nil {
			return err
		}
		methods, err := t.names("sweep_methods", sweep)
		if err != nil {
			return err
		}
		under := byName(conditions, func(c Condition) string { return c.Name })
		for _, c := range cells {
			condition, planned := under[c.Condition]
			if !planned || !slices.Contains(models, c.Model) || !slices.Contains(methods, c.Method) {
				continue // it is no longer part of the sweep
			}
			labels, err := t.labelsOf(sweep, condition.Data)
			if err != nil {
				return err
			}
			other, err := t.cell(sweep, c, condition, labels)
			if err != nil {
				return err
			}
			if other {
				differs = append(differs, c.Key)
			}
		}
		return nil
	})
	return differs, err
}

func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Model, other.Model), cmp.Compare(k.Condition, other.Condition),
		cmp.Compare(k.Method, other.Method))
}

// cell puts in one, and tells whether another outcome is there.
func (t tx) cell(sweep string, c Cell, under Condition, labels []int) (other bool, err error) {
	var state, digest string
	err = t.Tx.QueryRow(t.store.bound("SELECT state, digest FROM sweep_cells WHERE sweep = ? AND model = ? AND "+
		"condition = ? AND method = ?"), sweep, c.Model, c.Condition, c.Method).Scan(&state, &digest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	mine := ""
	if c.State == Done {
		sum := sha256.Sum256(c.Outcome)
		mine = hex.EncodeToString(sum[:])
	}
	if state == Done || state == c.State {
		return state == Done && c.State == Done && digest != mine, nil
	}
	measures := []Measure{}
	if c.State == Done {
		outcome, err := Decode(c.Outcome)
		if err == nil {
			measures, err = outcome.Measures(c.Method, under.Among, labels)
		}
		if err != nil { // whoever computed it again would get the same
			c.State, c.Error, c.Outcome, mine, measures = Failed, err.Error(), nil, "", []Measure{}
		}
	}
	text, err := json.Marshal(measures)
	if err != nil {
		return false, err
	}
	return false, t.exec("INSERT INTO sweep_cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "+
		"ON CONFLICT (sweep, model, condition, method) DO UPDATE SET state = excluded.state, error = excluded.error, "+
		"tries = excluded.tries, worker = excluded.worker, seconds = excluded.seconds, finished = excluded.finished, "+
		"measures = excluded.measures, digest = excluded.digest, outcome = excluded.outcome",
		sweep, c.Model, c.Condition, c.Method, c.State, plainText(c.Error), c.Tries, plainText(c.Worker), c.Seconds,
		now(), string(text), mine,
		c.Outcome)
}

// plainText is what a database takes as a text: what a failing program says may be no UTF-8, or hold zeros.
func plainText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Cells are the cells of a sweep that have ended, without their outcomes, by model, condition and method.
func (s *Store) Cells(sweep string) ([]Cell, error) {
	rows, err := s.db.Query(s.bound("SELECT model, condition, method, state, error, tries, worker, seconds, finished, "+
		"measures, digest FROM sweep_cells WHERE sweep = ? ORDER BY model, condition, method"), sweep)
	if err != nil {
		return nil, s.named(err)
	}
	defer rows.Close()
	var all []Cell
	for rows.Next() {
		var c Cell
		var measures string
		if err := rows.Scan(&c.Model, &c.Condition, &c.Method, &c.State, &c.Error, &c.Tries, &c.Worker, &c.Seconds,
			&c.Finished, &measures, &c.Digest); err != nil {
			return nil, s.named(err)
		}
		if err := json.Unmarshal([]byte(measures), &c.Measures); err != nil {
			return nil, s.named(fmt.Errorf("%s: %w", c.Key, err))
		}
		all = append(all, c)
	}
	return all, s.named(rows.Err())
}

// Outcome is what a cell gave.
func (s *Store) Outcome(sweep string, k Key) (o *Outcome, err error) {
	err = s.view(func(t tx) error {
		o, err = t.outcome(sweep, k)
		return err
	})
	return o, err
}

func (t tx) outcome(sweep string, k Key) (*Outcome, error) {
	var raw []byte
	err := t.Tx.QueryRow(t.store.bound("SELECT outcome FROM sweep_cells WHERE sweep = ? AND model = ? AND condition = ? "+
		"AND method = ? AND state = 'done'"), sweep, k.Model, k.Condition, k.Method).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s is not done", k)
	}
	if err != nil {
		return nil, err
	}
	return Decode(raw)
}

// Missing are the cells of a sweep that are not done, in the order of its plan.
func (s *Store) Missing(sweep string) (missing []Key, err error) {
	err = s.view(func(t tx) error {
		missing = nil
		plan, _, err := t.plan(sweep)
		if err != nil {
			return err
		}
		done, err := t.done(sweep)
		if err != nil {
			return err
		}
		for _, k := range plan.Keys() {
			if !done[k] {
				missing = append(missing, k)
			}
		}
		return nil
	})
	return missing, err
}

// done are the cells of a sweep that are done.
func (t tx) done(sweep string) (map[Key]bool, error) {
	rows, err := t.rows("SELECT model, condition, method FROM sweep_cells WHERE sweep = ? AND state = 'done'", sweep)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	done := map[Key]bool{}
	for rows.Next() {
		var k Key
		if err := rows.Scan(&k.Model, &k.Condition, &k.Method); err != nil {
			return nil, err
		}
		done[k] = true
	}
	return done, rows.Err()
}

// Retry forgets that cells failed, so that they are tried again.
func (s *Store) Retry(sweep string) error {
	return s.change(func(t tx) error {
		return t.exec("DELETE FROM sweep_cells WHERE sweep = ? AND state = 'failed'", sweep)
	})
}

// ForgetModel takes a model and its cells out of a sweep.
func (s *Store) ForgetModel(sweep, name string) error { return s.forget(sweep, "model", name) }

// ForgetCondition takes a condition and its cells out of a sweep.
func (s *Store) ForgetCondition(sweep, name string) error { return s.forget(sweep, "condition", name) }

// ForgetData takes data, its conditions and their cells out of a sweep.
func (s *Store) ForgetData(sweep, name string) error {
	return s.change(func(t tx) error {
		if err := t.alone(sweep); err != nil {
			return err
		}
		conditions, err := t.conditions(sweep)
		if err != nil {
			return err
		}
		for _, c := range conditions {
			if c.Data == name {
				if err := t.forget(sweep, "condition", c.Name); err != nil {
					return err
				}
			}
		}
		return t.forget(sweep, "data", name)
	})
}

func (s *Store) forget(sweep, kind, name string) error {
	return s.change(func(t tx) error {
		if err := t.alone(sweep); err != nil {
			return err
		}
		return t.forget(sweep, kind, name)
	})
}

// forget takes a part of a plan out, and what cells are named after it.
func (t tx) forget(sweep, kind, name string) error {
	table := "sweep_" + kind + "s"
	if kind == "data" {
		table = "sweep_data"
	}
	n, err := t.count("DELETE FROM "+table+" WHERE sweep = ? AND name = ?", sweep, name)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("the sweep %s has no %s %q", sweep, kind, name)
	}
	if kind == "data" {
		return nil
	}
	return t.exec("DELETE FROM sweep_cells WHERE sweep = ? AND "+kind+" = ?", sweep, name)
}

// Correct gives pictures of data other labels, by the pictures' names: the names of classes, or their numbers where
// the data has no names; empty where a picture is not to count. The cells' measures follow; no model is asked again. It
// is an error, and nothing changes, where a picture or a class is unknown, or where a cell would have no picture left
// that counts.
func (s *Store) Correct(sweep, data string, labels map[string]string) error {
	return s.change(func(t tx) error {
		if err := t.alone(sweep); err != nil {
			return err
		}
		p, err := t.pictures(sweep, data)
		if err != nil {
			return err
		}
		highest := slices.Max(append(p.Labels, len(p.Classes)-1))
		var text string
		if err := t.Tx.QueryRow(t.store.bound("SELECT corrected FROM sweep_data WHERE sweep = ? AND name = ?"), sweep,
			data).Scan(&text); err != nil {
			return err
		}
		corrected := map[string]int{}
		if err := json.Unmarshal([]byte(text), &corrected); err != nil {
			return err
		}
		known := map[string]bool{}
		for _, name := range p.Names {
			known[name] = true
		}
		for name, class := range labels {
			if !known[name] {
				return fmt.Errorf("the data %s have no picture %q", data, name)
			}
			if corrected[name], err = labelOf(class, p.Classes, highest); err != nil {
				return fmt.Errorf("the picture %s: %w", name, err)
			}
		}
		raw, err := json.Marshal(corrected)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE sweep_data SET corrected = ?, version = ? WHERE sweep = ? AND name = ?",
			string(raw), newID(), sweep, data); err != nil {
			return err
		}
		return t.remeasure(sweep, data)
	})
}

func labelOf(class string, classes []string, highest int) (int, error) {
	if class == "" {
		return -1, nil
	}
	if len(classes) > 0 {
		if i := slices.Index(classes, class); i >= 0 {
			return i, nil
		}
		return 0, fmt.Errorf("the data have no class %q", class)
	}
	label, err := strconv.Atoi(class)
	if err != nil || label < 0 || label > highest {
		return 0, fmt.Errorf("%q is no label: these are 0 to %d", class, highest)
	}
	return label, nil
}

// remeasure sums the cells of data up again, with the labels as they are now. It comes after the change of the data's
// version in the same transaction: cells that came before it have been committed, and others wait.
func (t tx) remeasure(sweep, data string) error {
	conditions, err := t.conditions(sweep)
	if err != nil {
		return err
	}
	among := map[string]string{}
	for _, c := range conditions {
		if c.Data == data {
			among[c.Name] = c.Among
		}
	}
	labels, err := t.labelsOf(sweep, data)
	if err != nil {
		return err
	}
	done, err := t.done(sweep)
	if err != nil {
		return err
	}
	var all []Key
	for k := range done {
		if _, ok := among[k.Condition]; ok {
			all = append(all, k)
		}
	}
	slices.SortFunc(all, Key.compare)
	bar := progress.New("sweep: measuring with other labels", len(all))
	defer bar.Close()
	for _, k := range all { // one at a time: outcomes may be large
		if err := interrupt.Err(); err != nil {
			return err
		}
		outcome, err := t.outcome(sweep, k)
		if err != nil {
			return err
		}
		measures, err := outcome.Measures(k.Method, among[k.Condition], labels)
		if err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
		text, err := json.Marshal(measures)
		if err != nil {
			return err
		}
		if err := t.exec("UPDATE sweep_cells SET measures = ? WHERE sweep = ? AND model = ? AND condition = ? AND "+
			"method = ?", string(text), sweep, k.Model, k.Condition, k.Method); err != nil {
			return err
		}
		bar.Add(1)
	}
	return nil
}

// WorkerState is what a worker said of itself last.
type WorkerState struct {
	Worker string `display:"worker"`
	Doing  string `display:"doing"`
	Done   int    `display:"cells"` // how many it has done
	Seen   string `display:"seen"`  // when it said so
}

// SetWorkers notes the workers that a sweep has now.
func (s *Store) SetWorkers(sweep string, states []WorkerState) error {
	return s.change(func(t tx) error {
		if err := t.exec("DELETE FROM sweep_workers WHERE sweep = ?", sweep); err != nil {
			return err
		}
		for _, w := range states {
			if err := t.exec("INSERT INTO sweep_workers VALUES (?, ?, ?, ?, ?)", sweep, w.Worker, w.Doing, w.Done,
				w.Seen); err != nil {
				return err
			}
		}
		return nil
	})
}

// Workers are those that a sweep has now.
func (s *Store) Workers(sweep string) ([]WorkerState, error) {
	rows, err := s.db.Query(s.bound("SELECT worker, doing, done, seen FROM sweep_workers WHERE sweep = ? ORDER BY worker"),
		sweep)
	if err != nil {
		return nil, s.named(err)
	}
	defer rows.Close()
	var all []WorkerState
	for rows.Next() {
		var w WorkerState
		if err := rows.Scan(&w.Worker, &w.Doing, &w.Done, &w.Seen); err != nil {
			return nil, s.named(err)
		}
		all = append(all, w)
	}
	return all, s.named(rows.Err())
}
