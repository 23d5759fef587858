package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The messages were signed by jupyter_client 8.10:
//
//	python -c "from jupyter_client.session import Session; s = Session(key=b'6b1f'); print(s.sign([b'{\"msg_id\":\"1\",\"msg_type\":\"status\"}', b'{}', b'{}', b'{\"execution_state\":\"busy\"}']))"
const (
	testKey       = "6b1f"
	testHeader    = `{"msg_id":"1","msg_type":"status"}`
	testContent   = `{"execution_state":"busy"}`
	testSignature = "8995c90a8b9b457829c30703aeb44585d34aa120b6db58625655b1546f209723"
)

func testSigner(t testing.TB, key string) *Signer {
	s, err := NewSigner(key, "hmac-sha256")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	m, err := Parse([][]byte{[]byte("topic"), []byte("<IDS|MSG>"), []byte(testSignature), []byte(testHeader), []byte("{}"),
		[]byte("{}"), []byte(testContent), []byte("buffer")},
		testSigner(t, testKey))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.ID != "1" || m.Header.Type != "status" || string(m.Content) != testContent ||
		len(m.Identities) != 1 || string(m.Identities[0]) != "topic" || len(m.Buffers) != 1 {
		t.Errorf("got %+v", m)
	}
	// What comes in goes out again.
	out := m.Frames(testSigner(t, testKey))
	if got := string(bytes.Join(out, []byte(" "))); got != "topic <IDS|MSG> "+testSignature+" "+testHeader+" {} {} "+
		testContent+" buffer" {
		t.Errorf("got %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, frames := range map[string][]string{
		"nothing":          {},
		"an empty frame":   {""},
		"no delimiter":     {"sig", testHeader, "{}", "{}", testContent},
		"only a delimiter": {"<IDS|MSG>"},
		"no content":       {"<IDS|MSG>", "", testHeader, "{}", "{}"},
		"odd header":       {"<IDS|MSG>", "", "[]", "{}", "{}", "{}"},
		"cut header":       {"<IDS|MSG>", "", `{"msg_id":`, "{}", "{}", "{}"},
		"wrong types":      {"<IDS|MSG>", "", `{"msg_id":7}`, "{}", "{}", "{}"},
		"no type":          {"<IDS|MSG>", "", `{"msg_id":"7"}`, "{}", "{}", "{}"},
		"empty parent":     {"<IDS|MSG>", "", testHeader, "", "{}", "{}"},
		"odd content":      {"<IDS|MSG>", "", testHeader, "{}", "{}", "7"},
		"not UTF-8":        {"<IDS|MSG>", "", testHeader, "{}", "{}", "\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			var raw [][]byte
			for _, f := range frames {
				raw = append(raw, []byte(f))
			}
			var malformed *MalformedError
			if _, err := Parse(raw, testSigner(t, "")); !errors.As(err, &malformed) {
				t.Errorf("got %v, want a MalformedError", err)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	good := []string{"<IDS|MSG>", testSignature, testHeader, "{}", "{}", testContent}
	for i := range good[1:] {
		var frames [][]byte
		for _, f := range good {
			frames = append(frames, []byte(f))
		}
		frames[i+1] = append(frames[i+1], ' ') // still valid JSON
		if _, err := Parse(frames, testSigner(t, testKey)); err != ErrSignature {
			t.Errorf("frame %d changed: got %v, want ErrSignature", i+1, err)
		}
	}
	var frames [][]byte
	for _, f := range good {
		frames = append(frames, []byte(f))
	}
	if _, err := Parse(frames, testSigner(t, "another key")); err != ErrSignature {
		t.Errorf("another key: got %v, want ErrSignature", err)
	}
	if _, err := Parse(frames, testSigner(t, "")); err != nil {
		t.Errorf("no key: got %v; nothing is to be checked", err)
	}
}

func TestSchemes(t *testing.T) {
	if _, err := NewSigner("", ""); err != nil {
		t.Errorf("no key needs no scheme: %v", err)
	}
	for _, scheme := range []string{"", "hmac-md5", "sha256"} {
		if _, err := NewSigner("key", scheme); err == nil || !strings.Contains(err.Error(), "signature_scheme") {
			t.Errorf("scheme %q: got %v", scheme, err)
		}
	}
}

// A frame's bytes, any of them: parsing never panics, and what it accepts survives a round trip.
func FuzzParse(f *testing.F) {
	f.Add([]byte("<IDS|MSG>\x00\x00"+testHeader+"\x00{}\x00{}\x00"+testContent), byte(0))
	f.Add([]byte("id\x00<IDS|MSG>\x00"+testSignature+"\x00"+testHeader+"\x00{}\x00{}\x00"+testContent+"\x00buffer"),
		byte(0))
	f.Add([]byte("<IDS|MSG>"), byte(0))
	f.Add([]byte("<IDS|MSG>\x00\x00\x00\x00\x00"), byte(0))
	f.Add([]byte("<IDS|MSG>,,null,null,null,null"), byte(','))
	f.Add([]byte("<IDS|MSG>,,"+`{"msg_type":"x"}`+",null,null,null"), byte(';'))
	f.Add([]byte{}, byte(0))
	f.Fuzz(func(t *testing.T, text []byte, separator byte) {
		frames := bytes.Split(text, []byte{separator})
		for _, key := range []string{"", testKey} {
			signer := testSigner(t, key)
			m, err := Parse(frames, signer)
			if err != nil {
				continue
			}
			m.ParentID()
			m.Decode(&ExecuteRequest{})
			m.Decode(&HistoryRequest{})
			if _, err := NewMessage("s", &m, KernelStatus{Idle}); err != nil {
				t.Fatal(err)
			}
			again, err := Parse(m.Frames(signer), testSigner(t, key)) // who has seen it would not take it again
			if err != nil {
				t.Fatalf("%q: %v", frames, err)
			}
			if again.Header != m.Header || !bytes.Equal(again.Content, m.Content) {
				t.Fatalf("%q came back as %q", frames, again.Frames(signer))
			}
		}
	})
}

func TestReply(t *testing.T) {
	request, err := Parse([][]byte{[]byte("peer"), []byte("<IDS|MSG>"), nil,
		[]byte(`{"msg_id":"1","msg_type":"kernel_info_request","subshell_id":"kept"}`), []byte("{}"), []byte("{}"),
		[]byte("{}")},
		testSigner(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMessage("the session", &request, KernelStatus{Busy})
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Identities[0]) != "peer" ||
		string(m.Parent) != `{"msg_id":"1","msg_type":"kernel_info_request","subshell_id":"kept"}` {
		t.Errorf("got %+v", m)
	}
	h := m.Header
	if h.Type != "status" || h.Session != "the session" || h.Version != ProtocolVersion || h.ID == "" || h.Username == "" {
		t.Errorf("got %+v", h)
	}
}

func TestReadConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kernel.json")
	for _, test := range []struct{ text, problem string }{
		{`{"transport":"tcp","ip":"127.0.0.1","shell_port":1,"control_port":2,"stdin_port":3,"iopub_port":4,"hb_port":5,"key":"k","signature_scheme":"hmac-sha256","kernel_name":"loupe"}`, ""},
		{`{"shell_port":1,"control_port":2,"iopub_port":4,"hb_port":5}`, "has no stdin_port"},
		{`{"shell_port":"one"}`, "shell_port"},
		{`{`, "unexpected end"},
	} {
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := ReadConnection(path)
		if test.problem == "" {
			if err != nil || c.HBPort != 5 || c.Key != "k" {
				t.Errorf("got %+v, %v", c, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.problem) {
			t.Errorf("%s: got %v, want %q", test.text, err, test.problem)
		}
	}
	if _, err := ReadConnection(path + "x"); err == nil || !strings.Contains(err.Error(), "connection file") {
		t.Errorf("got %v", err)
	}
}

func TestExecuteRequestDefaults(t *testing.T) {
	for text, want := range map[string]ExecuteRequest{
		`{"code":"x"}`:                                       {Code: "x", StoreHistory: true, StopOnError: true},
		`{"code":"x","silent":true}`:                         {Code: "x", Silent: true, StopOnError: true},
		`{"code":"x","silent":true,"store_history":true}`:    {Code: "x", Silent: true, StopOnError: true},
		`{"code":"x","store_history":false}`:                 {Code: "x", StopOnError: true},
		`{"stop_on_error":false,"allow_stdin":true}`:         {StoreHistory: true, AllowStdin: true},
		`{"code":"x","store_history":null,"other_field":{}}`: {Code: "x", StoreHistory: true, StopOnError: true},
	} {
		var got ExecuteRequest
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.Code != want.Code || got.Silent != want.Silent || got.StoreHistory != want.StoreHistory ||
			got.AllowStdin != want.AllowStdin || got.StopOnError != want.StopOnError {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}
