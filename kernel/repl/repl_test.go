package repl

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"github.com/mattn/go-runewidth"

	"github.com/loupeml/loupe/internal/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m)) }

// console is `loupe repl` in a terminal of its own.
type console struct {
	t       *testing.T
	file    *os.File // the terminal's end
	tty     *os.File // the program's
	screen  vt10x.Terminal
	command *exec.Cmd
	ended   chan error

	mu  sync.Mutex
	all bytes.Buffer // everything that has been written
	cut []byte       // the beginning of a character
}

func start(t *testing.T, columns, rows int, env []string, args ...string) *console {
	t.Helper()
	c := &console{t: t, screen: vt10x.New(vt10x.WithSize(columns, rows)), ended: make(chan error, 1)}
	c.command = exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), args...)
	c.command.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM=truecolor", "TMUX=", "NO_COLOR=",
		"LOUPE_HISTORY="+filepath.Join(t.TempDir(), "history")), env...)
	var err error
	if c.file, c.tty, err = pty.Open(); err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(c.tty, &pty.Winsize{Cols: uint16(columns), Rows: uint16(rows)}); err != nil {
		t.Fatal(err)
	}
	c.command.Stdin, c.command.Stdout, c.command.Stderr = c.tty, c.tty, c.tty
	c.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	exit := make(chan error, 1)
	go func() {
		exit <- c.command.Wait()
		c.tty.Close() // what has been written is read to its end
	}()
	go func() {
		buffer, asked, questions := make([]byte, 4096), []byte(nil), regexp.MustCompile(`\x1b\[(c|6n)`)
		for {
			n, err := c.file.Read(buffer)
			c.mu.Lock()
			c.all.Write(buffer[:n])
			c.show(buffer[:n])
			c.mu.Unlock()
			// What a terminal answers when it is asked what it is, and where its cursor is.
			asked = append(asked, buffer[:n]...)
			for _, question := range questions.FindAll(asked, -1) {
				if string(question) == "\x1b[c" {
					c.file.WriteString("\x1b[?62;22c")
					continue
				}
				c.mu.Lock()
				at := c.screen.Cursor()
				c.mu.Unlock()
				fmt.Fprintf(c.file, "\x1b[%d;%dR", at.Y+1, at.X+1)
			}
			if all := questions.FindAllIndex(asked, -1); all != nil {
				asked = asked[all[len(all)-1][1]:]
			}
			asked = asked[max(0, len(asked)-3):] // the rest of a question may come later
			if err != nil {
				break
			}
		}
		c.ended <- <-exit
	}()
	t.Cleanup(func() {
		c.command.Process.Kill()
		c.file.Close()
	})
	return c
}

// show has the screen show what has been written. It has characters of one column only, and here wide ones take two:
// the second is secondHalf, and what does not fit into a row is in the next one. Those without a width are left out.
func (c *console) show(written []byte) {
	written = append(c.cut, written...)
	for len(written) > 0 && utf8.FullRune(written) {
		r, length := utf8.DecodeRune(written)
		switch cursor := c.screen.Cursor(); {
		case r < utf8.RuneSelf || runewidth.RuneWidth(r) == 1:
			c.screen.Write(written[:length])
		case runewidth.RuneWidth(r) == 2:
			columns, _ := c.screen.Size()
			if full := cursor.State&wrapNext != 0; cursor.X == columns-1 && !full {
				c.screen.Write([]byte(" "))
			}
			c.screen.Write([]byte(string(r) + secondHalf))
		}
		written = written[length:]
	}
	c.cut = slices.Clone(written)
}

const (
	secondHalf = "\ue000"
	wrapNext   = 2 // the state of vt10x's cursor behind a full row
)

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ReplaceAll(c.screen.String(), secondHalf, "")
}

// waitCursor waits until the cursor is at a column of the row whose text matches the pattern.
func (c *console) waitCursor(pattern string, column int) {
	c.t.Helper()
	want := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		cursor, rows := c.screen.Cursor(), strings.Split(c.screen.String(), "\n")
		c.mu.Unlock()
		if cursor.X == column && want.MatchString(strings.ReplaceAll(rows[cursor.Y], secondHalf, "")) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the cursor is at row %d, column %d, not at %d of %s; the screen is\n%s", cursor.Y, cursor.X, column,
				pattern, c)
		}
	}
}

