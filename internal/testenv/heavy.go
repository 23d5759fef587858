package testenv

import (
	"os"
	"testing"
)

// IsHeavy says whether LOUPE_HEAVY=1 asks for what takes minutes.
func IsHeavy() bool { return os.Getenv("LOUPE_HEAVY") != "" }

// Heavy skips a test that takes long, and says so, unless [IsHeavy]. A comparison that is one of many is a subtest of
// its own, so that it is seen to be left out.
func Heavy(t testing.TB) {
	t.Helper()
	if !IsHeavy() {
		t.Skip("skipped: takes long, needs LOUPE_HEAVY=1")
	}
}
