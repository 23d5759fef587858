package gonb

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/lib/comm"
	"github.com/loupeml/loupe/lib/mime"
)

// page is an output that does what a browser's page does with the scripts of GoNB's widgets, and has a person before it
// who moves each slider to 80 and presses the button once that shows.
type page struct {
	transcript
	engine *Engine

	mu     sync.Mutex // guards the fields below
	comm   string     // the id of the comm with GoNB
	button string     // the address of the button
}

var (
	kernelOf = regexp.MustCompile(`_kernel_id: "([^"]+)"`)
	asked    = regexp.MustCompile(`gonb_comm\.send\('([^']+)', html\)`)
	synced   = regexp.MustCompile(`newSyncedVariable\("([^"]+)", (\d+|\w+\.value)\)`)
)

func (p *page) Display(b mime.Bundle, update bool) {
	p.transcript.Display(b, update)
	html := b.Data[mime.HTML]
	if m := kernelOf.FindStringSubmatch(html); m != nil {
		p.mu.Lock()
		p.comm = uuid.NewString()
		content := map[string]any{"comm_id": p.comm, "target_name": "gonb_comm", "kernel_id": m[1], "data": map[string]any{}}
		p.mu.Unlock()
		go p.pass(comm.Opening, "gonb_comm", content)
	}
	if m := asked.FindStringSubmatch(html); m != nil {
		p.send(m[1], "<p>what the page shows</p>")
	}
	if m := synced.FindStringSubmatch(html); m != nil {
		// A script tells the value that its control begins with; the person comes later.
		start, err := strconv.Atoi(m[2])
		if err != nil {
			start = 50 // of the page's element
		}
		p.send(m[1], start)
		if strings.HasPrefix(m[1], "/select/") {
			time.AfterFunc(time.Second, func() { p.send(m[1], 80) })
		} else {
			p.mu.Lock()
			p.button = m[1]
			p.mu.Unlock()
		}
	}
	if strings.Contains(html, "8.20") { // what the cell makes of the slider
		p.mu.Lock()
		address := p.button
		p.mu.Unlock()
		p.send(address, 1)
	}
}

func (p *page) send(address string, value any) {
	p.mu.Lock()
	content := map[string]any{"comm_id": p.comm, "data": map[string]any{"address": address, "value": value}}
	p.mu.Unlock()
	go p.pass(comm.Sending, "", content)
}

func (p *page) pass(kind comm.Kind, target string, content map[string]any) {
	text, _ := json.Marshal(content)
	p.engine.Comm(context.Background(), comm.Message{Kind: kind, ID: content["comm_id"].(string), Target: target,
		Content: text}, p)
}

// Comm answers GoNB's question whether the page is still there.
func (p *page) Comm(m comm.Message) {
	p.transcript.Comm(m)
	var data struct{ Address string }
	if json.Unmarshal(m.Data, &data) == nil && data.Address == "#heartbeat/ping" {
		p.send("#heartbeat/pong", true)
	}
}

// A cell with a slider and a button of GoNB's, such as the one in its tutorial, in both kinds of cells.
func TestWidgetsOfGoNB(t *testing.T) {
	const source = `import (
	"fmt"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/dom"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

%%
div := dom.CreateTransientDiv()
slider := widgets.Slider(0, 100, 50).AppendTo(div).Done()
button := widgets.Button("Ok").AppendTo(div).Done()
moved, pressed := slider.Listen().LatestOnly(), button.Listen()
for over := false; !over; {
	select {
	case <-pressed.C:
		fmt.Println("pressed")
		over = true
	case value := <-moved.C:
		dom.SetInnerText("frequency", fmt.Sprintf("%6.2f", 1+9*float64(value)/100))
	case <-time.After(5 * time.Minute):
		fmt.Println("nobody is there")
		over = true
	}
}
dom.Persist(div)
gonbui.DisplayHtml("<p>Done.</p>")
`
	for _, first := range []string{"", "%%gonb\n"} {
		e := both(t)
		out := &page{engine: e}
		cells++
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		r, err := e.Eval(ctx, engine.Cell{Number: cells, Source: first + source}, out)
		if err != nil {
			t.Fatal(err)
		}
		all := out.transcript.String()
		if r.Failure != nil || !strings.Contains(all, "stdout:pressed") ||
			!strings.Contains(all, "<p>what the page shows</p>") || !strings.Contains(all, "<p>Done.</p>") {
			t.Errorf("%q: %v\n%s", first, r.Failure, all)
		}
	}
}
