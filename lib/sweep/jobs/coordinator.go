package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/sweep"
)

// Coordinator hands a sweep's missing cells out, and puts what comes back into the store.
type Coordinator struct {
	Store *sweep.Store
	Sweep string
	// Version is that of the program; workers of another one do not take part.
	Version string
	// Tries is how often a cell is tried before it is set aside; 0 means 3.
	Tries int
	// Lease is after what silence of its worker a cell goes to another one; 0 means 30 s.
	Lease time.Duration
	// Replicas is on how many servers of a cluster the streams are kept; 0 means 1.
	Replicas int
	// Within is the server, where it is one of this process: it is mended where a full disk has stopped it.
	Within *Server
	// Say hears of what a person should know; nil is silence.
	Say func(format string, args ...any)
	// Progress hears how many cells have ended, of how many; nil does not.
	Progress func(p Progress)
}

// Progress is how far a sweep is.
type Progress struct {
	Done, Failed, All int
	// Since is how many have ended since this coordinator began, in that time.
	Since   int
	Elapsed time.Duration
	Workers int
}

// Left is about how long it takes yet, in words; empty where that is not known.
func (p Progress) Left() string {
	left := p.All - p.Done - p.Failed
	if p.Since == 0 || left == 0 {
		return ""
	}
	// Elapsed comes from a clock that does not jump.
	return "about " + progress.Brief(time.Duration(float64(p.Elapsed)/float64(p.Since)*float64(left))) + " left"
}

// result is a cell that has come back, and the messages that brought it.
type result struct {
	cell     sweep.Cell
	messages []jetstream.Msg
}

// Run runs until all cells are done or set aside, or ctx ends. What has come back by then is in the store.
func (c Coordinator) Run(ctx context.Context, at Connection) error {
	if c.Tries == 0 {
		c.Tries = 3
	}
	if c.Lease == 0 {
		c.Lease = 30 * time.Second
	}
	if c.Lease < time.Second || c.Tries < 1 {
		return fmt.Errorf("jobs: a lease of %v and %d tries: at least 1s and 1", c.Lease, c.Tries)
	}
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	plan, id, err := c.Store.Plan(c.Sweep)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	me := fmt.Sprintf("process %d on %s", os.Getpid(), host)
	unlock, err := c.Store.Lock(c.Sweep, me)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.Store.Retry(c.Sweep); err != nil {
		return err
	}
	conn, within, err := at.dial(ctx, "loupe sweep "+c.Sweep, c.Say)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*inFlight),
		jetstream.WithPublishAsyncTimeout(10*time.Second))
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	q, err := openQueue(within, js, c.Sweep, id, c.Version, c.Lease, c.Tries, max(c.Replicas, 1))
	if err != nil {
		return err
	}
	r := &run{Coordinator: c, plan: plan, queue: q, id: id, me: me, began: time.Now(), keys: map[string]sweep.Key{},
		parts: map[string]map[string][]jetstream.Msg{}, ended: map[string]string{}, count: map[string]int{},
		workers: map[string]heard{}, notes: once{say: c.Say}}
	for j := range plan.Jobs() {
		r.keys[j.Token()] = j.Key
	}
	err = r.all(within)
	if ctx.Err() == nil && within.Err() != nil {
		return context.Cause(within)
	}
	return err
}

// run is a coordinator at work.
type run struct {
	Coordinator
	plan  sweep.Plan
	queue *queue
	id    string // of the sweep
	me    string
	began time.Time

	keys  map[string]sweep.Key                  // by the cells' tokens
	parts map[string]map[string][]jetstream.Msg // of results that are not whole yet, by cell and attempt
	ended map[string]string                     // states of cells by token
	count map[string]int                        // of cells by state
	since int

	notes   once // of workers
	lock    sync.Mutex
	workers map[string]heard
}

// heard is what a worker said last, and when.
type heard struct {
	workerState
	at time.Time
}

