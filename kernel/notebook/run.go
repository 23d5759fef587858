package notebook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/mime"
)

// RunOptions says how to run a notebook. The zero value runs it without limits, stops at the first error and reports
// nothing.
type RunOptions struct {
	// Timeout is how long one cell may take before it is interrupted; 0 means for ever. What an interrupt does not
	// stop, such as a compilation, has half a minute more before the cells' process is ended.
	Timeout     time.Duration
	AllowErrors bool // go on after a cell that fails
	// Metadata is set in the notebook's metadata: "kernelspec" and "language_info", as a Jupyter client would.
	Metadata map[string]any
	// Started and Ended, where set, are called around every cell that runs. n counts the code cells that run from 1 to
	// total.
	Started func(n, total int, cell *Cell)
	Ended   func(n, total int, cell *Cell, failure *engine.Failure, took time.Duration)
}

// CellError says that a cell failed and the notebook was not run to its end.
type CellError struct {
	Number  int // of the cell among those that ran, its execution count
	Index   int // of the cell in the notebook, from 0
	Failure *engine.Failure
}

func (e *CellError) Error() string {
	return fmt.Sprintf("cell [%d] failed: %s: %s", e.Number, e.Failure.Name, e.Failure.Message)
}

// How long a cell may go on although it was interrupted: one that took too long, whose session the next cells need, and
// one of a run that was stopped.
const (
	afterTimeout = 30 * time.Second
	afterStop    = 2 * time.Second
)

// Run runs the notebook's code cells in order and puts into each what it gave, as Jupyter's nbclient would:
// cells tagged skip-execution and empty ones are left, one tagged raises-exception may fail.
//
// The error is a *[CellError] when a cell failed. Whatever the error is, the notebook holds what came until then.
func (nb *Notebook) Run(ctx context.Context, eng engine.Engine, options RunOptions) error {
	for key, value := range options.Metadata {
		plain, err := plainJSON(value)
		if err != nil {
			return fmt.Errorf("notebook: metadata %s: %w", key, err)
		}
		nb.setMetadata(key, plain)
	}
	var cells []int
	for i, c := range nb.Cells {
		if c.Type == Code && strings.TrimSpace(c.Source) != "" && !c.Tagged("skip-execution") {
			cells = append(cells, i)
		}
	}
	shown := &recording{displays: map[string][]Output{}}
	defer shown.close()
	for n, i := range cells {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("notebook: stopped before cell [%d]: %w", n+1, err)
		}
		cell := nb.Cells[i]
		if options.Started != nil {
			options.Started(n+1, len(cells), cell)
		}
		start := time.Now()
		failure, err := runCell(ctx, eng, shown, cell, n+1, options.Timeout)
		if options.Ended != nil {
			options.Ended(n+1, len(cells), cell, failure, time.Since(start))
		}
		if err != nil {
			return fmt.Errorf("notebook: cell [%d]: %w", n+1, err)
		}
		stopped := ctx.Err() != nil
		if failure != nil && (stopped || !options.AllowErrors && !cell.Tagged("raises-exception")) {
			return &CellError{Number: n + 1, Index: i, Failure: failure}
		}
	}
	return nil
}

// setMetadata sets a field of the notebook's metadata. Fields of it that loupe says nothing of stay.
func (nb *Notebook) setMetadata(key string, value any) {
	if nb.Metadata == nil {
		nb.Metadata = map[string]any{}
	}
	old, wasObject := nb.Metadata[key].(map[string]any)
	fields, isObject := value.(map[string]any)
	if key == "kernelspec" && wasObject && isObject {
		for k, v := range fields {
			old[k] = v
		}
		return
	}
	nb.Metadata[key] = value
}

func plainJSON(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	return plain, json.Unmarshal(data, &plain)
}

