package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/loupeml/loupe/internal/testenv"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	_ "github.com/loupeml/loupe/lib/pretrained"
	"github.com/loupeml/loupe/lib/save"
)

// A real network on real photographs: some of them, so that it does not take long.
func TestRealNetwork(t *testing.T) {
	testenv.Asset(t, "efficientnet-lite0")
	testenv.Asset(t, "foolbox-samples")
	m, err := model.Load("efficientnet-lite0")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := data.Open("sample-imagenet")
	if err != nil {
		t.Fatal(err)
	}
	n, budget := 96, 20*time.Second
	if testenv.IsHeavy() {
		n, budget = opened.Len(), DefaultBudget
	}
	opened = opened.Take(n)
	r, err := Of(m, opened.Map(m.Prepare()...), Options{Opened: opened, Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	dir := t.TempDir()
	for _, name := range []string{"report.html", "report.json"} {
		if err := save.Write(filepath.Join(dir, name), r); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || len(page) > mostPage || len(page) < 100_000 {
		t.Errorf("the page has %d bytes, %v", len(page), err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil || !json.Valid(written) {
		t.Errorf("the JSON is %s, %v", written, err)
	}
	if below, err := r.Below("accuracy", 0.5); err != nil || below != "" {
		t.Errorf("%s, %v", below, err)
	}
	if below, err := r.Below("accuracy", 0.99); err != nil || !strings.Contains(below, "below 0.99") {
		t.Errorf("%s, %v", below, err)
	}
}
