package jobs

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/sweep"
)

// roleVariable lets this test binary be a coordinator or a worker in a process of its own.
const roleVariable = "LOUPE_TEST_SWEEP_ROLE"

func TestMain(m *testing.M) {
	register()
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // it ends with the test that has started it, however that one ends
		io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := play(ctx, role, os.Getenv(partVariable)); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// register adds methods that cost nothing but time.
func register() {
	constant := func(wait time.Duration) sweep.Method {
		return sweep.Method{
			Run: func(t sweep.Trial) (map[string]*tensors.Tensor, error) {
				time.Sleep(wait)
				n := t.Images.Len()
				values := make([]float32, n)
				for i := range values {
					values[i] = float32(i)
				}
				return map[string]*tensors.Tensor{"number": tensors.FromFlatDataAndDimensions(values, n)}, nil
			},
			Measure: sweep.Means,
		}
	}
	for name, m := range map[string]sweep.Method{
		"nothing": constant(0), "slow": constant(30 * time.Millisecond), "crawling": constant(3 * time.Second),
		"steady": constant(300 * time.Millisecond),
		"panics": {Run: func(sweep.Trial) (map[string]*tensors.Tensor, error) { panic("no good") }, Measure: sweep.Means},
		"dies": {Run: func(sweep.Trial) (map[string]*tensors.Tensor, error) { os.Exit(7); return nil, nil },
			Measure: sweep.Means},
	} {
		if err := sweep.Register(name, m); err != nil {
			panic(err)
		}
	}
}

// setting is what the processes of a test share.
type setting struct {
	folder  string // of the server
	store   string
	address string // host:port that the server listens on
	lease   time.Duration
	tries   int
	version string
}

// part is what the process with a role does: the coordinator, or else a worker.
func (s setting) part(role string) part {
	if role == "coordinator" {
		return part{Store: s.store, Folder: s.folder, Listen: s.address, Lease: s.lease, Tries: s.tries, Version: s.version}
	}
	return part{At: Connection{URL: "tls://" + s.address, NKey: filepath.Join(s.folder, nkeyFile),
		CA: filepath.Join(s.folder, caFile), Wait: true}, Version: s.version, Cache: filepath.Join(s.folder, "cache"),
		Await: true}
}

// start starts a process with a role.
func start(t *testing.T, s setting, role string) *exec.Cmd {
	t.Helper()
	return s.launch(t, role, s.part(role))
}

// showLogs shows the ends of what the processes said, where the test has failed.
func showLogs(t *testing.T, s setting) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		logs, _ := filepath.Glob(filepath.Join(s.folder, "*.log"))
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s:\n%s", filepath.Base(log), text[max(len(text)-4000, 0):])
		}
	})
}

// newSetting makes a folder, and finds a port that is free.
func newSetting(t *testing.T) setting {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	folder := t.TempDir()
	s := setting{folder: folder, store: filepath.Join(folder, "sweep.db"), address: l.Addr().String(),
		lease: 2 * time.Second, tries: 1000, version: "test"}
	showLogs(t, s)
	return s
}

// pictures writes a folder of small pictures of seven classes.
func pictures(t *testing.T, of uint64, each int) string {
	t.Helper()
	folder := t.TempDir()
	r := rand.New(rand.NewPCG(of, 1))
	for class := range 7 {
		dir := filepath.Join(folder, fmt.Sprint(class))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range each {
			img := image.NewRGBA(image.Rect(0, 0, 17, 15))
			for p := range 17 * 15 {
				img.Set(p%17, p/17, color.RGBA{uint8(r.UintN(256)), uint8(36 * class), uint8(r.UintN(256)), 255})
			}
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
			if err == nil {
				err = errors.Join(png.Encode(f, img), f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return folder
}

// network copies a small network of seven classes.
func network(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile("../../model/testdata/autopad.onnx")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".onnx")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// grid is a plan of some models under a number of conditions, by methods.
func grid(t *testing.T, models, conditions int, methods ...string) sweep.Plan {
	t.Helper()
	p := sweep.Plan{Methods: methods}
	for i := range models {
		name := fmt.Sprintf("net%d", i)
		p.Models = append(p.Models, sweep.Model{Name: name, File: network(t, name), Normalisation: "none"})
	}
	for i := range 2 {
		p.Data = append(p.Data, sweep.Data{Name: fmt.Sprintf("data%d", i), Path: pictures(t, uint64(i), 3)})
	}
	corruptions := []string{"", "gaussian_noise", "brightness", "contrast", "shot_noise", "impulse_noise"}
	for i := range conditions {
		c := sweep.Condition{Data: fmt.Sprintf("data%d", i%2), Corruption: corruptions[i/2%len(corruptions)]}
		if c.Corruption != "" {
			c.Severity, c.Seed = 1+i/(2*len(corruptions))%5, uint64(i)
		}
		c.Name = fmt.Sprintf("condition %d", i)
		p.Conditions = append(p.Conditions, c)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p
}

// planned puts a plan into a store as the sweep test.
func planned(t *testing.T, store string, p sweep.Plan) {
	t.Helper()
	pictures, err := p.Resolve(sweep.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := sweep.OpenStore(store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Add("test", p, pictures); err != nil {
		t.Fatal(err)
	}
}

// alone computes all cells one after the other in this process, and returns what a store has of them then.
func alone(t *testing.T, p sweep.Plan) []string {
	t.Helper()
	where := filepath.Join(t.TempDir(), "alone.db")
	planned(t, where, p)
	s, err := sweep.OpenStore(where)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	computed(t, s, func(j sweep.Job, outcome []byte) {
		if _, err := s.Put("test", []sweep.Cell{{Key: j.Key, State: sweep.Done, Outcome: outcome}}); err != nil {
			t.Fatal(err)
		}
	})
	return rows(t, where)
}

// computed computes the cells of a store's plan in this process, and hands each out with what it gave.
func computed(t *testing.T, s *sweep.Store, each func(j sweep.Job, outcome []byte)) {
	t.Helper()
	plan, _, err := s.Plan("test")
	if err != nil {
		t.Fatal(err)
	}
	var runner sweep.Runner
	for j := range plan.Jobs() {
		seen, err := s.Pictures("test", j.Seen.Name)
		if err != nil {
			t.Fatal(err)
		}
		j.Labelled = seen.Labelled()
		outcome, err := runner.Run(j)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := outcome.Encode()
		if err != nil {
			t.Fatal(err)
		}
		each(j, raw)
	}
}

// cells are those of a store that have ended.
func cells(t *testing.T, store string) []sweep.Cell {
	t.Helper()
	s, err := sweep.OpenStore(store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Cells("test")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// rows are what a store has of the cells, without who computed them and when.
func rows(t *testing.T, store string) []string {
	t.Helper()
	var out []string
	for _, c := range cells(t, store) {
		out = append(out, fmt.Sprint(c.Key, " ", c.State, " ", c.Error, " ", c.Digest, " ", c.Measures))
	}
	return out
}

// same compares two tables row by row.
func same(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d cells, and one process has %d", len(got), len(want))
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("one process has %s", row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("there is also %s", row)
		}
	}
}

// ended waits for a process, and tells how it ended.
func ended(t *testing.T, cmd *exec.Cmd, within time.Duration) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(within):
		t.Fatalf("it has not ended after %v", within)
		return nil
	}
}

// said is all that a process has said.
func said(t *testing.T, s setting, role string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(s.folder, role+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}
