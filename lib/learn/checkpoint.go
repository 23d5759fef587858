package learn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/loupeml/loupe/internal/wholefile"
	"github.com/loupeml/loupe/lib/internal/failure"
	"github.com/loupeml/loupe/lib/internal/safetensors"
)

// A checkpoint is a safetensors file of the state by its keys, the weights of [KeepBest] behind bestPrefix, and the
// history; what no array holds is in the metadata.
const (
	runKey        = "loupe.run"
	digestKey     = "loupe.run.sha256" // of the arrays, so that a damaged file is not gone on from
	bestPrefix    = "best/"
	historyPrefix = "history/"
)

// place is where a run is, and what has to be the same where it goes on.
type place struct {
	Done, BestAt int
	HooksLeft    bool
	Stopped      string
	Evaluations  []evaluated
	Same         map[string]string
}

// evaluated is an [Evaluation] whose value JSON can hold, which has no NaN.
type evaluated struct {
	Step        int
	Name, Value string
}

// same is what tells one run from another, in words.
func (e *engine) same() map[string]string {
	names := slices.Sorted(maps.Keys(e.r.Nets))
	return map[string]string{
		"networks":          strings.Join(names, ", "),
		"examples":          fmt.Sprint(e.n),
		"sampler":           fmt.Sprintf("%T(%v)", e.r.Sampler, e.r.Sampler),
		"seed":              fmt.Sprint(e.r.Seed),
		"optimizer":         settings(e.r.Optimizer, "LearningRate"),
		"augmentation":      settingsOf(e.r.Augment),
		"averages":          settingsOf(e.averages),
		"gradient":          fmt.Sprintf("%T%+v", e.gradient, e.gradient),
		"steps of an epoch": fmt.Sprint(e.epoch),
	}
}

// save writes the checkpoint.
func (e *engine) save() error {
	if err := e.drain(); err != nil {
		return err
	}
	arrays := map[string]*tensors.Tensor{}
	for _, key := range e.keys {
		clone, err := e.state[key].LocalClone()
		if err != nil {
			return fmt.Errorf("learn: %w", err)
		}
		arrays[key] = clone
	}
	for key, value := range e.best {
		arrays[bestPrefix+key] = value
	}
	for name, values := range e.history.columns() {
		if len(values) > 0 {
			arrays[historyPrefix+name] = tensors.FromFlatDataAndDimensions(slices.Clone(values), len(values))
		}
	}
	at := place{Done: e.done, BestAt: e.bestAt, HooksLeft: e.hooksLeft, Stopped: e.why, Same: e.same()}
	for _, v := range e.history.Evaluations {
		at.Evaluations = append(at.Evaluations, evaluated{v.Step, v.Name, fmt.Sprint(v.Value)})
	}
	text, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	digest, err := digestOf(arrays, text)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	if err := wholefile.Write(e.r.Checkpoint, func(w io.Writer) error {
		return safetensors.Write(w, arrays, map[string]string{runKey: string(text), digestKey: digest})
	}); err != nil {
		return fmt.Errorf("learn: the checkpoint %s cannot be written after step %d, the one before it is as it was: %w",
			e.r.Checkpoint, e.done, err)
	}
	e.lastCheckpoint = e.done
	return nil
}

