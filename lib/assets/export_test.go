package assets

import "time"

// SetPatience sets how long a server may send nothing, until the returned function is called.
func SetPatience(d time.Duration) (restore func()) {
	before := patience
	patience = d
	return func() { patience = before }
}
