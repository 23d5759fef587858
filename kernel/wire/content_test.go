package wire

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/loupeml/loupe/lib/mime"
)

func TestContent(t *testing.T) {
	none := map[string]map[string]any{}
	text := MimeBundle{"text/plain": json.RawMessage(`"42"`)}
	stop, n := 3, 5
	for _, test := range []struct {
		content Content
		text    string
	}{
		{&AbortedReply{Status: StatusAborted}, `{"status":"aborted"}`},
		{&ClearOutput{Wait: true}, `{"wait":true}`},
		{&CommClose{CommID: "c", Data: json.RawMessage("{}")}, `{"comm_id":"c","data":{}}`},
		{&CommInfoReply{StatusOK, map[string]CommInfo{"c": {"t"}}}, `{"status":"ok","comms":{"c":{"target_name":"t"}}}`},
		{&CommInfoRequest{}, `{}`},
		{&CommOpen{CommID: "c", TargetName: "t", Data: json.RawMessage(`{"x":1}`)},
			`{"comm_id":"c","target_name":"t","data":{"x":1}}`},
		{&CompleteReply{StatusOK, []string{"Println"}, 4, 7,
			CompleteMetadata{[]TypedMatch{{"Println", "function", "func()", 4, 7}}}},
			`{"status":"ok","matches":["Println"],"cursor_start":4,"cursor_end":7,"metadata":{"_jupyter_types_experimental":[{"text":"Println","type":"function","signature":"func()","start":4,"end":7}]}}`},
		{&CompleteRequest{"fmt.Pri", 7}, `{"code":"fmt.Pri","cursor_pos":7}`},
		{&DisplayData{text, none, Transient{"d"}},
			`{"data":{"text/plain":"42"},"metadata":{},"transient":{"display_id":"d"}}`},
		{&DisplayData{text, map[string]map[string]any{"image/png": {"width": 3.0}}, Transient{}},
			`{"data":{"text/plain":"42"},"metadata":{"image/png":{"width":3}},"transient":{}}`},
		{&Error{"Panic", "x < y", []string{"line 1"}}, `{"ename":"Panic","evalue":"x < y","traceback":["line 1"]}`},
		{&ErrorReply{Status: StatusError, Name: "n", Value: "v", Traceback: []string{}},
			`{"status":"error","ename":"n","evalue":"v","traceback":[]}`},
		{&ErrorReply{Status: StatusError, Name: "n", Value: "v", Traceback: []string{"t"}, ExecutionCount: 2},
			`{"status":"error","ename":"n","evalue":"v","traceback":["t"],"execution_count":2}`},
		{&ExecuteInput{"6*7", 1}, `{"code":"6*7","execution_count":1}`},
		{&ExecuteReply{StatusOK, 1, map[string]UserExpression{}, []Payload{}},
			`{"status":"ok","execution_count":1,"user_expressions":{},"payload":[]}`},
		{&ExecuteReply{StatusOK, 1, map[string]UserExpression{"a": {Status: StatusOK, Data: text},
			"b": {Status: StatusError, Name: "n", Value: "v"}}, []Payload{}},
			`{"status":"ok","execution_count":1,"user_expressions":{"a":{"status":"ok","data":{"text/plain":"42"}},"b":{"status":"error","ename":"n","evalue":"v"}},"payload":[]}`},
		{&ExecuteRequest{Code: "x", StoreHistory: true, UserExpressions: map[string]string{"a": "b"}, AllowStdin: true,
			StopOnError: true},
			`{"code":"x","silent":false,"store_history":true,"user_expressions":{"a":"b"},"allow_stdin":true,"stop_on_error":true}`},
		{&ExecuteResult{1, text, none, Transient{}},
			`{"execution_count":1,"data":{"text/plain":"42"},"metadata":{},"transient":{}}`},
		{&HistoryRequest{Output: true, Raw: true, Access: HistoryRange, Session: -1, Start: 1, Stop: &stop},
			`{"output":true,"raw":true,"hist_access_type":"range","session":-1,"start":1,"stop":3,"n":null,"pattern":"","unique":false}`},
		{&HistoryRequest{Access: HistorySearch, N: &n, Pattern: "*x*", Unique: true},
			`{"output":false,"raw":false,"hist_access_type":"search","session":0,"start":0,"stop":null,"n":5,"pattern":"*x*","unique":true}`},
		{&InputReply{StatusOK, "Ada"}, `{"status":"ok","value":"Ada"}`},
		{&InputRequest{"name? ", true}, `{"prompt":"name? ","password":true}`},
		{&InspectReply{StatusOK, true, text, none}, `{"status":"ok","found":true,"data":{"text/plain":"42"},"metadata":{}}`},
		{&InspectRequest{"fmt.Println", 5, 1}, `{"code":"fmt.Println","cursor_pos":5,"detail_level":1}`},
		{&InterruptReply{StatusOK}, `{"status":"ok"}`},
		{&InterruptRequest{}, `{}`},
		{&IOPubWelcome{""}, `{"subscription":""}`},
		{&IsCompleteReply{Incomplete, "  "}, `{"status":"incomplete","indent":"  "}`},
		{&IsCompleteReply{Status: Complete}, `{"status":"complete"}`},
		{&IsCompleteRequest{"x"}, `{"code":"x"}`},
		{&KernelInfoReply{StatusOK, "5.5", "loupe", "1", LanguageInfo{Name: "go", Version: "1.26", MimeType: "text/x-go",
			FileExtension: ".go"}, "hello", []HelpLink{{"t", "u"}}, false, []string{}},
			`{"status":"ok","protocol_version":"5.5","implementation":"loupe","implementation_version":"1","language_info":{"name":"go","version":"1.26","mimetype":"text/x-go","file_extension":".go"},"banner":"hello","help_links":[{"text":"t","url":"u"}],"debugger":false,"supported_features":[]}`},
		{&KernelInfoRequest{}, `{}`},
		{&KernelStatus{Busy}, `{"execution_state":"busy"}`},
		{&ShutdownReply{StatusOK, true}, `{"status":"ok","restart":true}`},
		{&ShutdownRequest{true}, `{"restart":true}`},
		{&Stream{"stdout", "a\n"}, `{"name":"stdout","text":"a\n"}`},
		{&UpdateDisplayData{text, none, Transient{"d"}},
			`{"data":{"text/plain":"42"},"metadata":{},"transient":{"display_id":"d"}}`},
	} {
		got, err := encode(test.content)
		if err != nil || string(got) != test.text {
			t.Errorf("%T: got %s, %v, want %s", test.content, got, err, test.text)
		}
		back := reflect.New(reflect.TypeOf(test.content).Elem()).Interface()
		if err := json.Unmarshal([]byte(test.text), back); err != nil || !reflect.DeepEqual(back, test.content) {
			t.Errorf("%s: got %+v, %v", test.text, back, err)
		}
	}
}

