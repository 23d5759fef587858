// Package goflags adapts GOFLAGS, the flags that a person has set for all go commands, to those that loupe runs.
package goflags

import (
	"os"
	"slices"
	"strings"
)

// InWorkspace is an environment that leaves out of GOFLAGS what the go command refuses in a workspace: -mod.
func InWorkspace() []string {
	flags := os.Getenv("GOFLAGS")
	if !strings.Contains(flags, "-mod=") {
		return nil
	}
	kept := slices.DeleteFunc(strings.Fields(flags), func(flag string) bool {
		return strings.HasPrefix(strings.TrimLeft(flag, "-"), "mod=")
	})
	return []string{"GOFLAGS=" + strings.Join(kept, " ")}
}