// digestOf is the SHA-256 of arrays, in the order of their names, and of a text.
func digestOf(arrays map[string]*tensors.Tensor, text []byte) (string, error) {
	h := sha256.New()
	h.Write(text)
	for _, name := range slices.Sorted(maps.Keys(arrays)) {
		fmt.Fprintf(h, "%q %s", name, arrays[name].Shape())
		if err := arrays[name].ConstBytes(func(data []byte) { h.Write(data) }); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// resume goes on from the run's checkpoint, if there is one.
func (e *engine) resume() error {
	path := e.r.Checkpoint
	if path == "" {
		return nil
	}
	if !strings.EqualFold(filepath.Ext(path), ".safetensors") {
		return fmt.Errorf("learn: the checkpoint %s: its name ends in .safetensors", path)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		// That it can be written is better known now than after an hour.
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("learn: the checkpoint %s cannot be written: its folder is not there", path)
		}
		return nil
	}
	arrays, metadata, skipped, err := safetensors.Read(path)
	damaged := func(what string) error {
		return failure.OneLine(
			fmt.Errorf("learn: the checkpoint %s is damaged, %s: nothing was changed; take it away to begin anew", path, what))
	}
	switch {
	case err != nil:
		var at *fs.PathError
		if errors.As(err, &at) {
			return fmt.Errorf("learn: %w", err)
		}
		return damaged(err.Error())
	case metadata[runKey] == "":
		return fmt.Errorf("learn: %s is no checkpoint of a run: nothing was changed", path)
	case len(skipped) > 0:
		return damaged("it has arrays of an unknown kind")
	}
	digest, err := digestOf(arrays, []byte(metadata[runKey]))
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	if digest != metadata[digestKey] {
		return damaged("its content is not what was written")
	}
	var at place
	if err := json.Unmarshal([]byte(metadata[runKey]), &at); err != nil {
		return damaged(err.Error())
	}
	another := func(what string) error {
		return failure.OneLine(fmt.Errorf("learn: the checkpoint %s is of another run, %s: nothing was changed", path, what))
	}
	here := e.same()
	for _, what := range slices.Sorted(maps.Keys(here)) {
		if was, is := at.Same[what], here[what]; was != is {
			return another(fmt.Sprintf("its %s: %s, and here %s", what, was, is))
		}
	}
	if at.Done < 0 || at.BestAt < 0 || at.BestAt > at.Done {
		return damaged(fmt.Sprintf("it tells of %d steps, of which the best is %d", at.Done, at.BestAt))
	}
	if at.Done > e.total {
		return another(fmt.Sprintf("it has done %d steps, and here there are %d", at.Done, e.total))
	}
	for _, key := range e.keys {
		if arrays[key] == nil {
			return another("it has no " + key)
		}
		if was, is := arrays[key].Shape(), e.state[key].Shape(); !was.Equal(is) {
			return another(fmt.Sprintf("its %s is %s, and here %s", key, was, is))
		}
	}
	history := &History{Epoch: e.epoch, Metrics: map[string][]float64{}}
	state := map[string]*tensors.Tensor{}
	var best map[string]*tensors.Tensor
	for name, value := range arrays {
		if key, ok := strings.CutPrefix(name, bestPrefix); ok {
			if now := e.state[key]; now == nil || !value.Shape().Equal(now.Shape()) {
				return damaged(fmt.Sprintf("it has %s as %s", name, value.Shape()))
			}
			if best == nil {
				best = map[string]*tensors.Tensor{}
			}
			best[key] = value
		} else if column, ok := strings.CutPrefix(name, historyPrefix); ok {
			if value.DType() != dtypes.Float64 || value.Rank() != 1 || value.Size() != at.Done {
				return damaged(fmt.Sprintf("it has %s as %s for %d steps", name, value.Shape(), at.Done))
			}
			flat, err := tensors.CopyFlatData[float64](value)
			if err != nil {
				return damaged(err.Error())
			}
			history.set(column, flat)
		} else if !slices.Contains(e.keys, name) {
			return another("it has " + name + " besides")
		} else {
			state[name] = value
		}
	}
	if len(history.Loss) != at.Done || len(history.Rate) != at.Done || len(history.Examples) != at.Done {
		return damaged(fmt.Sprintf("its history is not of %d steps", at.Done))
	}
	for _, v := range at.Evaluations {
		if v.Step < 0 || v.Step > at.Done {
			return damaged(fmt.Sprintf("it was evaluated after step %d of %d", v.Step, at.Done))
		}
		var value float64
		if _, err := fmt.Sscan(v.Value, &value); err != nil {
			return damaged(err.Error())
		}
		history.Evaluations = append(history.Evaluations, Evaluation{v.Step, v.Name, value})
	}
	e.state, e.best, e.history, e.done, e.bestAt, e.why = state, best, history, at.Done, at.BestAt, at.Stopped
	e.stopAfter, e.hooksLeft = at.Stopped != "", at.HooksLeft
	return nil
}

// columns are the history's numbers by names.
func (h *History) columns() map[string][]float64 {
	all := map[string][]float64{"loss": h.Loss, "rate": h.Rate, "examples": h.Examples}
	for name, values := range h.Metrics {
		all["metric/"+name] = values
	}
	return all
}

// set sets one of the columns.
func (h *History) set(name string, values []float64) {
	switch name {
	case "loss":
		h.Loss = values
	case "rate":
		h.Rate = values
	case "examples":
		h.Examples = values
	default:
		h.Metrics[strings.TrimPrefix(name, "metric/")] = values
	}
}
