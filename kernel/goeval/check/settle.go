package check

import (
	"go/types"
	"maps"

	"github.com/loupeml/loupe/kernel/goeval/must"
	"github.com/loupeml/loupe/kernel/goeval/namespace"
)

// settle checks by pass, and inserts what stops the cell at errors until there is nothing more to insert.
func (k *checking) settle(pass func()) {
	for {
		info, unused, found := cloneInfo(k.Info), maps.Clone(k.Unused), len(k.found)
		k.refused = nil
		pass()
		if len(k.refused) == 0 {
			return
		}
		if !k.Musted.Insert(k.Items, k.Info, k.refused) {
			return
		}
		*k.Info, k.Unused, k.found = *info, unused, k.found[:found]
	}
}

func cloneInfo(i *types.Info) *types.Info {
	return &types.Info{
		Types: maps.Clone(i.Types), Defs: maps.Clone(i.Defs), Uses: maps.Clone(i.Uses),
		Selections: maps.Clone(i.Selections), Implicits: maps.Clone(i.Implicits), Instances: maps.Clone(i.Instances),
		Scopes: maps.Clone(i.Scopes),
	}
}

// asTyped words a message of the type checker in what the cell has, without what stands there for the check.
func asTyped(message string) string { return must.Unmarked(namespace.AsTyped(message)) }