func TestHistoryReply(t *testing.T) {
	got, err := encode(HistoryReply{StatusOK, []HistoryEntry{
		{Session: 1, Line: 2, Source: "a < b"},
		{Session: 1, Line: 3, Source: "x", WithOutput: true, Output: "42"},
		{Session: 1, Line: 4, Source: "y", WithOutput: true},
	}})
	if want := `{"status":"ok","history":[[1,2,"a < b"],[1,3,["x","42"]],[1,4,["y",null]]]}`; err != nil ||
		string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestMimeBundle(t *testing.T) {
	data, metadata := NewMimeBundle(mime.Bundle{
		Data: map[string]string{
			"text/plain": "a <b>", "text/html": "<b>", "image/png": "\x89PNG\xff", "image/svg+xml": "<svg/>",
			"application/json": `{"a": [1, 2]}`, "application/vnd.x.v1+json": "not JSON", "application/vnd.y+json": "7",
		},
	})
	got, err := encode(data)
	want := `{"text/plain":"a <b>","application/json":{"a":[1,2]},"application/vnd.x.v1+json":"not ` +
		`JSON","application/vnd.y+json":7,` +
		`"image/png":"iVBOR/8=","image/svg+xml":"<svg/>","text/html":"<b>"}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if metadata == nil || len(metadata) != 0 {
		t.Errorf("metadata: got %v", metadata)
	}
	// Text that is not UTF-8 is still JSON.
	data, _ = NewMimeBundle(mime.TextOf("a\xffb"))
	if got := data.Text(mime.Text); got != "a\uFFFDb" {
		t.Errorf("got %q", got)
	}
}