// patience is how long a test waits for what has to come before it fails.
const patience = 5 * time.Minute

// wait waits until the screen shows what matches the pattern.
func (c *console) wait(pattern string) {
	c.t.Helper()
	want := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); !want.MatchString(c.String()); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s does not come; the screen is\n%s", pattern, c.String())
		}
	}
}

// types types keys, as fast as a paste, whatever the program is at.
func (c *console) types(keys string) {
	c.t.Helper()
	c.file.WriteString(keys)
}

const (
	enter = "\r"
	ctrlC = "\x03"
	ctrlU = "\x15"
	ctrlD = "\x04"
	ctrlR = "\x12"
	tab   = "\t"
	up    = "\x1b[A"
)

func TestConversation(t *testing.T) {
	for _, size := range [][2]int{{100, 40}, {40, 24}} {
		t.Run(fmt.Sprintf("%d columns", size[0]), func(t *testing.T) {
			c := start(t, size[0], size[1], nil, "repl")
			c.wait(`In \[1\]: `)
			c.types("x := 41" + enter)
			c.wait(`In \[2\]: `)
			c.types("x + 1" + enter)
			c.wait(`Out\[2\]: 42`)
			// A statement that is not complete goes on in the next line.
			c.types("for i := range 3 {" + enter)
			c.types("fmt.Print(i, \" \")" + enter)
			c.types("}" + enter)
			c.wait(`0 1 2`)
			c.wait(`In \[4\]: `)
			// An error names its place.
			c.types("x +" + enter + "nothere" + enter)
			c.wait(`undefined: nothere`)
			c.wait(`cell 4, line 2`)
			// An interrupt keeps what is defined.
			c.types("fmt.Println(\"be\" + \"gun\"); for { }" + enter)
			c.wait(`begun`)
			c.types(ctrlC)
			c.wait(`Interrupted`)
			c.types("x" + enter)
			c.wait(`Out\[6\]: 41`)
			// Ctrl-C at the prompt gives the line up, and does not end the program.
			c.wait(`In \[7\]: `) // before that it would be one for the cell, and take what was typed with it
			c.types("half a li")
			c.wait(`half a li`)
			c.types(ctrlC)
			c.wait(`In \[7\]: half a li[^:]*In \[7\]: `)
			c.types("x*2" + enter)
			c.wait(`82`)
			c.types(ctrlD)
			select {
			case err := <-c.ended:
				if err != nil {
					t.Errorf("it ends with %v", err)
				}
			case <-time.After(patience):
				t.Errorf("Ctrl-D does not end it:\n%s", c)
			}
		})
	}
}

// The first Ctrl-C tells what a second one costs, and the second one ends what cannot be stopped.
func TestSecondCtrlC(t *testing.T) {
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("precious := 41" + enter)
	c.wait(`In \[2\]: `)
	c.types("p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), big.NewInt(1))" + enter)
	c.wait(`In \[3\]: `)
	c.types(`go func() { for all := make([]byte, 1<<20); !strings.Contains(string(all[:runtime.Stack(all, true)]), ` +
		`"Int).ProbablyPrime"); { time.Sleep(1e6) }; fmt.Println("be"+"gun") }(); p.ProbablyPrime(1 << 30)` + enter)
	c.wait(`begun`)
	c.types(ctrlC)
	c.wait(`precious would be lost`)
	// One that comes before a person can have read that does not count.
	for deadline := time.Now().Add(patience); !strings.Contains(strings.Join(strings.Fields(c.String()), ""),
		"asecondStopendeditsprocess;lostare"); {
		if time.Now().After(deadline) {
			t.Fatalf("a second Ctrl-C does not end it; the screen is\n%s", c)
		}
		c.types(ctrlC)
		time.Sleep(100 * time.Millisecond) // as fast as a person
	}
	c.wait(`In \[4\]: `)
	c.types("6*7" + enter)
	c.wait(`Out\[4\]: 42`)
	c.types(ctrlD)
}

