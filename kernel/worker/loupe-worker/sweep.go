package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/loupeml/loupe/internal/plural"
	"github.com/loupeml/loupe/internal/sweeping"
	"github.com/loupeml/loupe/internal/version"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/interrupt"
	"github.com/loupeml/loupe/lib/mime"
	"github.com/loupeml/loupe/lib/perturb"
	"github.com/loupeml/loupe/lib/progress"
	"github.com/loupeml/loupe/lib/sweep"
	"github.com/loupeml/loupe/lib/sweep/jobs"
)

// said is an error without the name of the package that it comes from.
func said(err error) string {
	text := err.Error()
	for _, name := range []string{"sweep: ", "jobs: ", "perturb: ", "shift: "} {
		text = strings.TrimPrefix(text, name)
	}
	return text
}

// stoppable is done at the first Ctrl-C, in order; at the second one the process ends at once.
func stoppable() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// runSweep does what `loupe sweep` asks for, and returns the exit status.
func runSweep(request string) int {
	var ask sweeping.Sweep
	if err := json.Unmarshal([]byte(request), &ask); err != nil {
		fmt.Fprintln(os.Stderr, "loupe:", err)
		return sweeping.Failed
	}
	ctx, stop := stoppable()
	defer stop()
	defer interrupt.Use(ctx)()
	status, err := doSweep(ctx, ask)
	if ctx.Err() != nil {
		if status == sweeping.Stopped {
			fmt.Fprintf(os.Stderr, "loupe: stopped: what is done is kept, and `loupe sweep %s` goes on\n", ask.Name)
		}
		return sweeping.Stopped
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loupe:", said(err))
		return sweeping.Failed
	}
	return status
}

func doSweep(ctx context.Context, ask sweeping.Sweep) (status int, err error) {
	if ask.List {
		return sweeping.Good, listSweeps(ask.Store)
	}
	if err := sweep.CheckSweepName(ask.Name); err != nil {
		return 0, err
	}
	adds, err := planOf(ask)
	if err != nil {
		return 0, err
	}
	begins := len(adds.Models)+len(adds.Data)+len(adds.Conditions)+len(adds.Methods) > 0
	if !begins { // what is not there is said before a folder or a file is made for it
		if err := there(ask.Name, ask.Store); err != nil {
			return 0, err
		}
	}
	folder, err := sweep.FolderOf(ask.Name)
	if err != nil {
		return 0, err
	}
	where := ask.Store
	if where == "" {
		where = filepath.Join(folder, sweep.StoreFile)
	}
	store, err := sweep.OpenStore(where)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	switch {
	case ask.Status:
		return sweeping.Good, showSweep(ask.Name, where)
	case ask.CSV != "":
		return sweeping.Good, writeAccuracies(ask.Name, where, ask.CSV)
	case len(ask.Correct) > 0:
		return sweeping.Good, correct(store, ask)
	case len(ask.ForgetModel)+len(ask.ForgetCondition)+len(ask.ForgetData) > 0:
		return sweeping.Good, forget(store, ask)
	}
	if err := join(store, ask.Name, adds); err != nil {
		if names, failed := store.Names(); failed == nil && len(names) == 0 && ask.Store == "" {
			discard(store, where, folder)
		}
		return 0, err
	}
	if status, err = serve(ctx, store, folder, ask); err != nil || ctx.Err() != nil {
		return sweeping.Stopped, err
	}
	return status, showSweep(ask.Name, where)
}

// there is an error where there is no sweep of that name.
func there(name, store string) error {
	if store == "" {
		s, err := sweep.Open(name)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if _, err := os.Stat(store); !strings.Contains(store, "://") && errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no store %s, and so no sweep %q", store, name)
	}
	return nil
}

// discard removes the files of a store without a sweep, and its folder where nothing else lies there: a first command
// that is refused leaves nothing.
func discard(store *sweep.Store, where, folder string) {
	store.Close()
	files, _ := filepath.Glob(where + "*") // the pattern is of our own making
	for _, file := range files {
		os.Remove(file)
	}
	os.Remove(folder)
}

