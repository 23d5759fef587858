package customcall

var LimitVectors = limitVectors

// Choose has loupe's kernel compute all convolutions that it can, or none, until restore is called.
func Choose(all bool) (restore func()) {
	before := choose
	choose = func(written) bool { return all }
	return func() { choose = before }
}
