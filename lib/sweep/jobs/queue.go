package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/loupeml/loupe/lib/sweep"
)

// protocol is one more with each change of what coordinators and workers say to one another.
const protocol = "1"

// What the stream of jobs says of itself.
const (
	idField       = "loupe-sweep"
	versionField  = "loupe-version"
	protocolField = "loupe-protocol"
	triesField    = "loupe-tries"
)

// subjects are the names of a sweep's streams and subjects on a server, which may have others.
type subjects struct{ sweep string }

const prefix = "loupe.sweep."

func (s subjects) jobStream() string          { return "loupe-sweep-" + s.sweep + "-jobs" }
func (s subjects) resultStream() string       { return "loupe-sweep-" + s.sweep + "-results" }
func (s subjects) files() string              { return "loupe-sweep-" + s.sweep + "-files" }
func (s subjects) job(j sweep.Job) string     { return s.jobs(j.Of.Token()) + j.Token() }
func (s subjects) jobs(model string) string   { return prefix + s.sweep + ".job." + model + "." }
func (s subjects) result(token string) string { return prefix + s.sweep + ".result." + token }
func (s subjects) worker() string             { return prefix + s.sweep + ".worker" }
func (s subjects) need() string               { return prefix + s.sweep + ".need" }

// news tells all idle workers that there is something to do.
const news = prefix + "news"

// sweepOf is the sweep that a stream of jobs is of.
func sweepOf(stream string) (name string, ok bool) {
	name, ok = strings.CutPrefix(stream, "loupe-sweep-")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(name, "-jobs")
}

// What the messages with results say in their headers.
const (
	tokenHeader   = "Loupe-Cell"
	stateHeader   = "Loupe-State"
	workerHeader  = "Loupe-Worker"
	secondsHeader = "Loupe-Seconds"
	triesHeader   = "Loupe-Tries"
	attemptHeader = "Loupe-Attempt" // the same for all parts of one result
	partHeader    = "Loupe-Part"    // from 0
	partsHeader   = "Loupe-Parts"
)

// queue are a sweep's streams, as the coordinator has them.
type queue struct {
	subjects
	js      jetstream.JetStream
	jobs    jetstream.Stream
	results jetstream.Stream
	lease   time.Duration
}

// openQueue makes the streams, or finds those that are there. It is an error where they are another sweep's.
func openQueue(ctx context.Context, js jetstream.JetStream, name, id, version string, lease time.Duration, tries,
	replicas int) (*queue, error) {
	q := &queue{subjects: subjects{name}, js: js, lease: lease}
	metadata := map[string]string{idField: id, versionField: version, protocolField: protocol,
		triesField: fmt.Sprint(tries)}
	if there, err := js.Stream(ctx, q.jobStream()); err == nil {
		if other := there.CachedInfo().Config.Metadata[idField]; other != id {
			return nil, fmt.Errorf("jobs: the server has another sweep %s, begun elsewhere: give this one another name, or "+
				"end that one", name)
		}
	} else if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, noJetStream(err)
	}
	var err error
	// A subject holds one message: a job that is published twice is there once, however long ago the first one was.
	q.jobs, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: q.jobStream(), Subjects: []string{q.subjects.
		jobs("*") + "*"}, Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		DiscardNewPerSubject: true, Storage: jetstream.FileStorage, Replicas: replicas, Metadata: metadata})
	if err != nil {
		return nil, noJetStream(err)
	}
	q.results, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: q.resultStream(), Subjects: []string{
		q.result("*")}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: replicas,
		Metadata: map[string]string{idField: id}})
	if err != nil {
		return nil, noJetStream(err)
	}
	return q, nil
}

// noJetStreamThere tells that a server hands out no jobs.
func noJetStreamThere(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}

func noJetStream(err error) error {
	if noJetStreamThere(err) {
		return fmt.Errorf("jobs: the server has no JetStream, or not for this account: start it with -js, or see its "+
			"administrator (%w)", err)
	}
	return fmt.Errorf("jobs: %w", err)
}

