package model

import (
	"fmt"

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
		if a.Height != b.Height || a.Width != b.Width || a.Channels != b.Channels || first.classes != m.classes || m.classes == 0 {
			return nil, fmt.Errorf("model: an ensemble's members are classifiers of the same images and classes: %s and %s are not", first, m)
		}
		if first.dtype != m.dtype {
			return nil, fmt.Errorf("model: an ensemble's members compute in one precision: %s in %s, %s in %s", a.Name, first.dtype, b.Name, m.dtype)
		}
	}
	spec := first.spec
	spec.Name = name
	if name == "" {
		spec.Name = fmt.Sprintf("ensemble of %d", len(members))
	}
	m := &Model{
		BatchSize: first.BatchSize,
		spec:      spec,
		dtype:     first.dtype,
		parts:     append([]*Model(nil), members...),
		execs:     map[string]*graph.Exec{},
	}
	m.id = fmt.Sprintf("%s#%d", spec.Name, lastID.Add(1))
	m.build = func(b *Builder, x *graph.Node) *graph.Node {
		logs := make([]*graph.Node, len(m.parts))
		for i, part := range m.parts {
			inner := part.callAs(&Builder{plain: b.plain, shifted: b.shifted, noise: b.noise}, x)
			b.random = b.random || inner.random
			logs[i] = graph.LogSoftmax(inner.out.Logits)
		}
		return logMean(graph.Stack(logs, 0)) // of [members, N, K]
	}
	return prepared(m)
}

// withParts puts the members of ensembles in the place of these.
func withParts(models []*Model) []*Model {
	var all []*Model
	seen := map[*Model]bool{}
	for _, m := range models {
		list := []*Model{m}
		if m.parts != nil {
			list = withParts(m.parts)
		}
		for _, one := range list {
			if !seen[one] {
				seen[one], all = true, append(all, one)
			}
		}
	}
	return all
}
