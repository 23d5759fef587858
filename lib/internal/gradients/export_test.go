package gradients

import "github.com/gomlx/gomlx/core/graph"

var (
	Each              = each
	GoMLXPoolGradient = gomlxPoolGradient
)

func IsMaxPool(node *graph.Node) bool {
	_, ok := maxPoolOf(node)
	return ok
}
