// Package symbols holds the tables of compiled packages that interpreted cells can use. `go generate`
// writes them with yaegi's extractor; the standard library's come with yaegi.
package symbols

import "reflect"

//go:generate go run github.com/traefik/yaegi/cmd/yaegi extract -name symbols github.com/gomlx/gomlx/core/graph github.com/gomlx/gomlx/core/tensors github.com/gomlx/compute/shapes
//go:generate go run github.com/traefik/yaegi/cmd/yaegi extract -name symbols -exclude HalfPrecision github.com/gomlx/compute/dtypes
//go:generate go run github.com/traefik/yaegi/cmd/yaegi extract -name symbols gonum.org/v1/plot gonum.org/v1/plot/plotter gonum.org/v1/plot/plotutil gonum.org/v1/plot/vg gonum.org/v1/plot/vg/draw gonum.org/v1/plot/palette gonum.org/v1/gonum/floats gonum.org/v1/gonum/mat gonum.org/v1/gonum/stat gonum.org/v1/gonum/stat/distuv
//go:generate go run github.com/traefik/yaegi/cmd/yaegi extract -name symbols github.com/janpfeifer/gonb/gonbui github.com/janpfeifer/gonb/gonbui/comms github.com/janpfeifer/gonb/gonbui/dom github.com/janpfeifer/gonb/gonbui/widgets
//go:generate go run github.com/traefik/yaegi/cmd/yaegi extract -name symbols github.com/loupeml/loupe/lib github.com/loupeml/loupe/lib/attack github.com/loupeml/loupe/lib/attack/universal github.com/loupeml/loupe/lib/attrib github.com/loupeml/loupe/lib/attrib/lrp github.com/loupeml/loupe/lib/attrib/sound github.com/loupeml/loupe/lib/attrib/spray github.com/loupeml/loupe/lib/augment github.com/loupeml/loupe/lib/backend github.com/loupeml/loupe/lib/background github.com/loupeml/loupe/lib/carry github.com/loupeml/loupe/lib/carry/arrays github.com/loupeml/loupe/lib/claim github.com/loupeml/loupe/lib/comm github.com/loupeml/loupe/lib/data github.com/loupeml/loupe/lib/display github.com/loupeml/loupe/lib/distill github.com/loupeml/loupe/lib/imagenet github.com/loupeml/loupe/lib/labels github.com/loupeml/loupe/lib/learn github.com/loupeml/loupe/lib/manifold github.com/loupeml/loupe/lib/mask github.com/loupeml/loupe/lib/missing github.com/loupeml/loupe/lib/model github.com/loupeml/loupe/lib/networks github.com/loupeml/loupe/lib/ood github.com/loupeml/loupe/lib/parts github.com/loupeml/loupe/lib/perturb github.com/loupeml/loupe/lib/privacy github.com/loupeml/loupe/lib/progress github.com/loupeml/loupe/lib/save github.com/loupeml/loupe/lib/selfsup github.com/loupeml/loupe/lib/shift github.com/loupeml/loupe/lib/spurious github.com/loupeml/loupe/lib/stats github.com/loupeml/loupe/lib/table github.com/loupeml/loupe/lib/transfer github.com/loupeml/loupe/lib/ui github.com/loupeml/loupe/lib/uncertainty github.com/loupeml/loupe/lib/weightfile

// Symbols maps "import/path/name" to the package's exported members, in the form of yaegi's Use.
var Symbols = map[string]map[string]reflect.Value{}
