package call_test

import (
	"math/big"
	"math/rand/v2"
	"testing"

	"syncd/internal/call"
)

func TestParseAmount(t *testing.T) {
	for _, c := range []struct {
		text, want string
		rounded    bool
	}{
		{"0", "0.000000000", false},
		{"-0", "0.000000000", false},
		{"0.05", "0.050000000", false},
		{"1e-2", "0.010000000", false},
		{"12.123456789", "12.123456789", false},
		{"0.123456789012", "0.123456789", true},
		{"0.0000000005", "0.000000000", true},   // half to even, down
		{"0.0000000015", "0.000000002", true},   // half to even, up
		{"-0.0000000015", "-0.000000002", true}, // on both sides of zero
		{"0.10000000000000000000000000", "0.100000000", false},
		{"999999999.999999999", "999999999.999999999", false},
		{"1e-400", "0.000000000", true},
	} {
		got, rounded, err := call.ParseAmount(c.text)
		if err != nil || got.String() != c.want || rounded != c.rounded {
			t.Errorf("ParseAmount(%q) = %s, rounded %v, %v; want %s, rounded %v", c.text, got, rounded, err, c.want, c.rounded)
		}
	}
	for _, text := range []string{"", "x", "NaN", "Infinity", "1000000000", "999999999.9999999999", "1e999999999", "0e999999999", "9223372036854775808", "1e18"} {
		if got, _, err := call.ParseAmount(text); err == nil {
			t.Errorf("ParseAmount(%q) = %s, want an error", text, got)
		}
	}
}

func TestParseScaledKeepsWhatAFloatLoses(t *testing.T) {
	for _, c := range []struct {
		text  string
		scale int32
		want  int64
	}{
		{"9007199254740993", 0, 9007199254740993}, // 2^53 + 1
		{"1704067200.123456", 6, 1704067200123456},
		{"12.345", 3, 12345},
		{"0.0005", 3, 0},
		{"0.0015", 3, 2},
	} {
		if got, _, err := call.ParseScaled(c.text, c.scale); err != nil || got != c.want {
			t.Errorf("ParseScaled(%q, %d) = %d, %v; want %d", c.text, c.scale, got, err, c.want)
		}
	}
}

func TestParseProduct(t *testing.T) {
	for _, c := range []struct {
		text, factor, want string
		rounded            bool
	}{
		{"0.1", "0.01", "0.001000000", false},
		{"3", "0.333333333", "0.999999999", false},
		{"0.000000001", "0.5", "0.000000000", true}, // half to even, of the exact product
		{"0.000000003", "0.5", "0.000000002", true},
		{"1e12", "1e-12", "1.000000000", false},
		{"-2", "0.01", "-0.020000000", false},
	} {
		got, rounded, err := call.ParseProduct(c.text, c.factor)
		if err != nil || got.String() != c.want || rounded != c.rounded {
			t.Errorf("%s × %s = %s, rounded %v, %v; want %s, rounded %v", c.text, c.factor, got, rounded, err, c.want, c.rounded)
		}
	}
	for _, c := range [][2]string{{"1e9", "1"}, {"x", "1"}, {"1", "NaN"}, {"1e99999", "1e99999"}} {
		if got, _, err := call.ParseProduct(c[0], c[1]); err == nil {
			t.Errorf("%s × %s = %s, want an error", c[0], c[1], got)
		}
	}
}

// Nearly every number is read in a quick way, which must be what careful arithmetic says.
func TestNumbersAreReadExactlyHoweverTheyAreWritten(t *testing.T) {
	const parts = "00123456789..-eE+"
	rng := rand.New(rand.NewPCG(1, 2))
	read := 0
	for range 200_000 {
		text := make([]byte, 1+rng.IntN(22))
		for i := range text {
			text[i] = parts[rng.IntN(len(parts)-5*rng.IntN(2))]
		}
		scale := int32(rng.IntN(10))
		got, rounded, err := call.ParseScaled(string(text), scale)
		if err != nil || rounded {
			continue
		}
		read++
		want, ok := new(big.Rat).SetString(string(text))
		if !ok {
			t.Fatalf("%q was read as %d, and is no number", text, got)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		if !want.IsInt() || want.Num().Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%q × 10^%d was read as %d, want %s", text, scale, got, want)
		}
	}
	if read < 20_000 {
		t.Errorf("only %d of the texts were numbers", read)
	}
}

func TestAddStaysInRange(t *testing.T) {
	largest, _, err := call.ParseAmount("999999999.999999999")
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := largest.Add(-largest); err != nil || sum != 0 {
		t.Errorf("a − a = %s, %v", sum, err)
	}
	for _, a := range []call.Amount{largest, -largest} {
		one := call.Amount(1)
		if a < 0 {
			one = -1
		}
		if sum, err := a.Add(one); err == nil {
			t.Errorf("%s + %s = %s, want an error", a, one, sum)
		}
	}
}
