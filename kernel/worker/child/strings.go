package child

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loupeml/loupe/kernel/engine"
	"github.com/loupeml/loupe/kernel/goeval/assist"
	"github.com/loupeml/loupe/lib/assets"
	"github.com/loupeml/loupe/lib/data"
	"github.com/loupeml/loupe/lib/model"
	"github.com/loupeml/loupe/lib/perturb"
)

const libPath = "github.com/loupeml/loupe/lib"

// namesIn offers the names of loupe's library that may stand in a string: assets, models, datasets, corruptions, and
// the layers of models that there are. only says that nothing else is right there.
func namesIn(in assist.StringPlace) (names []engine.Match, only bool) {
	switch c := in.Command; {
	case len(c) >= 2 && filepath.Base(c[0]) == "loupe" && c[1] == "fetch":
		return assetNames(), true
	case len(c) == 1 && c[0] == "%backend":
		return listed("backend", backends), true
	case c != nil:
		return nil, false
	}
	if in.Package != libPath && !strings.HasPrefix(in.Package, libPath+"/") {
		return nil, false
	}
	name := strings.ToLower(in.Name)
	switch in.Package + "." + in.Function {
	case libPath + ".Load", libPath + "/model.Load":
		return described("model", model.Names()), false
	case libPath + ".Open", libPath + "/data.Open":
		return described("dataset", data.Names()), false
	case libPath + "/assets.Fetch", libPath + "/assets.Path", libPath + "/assets.Ensure", libPath + "/assets.Verify",
		libPath + "/assets.Remove", libPath + "/assets.Find":
		return assetNames(), true
	case libPath + ".Corrupt", libPath + "/perturb.CorruptionNamed":
		return corruptions(), true
	case libPath + ".CorruptionSweep", libPath + "/perturb.CorruptionsNamed":
		return append(corruptions(), listed("corruption", perturb.Families())...), true
	case libPath + "/backend.Use":
		return listed("backend", backends), false
	}
	switch {
	case strings.HasPrefix(name, "corruption"):
		return corruptions(), true
	case strings.HasPrefix(name, "layer"), in.Package == libPath+"/model" && in.Type == "Model" &&
		slices.Contains(layerMethods, in.Function):
		return layers(in.Variables), true
	}
	return nil, false
}

// backends are those with names; a plugin of one's own is one as well.
var backends = []string{"go", "xla:cpu", "xla:cuda"}

// layerMethods are the model's methods that take a layer, whatever their parameter is called.
var layerMethods = []string{"Layer", "CheckLayer", "Activations", "ActivationsOf"}

// described are names of assets, or of what is read from one, with what the registry says of them.
func described(kind string, names []string) []engine.Match {
	about := map[string]string{}
	for _, a := range assetNames() {
		about[a.Text] = a.Doc
	}
	out := listed(kind, names)
	for i := range out {
		out[i].Doc = about[out[i].Text]
	}
	return out
}

func listed(kind string, names []string) (out []engine.Match) {
	for _, name := range names {
		out = append(out, engine.Match{Text: name, Type: kind})
	}
	return out
}

func assetNames() (out []engine.Match) {
	list, _ := assets.List() // what is wrong with a person's own sources, fetching tells
	for _, a := range list {
		out = append(out, engine.Match{Text: a.Name, Type: "asset", Doc: a.Description})
	}
	slices.SortFunc(out, func(a, b engine.Match) int { return strings.Compare(a.Text, b.Text) })
	return out
}

func corruptions() (out []engine.Match) {
	for _, c := range perturb.Corruptions() {
		out = append(out, engine.Match{Text: c.Name, Type: "corruption"})
	}
	return out
}

// layers are those of the models among some values, in the networks' order.
func layers(values []any) (out []engine.Match) {
	seen := map[string]bool{}
	for _, v := range values {
		m, ok := v.(*model.Model)
		if !ok || m == nil {
			continue
		}
		for _, l := range layersOf(m) {
			if !seen[l.Name] {
				seen[l.Name] = true
				out = append(out, engine.Match{Text: l.Name, Type: "layer", Doc: fmt.Sprint(m.Name(), ", ", l.Shape)})
			}
		}
	}
	return out
}

// layersOf returns the layers of a model; none of one that nothing has made, which panics when it is asked.
func layersOf(m *model.Model) (list []model.Layer) {
	defer func() { recover() }()
	return m.Layers()
}