// join adds to a sweep that no one runs what a command line says, after a look at all that the sweep has, which may
// have changed.
func join(store *sweep.Store, name string, adds sweep.Plan) error {
	unlock, err := store.Lock(name, fmt.Sprintf("process %d", os.Getpid()))
	if err != nil {
		return err
	}
	defer unlock()
	names, err := store.Names()
	if err != nil {
		return err
	}
	var has sweep.Plan
	if slices.Contains(names, name) {
		if has, _, err = store.Plan(name); err != nil {
			return err
		}
	}
	whole := merged(has, adds)
	if err := whole.Check(); err != nil {
		return err
	}
	if len(whole.Models) == 0 || len(whole.Conditions) == 0 {
		return fmt.Errorf("the sweep %s has %d models and %d conditions: it takes at least one of each, such as --model "+
			"efficientnet-lite0 --data sample-imagenet", name, len(whole.Models), len(whole.Conditions))
	}
	pictures, err := whole.Resolve(has)
	if err != nil {
		return err
	}
	return store.Add(name, whole, pictures)
}

// merged is a plan with what another one has besides; what both have is as the other one says.
func merged(has, adds sweep.Plan) sweep.Plan {
	var p sweep.Plan
	p.Models = mergedBy(has.Models, adds.Models, func(m sweep.Model) string { return m.Name })
	p.Data = mergedBy(has.Data, adds.Data, func(d sweep.Data) string { return d.Name })
	p.Conditions = mergedBy(has.Conditions, adds.Conditions, func(c sweep.Condition) string { return c.Name })
	p.Methods = mergedBy(has.Methods, adds.Methods, func(m string) string { return m })
	return p
}

func mergedBy[T any](has, adds []T, name func(T) string) []T {
	out := slices.Clone(has)
	for _, one := range adds {
		if i := slices.IndexFunc(out[:len(has)], func(other T) bool { return name(other) == name(one) }); i >= 0 {
			out[i] = one
		} else {
			out = append(out, one) // a plan that names something twice is told so by its Check
		}
	}
	return out
}

