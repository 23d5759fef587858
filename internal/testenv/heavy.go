package testenv

import (
	"fmt"
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

// Some says whether the i-th of many cases alike runs: every n-th does, and with LOUPE_HEAVY=1 all. A test that leaves
// cases out ends with [RestIsHeavy].
func Some(i, n int) bool { return IsHeavy() || i%n == 0 }

// RestIsHeavy lists, as a test that was skipped, the cases that [Some] left out.
func RestIsHeavy(t *testing.T, n int) {
	t.Helper()
	t.Run(fmt.Sprintf("the others of every %d", n), func(t *testing.T) { Heavy(t) })
}
