package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/sweep"
)

// Worker computes cells of the sweeps on a server.
type Worker struct {
	// Name tells it from others; empty is made of the machine's name and the process's number.
	Name string
	// Sweep restricts it to the sweep of that name; empty takes part in all.
	Sweep string
	// Version is that of the program: sweeps of another one are left alone.
	Version string
	// Cache is the folder that models and data go to that are not on this machine.
	Cache string
	// Keep is how many models stay loaded; 0 means 2.
	Keep int
	// Say hears of what a person should know; nil is silence.
	Say func(format string, args ...any)
}

// running tells that there is a worker in this process.
var running atomic.Bool

// worker is a Worker at work.
type worker struct {
	Worker
	js       jetstream.JetStream
	runner   sweep.Runner
	fetchers map[string]*fetcher
	skipped  map[string]bool              // sweeps of another version, that were told of
	metadata map[string]map[string]string // what the streams of sweeps say of themselves
	done     int
	last     task // where the last cell came from
}

// task is a consumer of jobs: those of a model of a sweep.
type task struct{ sweep, model string }

// Run computes cells until ctx ends. The one under way then goes back. What ends computing is of a whole process, so a
// process has one worker at a time.
func (w Worker) Run(ctx context.Context, at Connection) error {
	if !running.CompareAndSwap(false, true) {
		return errors.New("jobs: this process has a worker already: start another process for another one")
	}
	defer running.Store(false)
	if w.Say == nil {
		w.Say = func(string, ...any) {}
	}
	if w.Name == "" {
		host, _ := os.Hostname()
		w.Name = fmt.Sprintf("%s-%d", host, os.Getpid())
	}
	if err := checkWorkerName(w.Name); err != nil {
		return err
	}
	conn, run, err := at.dial(ctx, "loupe worker "+w.Name, w.Say)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was stopped while it waited for a server
		}
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	k := &worker{Worker: w, js: js, fetchers: map[string]*fetcher{}, skipped: map[string]bool{},
		metadata: map[string]map[string]string{}}
	k.runner = sweep.Runner{Keep: w.Keep}
	w.Say("the worker %s is at %s", w.Name, redacted(at.URL))
	err = k.all(run, conn)
	if err == nil && ctx.Err() == nil {
		return context.Cause(run)
	}
	return err
}

// checkWorkerName refuses what cannot stand in a line.
func checkWorkerName(name string) error {
	if len(name) > 200 || strings.IndexFunc(name, unicode.IsControl) >= 0 || !utf8.ValidString(name) {
		return fmt.Errorf("jobs: a worker cannot be called %.60q: a name has up to 200 bytes in a line", name)
	}
	return nil
}