// planOf is what a command line adds to a sweep.
func planOf(ask sweeping.Sweep) (p sweep.Plan, err error) {
	if ask.Plan != "" {
		if p, err = sweep.ReadPlan(ask.Plan); err != nil {
			return p, err
		}
	}
	for _, text := range ask.Models {
		name, file := named(text)
		p.Models = append(p.Models, sweep.Model{Name: name, File: file, Normalisation: ask.Normalisation,
			Classes: ask.Classes, Type: ask.Type})
	}
	var fresh []string
	for _, text := range ask.Data {
		name, path := named(text)
		p.Data = append(p.Data, sweep.Data{Name: name, Path: path, Split: ask.Split, Labels: ask.Labels,
			Partial: ask.Partial, Skip: ask.Skip})
		fresh = append(fresh, name)
	}
	p.Methods = append(p.Methods, ask.Methods...)
	if len(fresh) == 0 && len(ask.Corruptions) > 0 {
		return p, errors.New("--corruption changes data: say which with --data")
	}
	if ask.Among != "" && len(fresh) == 0 {
		return p, errors.New("--among is of data, and there is no --data")
	}
	if ask.Seed != 0 && !slices.ContainsFunc(ask.Corruptions, func(text string) bool { return text != "none" }) {
		return p, errors.New("--seed is of corruptions, and there is no --corruption")
	}
	if len(ask.Corruptions) == 0 {
		ask.Corruptions = []string{"none"}
	}
	for _, data := range fresh {
		for _, text := range ask.Corruptions {
			under, err := corrupted(data, text, ask)
			if err != nil {
				return p, err
			}
			p.Conditions = append(p.Conditions, under...)
		}
	}
	if err := (&sweep.Plan{Conditions: p.Conditions, Data: p.Data}).Check(); err != nil && ask.Plan == "" {
		return p, err
	}
	for i := range p.Conditions { // names are given as a check gives them
		one := sweep.Plan{Conditions: p.Conditions[i : i+1], Data: p.Data}
		if err := one.Check(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// named takes NAME=PATH apart; a path alone is called as its file, without the ending.
func named(text string) (name, path string) {
	if name, path, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(name, `/\`) {
		return name, path
	}
	base := filepath.Base(text)
	if info, err := os.Stat(text); err == nil && !info.IsDir() {
		base = strings.TrimSuffix(base, filepath.Ext(base))
	}
	return base, text
}

// corrupted are the conditions that NAME[:SEVERITIES] makes of data.
func corrupted(data, text string, ask sweeping.Sweep) (all []sweep.Condition, err error) {
	if text == "none" {
		return []sweep.Condition{{Data: data, Among: ask.Among}}, nil
	}
	name, list, some := strings.Cut(text, ":")
	severities := []int{1, 2, 3, 4, 5}
	if some {
		severities = nil
		for _, one := range strings.Split(list, ",") {
			severity, err := strconv.Atoi(strings.TrimSpace(one))
			if err != nil {
				return nil, fmt.Errorf("--corruption %s: the severity %q is no number", text, one)
			}
			severities = append(severities, severity)
		}
	}
	corruptions := perturb.Corruptions()
	if name != "all" {
		if corruptions, err = perturb.CorruptionsNamed(name); err != nil {
			return nil, err
		}
	}
	for _, c := range corruptions {
		for _, severity := range severities {
			all = append(all, sweep.Condition{Data: data, Corruption: c.Name, Severity: severity, Seed: ask.Seed,
				Among: ask.Among})
		}
	}
	return all, nil
}

// serve runs the sweep, with a server of its own and workers where these are asked for.
func serve(ctx context.Context, store *sweep.Store, folder string, ask sweeping.Sweep) (status int, err error) {
	at := jobs.Connection(ask.Server)
	workers := ask.Workers
	var within *jobs.Server
	if at.URL == "" {
		within, err = jobs.StartServer(folder, jobs.Listen{Address: ask.Listen, Cert: ask.TLSCert, Key: ask.TLSKey})
		if err != nil {
			return 0, err
		}
		defer within.Close()
		at = within.Connection()
		if command, files := within.Invitation(); command != "" {
			fmt.Fprintf(os.Stderr, "loupe: on other machines, with %s:\n  %s\n", strings.Join(files, " and "), command)
		}
		if workers < 0 {
			workers = 1
		}
	}
	team := startTeam(max(workers, 0), folder, at)
	defer team.end()
	bar := progress.New("sweep "+ask.Name, 0)
	shown, failed := 0, 0
	c := jobs.Coordinator{Store: store, Sweep: ask.Name, Version: version.Version, Tries: ask.Tries, Lease: ask.Lease,
		Replicas: ask.Replicas, Within: within,
		Say: func(format string, args ...any) {
			fmt.Fprintln(os.Stderr, "loupe:", said(fmt.Errorf(format, args...)))
		},
		Progress: func(p jobs.Progress) {
			failed = p.Failed
			bar.Say(fmt.Sprintf("%d of %d, %d at work %s", p.Done+p.Failed, p.All, p.Workers, p.Left()))
			bar.Add(p.Since - shown)
			shown = p.Since
		}}
	err = c.Run(ctx, at)
	bar.Close()
	if err == nil && failed > 0 {
		status = sweeping.Aside
	}
	return status, err
}

// team are the workers that a sweep has started.
type team struct {
	stop chan struct{}
	all  sync.WaitGroup
}

// startTeam starts workers, and others in place of those that die. What they say goes to files in the folder.
func startTeam(n int, folder string, at jobs.Connection) *team {
	t := &team{stop: make(chan struct{})}
	host, _ := os.Hostname()
	for i := range n {
		name := fmt.Sprintf("%s-%d", host, i+1)
		request, err := json.Marshal(sweeping.Worker{Server: sweeping.Connection(at), Name: name, Keep: 2, Tied: true})
		if err != nil {
			panic(err) // texts and numbers
		}
		t.all.Add(1)
		go func() {
			defer t.all.Done()
			t.keep(name, string(request), filepath.Join(folder, fmt.Sprintf("worker-%d.log", i+1)))
		}()
	}
	return t
}

// keep starts a worker until the team ends.
func (t *team) keep(name, request, log string) {
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		began := time.Now()
		err := t.once(request, log)
		select {
		case <-t.stop:
			return
		default:
		}
		fmt.Fprintf(os.Stderr, "loupe: the worker %s has ended (%v), %s tells more: another one takes its place\n", name, err,
			log)
		if time.Since(began) > time.Minute {
			pause = time.Second
		}
		select {
		case <-t.stop:
			return
		case <-time.After(pause):
		}
	}
}

// once runs a worker to its end. Its standard input ends with this process, and the worker with that.
func (t *team) once(request, log string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(self, sweeping.WorkerFlag, request)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this process, which tells the workers
	tie, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-t.stop:
		tie.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		return nil
	}
}

func (t *team) end() {
	close(t.stop)
	t.all.Wait()
}

// workOnSweeps is a worker, until Ctrl-C or, of a worker that a sweep has started, until that one ends.
func workOnSweeps(request string) int {
	var ask sweeping.Worker
	if err := json.Unmarshal([]byte(request), &ask); err != nil {
		fmt.Fprintln(os.Stderr, "loupe:", err)
		return sweeping.Failed
	}
	ctx, stop := stoppable()
	defer stop()
	if ask.Tied {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	cache, err := assets.Dir()
	if err == nil {
		w := jobs.Worker{Name: ask.Name, Sweep: ask.Sweep, Version: version.Version, Cache: cache,
			Keep: ask.Keep,
			Say: func(format string, args ...any) {
				fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
			}}
		at := jobs.Connection(ask.Server)
		at.Wait = true
		err = w.Run(ctx, at)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loupe:", said(err))
		return sweeping.Failed
	}
	return sweeping.Good
}

func listSweeps(store string) error {
	if store != "" {
		s, err := sweep.OpenStore(store)
		if err != nil {
			return err
		}
		defer s.Close()
		names, err := s.Names()
		for _, name := range names {
			if err := statusLine(name, store); err != nil {
				return err
			}
		}
		return err
	}
	base, err := sweep.Folder()
	if err != nil {
		return err
	}
	names, err := sweep.Names()
	if err != nil {
		return err
	}
	n := 0
	for _, name := range names {
		store := filepath.Join(base, name, sweep.StoreFile)
		if empty(store) {
			continue
		}
		n++
		if err := statusLine(name, store); err != nil {
			fmt.Fprintln(os.Stderr, "loupe:", said(err))
		}
	}
	if n == 0 {
		fmt.Printf("There is no sweep in %s.\n", base)
	}
	return nil
}

// empty tells that a store has no sweep: its first command line was refused.
func empty(store string) bool {
	s, err := sweep.OpenStore(store)
	if err != nil {
		return false // which is told of
	}
	defer s.Close()
	names, err := s.Names()
	return err == nil && len(names) == 0
}

func statusLine(name, store string) error {
	s, err := sweep.Open(name, store)
	if err != nil {
		return err
	}
	defer s.Close()
	status, err := s.Status()
	if err == nil {
		fmt.Println(status)
	}
	return err
}

func showSweep(name, store string) error {
	s, err := sweep.Open(name, store)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Println(s.Bundle().Data[mime.Text])
	return nil
}

func writeAccuracies(name, store, file string) error {
	s, err := sweep.Open(name, store)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Results()
	if err != nil {
		return err
	}
	if len(r.Models()) == 0 {
		return fmt.Errorf("the sweep %s has no accuracies yet", name)
	}
	if err := r.WriteAccuracies(file, 100); err != nil {
		return fmt.Errorf("%s is not written: %w", file, err)
	}
	fmt.Fprintf(os.Stderr, "loupe: %s is written\n", file)
	return nil
}

func correct(store *sweep.Store, ask sweeping.Sweep) error {
	for _, text := range ask.Correct {
		data, file, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("--correct %s: it is DATA=FILE", text)
		}
		labels, err := sweep.ReadCorrections(file)
		if err != nil {
			return err
		}
		if err := store.Correct(ask.Name, data, labels); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "loupe: %s of %s corrected\n", plural.Of(len(labels), "label"), data)
	}
	return nil
}

// forget takes parts out of a sweep that no one runs.
func forget(store *sweep.Store, ask sweeping.Sweep) error {
	unlock, err := store.Lock(ask.Name, fmt.Sprintf("process %d", os.Getpid()))
	if err != nil {
		return err
	}
	defer unlock()
	for _, one := range []struct {
		names  []string
		forget func(sweep, name string) error
	}{{ask.ForgetModel, store.ForgetModel}, {ask.ForgetCondition, store.ForgetCondition},
		{ask.ForgetData, store.ForgetData}} {
		for _, name := range one.names {
			if err := one.forget(ask.Name, name); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "loupe: %s is forgotten\n", name)
		}
	}
	return nil
}
