// Package graphops says of a graph's operations what those who walk it have to know.
package graphops

import "github.com/gomlx/gomlx/core/graph"

// Elementwise are the operations that treat each element by itself.
var Elementwise = map[graph.NodeType]bool{
	graph.NodeTypeAbs: true, graph.NodeTypeAdd: true, graph.NodeTypeAtan2: true, graph.NodeTypeCeil: true,
	graph.NodeTypeClamp:        true,
	graph.NodeTypeConvertDType: true, graph.NodeTypeCos: true, graph.NodeTypeDiv: true, graph.NodeTypeEqual: true,
	graph.NodeTypeErf: true, graph.NodeTypeExp: true, graph.NodeTypeExpm1: true, graph.NodeTypeFloor: true,
	graph.NodeTypeFusedGelu: true, graph.NodeTypeGreaterOrEqual: true, graph.NodeTypeGreaterThan: true,
	graph.NodeTypeIdentity:    true,
	graph.NodeTypeLessOrEqual: true, graph.NodeTypeLessThan: true, graph.NodeTypeLog: true, graph.NodeTypeLog1p: true,
	graph.NodeTypeLogicalAnd: true, graph.NodeTypeLogicalNot: true, graph.NodeTypeLogicalOr: true,
	graph.NodeTypeLogistic: true,
	graph.NodeTypeMax:      true, graph.NodeTypeMin: true, graph.NodeTypeMul: true, graph.NodeTypeNeg: true,
	graph.NodeTypeNotEqual: true,
	graph.NodeTypePow:      true, graph.NodeTypeRem: true, graph.NodeTypeRound: true, graph.NodeTypeRsqrt: true,
	graph.NodeTypeSign: true,
	graph.NodeTypeSin:  true, graph.NodeTypeSqrt: true, graph.NodeTypeSub: true, graph.NodeTypeTanh: true,
	graph.NodeTypeWhere: true,
}
