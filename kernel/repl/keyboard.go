package repl

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// keyboard stands between the terminal and the line editor, which asks the terminal where the cursor is and loses keys
// that come in one piece with the answer, or with one that leaves a list. Here they come one by one. While the editor
// reads, keys come to it by a pipe in the place of standard input, and answers by a terminal of our own in the place of
// os.Stdin: the one it reads keys from, of the other it asks. A new size of the terminal comes to it as a key, for it
// is not made to be told while it is at something else.
type keyboard struct {
	terminal       int      // the terminal, whatever standard input is
	keys, ours     *os.File // the pipe's ends: what is written to ours are the editor's keys
	answers, asked *os.File // the same of the terminal of our own
	held           []byte   // read from the terminal, and not handed on yet
	pasting        bool     // whether what was handed on last was in the middle of a paste
	// sizes gets news of the terminal's size while a line is read, once the editor's are taken from it.
	sizes chan os.Signal
	stop  func() // ends handing on

	mu    sync.Mutex // guards what follows
	busy  bool       // whether a line is read, or laid aside
	tell  *os.File   // tells the one that hands on; nil while nothing is handed on
	later []func()   // what waits for the editor to make room
	// sixel is called if the terminal says that it takes such pictures. It is asked once.
	sixel func()
	said  bool
}

// The keys that stand for a new size of the terminal, and for output that waits for the editor: no terminal has them.
const sizeKey, lateKey = "\x1b[9999~", "\x1b[9998~"

const (
	pasteBegins, pasteEnds = "\x1b[200~", "\x1b[201~"
	// escapeTakes is how long what comes behind an escape may take before that is a key of its own, and sequenceTakes
	// how long the rest of what is a sequence for certain, such as an answer, may.
	escapeTakes, sequenceTakes = 20 * time.Millisecond, 2 * time.Second
	// resizingTakes is how long the size has to stay as it is before the line is drawn anew.
	resizingTakes = 50 * time.Millisecond
	// lateTakes is how long what is shown late waits for more of it.
	lateTakes = 10 * time.Millisecond
	// mostPasted is how much of what is pasted comes in one piece: nothing that is written may have to wait.
	mostPasted = 1024
)

var (
	cursorAnswer  = regexp.MustCompile(`\x1b\[[0-9]+;[0-9]+R`)
	sequenceStart = regexp.MustCompile(`\x1b(\[\??[0-9;]*)?$`)
	// One key: an escape sequence or a character.
	oneKey = regexp.MustCompile(`(?s)^(?:\x1b\[[0-9;?<]*[A-Za-z~]|\x1bO.|\x1b[^\[O]|.)`)
	// What a terminal says that it can: https://vt100.net/docs/vt510-rm/DA1.html
	attributes = regexp.MustCompile(`\x1b\[\?([0-9;]*)c`)
)

// newKeyboard returns nil where standard input is no terminal.
func newKeyboard() (*keyboard, error) {
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		return nil, nil
	}
	k := &keyboard{}
	var err error
	if k.terminal, err = unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return nil, err
	}
	if k.keys, k.ours, err = os.Pipe(); err != nil {
		return nil, err
	}
	if k.asked, k.answers, err = pty.Open(); err != nil {
		return nil, err
	}
	_, err = raw(int(k.answers.Fd()))
	return k, err
}

// raw has a terminal hand on each key as it comes, and nothing else, and returns how it was before. Output is as ever.
func raw(fd int) (before *unix.Termios, err error) {
	before, err = unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t := *before
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return before, unix.IoctlSetTermios(fd, unix.TCSETS, &t)
}

// during calls read, which reads a line from standard input.
func (k *keyboard) during(read func() (string, error)) (string, error) {
	if k == nil {
		return read()
	}
	if err := k.attach(); err != nil {
		return "", err
	}
	defer func() {
		k.detach()
		k.mu.Lock()
		k.busy = false
		k.mu.Unlock()
		for _, show := range k.waiting() {
			show()
		}
	}()
	return read()
}

