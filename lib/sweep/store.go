package sweep

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", of PostgreSQL
	_ "modernc.org/sqlite"             // the driver "sqlite", in Go alone
)

// Store holds sweeps: their plans, and what their cells gave. It is an SQLite file or a PostgreSQL database. Several
// processes may read it at once; one runs a sweep at a time.
type Store struct {
	db       *sql.DB
	where    string
	postgres bool
	// Of SQLite: the file as it was opened, and its whole path.
	file os.FileInfo
	path string

	lock   sync.Mutex
	labels map[[2]string]labels // of data, as they were read last
}

// labels are those of data at a version.
type labels struct {
	version string
	of      []int
}

// format is the number of the tables' layout. A store of another one is refused.
const format = 1

// schema is understood by SQLite and by PostgreSQL, but for BYTES.
const schema = `
CREATE TABLE IF NOT EXISTS sweep_format (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sweeps (
	name TEXT PRIMARY KEY,
	id TEXT NOT NULL,       -- tells it from another of that name
	began TEXT NOT NULL,
	runner TEXT NOT NULL,   -- who runs it, empty when no one does
	beat TEXT NOT NULL,     -- when that one said so last
	remaining TEXT NOT NULL -- how long it thinks it takes yet, in words
);
CREATE TABLE IF NOT EXISTS sweep_models (
	sweep TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
	spec TEXT NOT NULL,     -- JSON
	files TEXT NOT NULL,    -- JSON
	PRIMARY KEY (sweep, name)
);
CREATE TABLE IF NOT EXISTS sweep_data (
	sweep TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
	spec TEXT NOT NULL,
	files TEXT NOT NULL,
	pictures TEXT NOT NULL, -- JSON: names, labels, classes
	corrected TEXT NOT NULL, -- JSON: labels by the names of pictures, that count in place of these
	version TEXT NOT NULL,  -- another one with each change of labels
	PRIMARY KEY (sweep, name)
);
CREATE TABLE IF NOT EXISTS sweep_conditions (
	sweep TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
	spec TEXT NOT NULL,
	PRIMARY KEY (sweep, name)
);
CREATE TABLE IF NOT EXISTS sweep_methods (
	sweep TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
	PRIMARY KEY (sweep, name)
);
CREATE TABLE IF NOT EXISTS sweep_cells (
	sweep TEXT NOT NULL, model TEXT NOT NULL, condition TEXT NOT NULL, method TEXT NOT NULL,
	state TEXT NOT NULL,    -- done or failed
	error TEXT NOT NULL,    -- why it failed
	tries INTEGER NOT NULL,
	worker TEXT NOT NULL,
	seconds DOUBLE PRECISION NOT NULL,
	finished TEXT NOT NULL,
	measures TEXT NOT NULL, -- JSON, with the labels as they are now
	digest TEXT NOT NULL,   -- SHA-256 of the outcome
	outcome BYTES,          -- what was said of each picture: .safetensors, deflated
	PRIMARY KEY (sweep, model, condition, method)
);
CREATE TABLE IF NOT EXISTS sweep_workers (
	sweep TEXT NOT NULL, worker TEXT NOT NULL,
	doing TEXT NOT NULL, done INTEGER NOT NULL, seen TEXT NOT NULL,
	PRIMARY KEY (sweep, worker)
)`

// applicationID marks SQLite files that hold sweeps.
const applicationID = 0x6c6f7573

// OpenStore opens a store: the path of an SQLite file, which is made where there is none, or the URL of a PostgreSQL
// database, postgres://user@host/database.
func OpenStore(where string) (*Store, error) {
	s := &Store{where: where, labels: map[[2]string]labels{}}
	if scheme, _, isURL := strings.Cut(where, "://"); isURL {
		u, err := url.Parse(where)
		if err != nil { // it may hold a password
			return nil, fmt.Errorf("sweep: the store %s://… is no URL: a password's special letters are written as %%40", scheme)
		}
		s.where = u.Redacted()
		if s.postgres = scheme == "postgres" || scheme == "postgresql"; !s.postgres {
			return nil, fmt.Errorf("sweep: the store %s: it is the path of an SQLite file, or postgres://…", s.where)
		}
	}
	fail := func(err error) (*Store, error) {
		if s.db != nil {
			s.db.Close()
		}
		return nil, s.named(err)
	}
	var err error
	if s.postgres {
		if s.db, err = sql.Open("pgx", where); err != nil {
			return fail(err)
		}
		s.db.SetMaxOpenConns(4)
	} else {
		whole, err := filepath.Abs(where)
		if err != nil {
			return fail(err)
		}
		s.path = whole
		if info, err := os.Stat(filepath.Dir(whole)); err != nil || !info.IsDir() {
			return fail(fmt.Errorf("there is no folder %s", filepath.Dir(whole)))
		}
		// Readers do not wait for the one that writes, which waits for another one for up to ten minutes: labels of many
		// cells are corrected in one transaction. A power cut takes back whole transactions alone.
		options := url.Values{"_pragma": {"busy_timeout(600000)", "journal_mode(WAL)", "synchronous(NORMAL)"},
			"_txlock": {"immediate"}}
		s.db, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(whole),
			RawQuery: options.Encode()}).String())
		if err != nil {
			return fail(err)
		}
		s.db.SetMaxOpenConns(1)
	}
	if err := s.prepare(); err != nil {
		return fail(err)
	}
	if !s.postgres {
		var err error
		if s.file, err = os.Stat(s.path); err != nil {
			return fail(err)
		}
	}
	return s, nil
}

