package call

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// AmountScale is how many decimal places an [Amount] keeps.
const AmountScale = 9

// maxAmount is the largest count of billionths that DECIMAL(18,9) holds: eighteen nines.
const maxAmount = 999_999_999_999_999_999

// Amount is exact money (or credits): a count of billionths. It is the value of a DECIMAL(18,9).
type Amount int64

// ParseAmount reads a decimal number as JSON writes one, exactly. More than nine decimals are rounded half to even, and rounded
// says so. A text that is no finite number, or one beyond ±999999999.999999999, is an error.
func ParseAmount(text string) (a Amount, rounded bool, err error) {
	n, rounded, err := ParseScaled(text, AmountScale)
	if err != nil {
		return 0, false, err
	}
	if n > maxAmount || n < -maxAmount {
		return 0, false, errors.New("amount beyond DECIMAL(18,9)")
	}
	return Amount(n), rounded, nil
}

// String writes the amount in full, with nine decimals.
func (a Amount) String() string {
	sign, n := "", uint64(a) //nolint:gosec // the sign is taken off
	if a < 0 {
		sign, n = "-", uint64(-(a+1))+1 //nolint:gosec // the sign is taken off
	}
	return fmt.Sprintf("%s%d.%09d", sign, n/1e9, n%1e9)
}

// ParseScaled reads a decimal number as JSON writes one and returns it times ten to the scale, rounded half to even where it has more
// decimals than that. It is how fractional seconds become milliseconds without passing through a float.
func ParseScaled(text string, scale int32) (n int64, rounded bool, err error) {
	if n, ok := plainScaled(text, scale); ok {
		return n, false, nil
	}
	d, cond, err := apd.BaseContext.NewFromString(text)
	if err != nil || cond.Any() || d.Form != apd.Finite {
		return 0, false, errors.New("not a decimal number")
	}
	// An int64 has at most 19 digits: whatever needs more is out of range, and no exponent can make it work hard.
	ctx := apd.Context{Precision: 19, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfEven}
	var q apd.Decimal
	cond, err = ctx.Quantize(&q, d, -scale)
	if err != nil || cond&(apd.InvalidOperation|apd.Overflow|apd.SystemOverflow|apd.SystemUnderflow) != 0 {
		return 0, false, errors.New("number out of range")
	}
	if !q.Coeff.IsInt64() || q.Coeff.Int64() == math.MinInt64 {
		return 0, false, errors.New("number out of range")
	}
	n = q.Coeff.Int64()
	if q.Negative {
		n = -n
	}
	return n, cond.Inexact(), nil
}

// plainScaled reads what nearly every number is: digits, with few decimals or none. It reports false for whatever needs more care.
func plainScaled(text string, scale int32) (n int64, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	zeros := int(scale) - len(fraction)
	if whole == "" || point && fraction == "" || zeros < 0 || len(whole)+int(scale) > 18 { // as many as an int64 always holds
		return 0, false
	}
	for _, part := range [2]string{whole, fraction} {
		for i := range len(part) {
			d := part[i] - '0'
			if d > 9 {
				return 0, false
			}
			n = 10*n + int64(d)
		}
	}
	for range zeros {
		n *= 10
	}
	if negative {
		n = -n
	}
	return n, true
}

// ParseProduct multiplies two decimal numbers as JSON writes them and returns the exact product, rounded once as [ParseAmount] does.
func ParseProduct(text, factor string) (a Amount, rounded bool, err error) {
	x, cond, err := apd.BaseContext.NewFromString(text)
	if err != nil || cond.Any() || x.Form != apd.Finite {
		return 0, false, errors.New("not a decimal number")
	}
	y, cond, err := apd.BaseContext.NewFromString(factor)
	if err != nil || cond.Any() || y.Form != apd.Finite {
		return 0, false, errors.New("not a decimal number")
	}
	var product apd.Decimal
	if cond, err = apd.BaseContext.Mul(&product, x, y); err != nil || cond.Any() {
		return 0, false, errors.New("number out of range")
	}
	return ParseAmount(product.Text('E'))
}

// Add returns the sum, or an error where DECIMAL(18,9) does not hold it.
func (a Amount) Add(b Amount) (Amount, error) {
	// Neither of two amounts in range can carry the sum past an int64.
	sum := a + b
	if sum > maxAmount || sum < -maxAmount {
		return 0, errors.New("amount beyond DECIMAL(18,9)")
	}
	return sum, nil
}
