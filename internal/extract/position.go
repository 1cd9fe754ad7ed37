package extract

import (
	"errors"
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

// jsonInteger reads a whole number, exactly.
func jsonInteger(v jsontext.Value) (int64, error) {
	if v.Kind() != '0' {
		return 0, errors.New("not a number")
	}
	return strconv.ParseInt(string(v), 10, 64)
}