func TestErrorsAtThePrompt(t *testing.T) {
	c := start(t, 110, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types(`n := strconv.Atoi("41")` + enter)
	c.wait(`In \[2\]: `)
	c.types("n + 1" + enter)
	c.wait(`Out\[2\]: 42`)
	c.types(`url.Parse("%zz").Host` + enter)
	c.wait(`Error: parse "%zz"`)
	c.wait(`cell 3, line 1`)
	c.types(`url.Parse("http://go.dev").Hos` + tab)
	c.wait(`Host +-- Host string`)
	c.types(ctrlC) // leaves the list
	c.types(ctrlU)
	c.wait(`In \[4\]: \s*\n`)
	c.types("must?" + enter)
	c.wait(`func must\[T any\]\(value T, err error\) T`)
}

func TestTabAndQuestionMark(t *testing.T) {
	c := start(t, 110, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("strings.ToUp" + tab)
	c.wait(`func strings.ToUpper\(s string\) string`)
	c.types(tab + `("abc")` + enter)
	c.wait(`Out\[1\]: "?ABC`)
	// A dot alone lists all members, and the next Tab takes the first; after a bracket stands what the call takes.
	c.wait(`In \[2\]: `)
	c.types("utf8.")
	c.wait(`In \[2\]: utf8\.`)
	c.types(tab)
	c.wait(`AppendRune +-- func utf8.AppendRune`)
	c.types(tab)
	c.wait(`In \[2\]: utf8.AppendRune\s`)
	c.types(ctrlC) // leaves the list
	c.types(ctrlU)
	c.wait(`In \[2\]: \s*\n`)
	c.types("strings.Cut(" + tab)
	c.wait(`\n *func strings.Cut\(s string, sep string\) \(before string`)
	c.types(ctrlC)
	c.wait(`Cut.*\s+In \[2\]: `)
	c.types("strings.Cut?" + enter)
	c.wait(`Cut slices s around the first instance of sep`)
	c.types("?nosuchname" + enter)
	c.wait(`nothing is known of nosuchname`)
}

func TestHistoryIsSearchedAndKept(t *testing.T) {
	past := "LOUPE_HISTORY=" + filepath.Join(t.TempDir(), "shared")
	c := start(t, 90, 30, []string{past}, "repl")
	c.wait(`In \[1\]: `)
	c.types("needle := 7" + enter)
	c.wait(`In \[2\]: `)
	c.types("hay := 8" + enter)
	c.wait(`In \[3\]: `)
	c.types(up + up + enter)
	c.wait(`In \[3\]: needle := 7`)
	c.wait(`In \[4\]: `)
	c.types(ctrlD)
	<-c.ended
	c = start(t, 90, 30, []string{past}, "repl")
	c.wait(`In \[1\]: `)
	c.types(ctrlR + "hay")
	c.wait(`hay := 8`)
	c.types(enter)
	c.types(enter)
	c.wait(`In \[2\]: `)
	c.types("hay + 1" + enter)
	c.wait(`9`)
}

func TestPaste(t *testing.T) {
	c := start(t, 90, 30, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("\x1b[200~func double(n int) int {\n\treturn 2 * n\n}\ndouble(21)\x1b[201~" + enter)
	c.wait(`Out\[1\]: 42`)
}

func TestInput(t *testing.T) {
	c := start(t, 90, 30, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types(`var name string; fmt.Print("who? "); fmt.Scanln(&name); "hello " + name` + enter)
	c.wait(`(?m)^who\? `)
	c.types("gopher" + enter)
	c.wait(`hello gopher`)
}

// A progress bar is one line, makes room for what is printed, and is gone at the end.
func TestProgressIsWrittenOver(t *testing.T) {
	c := start(t, 90, 30, nil, "repl")
	c.wait(`In \[1\]: `)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	// Shorter work shows nothing, and what comes soon after is not shown. The third step stays until the test has seen it.
	c.types(fmt.Sprintf(`p := progress.New("st"+"eps", 5); time.Sleep(5e8); for i := range 4 { time.Sleep(1.5e8); `+
		`p.Add(1); if i == 2 { os.ReadFile(%q) }; fmt.Println("round", i) }; p.Close()`, gate) + enter)
	c.wait(`(?m)^steps: .*3 of 5`)
	if err := os.WriteFile(gate, nil, 0); err != nil {
		t.Fatal(err)
	}
	c.wait(`In \[2\]: `)
	if strings.Contains(c.String(), "steps:") || strings.Count(c.String(), "\nround ") != 4 {
		t.Errorf("after the work the screen shows\n%s", c)
	}
}

// Pictures are half blocks in colour where the terminal has nothing better, as wide as the terminal at most.
func TestPictures(t *testing.T) {
	const cell = "img := image.NewRGBA(image.Rect(0, 0, 400, 100)); draw.Draw(img, img.Bounds(), " +
		"image.NewUniform(color.RGBA{255, 0, 0, 255}), image.Point{}, draw.Src); img"
	for _, columns := range []int{100, 40} {
		c := start(t, columns, 30, nil, "repl")
		c.wait(`In \[1\]: `)
		c.types(cell + enter)
		c.wait(fmt.Sprintf(`(?m)^▀{%d}$`, columns))
		c.mu.Lock()
		if !strings.Contains(c.all.String(), "\x1b[38;2;255;0;0m") {
			t.Error("it is not red")
		}
		c.mu.Unlock()
	}
	kitty := start(t, 100, 30, []string{"TERM=xterm-kitty", "KITTY_WINDOW_ID=1"}, "repl")
	kitty.wait(`In \[1\]: `)
	kitty.types(cell + enter)
	kitty.wait(`In \[2\]: `)
	kitty.mu.Lock()
	defer kitty.mu.Unlock()
	if !strings.Contains(kitty.all.String(), "\x1b_G") {
		t.Error("kitty gets no picture")
	}
}

func TestNoColours(t *testing.T) {
	c := start(t, 80, 24, []string{"NO_COLOR=1"}, "repl")
	c.wait(`In \[1\]: `)
	c.types("undefinedname" + enter)
	c.wait(`undefined: undefinedname`)
	c.mu.Lock()
	defer c.mu.Unlock()
	if coloured := regexp.MustCompile(`\x1b\[(3|4|9)[0-9][;m]`).FindString(c.all.String()); coloured != "" &&
		coloured != "\x1b[39m" && coloured != "\x1b[49m" {
		t.Errorf("there is colour: %q", coloured)
	}
}

// run runs loupe without a terminal and returns what it prints and its status.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	command := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), args...)
	command.Stdin = strings.NewReader(stdin)
	var out, problems strings.Builder
	command.Stdout, command.Stderr = &out, &problems
	command.Run()
	return out.String(), problems.String(), command.ProcessState.ExitCode()
}

func TestScripts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cells := write("cells.go", "// %% first\nx := 20\nfmt.Println(\"one\")\n// %% second\nx + 1\n")
	program := write("program.go", "#!/usr/bin/env loupe\npackage main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc "+
		"main() {\n\tfmt.Println(os.Args[1:])\n\tdefer fmt.Println(\"never\")\n\tos.Exit(7)\n}\n")
	broken := write("broken.go", "// %%\nx := 1\n// %%\n\nx + undefinedname\n")
	binary := write("binary.go", "a\x00b")
	mistaken := write("mistaken.go", "// %% first\nn := strconv.Atoi(\"4\")\nn * must(strconv.Atoi(\"5\"))\n// %% "+
		"second\nurl.Parse(\"a\").\n\tParse(\"%zz\").\n\tString()\n// %% third\nfmt.Println(\"never\")\n")
	for _, c := range []struct {
		name          string
		stdin         string
		args          []string
		stdout, error string
		status        int
	}{
		{"an expression", "", []string{"-e", "6*7"}, "42\n", "", 0},
		{"two values", "", []string{"-e", `fmt.Println("a"); strings.Cut("k=v", "=")`}, "a\n", "", 0},
		{"a file of cells", "", []string{cells}, "one\n21\n", "", 0},
		{"a program", "", []string{program, "a", "-b"}, "[a -b]\n", "", 7},
		{"a cell that fails", "", []string{broken}, "", "cell 2, line 5", 1},
		{"a panic", "", []string{"-e", `fmt.Println("before"); panic("no")`}, "before\n", "Panic: no", 1},
		{"an error in a file of cells", "", []string{mistaken}, "20\n",
			"Error: parse \"%zz\": invalid URL escape \"%zz\"\ncell 2, line 6", 1},
		{"an error", "", []string{"-e", `fmt.Println("before"); _ = strconv.Atoi("x")`}, "before\n",
			"Error: strconv.Atoi", 1},
		{"a program is plain Go", "package main\nimport \"strconv\"\nfunc main() { _ = strconv.Atoi(\"3\") }", nil, "",
			"assignment mismatch", 1},
		{"a file with a mark of its encoding", "",
			[]string{write("bom.go", "\ufeffpackage main\r\nimport \"fmt\"\r\nfunc main() { fmt.Println(\"read\") }\r\n")},
			"read\n", "", 0},
		{"a filter", "a\nb",
			[]string{write("filter.go",
				"s := bufio.NewScanner(os.Stdin)\nfor s.Scan() { fmt.Println(strings.ToUpper(s.Text())) }\ns.Err()\n")},
			"A\nB\n", "", 0},
		{"the end of what is read", "a\nb", []string{write("end.go", "r := bufio.NewReader(os.Stdin)\nfor range 3 "+
			"{\n\tline, err := r.ReadString('\\n')\n\tfmt.Printf(\"%q %t\\n\", line, err == io.EOF)\n}\n")},
			"\"a\\n\" false\n\"b\" true\n\"\" true\n", "", 0},
		{"nothing to be read", "", []string{"-e", `var name string; n, err := fmt.Scan(&name); n, err == io.EOF`},
			"0, true\n", "", 0},
		{"an exit", "", []string{"-e", "os.Exit(0)"}, "", "", 0},
		{"piped", "y := 3\ny * 2\n", nil, "6\n", "", 0},
		{"piped to the prompt", "y := 3\n// %%\ny * 2\n", []string{"repl"}, "6\n", "", 0},
		{"no such command", "", []string{"frobnicate"}, "", "there is no command frobnicate", 2},
		{"no such file", "", []string{filepath.Join(dir, "none.go")}, "", "no such file", 1},
		{"no text", "", []string{binary}, "", "is no text", 1},
		{"no such picture", "", []string{"repl", "squeezenet", filepath.Join(dir, "cat.jpg")}, "", "there is no image", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, status := run(t, c.stdin, c.args...)
			if c.name == "two values" {
				c.stdout, stdout = "a\n", stdout[:min(2, len(stdout))]
			}
			if stdout != c.stdout || status != c.status || !strings.Contains(stderr, c.error) {
				t.Errorf("status %d, want %d\nprinted %q, want %q\nerrors %q, want %q in it", status, c.status, stdout, c.stdout,
					stderr, c.error)
			}
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("there are escape codes in %q %q", stdout, stderr)
			}
		})
	}
}