func (s *Store) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sweep: the store %s: %w", s.where, err)
}

// prepare makes the tables where there are none, and refuses those that are not of this format.
func (s *Store) prepare() error {
	check := func(t tx) (there bool, err error) {
		if there, err = t.there(); err != nil || !there {
			return false, err
		}
		return true, t.checkFormat()
	}
	var there bool
	look := func(t tx) (err error) {
		there, err = check(t)
		return err
	}
	// Whoever only reads it waits for no one.
	if err := s.within(&sql.TxOptions{ReadOnly: true}, look); err != nil || there {
		return err
	}
	return s.within(nil, func(t tx) error {
		text := strings.ReplaceAll(schema, "BYTES", "BLOB")
		if s.postgres {
			text = strings.ReplaceAll(schema, "BYTES", "BYTEA")
			// Two that make the tables at once would stand in each other's way.
			if err := t.exec("SELECT pg_advisory_xact_lock(?)", applicationID); err != nil {
				return err
			}
		}
		if there, err := check(t); err != nil || there {
			return err
		}
		if !s.postgres {
			if err := t.exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
				return err
			}
		}
		for _, one := range strings.Split(text, ";\n") {
			if err := t.exec(one); err != nil {
				return err
			}
		}
		return t.exec("INSERT INTO sweep_format VALUES (?)", format)
	})
}

// there tells whether the tables are there. It is an error where another program's are.
func (t tx) there() (bool, error) {
	if t.store.postgres {
		// In this order: the tables that another one makes meanwhile appear at once.
		var named, marked bool
		err := t.Tx.QueryRow("SELECT to_regclass('sweeps') IS NOT NULL, to_regclass('sweep_format') IS NOT NULL").
			Scan(&named, &marked)
		if err == nil && named && !marked {
			err = errors.New("its table sweeps is another program's")
		}
		return marked, err
	}
	var id, tables int
	if err := t.Tx.QueryRow("PRAGMA application_id").Scan(&id); err != nil {
		return false, err
	}
	if err := t.Tx.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&tables); err != nil {
		return false, err
	}
	if id != applicationID && tables > 0 {
		return false, errors.New("it is another program's database")
	}
	return tables > 0, nil
}

func (t tx) checkFormat() error {
	var version int
	if err := t.Tx.QueryRow("SELECT version FROM sweep_format").Scan(&version); err != nil {
		return err
	}
	if version != format {
		return fmt.Errorf("it is of format %d, and this loupe knows %d: use the loupe that it was made by, or a newer one",
			version, format)
	}
	return nil
}

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Where says where the store is, without a password.
func (s *Store) Where() string { return s.where }

