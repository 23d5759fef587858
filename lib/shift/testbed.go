package shift

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite", in Go alone

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/progress"
)

// Testbed is a table on disk of how models fare under conditions, after that of Taori et al., NeurIPS 2020. Trials go
// into it as they are finished, and what is done is not done again, whatever interrupts; published results can lie in
// the same table. Several processes may use a testbed at once.
//
// It is an SQLite database with the tables cells (model, condition, correct, total, and what identifies model and
// condition) and models (model, type, weights).
type Testbed struct {
	db   *sql.DB
	path string
}

// applicationID marks databases that are testbeds.
const applicationID = 0x6c6f7570

const schema = `
CREATE TABLE IF NOT EXISTS models (
	model TEXT PRIMARY KEY,
	type TEXT NOT NULL,
	weights TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS cells (
	model TEXT NOT NULL,
	condition TEXT NOT NULL,
	correct INTEGER NOT NULL,
	total INTEGER NOT NULL CHECK (total > 0 AND correct BETWEEN 0 AND total),
	model_identity TEXT NOT NULL,     -- sha256 of weights and input; empty if published by others
	condition_identity TEXT NOT NULL, -- sha256 of labels, classes and some images; empty if published by others
	seconds REAL NOT NULL,
	finished TEXT NOT NULL,
	PRIMARY KEY (model, condition)
);`

