// Command echokernel is the toy language of package echo as a kernel, for tests that start one: echokernel -f FILE.
package main

import (
	"context"
	"flag"
	"log"
	"os"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/session"
	"github.com/loupeml/loupe/kernel/session/internal/echo"
)

func main() {
	file := flag.String("f", "", "connection file")
	flag.Parse()
	start := func(string) (engine.Engine, error) { return echo.New(), nil }
	if err := session.RunFile(context.Background(), *file, os.Getenv("JUPYTER_RUNTIME_DIR"), start,
		session.Options{Version: "0", Banner: "echo"}); err != nil {
		log.Fatal(err)
	}
}