// A request to end is for the whole script, whatever its cell does.
func TestScriptsAreEnded(t *testing.T) {
	for _, code := range []string{`fmt.Println("begun"); for {}`, `fmt.Println("begun"); select {}`,
		`fmt.Println("begun"); time.Sleep(time.Hour)`} {
		command := exec.Command(filepath.Join(testenv.Binaries(t), "loupe"), "-e", code)
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var problems strings.Builder
		command.Stderr = &problems
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		command.Process.Signal(syscall.SIGTERM)
		command.Wait()
		if status := command.ProcessState.ExitCode(); status != 143 || problems.String() != "" {
			t.Errorf("%s: status %d, want 143; it says %q", code, status, problems.String())
		}
	}
}

// A model and images are ready at the prompt; one line shows the classes, one more a heatmap.
func TestModelAndImages(t *testing.T) {
	dir := testenv.Asset(t, "foolbox-samples")
	testenv.Asset(t, "efficientnet-lite0")
	pictures, err := filepath.Glob(filepath.Join(dir, "imagenet_*.jpg"))
	if err != nil || len(pictures) == 0 {
		t.Fatalf("no pictures in %s: %v", dir, err)
	}
	c := start(t, 100, 60, nil, "repl", "efficientnet-lite0", pictures[0])
	c.wait(`In \[1\]: `)
	c.types("loupe.TopK(m, imgs, 5)" + enter)
	c.wait(`probability`)
	c.wait(`%`)
	c.wait(`In \[2\]: `)
	c.types("loupe.Explain(m, imgs, attrib.GradCAM{})" + enter)
	c.wait(`(?m)^▀{20,}`)
}