func (w *worker) all(ctx context.Context, conn *nats.Conn) error {
	wake := make(chan struct{}, 1)
	sub, err := conn.Subscribe(news, func(*nats.Msg) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	defer sub.Unsubscribe()
	pause, troubles := 100*time.Millisecond, &once{say: w.Say}
	for ctx.Err() == nil {
		worked, err := w.next(ctx)
		if errors.Is(err, errOtherVersion) {
			return err
		}
		switch {
		case ctx.Err() != nil:
		case err == nil:
			troubles.forget()
		case noJetStreamThere(err) && conn.IsConnected():
			troubles.tell("the server has no JetStream for this account, or not yet: waiting for it")
		case !away(err):
			troubles.tell("%v: trying again", err)
		}
		if worked {
			pause = 100 * time.Millisecond
			continue
		}
		select {
		case <-ctx.Done():
		case <-wake:
			// A thousand workers that wake at once ask one after the other.
			sleep(ctx, time.Duration(rand.Int64N(int64(50*time.Millisecond))))
		case <-time.After(pause/2 + time.Duration(rand.Int64N(int64(pause)))):
			pause = min(2*pause, 4*time.Second)
		}
	}
	if w.last.sweep != "" {
		w.tell(w.last.sweep, workerState{Worker: w.Name, Done: w.done, Gone: true})
		conn.FlushTimeout(time.Second)
	}
	return nil
}

// away tells errors of a server that is out of reach, of which the connection tells itself.
func away(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || errors.Is(err, nats.ErrDisconnected)
}

// next computes a cell, if there is one: of the model that the last one was of, or else of one that is loaded, or else
// of the one that the fewest workers are at.
func (w *worker) next(ctx context.Context) (worked bool, err error) {
	if w.last.sweep != "" {
		if worked, err := w.from(ctx, w.last); worked {
			return true, err
		}
	}
	tasks, err := w.tasks(ctx)
	if err != nil {
		return false, err
	}
	for _, t := range tasks {
		if worked, err = w.from(ctx, t); worked {
			return true, err
		}
	}
	return false, err
}

// errOtherVersion says that the one sweep that a worker is for was planned by another version.
var errOtherVersion = errors.New("jobs: the versions differ")

// tasks are those that have cells, the best first.
func (w *worker) tasks(ctx context.Context) ([]task, error) {
	type choice struct {
		task
		loaded        bool
		busy, waiting int
	}
	var all []choice
	streams := w.js.StreamNames(ctx, jetstream.WithStreamListSubject(prefix+"*.job.>"))
	for stream := range streams.Name() {
		name, ok := sweepOf(stream)
		if !ok || w.Sweep != "" && name != w.Sweep {
			continue
		}
		s, err := w.js.Stream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		w.metadata[name] = s.CachedInfo().Config.Metadata
		if ok, err := w.takesPart(name, w.metadata[name]); !ok {
			if err != nil {
				return nil, err
			}
			continue
		}
		list := s.ListConsumers(ctx)
		for info := range list.Info() {
			if int(info.NumPending)+info.NumAckPending > 0 {
				all = append(all, choice{task{name, info.Name}, w.runner.Has(info.Name), info.NumAckPending,
					int(info.NumPending)})
			}
		}
		if err := list.Err(); err != nil {
			return nil, err
		}
	}
	if err := streams.Err(); err != nil {
		return nil, err
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b choice) int {
		first := func(is bool) int {
			if is {
				return 0
			}
			return 1
		}
		return cmp.Or(
			first(a.waiting > 0)-first(b.waiting > 0), // the others are at work elsewhere, unless a worker has died
			first(a.loaded)-first(b.loaded),
			cmp.Compare(a.busy, b.busy),
			cmp.Compare(b.waiting, a.waiting),
		)
	})
	tasks := make([]task, len(all))
	for i, c := range all {
		tasks[i] = c.task
	}
	return tasks, nil
}

// takesPart tells whether this worker understands a sweep.
func (w *worker) takesPart(name string, metadata map[string]string) (bool, error) {
	if metadata[protocolField] == protocol && metadata[versionField] == w.Version {
		return true, nil
	}
	text := fmt.Sprintf("the sweep %s was planned by loupe %s (protocol %s), and this worker is loupe %s (%s): install "+
		"the same here", name, metadata[versionField], metadata[protocolField], w.Version, protocol)
	if w.Sweep != "" {
		return false, fmt.Errorf("%w: %s", errOtherVersion, text)
	}
	if !w.skipped[name] {
		w.skipped[name] = true
		w.Say("%s", text)
	}
	// A coordinator that has come meanwhile did not hear it.
	w.tell(name, workerState{Worker: w.Name, Gone: true, Note: text})
	return false, nil
}

// from computes a cell of a task, if there is one.
func (w *worker) from(ctx context.Context, t task) (worked bool, err error) {
	c, err := w.js.Consumer(ctx, subjects{t.sweep}.jobStream(), t.model)
	if err != nil {
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			err = nil // the model, or the sweep, is done
		}
		return false, err
	}
	batch, err := c.FetchNoWait(1)
	if err != nil {
		return false, err
	}
	for m := range batch.Messages() {
		w.last = t
		return true, w.work(ctx, t, m, c.CachedInfo().Config.AckWait)
	}
	return false, batch.Error()
}

