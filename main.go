// Command loupe is a Jupyter kernel for Go with a library for finding out why an image classifier will fail.
package main

import (
	"os"

	"github.com/loupeml/loupe/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