// bound writes a query's ? as the database has it.
func (s *Store) bound(query string) string {
	if !s.postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r == '?' {
			n++
			b.WriteString("$" + strconv.Itoa(n))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// change does what do does, or nothing where it fails.
func (s *Store) change(do func(tx tx) error) error { return s.named(s.within(nil, do)) }

// view lets do look at the store as it is at one moment. It waits for no one who writes.
func (s *Store) view(do func(tx tx) error) error { return s.named(s.within(s.reading(), do)) }

func (s *Store) reading() *sql.TxOptions {
	options := &sql.TxOptions{ReadOnly: true}
	if s.postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	return options
}

// inPlace is an error where the file of the store was removed or replaced: what is written then is lost.
func (s *Store) inPlace() error {
	if s.file == nil {
		return nil
	}
	if now, err := os.Stat(s.path); err != nil || !os.SameFile(now, s.file) {
		return errors.New("its file was removed or replaced meanwhile: end the sweep and run it again")
	}
	return nil
}

func (s *Store) within(options *sql.TxOptions, do func(tx tx) error) error {
	if err := s.inPlace(); err != nil {
		return err
	}
	began, err := s.db.BeginTx(context.Background(), options)
	if err != nil {
		return err
	}
	defer began.Rollback()
	if err := do(tx{s, began}); err != nil {
		return err
	}
	return began.Commit()
}

// tx is a transaction.
type tx struct {
	store *Store
	*sql.Tx
}

func (t tx) exec(query string, args ...any) error {
	_, err := t.Tx.Exec(t.store.bound(query), args...)
	return err
}

func (t tx) count(query string, args ...any) (int64, error) {
	result, err := t.Tx.Exec(t.store.bound(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t tx) rows(query string, args ...any) (*sql.Rows, error) {
	return t.Tx.Query(t.store.bound(query), args...)
}

// Names are the names of the sweeps in the store.
func (s *Store) Names() ([]string, error) {
	rows, err := s.db.Query("SELECT name FROM sweeps ORDER BY began, name")
	if err != nil {
		return nil, s.named(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, s.named(err)
		}
		names = append(names, name)
	}
	return names, s.named(rows.Err())
}

// Lock says that this process runs a sweep, until unlock. It is an error where another one does.
func (s *Store) Lock(name, runner string) (func(), error) {
	var unlock func()
	if s.postgres {
		conn, err := s.db.Conn(context.Background())
		if err != nil {
			return nil, s.named(err)
		}
		var got bool
		err = conn.QueryRowContext(context.Background(), "SELECT pg_try_advisory_lock($1, hashtext($2))",
			applicationID, name).Scan(&got)
		if err == nil && !got {
			err = s.runBy(name)
		}
		if err != nil {
			conn.Close()
			return nil, s.named(err)
		}
		unlock = func() {
			conn.ExecContext(context.Background(), "SELECT pg_advisory_unlock($1, hashtext($2))", applicationID, name)
			conn.Close()
		}
	} else {
		file, err := os.OpenFile(s.where+"."+name+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, s.named(err)
		}
		if err := lockFile(file); err != nil {
			file.Close()
			return nil, s.named(s.runBy(name))
		}
		unlock = func() { file.Close() } // the file stays: another process may be about to lock it
	}
	if err := s.Beat(name, runner, ""); err != nil {
		unlock()
		return nil, err
	}
	return func() { s.Beat(name, "", ""); unlock() }, nil
}

func (s *Store) runBy(name string) error {
	var runner, beat string
	s.db.QueryRow(s.bound("SELECT runner, beat FROM sweeps WHERE name = ?"), name).Scan(&runner, &beat)
	if runner == "" {
		runner = "another process"
	}
	return fmt.Errorf("the sweep %s is being run by %s: end that one first, or give this one another name", name, runner)
}

// Beat says that a runner is at work, an empty one that no one is, and how long it thinks that it takes yet.
func (s *Store) Beat(name, runner, remaining string) error {
	return s.change(func(t tx) error {
		return t.exec("UPDATE sweeps SET runner = ?, beat = "+s.clock()+", remaining = ? WHERE name = ?", runner, remaining,
			name)
	})
}

// lifeless is after what silence a runner is taken for dead. It says every second that it is at work.
const lifeless = time.Minute

// Running is who runs a sweep, empty when no one does or when that one was killed more than a minute ago, and how long
// it takes yet, in words.
func (s *Store) Running(name string) (runner, remaining string, err error) {
	var beat, clock string
	err = s.db.QueryRow(s.bound("SELECT runner, remaining, beat, "+s.clock()+" FROM sweeps WHERE name = ?"), name).Scan(
		&runner, &remaining, &beat, &clock)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", s.named(noSweep(name))
	}
	if err != nil {
		return "", "", s.named(err)
	}
	last, unclear := time.Parse(time.RFC3339, beat)
	today, alike := time.Parse(time.RFC3339, clock)
	if unclear != nil || alike != nil || today.Sub(last) > lifeless {
		return "", "", nil
	}
	return runner, remaining, nil
}

// clock is the time in SQL: the database's, since clocks of machines differ. One that jumps ahead makes a runner look
// dead until it says again that it is there.
func (s *Store) clock() string {
	if s.postgres {
		return `to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`
	}
	return `strftime('%Y-%m-%dT%H:%M:%SZ', 'now')`
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// Add adds to a sweep what a plan has beside what the sweep has, or makes the sweep. pictures are those of the plan's
// data: [Plan.Resolve]. It is an error, and nothing is added, where a model, data or a condition of one name was
// something else before.
func (s *Store) Add(name string, p Plan, pictures map[string]Pictures) error {
	if err := CheckSweepName(name); err != nil {
		return err
	}
	return s.change(func(t tx) error {
		var relabelled []string
		err := t.exec("INSERT INTO sweeps VALUES (?, ?, ?, '', '', '') ON CONFLICT DO NOTHING", name, newID(), now())
		if err != nil {
			return err
		}
		if err := t.alone(name); err != nil {
			return err
		}
		has, _, err := t.plan(name)
		if err != nil {
			return err
		}
		place := len(has.Models) + len(has.Data) + len(has.Conditions) + len(has.Methods)
		models := byName(has.Models, func(m Model) string { return m.Name })
		for _, m := range p.Models {
			if was, there := models[m.Name]; there && was.Identity != m.Identity {
				return fmt.Errorf("the sweep %s has another model %s, with other files or settings: give this one another "+
					"name, or forget that one (--forget-model)", name, m.Name)
			}
			if err := t.put("sweep_models", name, &place, m.Name, m, m.Files); err != nil {
				return err
			}
		}
		data := byName(has.Data, func(d Data) string { return d.Name })
		for _, d := range p.Data {
			if was, there := data[d.Name]; there && was.Identity != d.Identity {
				return fmt.Errorf("the sweep %s has other data %s, with other pictures: give these another name, or forget "+
					"those (--forget-data)", name, d.Name)
			}
			if _, there := data[d.Name]; there {
				if err := t.sameClasses(name, d.Name, has, pictures[d.Name].Classes); err != nil {
					return err
				}
			}
			if err := t.put("sweep_data", name, &place, d.Name, d, d.Files); err != nil {
				return err
			}
			text, err := json.Marshal(pictures[d.Name])
			if err != nil {
				return err
			}
			n, err := t.count("UPDATE sweep_data SET pictures = ?, version = ? WHERE sweep = ? AND name = ? AND "+
				"pictures <> ?", string(text), newID(), name, d.Name, string(text))
			if err != nil {
				return err
			}
			if n > 0 {
				relabelled = append(relabelled, d.Name)
			}
		}
		conditions := byName(has.Conditions, func(c Condition) string { return c.Name })
		for _, c := range p.Conditions {
			if was, there := conditions[c.Name]; there && was != c {
				return fmt.Errorf("the sweep %s has another condition %s: give this one another name, or forget that one "+
					"(--forget-condition)", name, c.Name)
			}
			if err := t.put("sweep_conditions", name, &place, c.Name, c, nil); err != nil {
				return err
			}
		}
		for _, m := range p.Methods {
			if err := t.exec("INSERT INTO sweep_methods VALUES (?, ?, ?) ON CONFLICT DO NOTHING", name, place, m); err != nil {
				return err
			}
			place++
		}
		for _, d := range relabelled {
			if err := t.remeasure(name, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// sameClasses is an error where data get other classes, and something is there that has the labels' old numbers: cells
// that are done, or corrections.
func (t tx) sameClasses(sweep, data string, has Plan, classes []string) error {
	was, err := t.pictures(sweep, data)
	if err != nil || slices.Equal(was.Classes, classes) {
		return err
	}
	var corrected string
	err = t.Tx.QueryRow(t.store.bound("SELECT corrected FROM sweep_data WHERE sweep = ? AND name = ?"), sweep,
		data).Scan(&corrected)
	if err != nil {
		return err
	}
	done, err := t.done(sweep)
	if err != nil {
		return err
	}
	numbered := corrected != "{}"
	for k := range done {
		numbered = numbered || slices.ContainsFunc(has.Conditions, func(c Condition) bool {
			return c.Name == k.Condition && c.Data == data
		})
	}
	if !numbered {
		return nil
	}
	return fmt.Errorf("the labels of the data %s are of other classes than before: give these another name, or forget "+
		"those (--forget-data); --correct takes single labels", data)
}

// alone lets no one else change what a sweep has until the transaction ends. It is an error where there is none.
func (t tx) alone(sweep string) error { return t.hold(sweep, "UPDATE") }

// together keeps the models and conditions of a sweep as they are until the transaction ends.
func (t tx) together(sweep string) error { return t.hold(sweep, "KEY SHARE") }

func (t tx) hold(sweep, how string) error {
	query := "SELECT id FROM sweeps WHERE name = ?"
	if t.store.postgres { // in SQLite one at a time writes
		query += " FOR " + how
	}
	var id string
	err := t.Tx.QueryRow(t.store.bound(query), sweep).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return noSweep(sweep)
	}
	return err
}

func noSweep(name string) error { return fmt.Errorf("it has no sweep %q", name) }

// put puts a part of a plan into its table, or its newest form.
func (t tx) put(table, sweep string, place *int, name string, spec any, files []File) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	list, err := json.Marshal(files)
	if err != nil {
		return err
	}
	columns, values, update := "sweep, place, name, spec", "?, ?, ?, ?", "spec = excluded.spec"
	args := []any{sweep, *place, name, string(text)}
	if table != "sweep_conditions" {
		columns, values, update = columns+", files", values+", ?", update+", files = excluded.files"
		args = append(args, string(list))
	}
	if table == "sweep_data" {
		columns, values = columns+", pictures, corrected, version", values+", '{}', '{}', ''"
	}
	*place++
	return t.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (sweep, name) DO UPDATE SET %s", table,
		columns, values, update), args...)
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// Plan is a sweep's plan, and an ID that tells the sweep from another one of that name.
func (s *Store) Plan(name string) (p Plan, id string, err error) {
	err = s.view(func(t tx) error {
		p, id, err = t.plan(name)
		return err
	})
	return p, id, err
}

func (t tx) plan(name string) (p Plan, id string, err error) {
	err = t.Tx.QueryRow(t.store.bound("SELECT id FROM sweeps WHERE name = ?"), name).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, "", noSweep(name)
	}
	if err == nil {
		err = read(t, "sweep_models", "files", name, &p.Models, func(m *Model) any { return &m.Files })
	}
	if err == nil {
		err = read(t, "sweep_data", "files", name, &p.Data, func(d *Data) any { return &d.Files })
	}
	if err == nil {
		p.Conditions, err = t.conditions(name)
	}
	if err != nil {
		return p, "", err
	}
	p.Methods, err = t.names("sweep_methods", name)
	return p, id, err
}

// names are those that a table has of a sweep.
func (t tx) names(table, sweep string) (all []string, err error) {
	rows, err := t.rows("SELECT name FROM "+table+" WHERE sweep = ? ORDER BY place", sweep)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

func (t tx) conditions(sweep string) (all []Condition, err error) {
	return all, read(t, "sweep_conditions", "'null'", sweep, &all, func(*Condition) any { return new(any) })
}

// read reads what a table has of a sweep; files says where a part's own go.
func read[T any](t tx, table, column, sweep string, into *[]T, files func(*T) any) error {
	rows, err := t.rows("SELECT spec, "+column+" FROM "+table+" WHERE sweep = ? ORDER BY place", sweep)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text, list string
		if err := rows.Scan(&text, &list); err != nil {
			return err
		}
		var one T
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
		if err := json.Unmarshal([]byte(list), files(&one)); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
		*into = append(*into, one)
	}
	return rows.Err()
}

// labelsOf are the labels of data as they count now. No one changes them until the transaction ends.
func (t tx) labelsOf(sweep, data string) ([]int, error) {
	lock := ""
	if t.store.postgres {
		lock = " FOR SHARE"
	}
	var version string
	err := t.Tx.QueryRow(t.store.bound("SELECT version FROM sweep_data WHERE sweep = ? AND name = ?"+lock), sweep,
		data).Scan(&version)
	if err != nil {
		return nil, err
	}
	key := [2]string{sweep, data}
	t.store.lock.Lock()
	was, ok := t.store.labels[key]
	t.store.lock.Unlock()
	if ok && was.version == version {
		return was.of, nil
	}
	p, err := t.pictures(sweep, data)
	if err != nil {
		return nil, err
	}
	t.store.lock.Lock()
	t.store.labels[key] = labels{version, p.Labels}
	t.store.lock.Unlock()
	return p.Labels, nil
}

// pictures are those of data, with the labels as they count now.
func (t tx) pictures(sweep, data string) (p Pictures, err error) {
	var text, corrected string
	err = t.Tx.QueryRow(t.store.bound("SELECT pictures, corrected FROM sweep_data WHERE sweep = ? AND name = ?"), sweep,
		data).Scan(&text, &corrected)
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("the sweep %s has no data %q", sweep, data)
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, err
	}
	labels := map[string]int{}
	if err := json.Unmarshal([]byte(corrected), &labels); err != nil {
		return p, err
	}
	for i, name := range p.Names {
		if label, ok := labels[name]; ok {
			p.Labels[i] = label
		}
	}
	return p, nil
}

// Pictures are those of a sweep's data, with the labels as they count now.
func (s *Store) Pictures(sweep, data string) (p Pictures, err error) {
	err = s.view(func(t tx) error {
		p, err = t.pictures(sweep, data)
		return err
	})
	return p, err
}