func (r *run) all(ctx context.Context) error {
	if err := r.readEnded(); err != nil {
		return err
	}
	manifests, labels, err := r.manifests()
	if err != nil {
		return err
	}
	files, err := openDepot(ctx, r.queue, manifests, labels, max(r.Replicas, 1))
	if err != nil {
		return err
	}
	conn := r.queue.js.Conn()
	needs, err := files.serve(ctx, conn)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	defer needs.Unsubscribe()
	states, err := conn.Subscribe(r.queue.worker(), func(m *nats.Msg) { r.hear(m.Data) })
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	defer states.Unsubscribe()
	keeper, err := r.queue.keeper(ctx)
	if err != nil {
		return err
	}
	// What came back while no one was here comes first, so that it is not handed out again.
	for r.left() > 0 {
		n, err := r.take(ctx, keeper, true)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	if r.Within != nil && r.Within.listened == "" {
		// The workers of an earlier run have ended with it, and what they were stopped at counts as no try of this one.
		if err := r.queue.forgetDeliveries(ctx); err != nil {
			return err
		}
	}
	if err := r.handOut(ctx); err != nil {
		return err
	}
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	quiet := 0
	for r.left() > 0 {
		n, err := r.take(ctx, keeper, false)
		if err != nil {
			return err
		}
		select {
		case <-beat.C:
			r.beat()
		default:
		}
		if n > 0 {
			quiet = 0
			continue
		}
		r.mend(ctx)
		// Jobs that the server has lost, with a disk or by somebody's hand, are handed out again.
		if quiet++; quiet%10 == 0 {
			idle, err := r.queue.idle(ctx)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				keeper, err = r.again(ctx, files)
				if err != nil && ctx.Err() == nil {
					r.Say("%v: trying again", err)
				}
				continue
			}
			if err == nil && idle && len(r.parts) == 0 {
				r.Say("the server has lost %s: handing them out again", plural.Of(r.left(), "cell"))
				if err := r.handOut(ctx); err != nil && ctx.Err() == nil {
					r.Say("%v", err)
				}
			}
		}
	}
	r.beat()
	r.Store.SetWorkers(r.Sweep, nil)
	if err := r.queue.remove(ctx); err != nil && ctx.Err() == nil {
		r.Say("all is done, and what is left of the sweep on the server stays there until it is run again: %v", err)
	}
	return nil
}

// probe stands in the place of a cell where a message only asks whether the stream takes it.
const probe = "probe"

// mend looks whether results can come in, and if not lets a server of this process begin anew with its streams.
func (r *run) mend(ctx context.Context) {
	if r.Within == nil {
		return
	}
	within, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	// A message that is no result is taken out again by the next look at what has come. A stream that could not be
	// written does not even answer.
	_, err := r.queue.js.Publish(within, r.queue.result(probe), nil)
	if err == nil || ctx.Err() != nil {
		return
	}
	look, done := context.WithTimeout(ctx, 8*time.Second)
	defer done()
	if _, there := r.queue.js.Stream(look, r.queue.resultStream()); errors.Is(there, jetstream.ErrStreamNotFound) {
		return // a stream that is lost is made anew elsewhere
	}
	r.Say("the server takes no results (%v): it begins anew", err)
	if err := r.Within.revive(); err != nil {
		r.Say("it does not begin: %v: trying again", err)
	}
}

// again makes a sweep's streams anew on a server that has lost them, as one that began on an empty disk has.
func (r *run) again(ctx context.Context, files *depot) (jetstream.Consumer, error) {
	r.Say("the server has lost the sweep: handing %s out again", plural.Of(r.left(), "cell"))
	replicas := max(r.Replicas, 1)
	q, err := openQueue(ctx, r.queue.js, r.Sweep, r.id, r.Version, r.Lease, r.Tries, replicas)
	if err != nil {
		return nil, err
	}
	if err := files.open(ctx, q, replicas); err != nil {
		return nil, err
	}
	keeper, err := q.keeper(ctx)
	if err != nil {
		return nil, err
	}
	r.queue, r.parts = q, map[string]map[string][]jetstream.Msg{}
	return keeper, r.handOut(ctx)
}

// readEnded takes from the store what is done.
func (r *run) readEnded() error {
	cells, err := r.Store.Cells(r.Sweep)
	if err != nil {
		return err
	}
	states := map[sweep.Key]string{}
	for _, c := range cells {
		states[c.Key] = c.State
	}
	for token, k := range r.keys {
		if state := states[k]; state != "" {
			r.note(token, state)
		}
	}
	return nil
}

func (r *run) left() int { return len(r.keys) - len(r.ended) }

