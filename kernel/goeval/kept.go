package goeval

import (
	"io"
	"runtime"

	"github.com/loupeml/loupe/kernel/cell"
	"github.com/loupeml/loupe/kernel/cell/instead"
)

// kept is what cells call and this program may not. The linker is not to leave it out, or cells would have to bring it
// along.
var kept = []any{
	cell.Slot, cell.Find, cell.Drop, cell.Register, cell.Main, cell.Show, cell.Step, cell.Poll, cell.Type, cell.TypeOf,
	cell.Interrupted, cell.Guard, cell.Constant.String,
	instead.Sleep, instead.Exit, instead.Fatal, instead.Fatalf, instead.Fatalln, instead.Scan, instead.Scanln,
	instead.Scanf, &instead.Stdin,
	instead.Print, instead.Println, instead.Printf, instead.Stream.Write, instead.Stream.WriteString, instead.ToStderr,
	instead.StdinFile, &instead.Stdout, &instead.Stderr, io.StringWriter(&instead.Stdout), io.StringWriter(instead.Stdout),
	instead.Notify, instead.NotifyContext, instead.Stop,
}

func init() { runtime.KeepAlive(kept) }
