package terminal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

func TestTerminalBlocks(t *testing.T) {
	t.Setenv("COLORTERM", "truecolor")
	img := image.NewRGBA(image.Rect(0, 0, 4, 4))
	img.SetRGBA(0, 0, color.RGBA{255, 0, 0, 255})
	var out bytes.Buffer
	if err := WriteBlocks(&out, img, 80); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "\x1b[38;2;255;0;0m") || strings.Count(lines[0], "▀") != 4 {
		t.Errorf("%q", lines)
	}
}

// The pictures that a terminal is sent, unpacked by the protocols' own rules.
func TestTerminalGraphics(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 40, 20))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	img.SetRGBA(3, 2, color.RGBA{200, 10, 30, 255})
	payload := map[graphics]func(string) (header, data string){
		kitty: func(s string) (header, data string) { // in chunks <ESC>_Gkeys;base64<ESC>\
			for i, chunk := range regexp.MustCompile(`(?s)\x1b_G(.*?);(.*?)\x1b\\`).FindAllStringSubmatch(s, -1) {
				if i == 0 {
					header = chunk[1]
				}
				data += chunk[2]
			}
			return
		},
		iterm: func(s string) (header, data string) { // <ESC>]1337;File=keys:base64<BEL>
			m := regexp.MustCompile(`(?s)\x1b\]1337;File=(.*?):(.*?)(\a|\x1b\\)`).FindStringSubmatch(s)
			if m == nil {
				return "", ""
			}
			return m[1], m[2]
		},
	}
	for as, width := range map[graphics]string{kitty: "c=%d", iterm: "width=%d"} {
		for css, columns := range map[int]int{0: 5, 20: 3, 8000: 60} {
			var out bytes.Buffer
			if err := writePicture(&out, img, css, 60, as); err != nil {
				t.Fatal(err)
			}
			header, data := payload[as](out.String())
			if want := fmt.Sprintf(width, columns); !strings.Contains(header+";", want) && !strings.Contains(header+",", want) {
				t.Errorf("protocol %d: the header %q lacks %q", as, header, want)
			}
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(data))
			if err != nil {
				t.Fatalf("protocol %d: %v", as, err)
			}
			got, err := png.Decode(bytes.NewReader(raw))
			if err != nil {
				t.Fatalf("protocol %d: %v", as, err)
			}
			if r, g, b, _ := got.At(3, 2).RGBA(); got.Bounds().Size() != image.Pt(40, 20) || r>>8 != 200 || g>>8 != 10 ||
				b>>8 != 30 {
				t.Errorf("protocol %d: another picture, of %v", as, got.Bounds())
			}
			if !strings.HasSuffix(out.String(), "\n") {
				t.Errorf("protocol %d: what follows starts beside the picture", as)
			}
		}
	}
}

func TestGraphicsByTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		variables map[string]string
		want      graphics
	}{
		{map[string]string{"TERM": "xterm-256color"}, blocks},
		{map[string]string{"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, kitty},
		{map[string]string{"TERM_PROGRAM": "ghostty"}, kitty},
		{map[string]string{"LC_TERMINAL": "iTerm2"}, iterm},
		{map[string]string{"TERM_PROGRAM": "WezTerm"}, iterm},
		{map[string]string{"KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux-1/default,1,0"}, blocks},
		{map[string]string{"LC_TERMINAL": "iTerm2", "TERM": "screen-256color"}, blocks},
	} {
		for _, name := range []string{"TERM", "TERM_PROGRAM", "LC_TERMINAL", "VIM_TERMINAL", "KITTY_WINDOW_ID", "TMUX"} {
			t.Setenv(name, c.variables[name])
		}
		if got := graphicsOf(); got != c.want {
			t.Errorf("%v: protocol %d, want %d", c.variables, got, c.want)
		}
	}
}

// A picture that does not go to a terminal is named in one line, without colours.
func TestNoTerminalGetsALine(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	New(file).Display(mime.Bundle{Data: map[string]string{mime.Text: "<image 9 x 9>", mime.PNG: "not decoded"}}, false)
	if got, _ := os.ReadFile(file.Name()); string(got) != "<image 9 x 9>\n" {
		t.Errorf("the file has %q", got)
	}
}
