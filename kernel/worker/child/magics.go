package child

import (
	"strings"

	"github.com/loupeml/loupe/kernel/goeval"
	"github.com/loupeml/loupe/lib/backend"
)

// magics are those that speak of loupe's library.
var magics = map[string]goeval.Magic{
	"%backend": {Usage: "[xla:cpu | xla:cuda | go | xla:PLUGIN]",
		Doc: "what models run on; it can be chosen until the first one is loaded", Run: chooseBackend},
}

func chooseBackend(args string) (string, error) {
	if args != "" {
		if err := backend.Use(args); err != nil {
			return "", err
		}
	}
	info, err := backend.Describe()
	if err != nil {
		return "", err
	}
	says := []string{info.Name}
	if info.Plugin != "" {
		says = append(says, info.Plugin, "PJRT API "+info.API)
	}
	return strings.Join(append(says, info.Devices...), ", "), nil
}
