package ui

import (
	"github.com/loupeml/loupe/lib/display"
)

// area is the place below a control where the front end puts what the control's callback shows: it takes all that is
// published because of one message.
type area struct{ *widget }

func newArea() area {
	return area{newWidget(output, "OutputModel", "OutputView", map[string]any{
		"layout": newWidget(base, "LayoutModel", "LayoutView", nil).reference(), "msg_id": "", "outputs": []any{},
	})}
}

// take calls f, which the front end's message asks for, with what it shows going to the area. If f panics, the area
// takes what is told of that as well. Front ends may send the messages of several controls at a time, to subshells; f
// waits until no other callback runs.
func (a area) take(request string, f func()) {
	release, ok := callbacks.take()
	if !ok {
		return // interrupted before it began
	}
	defer release()
	a.set(map[string]any{"msg_id": request})
	display.Clear(true)
	f()
	a.set(map[string]any{"msg_id": ""})
}
