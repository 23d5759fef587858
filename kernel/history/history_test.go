package history

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func sources(s *Store) []string {
	var out []string
	for _, e := range s.Entries() {
		out = append(out, fmt.Sprintf("%d/%d %s", e.Session, e.Line, e.Source))
	}
	return out
}

func TestSessionsFollowEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "history.jsonl")
	for session, want := range []string{"[1/1 a := 1 1/2 b\nc]", "[1/1 a := 1 1/2 b\nc 2/1 a := 1 2/2 b\nc]"} {
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if s.Session() != session+1 {
			t.Errorf("session %d, want %d", s.Session(), session+1)
		}
		for i, source := range []string{"a := 1", "b\nc", "b\nc"} {
			if err := s.Add(i+1, source); err != nil {
				t.Fatal(err)
			}
		}
		if got := fmt.Sprint(sources(s)); got != want {
			t.Errorf("session %d: %s, want %s", session+1, got, want)
		}
	}
}

func TestSeveralWriteAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			s, err := Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 50 {
				if err := s.Add(j, fmt.Sprintf("cell %d of %d", j, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s, err := Open(path)
	if err != nil || len(s.Entries()) != 400 {
		t.Errorf("%d entries, %v, want 400", len(s.Entries()), err)
	}
}

func TestADamagedLineCostsThatLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	os.WriteFile(path, []byte("{\"session\":4,\"line\":1,\"source\":\"x\"}\nrubbish\n{\"session\":4,\"li"), 0o600)
	s, err := Open(path)
	if err != nil || len(s.Entries()) != 1 || s.Session() != 5 {
		t.Errorf("%v %v, session %d", sources(s), err, s.Session())
	}
}

func TestItDoesNotGrowWithoutEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*most + 1 {
		fmt.Fprintf(file, "{\"session\":1,\"line\":%d,\"source\":\"x%d\"}\n", i, i)
	}
	file.Close()
	s, err := Open(path)
	if err != nil || len(s.Entries()) != most {
		t.Fatalf("%d entries, %v", len(s.Entries()), err)
	}
	if s, err = Open(path); err != nil || len(s.Entries()) != most ||
		s.Entries()[most-1].Source != fmt.Sprintf("x%d", 2*most) {
		t.Errorf("%d entries, %v", len(s.Entries()), err)
	}
}

func TestAnUnusableFileIsSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	s, err := Open(filepath.Join(file, "h"))
	if err == nil {
		t.Error("no error")
	}
	if s.Add(1, "x") != nil || len(s.Entries()) != 1 {
		t.Error("the session's own history does not work")
	}
}

func TestPath(t *testing.T) {
	t.Setenv("LOUPE_HISTORY", "off")
	if p, err := Path(); p != "" || err != nil {
		t.Error(p, err)
	}
	t.Setenv("LOUPE_HISTORY", "")
	t.Setenv("XDG_DATA_HOME", "/data")
	if p, err := Path(); p != "/data/loupe/history.jsonl" || err != nil {
		t.Error(p, err)
	}
}
