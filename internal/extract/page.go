package extract

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/rawjson"
)

// shape is what a provider's page of a list looks like.
type shape struct {
	rows    string   // the key of the array
	bare    bool     // the array alone, without an object around it, is a page too
	ids     []string // where a record has its id; the first that is there counts
	start   string   // where a record has its start
	instant func(jsontext.Value) (time.Time, bool)
}

// answer is a page as it was decoded.
type answer struct {
	records []Record
	fields  map[string]jsontext.Value // what stands beside the array
}

// decode reads a page. Anything but a page of this shape is an error, never a page without rows. The records are slices of body.
func (s shape) decode(body []byte, fetched time.Time) (answer, error) {
	p := pageDecoder{shape: s, body: body, fetched: fetched, dec: jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)}
	var err error
	switch kind := p.dec.PeekKind(); {
	case kind == '{':
		err = p.envelope()
	case kind == '[' && s.bare:
		p.found, err = true, p.array()
	case kind == 0 || kind == '}' || kind == ']':
		_, err = p.dec.ReadToken()
		err = inWords(err, len(body))
	default:
		return answer{}, fmt.Errorf("the answer is %s, where an object with %q is documented", kindName(kind), s.rows)
	}
	if err != nil {
		return answer{}, err
	}
	if !p.found {
		return answer{}, fmt.Errorf("the answer has no %q", s.rows)
	}
	if _, err := p.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return answer{}, fmt.Errorf("the answer goes on after its end at byte %d", p.dec.InputOffset())
	}
	return p.answer, nil
}

type pageDecoder struct {
	shape   shape
	body    []byte
	fetched time.Time
	dec     *jsontext.Decoder
	answer  answer
	members []rawjson.Member // of the last records; what is not taken yet is free for the next
	found   bool             // the array was there
}

func (p *pageDecoder) envelope() error {
	p.answer.fields = map[string]jsontext.Value{}
	if _, err := p.dec.ReadToken(); err != nil {
		return inWords(err, len(p.body))
	}
	for p.dec.PeekKind() == '"' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return inWords(err, len(p.body))
		}
		if err := p.member(name.String()); err != nil {
			return err
		}
	}
	_, err := p.dec.ReadToken()
	return inWords(err, len(p.body))
}

func (p *pageDecoder) member(name string) error {
	if _, twice := p.answer.fields[name]; twice || p.found && name == p.shape.rows {
		return fmt.Errorf("the answer has one key twice, and which one counts cannot be told")
	}
	if name != p.shape.rows {
		value, err := p.value()
		p.answer.fields[name] = value
		return err
	}
	p.found = true
	if kind := p.dec.PeekKind(); kind != '[' && kind != 0 {
		return fmt.Errorf("%q is %s, where an array is documented", name, kindName(kind))
	}
	return p.array()
}

func (p *pageDecoder) array() error {
	if _, err := p.dec.ReadToken(); err != nil {
		return inWords(err, len(p.body))
	}
	for kind := p.dec.PeekKind(); kind != ']' && kind != 0; kind = p.dec.PeekKind() {
		value, err := p.value()
		if err != nil {
			return err
		}
		record := Record{Payload: value, FetchedAt: p.fetched}
		if value.Kind() == '{' {
			record.Fields = p.cut(value)
		}
		record.ID, record.StartedAt = p.shape.peek(record.Fields)
		p.answer.records = append(p.answer.records, record)
	}
	_, err := p.dec.ReadToken()
	return inWords(err, len(p.body))
}

// value returns the next value as a slice of the body, which no later append can run over into the next record.
func (p *pageDecoder) value() (jsontext.Value, error) {
	v, err := p.dec.ReadValue()
	if err != nil {
		return nil, inWords(err, len(p.body))
	}
	end := int(p.dec.InputOffset())
	return jsontext.Value(p.body[end-len(v) : end : end]), nil
}

// cut returns the members of a record. Those of a page's records share arrays: one for each record would be as many as there are records.
func (p *pageDecoder) cut(value jsontext.Value) []rawjson.Member {
	if cap(p.members)-len(p.members) < 64 {
		p.members = make([]rawjson.Member, 0, 4096)
	}
	from := len(p.members)
	p.members = rawjson.Members(p.members, value)
	return p.members[from:len(p.members):len(p.members)]
}

// peek reads the first id and the start of a record.
func (s shape) peek(fields []rawjson.Member) (id string, start time.Time) {
	for _, name := range s.ids {
		if id = idOf(lastOf(fields, name)); id != "" {
			break
		}
	}
	start, _ = s.instant(lastOf(fields, s.start))
	return id, start
}

// lastOf is the value that an object has under a name; nil where it has none, and of one that is there twice the last.
func lastOf(fields []rawjson.Member, name string) jsontext.Value {
	for _, f := range slices.Backward(fields) {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// identify reads every id of a record, "" for one that it has not, and the start.
func (s shape) identify(payload jsontext.Value) (ids []string, start time.Time) {
	fields := rawjson.Members(nil, payload)
	for _, name := range s.ids {
		ids = append(ids, idOf(lastOf(fields, name)))
	}
	start, _ = s.instant(lastOf(fields, s.start))
	return ids, start
}

// longestID is the longest id that is taken for one, in bytes. It is the transform's too: whatever is a call there can be paged by here.
const longestID = 512

// idOf is the text of an id, a number's digits as they were written; "" where it is none.
func idOf(v jsontext.Value) string {
	var id string
	switch v.Kind() {
	case '"':
		id = stringOf(v)
	case '0':
		id = string(v)
	}
	if len(id) > longestID {
		return ""
	}
	return id
}

// descending reports whether the starts of a page fall or stay. A record without a start has no place in the order and does not break it.
func descending(records []Record) bool {
	var last time.Time
	for _, r := range records {
		if r.StartedAt.IsZero() {
			continue
		}
		if !last.IsZero() && r.StartedAt.After(last) {
			return false
		}
		last = r.StartedAt
	}
	return true
}

// digest is a short name for a page's sequence of ids; of a record without one its bytes count. "" for a page without rows.
func digest(records []Record) string {
	if len(records) == 0 {
		return ""
	}
	h := sha256.New()
	var size [8]byte
	for _, r := range records {
		part := []byte(r.ID)
		if r.ID == "" {
			part = r.Payload
		}
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// anchorOf is a short name for an id, by which its row is found again. Positions are kept and compared, and an id may be a phone number.
func anchorOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// indexOf returns where the anchor's record stands, or −1.
func indexOf(records []Record, anchor string) int {
	return slices.IndexFunc(records, func(r Record) bool { return r.ID != "" && anchorOf(r.ID) == anchor })
}

// lastWithID returns the index of the last record that has an id, or −1.
func lastWithID(records []Record) int {
	for i, r := range slices.Backward(records) {
		if r.ID != "" {
			return i
		}
	}
	return -1
}

// count reads how many calls match, where the provider tells; nil where it does not.
func (a answer) count(name string) (*int64, error) {
	v, ok := a.fields[name]
	if !ok {
		return nil, nil
	}
	n, err := jsonInteger(v)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is no count", name)
	}
	return &n, nil
}
