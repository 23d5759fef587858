package model

import (
	"fmt"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// Ensemble makes one model of several: its probabilities are the mean of theirs, and its logits the logarithms of
// these. The members take images of one size and tell the same number of classes apart; each
// normalises for itself, and the ensemble's Spec, its name apart, is the first one's.
func Ensemble(name string, members ...*Model) (*Model, error) {
	if len(members) == 0 {
		return nil, fmt.Errorf("model: an ensemble has at least one member")
	}
	first := members[0]
	for _, m := range members {
		a, b := first.spec, m.spec
		if a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels || first.classes != m.classes ||
			m.classes == 0 {
			return nil, fmt.Errorf(
				"model: an ensemble's members are classifiers of the same images and classes: %s and %s are not", first, m)
		}
		if err := m.NeedsSoftmax("model: an ensemble"); err != nil {
			return nil, err
		}
		if first.dtype != m.dtype {
			return nil, fmt.Errorf("model: an ensemble's members compute in one precision: %s in %s, %s in %s", a.Name,
				first.dtype, b.Name, m.dtype)
		}
	}
	ensemble := &Model{BatchSize: first.BatchSize, spec: first.spec}
	ensemble.spec.Name, ensemble.spec.Activation = name, Softmax
	if name == "" {
		ensemble.spec.Name = fmt.Sprintf("ensemble of %d", len(members))
	}
	var key strings.Builder
	for _, member := range members {
		// One that is a member twice is two, so that the architecture does not depend on it.
		ensemble.parts = append(ensemble.parts, member.copied())
		fmt.Fprintf(&key, "%p %v;", member.architecture, member.store != nil)
	}
	first.architecture.mu.Lock()
	defer first.architecture.mu.Unlock()
	if known := first.ensembles[key.String()]; known != nil {
		ensemble.architecture, ensemble.id = known, lastID.Add(1)
		return ensemble, nil
	}
	ensemble.architecture = &architecture{dtype: first.dtype, build: func(b *Builder, x *graph.Node) *graph.Node {
		logs := make([]*graph.Node, len(b.m.parts))
		for i, part := range b.m.parts {
			inner := part.callAs(&Builder{plain: b.plain, noise: b.noise}, x)
			b.random = b.random || inner.random
			logs[i] = part.LogProbabilitiesFrom(inner.out.Logits)
		}
		return logMean(graph.Stack(logs, 0)) // of [members, N, K]
	}}
	ensemble, err := prepared(ensemble)
	if err != nil {
		return nil, err
	}
	for _, member := range members {
		if member.store != nil {
			return ensemble, nil // whose variables belong to it
		}
	}
	if first.ensembles == nil {
		first.ensembles = map[string]*architecture{}
	}
	first.ensembles[key.String()] = ensemble.architecture
	return ensemble, nil
}

// withParts adds the members of ensembles.
func withParts(models []*Model) []*Model {
	var all []*Model
	seen := map[*Model]bool{}
	for _, m := range models {
		list := append([]*Model{m}, withParts(m.parts)...)
		for _, one := range list {
			if !seen[one] {
				seen[one], all = true, append(all, one)
			}
		}
	}
	return all
}
