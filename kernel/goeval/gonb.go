package goeval

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/check"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// GoNB's notebooks run as they are: its special commands mean here what they mean there, as far as a notebook whose
// variables stay can have it.

// alsoCalled are other names of magics.
var alsoCalled = map[string]string{"%lsmagic": "%help", "%ls": "%list", "%remove": "%rm"}

func (r *run) reset(args string) (string, error) {
	switch args {
	case "":
		r.ns, r.groups = namespace.New(), map[string]*check.Group{}
		return "", nil
	case "go.mod":
		return "", r.modules.Forget()
	}
	return "", fmt.Errorf("%%reset takes nothing, or go.mod, and not %s", args)
}

func (r *run) goFlags(args string) (string, error) {
	if args != "" {
		list, err := words(args)
		if err != nil {
			return "", err
		}
		r.flags = notEmpty(list) // %goflags "" clears them
	}
	return fmt.Sprintf("%%goflags=%q", r.flags), nil
}

func nothingToDo(*run, string) (string, error) { return "", nil }

func versions(*run, string) (string, error) {
	of := "loupe"
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		of += " " + info.Main.Version
	}
	return of + ", " + runtime.Version(), nil
}