// late has something shown when the editor makes room for it. It is not ok where no line is read: then it can be shown
// at once.
func (k *keyboard) late(show func()) (ok bool) {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.busy {
		return false
	}
	k.later = append(k.later, show)
	if k.tell != nil && len(k.later) == 1 {
		k.tell.Write([]byte{byte(calling)})
	}
	return true
}

// waiting is what there is to be shown.
func (k *keyboard) waiting() []func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.later
	k.later = nil
	return all
}

// aside calls f, which reads from the terminal itself, while a line is read.
func (k *keyboard) aside(f func()) {
	if k == nil {
		f()
		return
	}
	k.detach()
	f()
	if err := k.attach(); err != nil {
		fmt.Fprintln(os.Stderr, "loupe: the terminal:", err)
	}
}

// attach puts the keyboard in the place of standard input.
func (k *keyboard) attach() error {
	before, err := raw(k.terminal)
	if err != nil {
		return err
	}
	listen, tell, err := os.Pipe()
	if err == nil {
		err = unix.Dup3(int(k.keys.Fd()), 0, 0)
	}
	if err != nil {
		return errors.Join(err, unix.IoctlSetTermios(k.terminal, unix.TCSETS, before))
	}
	// An answer that nobody asked for is not the next one's.
	unix.IoctlSetInt(int(k.answers.Fd()), unix.TCFLSH, unix.TCIFLUSH)
	stdin := os.Stdin
	os.Stdin = k.answers
	sizes, ended, stopSizes := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		k.handOn(listen)
	}()
	go func() {
		for {
			select {
			case <-sizes:
				tell.Write([]byte{byte(resizing)})
			case <-stopSizes:
				k.mu.Lock()
				k.tell = nil
				k.mu.Unlock()
				tell.Close() // which ends handOn
				return
			}
		}
	}()
	k.mu.Lock()
	k.busy, k.tell = true, tell
	if len(k.later) > 0 {
		tell.Write([]byte{byte(calling)})
	}
	k.mu.Unlock()
	if k.sixel != nil && !k.said {
		k.said = true
		fmt.Print("\x1b[c")
	}
	k.sizes = sizes
	k.stop = func() {
		k.sizes = nil
		signal.Stop(sizes)
		close(stopSizes)
		<-ended
		listen.Close()
		os.Stdin = stdin
		unix.Dup3(k.terminal, 0, 0)
		unix.IoctlSetTermios(k.terminal, unix.TCSETS, before)
	}
	return nil
}

// detach gives standard input back.
func (k *keyboard) detach() {
	if k.stop != nil {
		k.stop()
		k.stop = nil
	}
}

// takeSizes takes news of the terminal's size from the editor, which has asked for them when it began to read: it would
// draw the line anew at once, in the middle of what it is at.
func (k *keyboard) takeSizes() {
	if k != nil && k.sizes != nil {
		signal.Reset(syscall.SIGWINCH)
		signal.Notify(k.sizes, syscall.SIGWINCH)
		k.sizes = nil
	}
}

