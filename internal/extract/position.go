package extract

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A position is a word that names the provider and the version of its form, a colon, and JSON. It is kept in the warehouse: what an older
// version of syncd wrote is read by a newer one, or it is refused, and the window starts over.

var errPosition = errors.New("the saved position is not one that this version of syncd wrote")

func encodePosition(form string, v any) (Position, error) {
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return "", errors.New("the position cannot be written down: the page's last id or start is of no sane size")
	}
	return Position(form + ":" + string(text)), nil
}

func decodePosition[T any](form string, p Position) (T, error) {
	var v T
	text, ok := strings.CutPrefix(string(p), form+":")
	if !ok {
		return v, errPosition
	}
	if err := json.Unmarshal([]byte(text), &v, json.RejectUnknownMembers(true)); err != nil {
		return v, errPosition // the decoder's own error cites the text
	}
	return v, nil
}

// String tells people, and errors, where a position stands. It leaves out ids, as an id may be a phone number, and the digest of a page,
// which for a page of one row is the digest of one id: a number is soon guessed from it. A position that cannot be read may hold
// anything, and is named by a digest of the whole.
func (p Position) String() string {
	if p == "" {
		return "start"
	}
	if m, err := decodePosition[millisPosition](millisForm, p); err == nil {
		if _, err := cursorTime(m.Cursor); err == nil && len(m.Cursor) <= 40 {
			return millisForm + " cursor " + m.Cursor
		}
	}
	if b, err := decodePosition[burkiPosition](burkiForm, p); err == nil {
		return fmt.Sprintf("%s row %d", burkiForm, b.Row)
	}
	if v, err := decodePosition[voicyPosition](voicyForm, p); err == nil {
		return fmt.Sprintf("%s read %d", voicyForm, v.Read)
	}
	sum := sha256.Sum256([]byte(p))
	return fmt.Sprintf("of %d bytes with digest %x", len(p), sum[:4])
}

// jsonInteger reads a whole number, exactly.
func jsonInteger(v jsontext.Value) (int64, error) {
	if v.Kind() != '0' {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(string(v), 10, 64)
}
