// Package reporting has what `loupe report` asks of loupe-worker, which has the library that the command does not link,
// and the form of the JSON that comes of it.
package reporting

import "time"

// Flag is the argument by which loupe-worker knows that a [Request] follows, as JSON.
const Flag = "--report"

// The exit statuses of a report.
const (
	Good    = 0
	Below   = 1 // a measure is below its threshold
	Usage   = 2
	Failed  = 3   // there is no report
	Stopped = 130 // by Ctrl-C: there is a report of what was done
)

// Request says which report is to be made.
type Request struct {
	Model, Data string
	Training    string // images that the network was trained on; "" for none
	Output      string // ends in .html
	Budget      time.Duration
	Seed        uint64
	Thresholds  []Threshold

	// How the data is opened.
	Split, Labels string
	Partial, Skip bool
	// How the network is loaded.
	Normalisation, Classes string
}

// Threshold is what a measure is to be at least.
type Threshold struct {
	Measure string
	Least   float64
}
