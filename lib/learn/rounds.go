package learn

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/loupeml/loupe/lib/internal/left"
	"github.com/loupeml/loupe/lib/model"
)

// Rounds is a [Run] that is done again and again with other examples, such as those that the networks themselves have
// labelled in between: self-training, co-training, active learning. Each round goes on from the weights of the one
// before (those that [KeepBest] kept, if it is there); the optimizer, the schedule and the averages begin anew. The
// step is compiled once, and examples that are on the device stay there.
//
//	rounds, err := run.Rounds()
//	defer rounds.Close()
//	for era := range 20 {
//		some, err := examples.Select(numbers, labels)
//		trained, err := rounds.Do(some)
//		...
//	}
type Rounds struct {
	run   Run
	first *plan // of the program; nil before the first round
	on    onDevice
	done  int
}

// Rounds prepares rounds of a run, whose Data is not used. A round's seed is the run's and the number of rounds before.
// It is an error if the run has a Checkpoint.
func (r Run) Rounds() (*Rounds, error) {
	if r.Checkpoint != "" {
		return nil, fmt.Errorf("learn: a checkpoint keeps one run, not several rounds: leave Checkpoint empty")
	}
	r.Nets = maps.Clone(r.Nets)
	return &Rounds{run: r}, nil
}

// Do does a round on examples of which all but the number and the labels is as in the first one: a [Selection] of the
// same [Tensors], or a source that is read as it is needed. Other data is an error, since it would be compiled for
// again.
func (r *Rounds) Do(data Source) (*Trained, error) {
	if r == nil || r.run.Step == nil {
		return nil, fmt.Errorf("learn: there is no run to do a round of: Run.Rounds prepares it")
	}
	run := r.run
	run.Data, run.Seed = data, run.Seed+uint64(r.done)
	p, err := run.plan()
	if err != nil {
		return nil, err
	}
	if r.first != nil {
		if err := r.first.alike(p); err != nil {
			return nil, err
		}
	} else {
		r.first = p
	}
	trained, err := p.do(&r.on)
	if trained != nil {
		r.done++
		for name := range r.run.Nets {
			if net := trained.Nets[name]; net != nil {
				r.run.Nets[name] = net
			}
		}
	}
	return left.Beside(trained, err)
}

// Net is a network as it is after the rounds that are done, by its name. It panics if there is none of that name.
func (r *Rounds) Net(name string) *model.Model {
	if r == nil || r.run.Nets[name] == nil {
		panic(fmt.Errorf("learn: the rounds have no network %q", name))
	}
	return r.run.Nets[name]
}

// Begin has the next round begin from other weights, of networks of the same architecture by their names: the same run
// with another seed, and nothing compiled again. Networks that are not named go on as they are.
func (r *Rounds) Begin(nets map[string]*model.Model) error {
	if r == nil || r.run.Step == nil {
		return fmt.Errorf("learn: there is no run to begin: Run.Rounds prepares it")
	}
	for name, m := range nets {
		was := r.run.Nets[name]
		switch {
		case was == nil:
			return fmt.Errorf("learn: the rounds have no network %q", name)
		case !was.SharesArchitecture(m):
			return fmt.Errorf("learn: %q begins as a network of another architecture, which would be compiled for again", name)
		}
		if r.first == nil {
			continue
		}
		before, after := was.Weights(), m.Weights()
		for weight := range after {
			if !slices.Contains(r.first.change[name], weight) && before[weight] != after[weight] {
				return fmt.Errorf(
					"learn: the weight %q of %q is not trained, and other rounds have it in their program: it is to be the same",
					weight, name)
			}
		}
	}
	maps.Copy(r.run.Nets, nets)
	return nil
}

func (r *Rounds) String() string {
	if r == nil || r.run.Step == nil {
		return "no rounds"
	}
	return fmt.Sprintf("%d rounds of %s", r.done, r.run.title())
}

// Close gives back what is on the device. A round after it compiles anew.
func (r *Rounds) Close() {
	if r != nil {
		r.on.close()
		r.first = nil
	}
}

// alike is an error unless another plan has the same program.
func (p *plan) alike(q *plan) error {
	resident := func(p *plan) *Tensors {
		switch data := p.r.Data.(type) {
		case *Tensors:
			return data
		case *Selection:
			return data.of
		}
		return nil
	}
	own := func(p *plan) bool { s, ok := p.r.Data.(*Selection); return ok && s.labels != nil }
	switch {
	case resident(p) != resident(q):
		return fmt.Errorf("learn: a round on other examples than the first one's: Select them of the same Tensors, so " +
			"that they stay on the device and nothing is compiled again")
	case own(p) != own(q):
		return fmt.Errorf("learn: a round with labels of its own and one without are two programs")
	case !slices.EqualFunc(p.columns, q.columns, func(a, b Column) bool {
		return a.Name == b.Name &&
			a.Shape.Equal(b.Shape)
	}):
		return fmt.Errorf("learn: a round on %s after one on %s: the columns are to be the same", described(q.r.Data),
			described(p.r.Data))
	case p.rows != q.rows || p.size != q.size || p.parted != q.parted || !reflect.DeepEqual(p.gradient, q.gradient):
		return fmt.Errorf("learn: a round of %d examples has other batches than the first one, of %d: take a sampler of a "+
			"fixed size, such as Shuffled, and no privacy", q.n, p.n)
	case !slices.Equal(p.keys, q.keys) || !slices.Equal(p.metrics, q.metrics):
		return fmt.Errorf("learn: a round's step is another than the first one's: a step is to be built alike each time")
	}
	return nil
}
