// Package history keeps the cells that a person has run, in a file that the kernel and the prompt share and that
// several of them may write at once.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Entry is one cell.
type Entry struct {
	Session int       `json:"session"` // counts the starts of kernels and prompts, from 1
	Line    int       `json:"line"`    // the cell's number within it
	Source  string    `json:"source"`
	Time    time.Time `json:"time"`
}

// most is how many entries the file keeps; it may grow to twice as many before it is cut.
const most = 5000

// Store is the file. Its methods may be called from any goroutine.
type Store struct {
	path    string
	session int

	mu      sync.Mutex // guards entries
	entries []Entry    // of earlier sessions, as they were when this one began, and of this one
}

// Path returns where the history is: LOUPE_HISTORY, else loupe/history.jsonl in the user's data folder. It is empty
// where LOUPE_HISTORY is "off".
func Path() (string, error) {
	switch path := os.Getenv("LOUPE_HISTORY"); path {
	case "off":
		return "", nil
	case "":
	default:
		return path, nil
	}
	dir := os.Getenv("XDG_DATA_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("history: %w", err)
		}
		dir = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(dir, "loupe", "history.jsonl"), nil
}

// Open reads the history and begins a session. With an empty path nothing is written. When the file cannot be used the
// store still works, for this session only, and the error says why.
func Open(path string) (*Store, error) {
	s := &Store{session: 1}
	if path == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return s, fmt.Errorf("history: %w", err)
	}
	file, err := lock(path)
	if err != nil {
		return s, err
	}
	defer file.Close()
	s.path = path
	if s.entries, err = read(file); err != nil {
		return s, fmt.Errorf("history: %s: %w", path, err)
	}
	for _, e := range s.entries {
		s.session = max(s.session, e.Session+1)
	}
	if len(s.entries) > 2*most {
		s.entries = s.entries[len(s.entries)-most:]
		err = rewrite(file, s.entries)
	}
	return s, err
}

// Read returns the cells that a file keeps, oldest first.
func Read(path string) ([]Entry, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer file.Close()
	return read(file)
}

// Session is the number of the store's own session.
func (s *Store) Session() int { return s.session }

// Add appends a cell of this session. A cell that is the same as the one before is kept once.
func (s *Store) Add(line int, source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.entries); n > 0 && s.entries[n-1].Source == source && s.entries[n-1].Session == s.session {
		return nil
	}
	e := Entry{Session: s.session, Line: line, Source: source, Time: time.Now().UTC().Truncate(time.Second)}
	s.entries = append(s.entries, e)
	if s.path == "" {
		return nil
	}
	file, err := lock(s.path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if _, err = file.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// Entries returns all cells, oldest first.
func (s *Store) Entries() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Entry(nil), s.entries...)
}

// lock opens the file and locks it until it is closed.
func lock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil && !errors.Is(err, syscall.ENOTSUP) {
		file.Close()
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	return file, nil
}

// read returns the entries. Lines that are none, such as one whose writing was cut short, are left out.
func read(from io.Reader) ([]Entry, error) {
	var out []Entry
	reader := bufio.NewReader(from)
	for {
		line, err := reader.ReadString('\n')
		var e Entry
		if json.Unmarshal([]byte(line), &e) == nil && strings.TrimSpace(e.Source) != "" {
			out = append(out, e)
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
	}
}

func rewrite(file *os.File, entries []Entry) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	for _, e := range entries {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		w.Write(append(data, '\n'))
	}
	return w.Flush()
}
