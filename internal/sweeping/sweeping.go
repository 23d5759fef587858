// Package sweeping has what `loupe sweep` and `loupe worker` ask of loupe-worker, which has the library that the
// command does not link.
package sweeping

import "time"

// The arguments by which loupe-worker knows that a [Sweep] or a [Worker] follows, as JSON.
const (
	SweepFlag  = "--sweep"
	WorkerFlag = "--work"
)

// The exit statuses of a sweep.
const (
	Good    = 0
	Aside   = 1 // some cells were set aside
	Usage   = 2
	Failed  = 3
	Stopped = 130 // by Ctrl-C: what is done is kept
)

// Connection says how a NATS server is reached.
type Connection struct {
	URL           string
	Creds, NKey   string
	CA, Cert, Key string
	Wait          bool // goes on trying where no server answers at first
}

// Sweep says what is to be run, or looked at.
type Sweep struct {
	Name  string
	Store string // empty is the user's own

	// What joins the plan.
	Plan        string   // a JSON file
	Models      []string // [NAME=]FILE
	Data        []string // [NAME=]PATH
	Corruptions []string // NAME[:SEVERITY,…]
	Methods     []string
	// Settings of the models and data that are named here.
	Normalisation, Classes, Type string
	Split, Labels, Among         string
	Partial, Skip                bool
	Seed                         uint64

	// How it is run.
	Workers  int // on this machine; less than 0 is 1, or 0 with a server elsewhere
	Tries    int
	Lease    time.Duration
	Replicas int
	Server   Connection // a server elsewhere
	Listen   string     // of the server here
	TLSCert  string
	TLSKey   string

	// What is done in place of running.
	Status          bool
	List            bool
	CSV             string   // a file that accuracies are written to
	Correct         []string // DATA=FILE
	ForgetModel     []string
	ForgetCondition []string
	ForgetData      []string
}

// Worker says what a worker is to take part in.
type Worker struct {
	Server Connection
	Name   string
	Sweep  string // empty is all
	Keep   int
	// Tied ends the worker when its standard input does, with the process that started it.
	Tied bool
}