func runCell(ctx context.Context, eng engine.Engine, shown *recording, cell *Cell, number int,
	timeout time.Duration) (*engine.Failure, error) {
	defer engine.Unattended(ctx, eng, afterStop)()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		defer engine.Unattended(ctx, eng, afterTimeout)()
	}
	cell.Count = &number
	out := shown.record(cell)
	result, err := eng.Eval(ctx, engine.Cell{Number: number, Source: cell.Source}, out)
	failure := result.Failure
	if failure != nil && timeout > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		f := *failure
		f.Message = fmt.Sprintf("the cell took longer than %v; %s", timeout, failure.Message)
		failure = &f
	}
	switch {
	case err != nil:
	case failure != nil:
		out.add(errorOutput(failure))
	case result.Value != nil:
		out.show(*result.Value, Output{"output_type": "execute_result", "execution_count": number})
	}
	return failure, err
}

func errorOutput(f *engine.Failure) Output {
	traceback := make([]any, 0, len(f.Traceback))
	for _, line := range f.Traceback {
		traceback = append(traceback, line)
	}
	return Output{"output_type": "error", "ename": f.Name, "evalue": f.Message, "traceback": traceback}
}

// recording is what all cells of a notebook have produced.
type recording struct {
	mu       sync.Mutex // guards the fields below, the outputs of cells and the recorders
	closed   bool       // what comes now belongs nowhere
	displays map[string][]Output
}

// recorder puts what a cell produces into its outputs, also what comes when the cell has ended. It is an engine.Output.
type recorder struct {
	*recording
	cell     *Cell
	clearing bool // clear when the next output arrives
}

func (p *recording) record(cell *Cell) *recorder {
	p.mu.Lock()
	defer p.mu.Unlock()
	cell.Outputs = nil
	return &recorder{recording: p, cell: cell}
}

func (p *recording) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func (r *recorder) add(o Output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.append(o)
}

func (r *recorder) append(o Output) {
	if r.closed {
		return
	}
	if r.clearing {
		r.clear()
	}
	r.cell.Outputs = append(r.cell.Outputs, o)
}

func (r *recorder) clear() {
	r.clearing = false
	if !r.closed {
		r.cell.Outputs = nil
	}
}

// Text appends to the last output where that is the same stream.
func (r *recorder) Text(s engine.Stream, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && !r.clearing && len(r.cell.Outputs) > 0 {
		last := r.cell.Outputs[len(r.cell.Outputs)-1]
		if last.Type() == "stream" && last["name"] == string(s) {
			last["text"] = last["text"].(string) + text
			return
		}
	}
	r.append(Output{"output_type": "stream", "name": string(s), "text": text})
}

// Display adds an output, or changes those that have the bundle's ID, in whichever cell they are. A progress bar is
// none: it would be gone by now.
func (r *recorder) Display(b mime.Bundle, update bool) {
	if b.Passing {
		return
	}
	if !update {
		r.show(b, Output{"output_type": "display_data"})
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.update(b)
}

func (r *recorder) show(b mime.Bundle, o Output) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.update(b) // a display of an ID that is there already changes the earlier ones as well
	o["data"], o["metadata"] = content(b)
	r.append(o)
	if b.ID != "" {
		r.displays[b.ID] = append(r.displays[b.ID], o)
	}
}

func (r *recorder) update(b mime.Bundle) {
	if b.ID == "" {
		return
	}
	if r.closed {
		return
	}
	for _, o := range r.displays[b.ID] {
		o["data"], o["metadata"] = content(b)
	}
}

// Clear removes the cell's outputs, with wait set only when the next one arrives.
func (r *recorder) Clear(wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wait {
		r.clearing = true
		return
	}
	r.clear()
}

// content is a bundle's data and metadata as a notebook holds them.
func content(b mime.Bundle) (data, metadata map[string]any) {
	data, metadata = map[string]any{}, map[string]any{}
	for mimeType, s := range b.Data {
		switch {
		case mime.Binary(mimeType):
			data[mimeType] = base64.StdEncoding.EncodeToString([]byte(s))
		case isJSON(mimeType):
			var v any
			d := json.NewDecoder(strings.NewReader(s))
			d.UseNumber()
			if d.Decode(&v) == nil {
				data[mimeType] = v
			} else {
				data[mimeType] = s
			}
		default:
			data[mimeType] = s
		}
	}
	for mimeType, hints := range b.Metadata {
		metadata[mimeType] = hints
	}
	return data, metadata
}