// handOn hands on what is typed until nobody listens any more: until events is at its end. A byte of events is one of
// them.
func (k *keyboard) handOn(events *os.File) {
	resized, late := false, false
	for {
		piece, unfinished := k.next()
		for ; len(piece) > 0 && k.unread() == 0; piece, unfinished = k.next() {
			k.ours.Write(piece)
			k.held = k.held[len(piece):]
		}
		patience := time.Duration(-1)
		switch {
		case len(piece) > 0:
			patience = time.Millisecond // until the editor has read some
		case unfinished && len(k.held) > len("\x1b["):
			patience = sequenceTakes
		case unfinished:
			patience = escapeTakes
		case resized:
			patience = resizingTakes
		case late:
			patience = lateTakes
		}
		switch k.wait(events, patience) {
		case over:
			return
		case resizing:
			resized = true
		case calling:
			late = true
		case typed:
			buffer := make([]byte, mostPasted)
			n, err := unix.Read(k.terminal, buffer)
			if n <= 0 && err != unix.EINTR && err != unix.EAGAIN {
				k.ours.Close() // the terminal is gone, and the editor finds that out
				return
			}
			k.held = k.withoutAnswers(append(k.held, buffer[:max(n, 0)]...))
		case nothing:
			if unfinished {
				k.ours.Write(k.held)
				k.held = nil
			} else if len(piece) == 0 && k.unread() == 0 && !k.pasting {
				if resized {
					k.ours.Write([]byte(sizeKey))
				}
				if late {
					k.ours.Write([]byte(lateKey))
				}
				resized, late = false, false
			}
		}
	}
}

// withoutAnswers takes what the terminal answers out of what is typed.
func (k *keyboard) withoutAnswers(typed []byte) []byte {
	for _, said := range attributes.FindAllSubmatch(typed, -1) {
		if k.sixel != nil && slices.Contains(strings.Split(string(said[1]), ";"), "4") {
			k.sixel()
		}
	}
	typed = attributes.ReplaceAll(typed, nil)
	if k.asked != nil {
		for _, answer := range cursorAnswer.FindAll(typed, -1) {
			k.asked.Write(answer)
		}
	}
	return cursorAnswer.ReplaceAll(typed, nil)
}

// next is what can be handed on of what is held: a key, or a piece of what is pasted. It may be unfinished, if what is
// held is the beginning of one, or of an answer.
func (k *keyboard) next() (piece []byte, unfinished bool) {
	end := len(k.held)
	if at := sequenceStart.FindIndex(k.held); at != nil {
		end = at[0]
	}
	for back := 1; end == len(k.held) && back < utf8.UTFMax && back <= end; back++ {
		if c := k.held[end-back]; utf8.RuneStart(c) && !utf8.FullRune(k.held[end-back:]) {
			end -= back
		}
	}
	if end == 0 {
		return nil, len(k.held) > 0
	}
	if !k.pasting {
		piece = oneKey.Find(k.held[:end])
		if piece == nil {
			piece = k.held[:end]
		}
		k.pasting = string(piece) == pasteBegins
		return piece, false
	}
	switch i := bytes.Index(k.held[:end], []byte(pasteEnds)); {
	case i == 0:
		k.pasting = false
		return k.held[:len(pasteEnds)], false
	case i > 0:
		end = i
	}
	end = min(end, mostPasted)
	// Terminals end the lines of what is pasted as Enter does.
	joined := bytes.ReplaceAll(bytes.ReplaceAll(k.held[:end], []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	k.held = append(joined, k.held[end:]...)
	return k.held[:len(joined)], false
}

// unread is how much the editor has not read yet.
func (k *keyboard) unread() int {
	n, err := unix.IoctlGetInt(int(k.keys.Fd()), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

type event int

const (
	nothing  event = iota // in the time given
	typed                 // there is something to read
	resizing              // the terminal has another size
	calling               // something is to be shown
	over                  // nobody reads any more
)

// wait waits for what comes next. A negative time has no end.
func (k *keyboard) wait(events *os.File, patience time.Duration) event {
	until := time.Now().Add(patience)
	for {
		at := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLIN}, {Fd: int32(k.terminal), Events: unix.POLLIN}}
		milliseconds := -1
		if patience >= 0 {
			milliseconds = max(0, int(time.Until(until).Milliseconds()))
		}
		switch n, err := unix.Poll(at, milliseconds); {
		case err == unix.EINTR:
		case err != nil:
			return over
		case n == 0:
			return nothing
		case at[0].Revents != 0:
			var one [1]byte
			if n, _ := events.Read(one[:]); n == 0 {
				return over
			}
			return event(one[0])
		default:
			return typed
		}
	}
}
