package loupe

import "github.com/loupeml/loupe/lib/sweep"

// Sweep opens a sweep that `loupe sweep` runs or has run, by its name: models x conditions x methods. It shows how far
// it is, the accuracies so far, and a scatter of the models under the last condition against the first:
//
//	first := loupe.Sweep("first")
//	first.Watch()                         // shows it until all cells have ended, or Stop
//	first.Results()                       // the accuracies: shift fits lines to them and plots them
//	first.Answers("my-model", "photos")   // what a model said of each picture
//
// What it says is what the store has at that moment. A store is the path of an SQLite file or the URL of a PostgreSQL
// database; without one it is where `loupe sweep` keeps this user's: see sweep.Open.
func Sweep(name string, store ...string) *sweep.Sweep { return must(sweep.Open(name, store...)) }
