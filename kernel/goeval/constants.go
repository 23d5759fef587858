package goeval

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/loupeml/loupe/kernel/goeval/syntax"
)

// shown returns the values of the cell's last item, as arguments. A constant that is too large for the type that it
// would get is made a value that can be shown.
func (l *lowering) shown(it *syntax.Item) string {
	list := it.Tuple
	if list == nil {
		x, ok := it.Stmt.(*ast.ExprStmt)
		if !ok {
			return l.render(it, it.Start, it.End)
		}
		list = []ast.Expr{x.X}
	}
	large := false
	for _, x := range list {
		large = large || isLarge(l.info.Types[x])
	}
	if !large {
		return l.render(it, it.Start, it.End)
	}
	var out []string
	for _, x := range list {
		tv := l.info.Types[x]
		if !isLarge(tv) {
			out = append(out, l.render(it, it.Offset(x.Pos()), it.Offset(x.End())))
			continue
		}
		text, t := fitted(tv.Value)
		if t == nil {
			text = fmt.Sprintf("%s.Constant(%q)", l.cell(), text)
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// fitted writes a large constant with a type that holds it; where there is none, as text.
func fitted(v constant.Value) (text string, t types.Type) {
	if whole := constant.ToInt(v); whole.Kind() == constant.Int {
		if _, ok := constant.Int64Val(whole); ok {
			return "int64(" + whole.ExactString() + ")", types.Typ[types.Int64]
		}
		if _, ok := constant.Uint64Val(whole); ok {
			return "uint64(" + whole.ExactString() + ")", types.Typ[types.Uint64]
		}
	}
	return constantText(v), nil
}

// isLarge reports whether an expression is an untyped constant that the type does not hold which it gets by itself.
func isLarge(tv types.TypeAndValue) bool {
	basic, ok := tv.Type.(*types.Basic)
	if !ok || tv.Value == nil {
		return false
	}
	switch basic.Kind() {
	case types.UntypedInt:
		_, fits := constant.Int64Val(constant.ToInt(tv.Value))
		return !fits
	case types.UntypedRune:
		v, fits := constant.Int64Val(constant.ToInt(tv.Value))
		return !fits || v != int64(int32(v))
	case types.UntypedFloat:
		return outOfFloat(tv.Value)
	case types.UntypedComplex:
		return outOfFloat(constant.Real(tv.Value)) || outOfFloat(constant.Imag(tv.Value))
	}
	return false
}

// outOfFloat reports whether a number becomes infinite as a float64, or nothing.
func outOfFloat(v constant.Value) bool {
	f, _ := constant.Float64Val(v)
	return math.IsInf(f, 0) || f == 0 && constant.Sign(v) != 0
}

// constantText writes a constant as Go prints a value of its kind, whatever its size.
func constantText(v constant.Value) string {
	switch v.Kind() {
	case constant.Int:
		return v.ExactString()
	case constant.Float:
		if f, _ := constant.Float64Val(v); !outOfFloat(v) {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
		const precision, digits = 512, 17
		f := new(big.Float).SetPrec(precision)
		switch x := constant.Val(v).(type) {
		case *big.Rat:
			f.SetRat(x)
		case *big.Float:
			f.Set(x)
		}
		return f.Text('g', digits)
	case constant.Complex:
		imaginary := constantText(constant.Imag(v))
		if !strings.HasPrefix(imaginary, "-") {
			imaginary = "+" + imaginary
		}
		return "(" + constantText(constant.Real(v)) + imaginary + "i)"
	}
	return v.String()
}
