package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/loupeml/loupe/internal/testenv"
)

func TestReport(t *testing.T) {
	testenv.Asset(t, "foolbox-samples")
	dir := t.TempDir()
	net, page := filepath.Join(dir, "net.safetensors"), filepath.Join(dir, "page.html")
	if _, stderr, status := loupe(t, nil, "-e", "loupe.Save(`"+net+"`, loupe.SmallCNN(loupe.Open(`sample-mnist`), 1, "+
		"2, 2))"); status != 0 {
		t.Fatal(stderr)
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.MkdirAll(damaged, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, "broken.png"), []byte("\x89PNG\r\n\x1a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		parts  []string // of what is said
	}{
		{"good", []string{net, "sample-mnist", "-o", page, "--budget", "20s", "--fail-under", "accuracy=0"}, 0,
			[]string{"Accuracy: it is wrong about", "are written"}},
		{"below", []string{net, "sample-mnist", "-o", page, "--budget", "1s", "--fail-under", "accuracy=1", "--fail-under",
			"attacked_accuracy=0.1"}, 1,
			[]string{"below 1", "attacked_accuracy"}},
		{"a schema", []string{"--schema"}, 0, []string{"json-schema.org", `"leftOut"`, "percentage points"}},
		{"like the training", []string{net, "sample-mnist", "-o", page, "--budget", "20s", "--train", "sample-mnist"}, 0,
			[]string{"unlike training: it takes 40 images of the training, and there are 20"}},
		{"no training", []string{net, "sample-mnist", "-o", page, "--train", filepath.Join(dir, "none")}, 3,
			[]string{"none"}},
		{"no words", nil, 2, []string{"takes a model and data"}},
		{"an unknown flag", []string{net, "sample-mnist", "--bugdet", "1s"}, 2, []string{"--bugdet"}},
		{"an unknown measure", []string{net, "sample-mnist", "-o", page, "--fail-under", "acuracy=1"}, 2,
			[]string{"acuracy", "top5_accuracy", "calibration"}},
		{"no number", []string{net, "sample-mnist", "--fail-under", "accuracy"}, 2, []string{"a measure and a number"}},
		{"percent", []string{net, "sample-mnist", "--fail-under", "accuracy=90"}, 2, []string{"between 0 and 1"}},
		{"a damaged image", []string{net, damaged, "-o", page}, 3, []string{"broken.png", "--skip-damaged"}},
		{"no time", []string{net, "sample-mnist", "--budget", "0s"}, 2, []string{"more than 0"}},
		{"no page", []string{net, "sample-mnist", "-o", "page.pdf"}, 2, []string{".html"}},
		{"no way to normalise", []string{net, "sample-mnist", "--normalisation", "mine"}, 2,
			[]string{"imagenet, half, none"}},
		{"no folder", []string{net, "sample-mnist", "-o", filepath.Join(dir, "none", "page.html")}, 3,
			[]string{"there is no folder"}},
		{"no network", []string{filepath.Join(dir, "none.onnx"), "sample-mnist", "-o", page}, 3, []string{"none.onnx"}},
		{"no data", []string{net, filepath.Join(dir, "none"), "-o", page}, 3, []string{"none"}},
		{"a folder without images", []string{net, t.TempDir(), "-o", page, "--split", "val"}, 3, []string{"has no images"}},
	} {
		stdout, stderr, status := loupe(t, nil, append([]string{"report"}, c.args...)...)
		if status != c.status {
			t.Errorf("%s: status %d, want %d\n%s%s", c.name, status, c.status, stdout, stderr)
		}
		want(t, stdout+stderr, c.parts...)
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "net := loupe.Load(&#34;"+net) {
		t.Errorf("the page does not say how it begins: %v", err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "page.json"))
	if err != nil || !json.Valid(written) {
		t.Errorf("the JSON is %s, %v", written, err)
	}
}