// keeper is the consumer of results.
func (q *queue) keeper(ctx context.Context) (jetstream.Consumer, error) {
	c, err := q.results.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: "keeper",
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: 1 << 16})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return c, nil
}

// consumer is that of a model's jobs.
func (q *queue) consumer(ctx context.Context, model string) error {
	_, err := q.jobs.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{Durable: model, FilterSubject: q.subjects.
		jobs(model) + "*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.lease, MaxDeliver: -1, MaxAckPending: -1,
		MaxWaiting: 8192})
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// forgetDeliveries takes all consumers away, and with them how often each cell was handed out.
func (q *queue) forgetDeliveries(ctx context.Context) error {
	names := q.jobs.ConsumerNames(ctx)
	for name := range names.Name() {
		if err := q.jobs.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}

// inFlight is how many jobs are published before the first one's answer is looked at.
const inFlight = 4096

// publish puts jobs into the stream, but those that lie there already. What the server does not answer for, since it
// went away meanwhile, is published again: that of a job which it has is refused.
func (q *queue) publish(ctx context.Context, all []sweep.Job, say func(format string, args ...any)) error {
	troubles := &once{say: say}
	for pause := 250 * time.Millisecond; len(all) > 0; pause = min(2*pause, 10*time.Second) {
		var again []sweep.Job
		for first := 0; first < len(all); first += inFlight {
			lost, err := q.publishSome(ctx, all[first:min(first+inFlight, len(all))])
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && !passes(err) {
				return fmt.Errorf("jobs: a cell cannot be handed out: %w", err)
			}
			again = append(again, lost...)
		}
		if all = again; len(all) > 0 {
			troubles.tell("the server does not take all cells: trying again")
			if !sleep(ctx, pause) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// passes tells errors of a server that is away, or chooses a leader.
func passes(err error) bool {
	return away(err) || errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, jetstream.ErrAsyncPublishTimeout) || errors.Is(err, nats.ErrConnectionClosed)
}

// publishSome publishes jobs at once, and returns those that the server does not have, and why.
func (q *queue) publishSome(ctx context.Context, some []sweep.Job) (lost []sweep.Job, why error) {
	type published struct {
		job sweep.Job
		jetstream.PubAckFuture
	}
	var pending []published
	for _, j := range some {
		raw, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		p, err := q.js.PublishMsgAsync(&nats.Msg{Subject: q.job(j), Data: raw})
		if err != nil {
			lost, why = append(lost, j), err
			continue
		}
		pending = append(pending, published{j, p})
	}
	for _, p := range pending {
		select {
		case <-p.Ok():
		case err := <-p.Err():
			if !isThere(err) {
				lost, why = append(lost, p.job), err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return lost, why
}

// tellIdle tells idle workers that there is something to do. One that does not hear it looks for itself.
func (q *queue) tellIdle() { q.js.Conn().Publish(news, []byte(q.sweep)) }

// isThere tells that a message was not taken since its subject holds one.
func isThere(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && strings.Contains(api.Description, "maximum messages per subject exceeded")
}

// idle tells that no job and no result is left on the server.
func (q *queue) idle(ctx context.Context) (bool, error) {
	for _, s := range []jetstream.Stream{q.jobs, q.results} {
		info, err := s.Info(ctx)
		if err != nil {
			return false, err
		}
		if info.State.Msgs > 0 {
			return false, nil
		}
	}
	return true, nil
}

// remove takes the streams and the files off the server.
func (q *queue) remove(ctx context.Context) error {
	for _, name := range []string{q.jobStream(), q.resultStream()} {
		if err := q.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("jobs: %w", err)
		}
	}
	if err := q.js.DeleteObjectStore(ctx, q.files()); err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
		return fmt.Errorf("jobs: %w", err)
	}
	return nil
}