// NewTestbed opens a testbed's file, or makes one where there is none. It is an error where the file is something else.
// Published results are put into it: [Testbed.Import].
func NewTestbed(path string, published ...*Results) (*Testbed, error) {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("shift: the testbed %s: there is no folder %s", path, filepath.Dir(path))
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("shift: the testbed %s: %w", path, err)
	}
	// A transaction takes the write lock at its start, and waits for another process's: trials take seconds, writing
	// them none.
	options := url.Values{"_pragma": {"busy_timeout(60000)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(whole),
		RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("shift: the testbed %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	t := &Testbed{db, path}
	if err := t.prepare(); err != nil {
		db.Close()
		return nil, err
	}
	for _, r := range published {
		if err := t.Import(r); err != nil {
			db.Close()
			return nil, err
		}
	}
	return t, nil
}

func (t *Testbed) prepare() error {
	return t.change(func(tx *sql.Tx) error {
		var id, tables int
		if err := tx.QueryRow("PRAGMA application_id").Scan(&id); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
			return err
		}
		if id != applicationID && tables > 0 {
			return fmt.Errorf("it is another program's database")
		}
		if _, err := tx.Exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		_, err := tx.Exec(schema)
		return err
	})
}

// change does what do does, or nothing where it fails.
func (t *Testbed) change(do func(*sql.Tx) error) error {
	tx, err := t.db.Begin()
	if err == nil {
		defer tx.Rollback()
		if err = do(tx); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		return fmt.Errorf("shift: the testbed %s: %w", t.path, err)
	}
	return nil
}

// Close closes the file.
func (t *Testbed) Close() error { return t.db.Close() }

// Run tries models under conditions, where that has not been done, and returns the results of these models under these
// conditions. A model is known by its name: it is an error where the table has one of that name with other weights, or
// a condition of that name with other images, or a model that others published ([Testbed.Import]). Own models may be
// tried under conditions that have published results: the images have to be those that these are of.
//
// Interrupted, it returns the results of what is done, which is on disk, beside the error.
func (t *Testbed) Run(models []*model.Model, conditions ...Condition) (*Results, error) {
	if len(models) == 0 || len(conditions) == 0 {
		return nil, fmt.Errorf("shift: a trial of %d models under %d conditions: give at least one of each", len(models),
			len(conditions))
	}
	work, err := t.identify(models, conditions)
	if err != nil {
		return nil, err
	}
	all := len(models) * len(conditions)
	bar := progress.New("testbed: models under conditions", all)
	defer bar.Close()
	results := NewResults()
	for step := range all {
		w := work.cell(step)
		c, err := t.once(w)
		if err = interrupt.After(err, "shift: testbed", step, all, "trials"); err != nil {
			if interrupt.Is(err) {
				return results, err
			}
			return nil, err
		}
		if err := results.Add(c); err != nil {
			return nil, err
		}
		bar.Add(1)
	}
	return results, nil
}

// RunAs is [Testbed.Run], and says what the models' training is called, by which plots colour it: [Testbed.SetType].
func (t *Testbed) RunAs(kind string, models []*model.Model, conditions ...Condition) (*Results, error) {
	results, stopped := t.Run(models, conditions...)
	if results == nil {
		return nil, stopped
	}
	for _, m := range results.Models() {
		if err := t.SetType(m, kind); err != nil {
			return nil, err
		}
		if err := results.SetKind(m, ModelInfo{Type: kind}); err != nil {
			return nil, err
		}
	}
	return results, stopped
}

// plan is the work of a run.
type plan struct {
	models       []*model.Model
	modelIDs     []string
	conditions   []Condition
	counted      []counted
	conditionIDs []string
}

// trial is one cell's work.
type trial struct {
	model                            *model.Model
	condition                        Condition
	counted                          counted
	modelIdentity, conditionIdentity string
}

// cell is trial number step. A condition's images are decoded for one model after the other, so all conditions of a
// model come first.
func (p plan) cell(step int) trial {
	m, c := step/len(p.conditions), step%len(p.conditions)
	return trial{p.models[m], p.conditions[c], p.counted[c], p.modelIDs[m], p.conditionIDs[c]}
}

// identify checks that names mean what they mean in the table.
func (t *Testbed) identify(models []*model.Model, conditions []Condition) (plan, error) {
	p := plan{models: models, conditions: conditions}
	seen := map[string]string{}
	for _, m := range models {
		id, err := modelIdentity(m)
		if err != nil {
			return p, err
		}
		if other, twice := seen[m.Name()]; twice && other != id {
			return p, fmt.Errorf("shift: two models are called %s: rename one, with its Renamed", m.Name())
		}
		seen[m.Name()] = id
		if err := t.known("model", m.Name(), id, true); err != nil {
			return p, err
		}
		p.modelIDs = append(p.modelIDs, id)
	}
	seen = map[string]string{}
	for _, c := range conditions {
		of, err := c.count(models)
		if err != nil {
			return p, err
		}
		id, err := c.identity(of)
		if err != nil {
			return p, err
		}
		if other, twice := seen[c.Name]; twice && other != id {
			return p, fmt.Errorf("shift: two conditions are called %s: rename one", c.Name)
		}
		seen[c.Name] = id
		if err := t.known("condition", c.Name, id, false); err != nil {
			return p, err
		}
		p.counted, p.conditionIDs = append(p.counted, of), append(p.conditionIDs, id)
	}
	return p, nil
}

// known is an error where the table has something else of that name. What others published has no identity; published
// says that this is something else.
func (t *Testbed) known(kind, name, identity string, published bool) error {
	query := fmt.Sprintf("SELECT DISTINCT %s_identity FROM cells WHERE %s = ?", kind, kind)
	rows, err := t.db.Query(query, name)
	if err != nil {
		return fmt.Errorf("shift: the testbed %s: %w", t.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var other string
		if err := rows.Scan(&other); err != nil {
			return fmt.Errorf("shift: the testbed %s: %w", t.path, err)
		}
		switch {
		case other == "" && published:
			return fmt.Errorf("shift: %s is the name of a published %s in %s: rename yours", name, kind, t.path)
		case other != "" && other != identity:
			return fmt.Errorf("shift: %s in %s is another %s, with other weights, images or labels: rename this one, or "+
				"forget that one's results", name, t.path, kind)
		}
	}
	return rows.Err()
}

// once is a cell from the table, or a trial that goes into it.
func (t *Testbed) once(w trial) (Cell, error) {
	c := Cell{Model: w.model.Name(), Condition: w.condition.Name}
	found := func() error {
		return t.db.QueryRow("SELECT correct, total FROM cells WHERE model = ? AND condition = ?", c.Model,
			c.Condition).Scan(&c.Accuracy.Correct, &c.Accuracy.Total)
	}
	err := found()
	if err == nil {
		return c, nil
	}
	if err != sql.ErrNoRows {
		return c, fmt.Errorf("shift: the testbed %s: %w", t.path, err)
	}
	if err := interrupt.Err(); err != nil {
		return c, err
	}
	started := time.Now()
	if c.Accuracy, err = w.condition.try(w.model, w.counted); err != nil {
		return c, err
	}
	err = t.change(func(tx *sql.Tx) error {
		put, err := prepared(tx)
		if err != nil {
			return err
		}
		defer put.close()
		_, err = put.cell(c, ModelInfo{}, w.modelIdentity, w.conditionIdentity, time.Since(started))
		return err
	})
	if err != nil {
		return c, err
	}
	return c, found() // another process may have been first
}

// writer puts cells into the table, and leaves those that are there.
type writer struct{ kind, put, find *sql.Stmt }

func prepared(tx *sql.Tx) (w writer, err error) {
	for _, s := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&w.kind, "INSERT OR IGNORE INTO models VALUES (?, ?, ?)"},
		{&w.put, "INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?)"},
		{&w.find, "SELECT correct, total, model_identity FROM cells WHERE model = ? AND condition = ?"},
	} {
		if *s.into, err = tx.Prepare(s.query); err != nil {
			w.close()
			return w, err
		}
	}
	return w, nil
}