// work computes a cell and sends what it gave. Where it fails it goes back, or is set aside after as many tries as the
// sweep says.
func (w *worker) work(ctx context.Context, t task, m jetstream.Msg, lease time.Duration) error {
	about, err := m.Metadata()
	if err != nil {
		return err
	}
	var j sweep.Job
	if err := json.Unmarshal(m.Data(), &j); err != nil {
		w.Say("a cell of %s makes no sense: %v", t.sweep, err)
		return m.TermWithReason("it makes no sense")
	}
	// As long as the cell is computed, it does not go to another worker.
	alive, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for sleep(alive, lease/4) {
			m.InProgress()
		}
	}()
	tries, err := strconv.Atoi(w.metadata[t.sweep][triesField])
	if err != nil || tries < 1 {
		return fmt.Errorf("jobs: the sweep %s says nothing of how often a cell is tried", t.sweep)
	}
	go w.telling(alive, t.sweep, workerState{Worker: w.Name, Doing: j.Key.String(), Done: w.done})
	tried := int(about.NumDelivered)
	began := time.Now()
	var outcome []byte
	if tried > tries {
		err = fmt.Errorf("its worker fell silent %d times: it was stopped, or the cell takes more memory than there is, or ends "+
			"the process", tries)
	} else {
		outcome, err = w.compute(ctx, t, j)
	}
	if ctx.Err() != nil {
		return m.Nak()
	}
	state := sweep.Done
	if err != nil {
		text := inALine(strings.TrimPrefix(err.Error(), "sweep: "))
		if tried < tries {
			pause := min(time.Second<<min(tried-1, 5), 30*time.Second)
			w.tell(t.sweep, workerState{Worker: w.Name, Done: w.done, Note: fmt.Sprintf("%s, try %d of %d: %s", j.Key, tried,
				tries, text)})
			return m.NakWithDelay(pause)
		}
		state, outcome = sweep.Failed, []byte(text)
	}
	if err := w.send(ctx, t, j, state, outcome, time.Since(began), min(tried, tries)); err != nil {
		return err
	}
	w.done++
	// The result is safe: a cell that comes again now is computed twice and counted once.
	return m.Ack()
}

// compute computes a cell. What panics is an error of that cell.
func (w *worker) compute(ctx context.Context, t task, j sweep.Job) (encoded []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Say("%s: %v\n%s", j.Key, p, debug.Stack())
			err = fmt.Errorf("it panicked: %v", p)
		}
	}()
	defer interrupt.Use(ctx)()
	f := w.fetchers[t.sweep]
	if f == nil {
		f = &fetcher{subjects: subjects{t.sweep}, js: w.js, cache: filepath.Join(w.Cache, "sweeps"), say: w.Say,
			listed: map[string]manifest{}, found: map[string]sweep.Local{},
			labels: map[string]sweep.Labelled{}}
		w.fetchers[t.sweep] = f
	}
	w.runner.Local = func(identity, path string) (sweep.Local, error) { return f.local(ctx, identity, path) }
	if j.Labelled, err = f.labelled(ctx, j.Seen.Labelling); err != nil {
		return nil, err
	}
	outcome, err := w.runner.Run(j)
	if err != nil {
		return nil, err
	}
	return outcome.Encode()
}

// send sends what a cell gave, in as many messages as it takes, until the server has it.
func (w *worker) send(ctx context.Context, t task, j sweep.Job, state string, body []byte, took time.Duration,
	tries int) error {
	size := int(w.js.Conn().MaxPayload()) - 4096 // less the headers
	if size < 1024 {
		size = 1024
	}
	parts := max((len(body)+size-1)/size, 1)
	attempt := nats.NewInbox()
	for part := range parts {
		m := nats.NewMsg(subjects{t.sweep}.result(j.Token()))
		m.Data = body[part*size : min((part+1)*size, len(body))]
		for key, value := range map[string]string{tokenHeader: j.Token(), stateHeader: state, workerHeader: w.Name,
			secondsHeader: strconv.FormatFloat(took.Seconds(), 'g', 6, 64), triesHeader: strconv.Itoa(tries),
			attemptHeader: attempt, partHeader: strconv.Itoa(part), partsHeader: strconv.Itoa(parts)} {
			m.Header.Set(key, value)
		}
		said := false
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			within, cancel := context.WithTimeout(ctx, 5*time.Second)
			_, err := w.js.PublishMsg(within, m, jetstream.WithMsgID(attempt+"/"+strconv.Itoa(part)))
			cancel()
			if err == nil {
				break
			}
			if _, gone := w.js.Stream(ctx, subjects{t.sweep}.resultStream()); errors.Is(gone, jetstream.ErrStreamNotFound) {
				// The sweep has ended, or its server has lost it and whoever coordinates it makes it anew.
				if said {
					return fmt.Errorf("jobs: the sweep %s is no longer on the server: %s is dropped", t.sweep, j.Key)
				}
			}
			if !said && !away(err) {
				w.Say("the result of %s cannot be sent: %v: trying again", j.Key, err)
			}
			said = true
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// telling says what the worker does, every other second.
func (w *worker) telling(ctx context.Context, name string, state workerState) {
	for {
		w.tell(name, state)
		if !sleep(ctx, 2*time.Second) {
			return
		}
	}
}

func (w *worker) tell(name string, state workerState) {
	if raw, err := json.Marshal(state); err == nil {
		w.js.Conn().Publish(subjects{name}.worker(), raw)
	}
}
