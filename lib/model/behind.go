package model

import (
	"fmt"
	"reflect"

	"github.com/gomlx/gomlx/core/graph"
)

// behindKey is what architectures of [Model.Behind] are kept under, with those that they stand behind.
type behindKey struct {
	settings any
	code     uintptr
}

// Behind returns the same network behind a preparation that belongs to it: it takes images x, [N, H, W, C] float32 in
// 0..1, and the network sees fn(x), of the same shape and range, which it then normalises. So a network that has learnt
// from edges alone takes photographs. The weights are shared, and models of one architecture behind the same fn share
// their programs. settings are a value of a named struct type that holds all that fn has captured, as for [Model.Exec].
func (m *Model) Behind(settings any, name string, fn func(x *graph.Node) *graph.Node) (*Model, error) {
	if err := m.there(); err != nil {
		return nil, err
	}
	if fn == nil {
		return nil, fmt.Errorf("model: there is nothing to put before %s: the function is nil", m.spec.Name)
	}
	if m.store != nil {
		return nil, fmt.Errorf("model: %s keeps its weights in a store of GoMLX: nothing can be put before it", m.spec.Name)
	}
	t := reflect.TypeOf(settings)
	if t == nil || t.Kind() != reflect.Struct || t.Name() == "" || !isValue(reflect.ValueOf(settings)) {
		return nil, fmt.Errorf("model: the settings of what is put before a network are a value of a named struct type "+
			"whose fields can be compared, not a %T", settings)
	}
	key := behindKey{settings, reflect.ValueOf(fn).Pointer()}
	other := m.copied()
	other.own = nil
	if name != "" {
		other.spec.Name = name
	}
	other.spec.Mean, other.spec.Std = nil, nil
	of := m.architecture
	of.mu.Lock()
	defer of.mu.Unlock()
	if known := of.behind[key]; known != nil && key.code != interpretedCode {
		other.architecture = known
		return other, nil
	}
	mean, std, parts := m.spec.Mean, m.spec.Std, m.parts != nil
	other.architecture = &architecture{
		build: func(b *Builder, x *graph.Node) *graph.Node {
			seen := fn(x)
			if seen == nil || !seen.Shape().Equal(x.Shape()) {
				panic(fmt.Errorf("model: what is put before %s must return images of the shape that it gets, %s", b.m.spec.Name,
					x.Shape()))
			}
			if !parts { // each member of an ensemble normalises for itself
				seen = normalize(seen, mean, std)
			}
			return of.build(b, seen)
		},
		dtype:   m.dtype,
		scaleOf: m.scaleOf,
	}
	other, err := prepared(other)
	if err != nil {
		return nil, err
	}
	if of.behind == nil {
		of.behind = map[behindKey]*architecture{}
	}
	of.behind[key] = other.architecture
	return other, nil
}

// SharesArchitecture says whether two models are one network with other weights, which runs in the same programs.
func (m *Model) SharesArchitecture(other *Model) bool {
	return m != nil && other != nil && m.architecture != nil && m.architecture == other.architecture
}
