// Package constants has what becomes of constants that are larger than the type which they would get.
package constants

import (
	"go/constant"
	"go/types"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Fitted writes a large constant with a type that holds it; where there is none, as text.
func Fitted(v constant.Value) (text string, t types.Type) {
	if whole := constant.ToInt(v); whole.Kind() == constant.Int {
		if _, ok := constant.Int64Val(whole); ok {
			return "int64(" + whole.ExactString() + ")", types.Typ[types.Int64]
		}
		if _, ok := constant.Uint64Val(whole); ok {
			return "uint64(" + whole.ExactString() + ")", types.Typ[types.Uint64]
		}
	}
	return Text(v), nil
}

// IsLarge reports whether an expression is an untyped constant that the type does not hold which it gets by itself.
func IsLarge(tv types.TypeAndValue) bool {
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

// Text writes a constant as Go prints a value of its kind, whatever its size.
func Text(v constant.Value) string {
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
		imaginary := Text(constant.Imag(v))
		if !strings.HasPrefix(imaginary, "-") {
			imaginary = "+" + imaginary
		}
		return "(" + Text(constant.Real(v)) + imaginary + "i)"
	}
	return v.String()
}
