// Package version has the version of loupe, which its programs tell one another.
package version

// Version of loupe.
const Version = "0.1.0"