func (r *run) manifests() (manifests map[string]manifest, labels map[string]sweep.Labelled, err error) {
	manifests, labels = map[string]manifest{}, map[string]sweep.Labelled{}
	for _, m := range r.plan.Models {
		manifests[m.Identity] = manifest{Files: m.Files}
	}
	for _, d := range r.plan.Data {
		pictures, err := r.Store.Pictures(r.Sweep, d.Name)
		if err != nil {
			return nil, nil, err
		}
		labels[d.Labelling] = pictures.Labelled()
		info, err := os.Stat(d.Path)
		manifests[d.Identity] = manifest{d.Files, err == nil && info.IsDir()}
	}
	return manifests, labels, nil
}

// handOut publishes all cells that have not ended.
func (r *run) handOut(ctx context.Context) error {
	var missing []sweep.Job
	models := map[string]bool{}
	for j := range r.plan.Jobs() {
		if token := j.Token(); r.ended[token] == "" {
			missing = append(missing, j)
			models[j.Of.Token()] = true
		}
	}
	// What is left of models that were forgotten would never end.
	for name := range r.queue.jobs.ConsumerNames(ctx).Name() {
		if !models[name] {
			if err := r.queue.jobs.Purge(ctx, jetstream.WithPurgeSubject(r.queue.subjects.jobs(name)+"*")); err != nil {
				return fmt.Errorf("jobs: %w", err)
			}
			if err := r.queue.jobs.DeleteConsumer(ctx, name); err != nil {
				return fmt.Errorf("jobs: %w", err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		if err := r.queue.consumer(ctx, name); err != nil {
			return err
		}
	}
	if err := r.queue.publish(ctx, missing, r.Say); err != nil {
		return err
	}
	r.queue.tellIdle()
	return nil
}

// atOnce is how many messages with results are taken at a time.
const atOnce = 256

// take puts results that have come into the store, and returns how many messages brought them. It waits a second for
// some, or not where now says so.
func (r *run) take(ctx context.Context, keeper jetstream.Consumer, now bool) (int, error) {
	var batch jetstream.MessageBatch
	var err error
	switch {
	case keeper == nil:
		err = jetstream.ErrConsumerNotFound
	case now:
		batch, err = keeper.FetchNoWait(atOnce)
	default:
		batch, err = r.some(keeper)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil { // the server is away, of which the connection tells
		sleep(ctx, 500*time.Millisecond)
		return 0, nil
	}
	n := 0
	var whole []result
	for m := range batch.Messages() {
		if m.Subject() == r.queue.result(probe) {
			m.Ack()
			continue
		}
		n++
		if one, ok := r.join(m); ok {
			whole = append(whole, one)
		}
	}
	if len(whole) == 0 {
		return n, nil
	}
	cells := make([]sweep.Cell, len(whole))
	for i, one := range whole {
		cells[i] = one.cell
	}
	differs, err := r.Store.Put(r.Sweep, cells)
	if err != nil {
		// The messages come again.
		r.Say("%v: trying again", err)
		for _, one := range whole {
			for _, m := range one.messages {
				m.NakWithDelay(2 * time.Second)
			}
		}
		sleep(ctx, time.Second)
		return n, ctx.Err()
	}
	for _, k := range differs {
		r.Say("%s was computed twice and came out differently: the first one stays", k)
	}
	for _, one := range whole {
		r.end(one)
	}
	return n, nil
}

// some waits for a message and takes with it what else is there.
func (r *run) some(keeper jetstream.Consumer) (jetstream.MessageBatch, error) {
	return keeper.Fetch(atOnce, jetstream.FetchMaxWait(time.Second), jetstream.FetchHeartbeat(400*time.Millisecond))
}

// join returns a result when its last part has come.
func (r *run) join(m jetstream.Msg) (one result, ok bool) {
	h := m.Headers()
	token, attempt := h.Get(tokenHeader), h.Get(attemptHeader)
	key, known := r.keys[token]
	part, err1 := strconv.Atoi(h.Get(partHeader))
	parts, err2 := strconv.Atoi(h.Get(partsHeader))
	seconds, err3 := strconv.ParseFloat(h.Get(secondsHeader), 64)
	tries, err4 := strconv.Atoi(h.Get(triesHeader))
	if err := errors.Join(err1, err2, err3, err4); !known || err != nil || part < 0 || part >= parts || parts > 1<<14 {
		m.Ack() // of a cell that was forgotten, or somebody else's
		return one, false
	}
	if state := r.ended[token]; state == sweep.Done {
		m.Ack()
		r.drop(token)
		return one, false
	}
	of := r.parts[token]
	if of == nil {
		of = map[string][]jetstream.Msg{}
		r.parts[token] = of
	}
	if of[attempt] == nil {
		of[attempt] = make([]jetstream.Msg, parts)
	}
	if len(of[attempt]) != parts {
		m.Ack()
		return one, false
	}
	of[attempt][part] = m // a message that comes again takes its own place
	if slices.Contains(of[attempt], nil) {
		return one, false
	}
	var body []byte
	for _, p := range of[attempt] {
		body = append(body, p.Data()...)
	}
	one = result{sweep.Cell{Key: key, State: h.Get(stateHeader), Tries: tries, Worker: h.Get(workerHeader),
		Seconds: seconds}, of[attempt]}
	delete(of, attempt)
	if one.cell.State == sweep.Done {
		one.cell.Outcome = body
	} else {
		// PostgreSQL's texts have no zero bytes.
		text := strings.ReplaceAll(strings.ToValidUTF8(string(body), "?"), "\x00", "?")
		one.cell.State, one.cell.Error = sweep.Failed, text
	}
	return one, true
}

// end notes that a cell has ended, and lets the server forget what brought it.
func (r *run) end(one result) {
	token := one.messages[0].Headers().Get(tokenHeader)
	for _, m := range one.messages {
		m.Ack()
	}
	state := one.cell.State
	if r.ended[token] == "" {
		r.since++
		if state == sweep.Failed {
			r.Say("set aside: %s: %s", one.cell.Key, one.cell.Error)
		}
	}
	r.note(token, state)
	if state == sweep.Done {
		r.drop(token)
	}
	if r.Progress != nil {
		r.Progress(r.progress())
	}
}

// note notes how a cell ended; one that is done stays so.
func (r *run) note(token, state string) {
	was := r.ended[token]
	if was == state || was == sweep.Done {
		return
	}
	if was != "" {
		r.count[was]--
	}
	r.ended[token] = state
	r.count[state]++
}

// drop lets the server forget parts of further attempts at a cell.
func (r *run) drop(token string) {
	for _, attempt := range r.parts[token] {
		for _, m := range attempt {
			if m != nil {
				m.Ack()
			}
		}
	}
	delete(r.parts, token)
}

func (r *run) progress() Progress {
	p := Progress{Done: r.count[sweep.Done], Failed: r.count[sweep.Failed], All: len(r.keys), Since: r.since,
		Elapsed: time.Since(r.began)}
	r.lock.Lock()
	p.Workers = len(r.workers)
	r.lock.Unlock()
	return p
}

// workerState is what a worker says of itself, every now and then.
type workerState struct {
	Worker string `json:"worker"`
	Doing  string `json:"doing"`
	Done   int    `json:"done"`
	Gone   bool   `json:"gone"`
	Note   string `json:"note"` // for a person, once
}

func (r *run) hear(raw []byte) {
	var s workerState
	if json.Unmarshal(raw, &s) != nil || s.Worker == "" {
		return
	}
	s.Worker, s.Doing, s.Note = inALine(s.Worker), inALine(s.Doing), inALine(s.Note)
	r.lock.Lock()
	defer r.lock.Unlock()
	if s.Gone {
		delete(r.workers, s.Worker)
	} else {
		r.workers[s.Worker] = heard{s, time.Now()}
	}
	if s.Note != "" {
		r.notes.tell("%s: %s", s.Worker, s.Note)
	}
}

// silent is after what silence a worker is taken for gone.
const silent = 15 * time.Second

// beat tells the store that this coordinator and its workers are there.
func (r *run) beat() {
	var states []sweep.WorkerState
	r.lock.Lock()
	for name, w := range r.workers {
		if time.Since(w.at) > silent {
			delete(r.workers, name)
			continue
		}
		states = append(states, sweep.WorkerState{Worker: name, Doing: w.Doing, Done: w.Done,
			Seen: w.at.UTC().Format(time.RFC3339)})
	}
	r.lock.Unlock()
	r.Store.Beat(r.Sweep, r.me, r.progress().Left()) // a store that cannot be written is told of where cells are put
	r.Store.SetWorkers(r.Sweep, states)
	if r.Progress != nil {
		r.Progress(r.progress())
	}
}

// inALine is what a worker said, as a terminal and a table may show it.
func inALine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text[:min(len(text), 2000)])
}