// cell puts one in, and tells whether it was not there.
func (w writer) cell(c Cell, kind ModelInfo, modelIdentity, conditionIdentity string, took time.Duration) (isNew bool,
	err error) {
	if _, err := w.kind.Exec(c.Model, kind.Type, kind.Weights); err != nil {
		return false, err
	}
	done, err := w.put.Exec(c.Model, c.Condition, c.Accuracy.Correct, c.Accuracy.Total, modelIdentity, conditionIdentity,
		took.Seconds(), time.Now().UTC().Format(time.RFC3339))
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

func (w writer) close() {
	for _, s := range []*sql.Stmt{w.kind, w.put, w.find} {
		if s != nil {
			s.Close()
		}
	}
}

// Import puts published results into the table, so that own models stand among them: [ReadTestbed], [ReadTimm]. It is
// an error, and nothing is put in, where the table says something else of one of them. Importing again changes nothing.
func (t *Testbed) Import(r *Results) error {
	return t.change(func(tx *sql.Tx) error {
		put, err := prepared(tx)
		if err != nil {
			return err
		}
		defer put.close()
		for _, m := range r.models {
			for _, condition := range r.conditions {
				c, ok := r.Cell(m, condition)
				if !ok {
					continue
				}
				isNew, err := put.cell(c, r.kinds[m], "", "", 0)
				if err != nil {
					return err
				}
				if isNew {
					continue
				}
				var correct, total int
				var identity string
				if err := put.find.QueryRow(m, condition).Scan(&correct, &total, &identity); err != nil {
					return err
				}
				if identity != "" || correct != c.Accuracy.Correct || total != c.Accuracy.Total {
					return fmt.Errorf("%s under %s is published with %d of %d, and the table has %d of %d", m, condition,
						c.Accuracy.Correct, c.Accuracy.Total, correct, total)
				}
			}
		}
		return nil
	})
}

// SetType says what a model's training is called, by which plots colour it. The model has to be in the table.
func (t *Testbed) SetType(model, kind string) error {
	return t.change(func(tx *sql.Tx) error {
		done, err := tx.Exec("UPDATE models SET type = ? WHERE model = ?", kind, model)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err == nil && n == 0 {
			return fmt.Errorf("it has no model %q", model)
		}
		return nil
	})
}

// Forget deletes a model's results, such as those of one that has been trained further since.
func (t *Testbed) Forget(model string) error { return t.forget("model", model) }

// ForgetCondition deletes all results under a condition, such as one whose images have changed.
func (t *Testbed) ForgetCondition(condition string) error { return t.forget("condition", condition) }

func (t *Testbed) forget(kind, name string) error {
	return t.change(func(tx *sql.Tx) error {
		done, err := tx.Exec(fmt.Sprintf("DELETE FROM cells WHERE %s = ?", kind), name)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err == nil && n == 0 {
			return fmt.Errorf("it has no %s %q", kind, name)
		}
		_, err = tx.Exec("DELETE FROM models WHERE model NOT IN (SELECT model FROM cells)")
		return err
	})
}

// Results are all that the table has, in the order in which it was put in.
func (t *Testbed) Results() (*Results, error) {
	fail := func(err error) (*Results, error) { return nil, fmt.Errorf("shift: the testbed %s: %w", t.path, err) }
	rows, err := t.db.Query("SELECT cells.model, condition, correct, total, type, weights FROM cells JOIN models ON " +
		"models.model = cells.model ORDER BY cells.rowid")
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	r := NewResults()
	for rows.Next() {
		var c Cell
		var kind ModelInfo
		if err := rows.Scan(&c.Model, &c.Condition, &c.Accuracy.Correct, &c.Accuracy.Total, &kind.Type,
			&kind.Weights); err != nil {
			return fail(err)
		}
		if err := r.Add(c); err != nil {
			return nil, err
		}
		r.kinds[c.Model] = kind
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return r, nil
}