func TestUnknownModelIsSaidAndThePromptStays(t *testing.T) {
	c := start(t, 100, 30, nil, "repl", "no-such-model")
	c.types("6*7" + enter) // it is said before or after the first prompt
	c.wait(`no-such-model`)
	c.wait(`Out\[1\]: 42`)
}

// No key is lost at any speed, while the size of the terminal changes and it answers where its cursor is.
func TestFastKeysAndResizes(t *testing.T) {
	c := start(t, 100, 30, nil, "repl")
	c.wait(`In \[1\]: `)
	var typed strings.Builder
	typed.WriteString("len(`")
	keys := 0
	for i := 0; keys < 1000; i++ {
		word := fmt.Sprintf("%d ", i)
		typed.WriteString(word)
		keys += len(word)
	}
	typed.WriteString("`)")
	for i, key := range []byte(typed.String()) {
		c.file.Write([]byte{key})
		if i%100 == 50 {
			columns := 80 + 20*(i/100%2)
			c.mu.Lock()
			c.screen.Resize(columns, 30)
			c.mu.Unlock()
			if err := pty.Setsize(c.tty, &pty.Winsize{Cols: uint16(columns), Rows: 30}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.types(enter)
	c.wait(fmt.Sprintf(`Out\[1\]: %d`, keys))
	c.types("6*7" + enter + "6*8" + enter)
	c.wait(`Out\[3\]: 48`)
}

// Terminals end the lines of what is pasted as Enter does.
func TestPastedLines(t *testing.T) {
	c := start(t, 100, 30, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("\x1b[200~total := 0\rfor i := range 4 {\r\n\ttotal += i\n}\rtotal*7\x1b[201~")
	c.types(enter)
	c.wait(`Out\[1\]: 42`)
}

// The person's own editor has the terminal while it runs.
func TestTheCellInAnEditor(t *testing.T) {
	editor := filepath.Join(t.TempDir(), "editor")
	if err := os.WriteFile(editor, []byte("#!/bin/sh\necho factor?\nread factor\nsed -i \"s/\\$/*$factor/\" \"$1\"\n"),
		0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, 100, 30, []string{"EDITOR=" + editor, "VISUAL=" + editor}, "repl")
	c.wait(`In \[1\]: `)
	c.types("6\x18\x05") // Ctrl-X Ctrl-E
	c.wait(`factor\?`)
	c.types("7" + enter)
	c.wait(`In \[1\]: 6\*7`)
	c.types(enter)
	c.wait(`Out\[1\]: 42`)
	c.types("6*8" + enter)
	c.wait(`Out\[2\]: 48`)
}

const (
	down     = "\x1b[B"
	left     = "\x1b[D"
	altEnter = "\x1b\r"
	ctrlA    = "\x01"
	ctrlZ    = "\x1a"
)

// Enter in the middle of several lines makes one more, indented by the brackets that are open; Up and Down go through
// the lines before they go through the history; Alt-Enter begins a line whatever there is.
func TestLinesOfACell(t *testing.T) {
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("first := 1" + enter)
	c.wait(`In \[2\]: `)
	c.types("for i := range 3 {" + enter + "if i > 0 {" + enter + "fmt.Print(i)" + enter + "}" + enter + "}")
	c.wait(`(?m)^ *In \[2\]: for i := range 3 \{\s*\n {13}\S?if i > 0 \{\s*\n {18}fmt.Print\(i\)\s*\n {13}\}\s*\n {8}\}`)
	// Two lines up and to the end: another statement, in the middle.
	c.types(up + up + "\x05" + enter + "fmt.Print(`-`)")
	c.wait(`(?m)fmt.Print\(i\)\s*\n {18}fmt.Print\(.-.\)\s*\n {13}\}`)
	c.types(down + down + "\x05" + enter)
	c.wait(`(?m)^1-2-`)
	c.wait(`In \[3\]: `)
	// Up takes the last cell; once more goes up in it, and in its first line to the cell before.
	c.types(up + up + up + up + up + up + up)
	c.wait(`In \[3\]: first := 1`)
	c.types(ctrlU)
	c.types("a := 20" + altEnter + "a + 1" + enter)
	c.wait(`Out\[3\]: 21`)
	// In a raw string blanks count.
	c.types("s := `{" + enter + "x`" + enter)
	c.wait(`In \[5\]: `)
	c.types("len(s)" + enter)
	c.wait(`Out\[5\]: 3`)
	// Two empty lines end what does not parse.
	c.types("f(" + enter + enter + enter)
	c.wait(`CompileError`)
}

// Characters that take two columns, or none, are where they have been typed.
func TestWideCharacters(t *testing.T) {
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types(`s := "猫と犬"` + left + left + "🐈" + left + left + "e\u0301ß" + enter)
	c.wait(`In \[2\]: `)
	c.types("[]rune(s)" + enter)
	c.wait(`Out\[2\]: \[29483 101 769 223 12392 128008 29356\]`)
	c.types("\x1b[200~t := \"日本語\"\nlen(t)\x1b[201~" + ctrlA + enter)
	c.wait(`Out\[3\]: 9`)
}

// A character of two columns that does not fit at the end of a row begins the next one, and the cursor is where it
// stands; so it is where a row is full. What is shown before and after stays as it is.
func TestWideCharactersAtTheEdge(t *testing.T) {
	c := start(t, 40, 24, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("above := 1" + enter)
	c.wait(`In \[2\]: `)
	// Eight columns of prompt, and 31 up to the edge: the 猫 has one, and goes to the next row.
	c.types("s := `" + strings.Repeat("a", 25) + "猫b")
	c.waitCursor(`^猫b *$`, 3)
	c.wait("(?m)^In \\[2\\]: s := `a{25} ?\n猫b *$")
	c.types(left)
	c.waitCursor(`^猫b *$`, 2)
	c.types(left)
	c.waitCursor(`^猫b *$`, 0)
	c.types(left)
	c.waitCursor("^In \\[2\\]: s := `a{25} *$", 38)
	// One letter before it gives the place at the edge to a letter, one taken away gives it to the character.
	c.types("x")
	c.waitCursor("^In \\[2\\]: s := `a{24}xa *$", 39)
	c.types("\x7f\x7f")
	c.waitCursor("^In \\[2\\]: s := `a{24}猫$|^In \\[2\\]: s := `a{23}a猫$", 37)
	c.types("aa\x05") // as they were, and one more
	c.types("\n" + strings.Repeat("犬", 40) + "`" + ctrlA)
	c.types(enter)
	c.wait(`In \[3\]: `)
	c.types("[]rune(s)[20:30]" + enter)
	c.wait(`Out\[3\]: \[97`)
	c.wait("In \\[1\\]: above := 1\\s+\\n")
	c.types("len(s)" + enter)
	c.wait(`Out\[4\]: 151`)
	// A full row, in the middle of a cell and at its end.
	c.types("f := `" + strings.Repeat("c", 26) + altEnter + strings.Repeat("d", 32))
	c.waitCursor(`^ *$`, 0)
	c.types("e`")
	c.waitCursor("^e` *$", 2)
	c.types(up) // to the end of the first line, which is in the row below it
	c.waitCursor(`^ *$`, 0)
	c.types(left)
	c.waitCursor("^In \\[5\\]: f := `c{26}$", 39)
	c.types(down + "\x05" + enter)
	c.wait(`In \[6\]: `)
	c.types("len(f)" + enter)
	c.wait(`Out\[6\]: 60`)
	// Several lines, each with such a character, while more is typed into them.
	c.types("g := `" + strings.Repeat("g", 25) + "猫" + altEnter + "h" + strings.Repeat("犬", 16) + "`")
	c.waitCursor("^犬` *$", 3)
	c.types(up + "\x05i")
	c.waitCursor(`^猫i *$`, 3)
	c.types(enter)
	c.types("j")
	c.wait("(?m)^In \\[7\\]: g := `g{25} ?\n猫i *\n {8}j *\n {8}h犬{15} ?\n犬` *$")
	c.types(down + "\x05" + enter)
	c.wait(`In \[8\]: `)
	c.types("len(g)" + enter)
	c.wait(`Out\[8\]: 81`)
}

// At the bottom of the terminal there is a prompt as elsewhere, and what stands above it stays.
func TestBottomOfTheTerminal(t *testing.T) {
	c := start(t, 60, 8, nil, "repl")
	for i := 1; i <= 6; i++ {
		c.wait(fmt.Sprintf(`In \[%d\]: \s*$`, i))
		c.types(fmt.Sprint(i*11) + enter)
	}
	c.wait(`(?m)^In \[6\]: 66\s*\n^Out\[6\]: 66\s*\n^In \[7\]: \s*\z`)
	c.types("half a li")
	c.wait(`In \[7\]: half a li`)
	c.types(ctrlC)
	c.wait(`(?m)^Out\[6\]: 66\s*\n^In \[7\]: half a li\S*\s*\n^In \[7\]: \s*\z`)
	c.types("if true {" + enter + "_ = 1" + enter)
	c.wait(`(?m)^In \[7\]: half a li\S*\s*\n^In \[7\]: if true \{\s*\n +_ = 1\s*\n`)
	c.types("}" + enter)
	c.wait(`(?m)^ +\}\s*\n^In \[8\]: \s*\z`)
	// A cell that is searched for has its lines, and what stands above stays.
	c.types(ctrlR + "true")
	c.wait(`(?m)^ +\}\s*\n^In \[8\]: if true \{\s*\n +_ = 1\s*\n +\}\s*\n.*true`)
	c.types(enter)
	c.wait(`(?m)^ +\}\s*\n^In \[9\]: \s*\z`)
}

// What comes while a person types stands above the prompt, and what has been typed stays.
func TestLateOutput(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types(fmt.Sprintf("go func() { os.ReadFile(%q); fmt.Println(\"late\"); fmt.Print(\"no end\") }()", gate) + enter)
	c.wait(`In \[2\]: `)
	c.types("6*")
	c.wait(`In \[2\]: 6\*`)
	if err := os.WriteFile(gate, nil, 0); err != nil {
		t.Fatal(err)
	}
	c.wait(`(?m)^late\s*\n(.*\n)?no end\s*\n(.*\n)?In \[2\]: 6\*`)
	c.types("7" + enter)
	c.wait(`Out\[2\]: 42`)
}

// Ctrl-Z gives the terminal back, and the prompt is as it was afterwards.
func TestSuspend(t *testing.T) {
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("6*7")
	c.wait(`In \[1\]: 6\*7`)
	c.types(ctrlZ)
	// Nothing would stop a program without a shell: the test is in its place.
	c.wait(`(?s)In \[1\]: 6\*7.*In \[1\]: 6\*7`)
	c.types(enter)
	c.wait(`Out\[1\]: 42`)
}

// What cells gave can be used again.
func TestEarlierValues(t *testing.T) {
	c := start(t, 100, 40, nil, "repl")
	c.wait(`In \[1\]: `)
	c.types("6*7" + enter)
	c.wait(`Out\[1\]: 42`)
	c.types("_ + 1" + enter)
	c.wait(`Out\[2\]: 43`)
	c.types("Out[1] * __" + enter)
	c.wait(`Out\[3\]: 1764`)
	c.types("In[1]" + enter)
	c.wait(`Out\[4\]: "?6\*7`)
	c.types("utf8." + tab) // a list straight after a dot
	c.wait(`AppendRune +-- func utf8.AppendRune`)
}
