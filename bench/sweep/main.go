// Command sweep times sweeps on JetStream: what handing out a cell costs beside computing it in one process, very many
// empty cells, and several workers beside one.
//
//	go run ./bench/sweep [-cells 100000] [-work 200]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/lib/sweep"
	"github.com/loupeml/loupe/lib/sweep/jobs"
)

const version = "bench"

func main() {
	register()
	if folder := os.Getenv("BENCH_SWEEP_WORKER"); folder != "" {
		work(folder)
		return
	}
	cells := flag.Int("cells", 100_000, "how many empty cells")
	busy := flag.Int("work", 200, "how many cells that take 20 ms of one core")
	net := flag.String("net", "lib/model/testdata/autopad.onnx", "a small network for pictures of 15 x 17")
	flag.Parse()
	if err := all(*net, *cells, *busy); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func register() {
	method := func(busy time.Duration) sweep.Method {
		return sweep.Method{Measure: sweep.Means, Run: func(t sweep.Trial) (map[string]*tensors.Tensor, error) {
			for began := cpu(); cpu()-began < busy; {
			}
			n := t.Images.Len()
			return map[string]*tensors.Tensor{"nothing": tensors.FromFlatDataAndDimensions(make([]float32, n), n)}, nil
		}}
	}
	err := errors.Join(sweep.Register("empty", method(0)), sweep.Register("busy", method(20*time.Millisecond)))
	if err != nil {
		panic(err)
	}
}

// cpu is how long this process has computed.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func work(folder string) {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		os.Stdin.Read(make([]byte, 1))
		stop()
	}()
	w := jobs.Worker{Name: fmt.Sprint(os.Getpid()), Version: version, Cache: folder}
	if err := w.Run(ctx, jobs.Connection{URL: os.Getenv("BENCH_SWEEP_URL")}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func all(net string, cells, busy int) error {
	fmt.Printf("%d cores\n", runtime.NumCPU())
	alone, err := inOneProcess(net, 10_000)
	if err != nil {
		return err
	}
	fmt.Printf("%d empty cells in one process, without a queue: %.2f ms each\n", 10_000, alone)
	for _, n := range []int{10_000, cells} {
		each, err := run(net, "empty", n, 1)
		if err != nil {
			return err
		}
		fmt.Printf("%d empty cells by one worker over JetStream: %.2f ms each, %.2f ms more than in one process\n", n, each,
			each-alone)
	}
	each, err := run(net, "empty", cells/4, 4)
	if err != nil {
		return err
	}
	fmt.Printf("%d empty cells by four workers: %.2f ms each\n", cells/4, each)
	var one float64
	for _, workers := range []int{1, 2, 4} {
		each, err := run(net, "busy", busy, workers)
		if err != nil {
			return err
		}
		if workers == 1 {
			one = each
		}
		fmt.Printf("%d cells of 20 ms by %d workers: %.1f ms each, %.2f times as fast as one worker\n", busy, workers, each,
			one/each)
	}
	return nil
}

// plan makes a grid of so many cells of one method, with ten models.
func plan(folder, net, method string, cells int) (sweep.Plan, error) {
	p := sweep.Plan{Methods: []string{method}}
	for i := range 10 {
		p.Models = append(p.Models, sweep.Model{Name: fmt.Sprintf("net%d", i), File: net, Normalisation: "none"})
	}
	for class := range 7 {
		dir := filepath.Join(folder, "pictures", fmt.Sprint(class))
		img := image.NewRGBA(image.Rect(0, 0, 17, 15))
		img.Set(class, 0, color.White)
		f, err := create(filepath.Join(dir, "a.png"))
		if err == nil {
			err = errors.Join(png.Encode(f, img), f.Close())
		}
		if err != nil {
			return p, err
		}
	}
	p.Data = []sweep.Data{{Name: "pictures", Path: filepath.Join(folder, "pictures")}}
	for i := range cells / 10 {
		p.Conditions = append(p.Conditions, sweep.Condition{Name: fmt.Sprintf("condition %d", i), Data: "pictures"})
	}
	return p, p.Check()
}

func create(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.Create(path)
}

// planned opens a store with a plan in it.
func planned(folder, net, method string, cells int) (*sweep.Store, error) {
	p, err := plan(folder, net, method, cells)
	if err != nil {
		return nil, err
	}
	pictures, err := p.Resolve(sweep.Plan{})
	if err != nil {
		return nil, err
	}
	store, err := sweep.OpenStore(filepath.Join(folder, "sweep.db"))
	if err != nil {
		return nil, err
	}
	return store, store.Add("bench", p, pictures)
}

// inOneProcess computes cells one after the other and puts each into the store, in milliseconds a cell.
func inOneProcess(net string, cells int) (float64, error) {
	folder, err := os.MkdirTemp("", "bench-sweep-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	store, err := planned(folder, net, "empty", cells)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	p, _, err := store.Plan("bench")
	if err != nil {
		return 0, err
	}
	seen, err := store.Pictures("bench", "pictures")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	var runner sweep.Runner
	for j := range p.Jobs() {
		j.Labelled = seen.Labelled()
		outcome, err := runner.Run(j)
		if err != nil {
			return 0, err
		}
		raw, err := outcome.Encode()
		if err != nil {
			return 0, err
		}
		if _, err := store.Put("bench", []sweep.Cell{{Key: j.Key, State: sweep.Done, Outcome: raw}}); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began).Milliseconds()) / float64(cells), nil
}

// run is a sweep with so many workers, each a process, in milliseconds a cell. The time until all workers are there
// does not count.
func run(net, method string, cells, workers int) (float64, error) {
	folder, err := os.MkdirTemp("", "bench-sweep-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	store, err := planned(folder, net, method, cells)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	server, err := jobs.StartServer(folder, jobs.Listen{})
	if err != nil {
		return 0, err
	}
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	for range workers {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "BENCH_SWEEP_WORKER="+folder, "BENCH_SWEEP_URL="+server.Connection().URL)
		cmd.Stderr = os.Stderr
		tie, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		defer cmd.Wait()
		defer tie.Close()
	}
	var first, last time.Time
	var before, after int
	c := jobs.Coordinator{Store: store, Sweep: "bench", Version: version, Progress: func(p jobs.Progress) {
		if p.Workers == workers && p.Done > workers && first.IsZero() {
			first, before = time.Now(), p.Done
		}
		last, after = time.Now(), p.Done
	}}
	if err := c.Run(context.Background(), server.Connection()); err != nil {
		return 0, err
	}
	if after-before < cells/2 {
		return 0, fmt.Errorf("of %d cells %d were done before all workers were there", cells, before)
	}
	return float64(last.Sub(first).Microseconds()) / 1000 / float64(after-before), nil
}
