package fakeapi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// nanos is a decimal number in billionths: exact money on the wire.
type nanos int64

// MarshalJSON writes the number without a float on its way, and without zeros at its end.
func (n nanos) MarshalJSON() ([]byte, error) { return []byte(decimal(int64(n))), nil }

// seconds is a time or a length in Unix nanoseconds that the wire has in seconds.
type seconds int64

// MarshalJSON writes the seconds with as many decimals as they need.
func (s seconds) MarshalJSON() ([]byte, error) { return []byte(decimal(int64(s))), nil }

// decimal writes a count of billionths as a JSON number.
func decimal(n int64) string {
	sign, u := "", uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	text := sign + strconv.FormatUint(u/1e9, 10)
	if rest := u % 1e9; rest != 0 {
		text += "." + strings.TrimRight(strconv.FormatUint(1e9+rest, 10)[1:], "0")
	}
	return text
}

// parseSeconds reads a decimal number of seconds into nanoseconds.
func parseSeconds(text string) (int64, bool) { return parseTime(text, time.Second) }

// parseTime reads a decimal number of units into nanoseconds, exactly; what lies beyond any time there is becomes the first or the last.
func parseTime(text string, unit time.Duration) (int64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if math.IsNaN(f) || (err != nil && !math.IsInf(f, 0)) {
		return 0, false
	}
	switch nanoseconds := f * float64(unit); {
	case nanoseconds >= math.MaxInt64:
		return math.MaxInt64, true
	case nanoseconds <= math.MinInt64:
		return math.MinInt64, true
	case math.Abs(nanoseconds) < 1: // also a small number that would take long to write out
		return 0, true
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok { // hexadecimal floats and underscores, which only Go reads
		return 0, false
	}
	exact.Mul(exact, big.NewRat(int64(unit), 1))
	return new(big.Int).Quo(exact.Num(), exact.Denom()).Int64(), true
}

// appendJSON writes v as the providers' frameworks do: compact, and with <, > and & as they are.
func appendJSON(dst []byte, v any) []byte {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("fakeapi: a wire type that cannot be written: %v", err))
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// toJSON is appendJSON as a string.
func toJSON(v any) string { return string(appendJSON(nil, v)) }

// send answers with a body that is JSON already.
func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that went away is the only way to fail, and no business of the provider's.
	_, _ = w.Write(body)
}

// sendJSON answers with v.
func sendJSON(w http.ResponseWriter, status int, v any) { send(w, status, appendJSON(nil, v)) }

// appendRows writes the elements of an array, as they are.
func appendRows(dst []byte, rows [][]byte) []byte {
	size := 2
	for _, r := range rows {
		size += len(r) + 1
	}
	dst = append(slices.Grow(dst, size+64), '[')
	for i, r := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, r...)
	}
	return append(dst, ']')
}

// uuid names call n within a space of ids. The number can be read back, so that a million calls need no index of their ids.
func uuid(space uint64, n int) string {
	hi := mix(space^mix(uint64(n)))&^0xf000 | 0x4000
	mask := mix(hi)
	lo := mask&^(3<<62)&^0xffffffff | 2<<62 | uint64(uint32(n)^uint32(mask))
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	var text [36]byte
	hex.Encode(text[:8], raw[:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// uuidNumber reads back the number from an id that uuid made; −1 for a text of another form. The caller must check that the number
// indeed has this id.
func uuidNumber(id string) int {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != 16 {
		return -1
	}
	return int(binary.BigEndian.Uint32(raw[12:]) ^ uint32(mix(binary.BigEndian.Uint64(raw[:8]))))
}

// isoTime writes an instant as Python's isoformat does, with the offset that the vendor's sample has, or with none.
func isoTime(at int64, naive bool) string {
	text := time.Unix(0, at).UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	if naive {
		return strings.TrimSuffix(text, "Z")
	}
	return text
}

// parseISO reads an ISO 8601 instant; one without an offset is UTC.
func parseISO(text string) (time.Time, bool) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00",
		"2006-01-02",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
