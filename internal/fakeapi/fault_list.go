package fakeapi

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// sheet is an answer taken apart into the records that it holds, or, for Burki's parts, what they hold of one record.
type sheet struct {
	envelope []member // nil: the records stand alone
	rows     []entry  // the records
	within   int      // where in the envelope they stand
	array    bool     // they are an array
	part     string   // which part of a call: "transcripts", "recordings", "costs"; "": the call
	long     int64    // the length of the texts that stand in the place of longText
}

type entry struct {
	id   string // as the provider sent it, whatever became of it since
	text []byte
}

// takeApart reads the answer to the request; false where it is not what the vendor sends.
func (x *exchange) takeApart(body []byte) (*sheet, bool) {
	if x.op != listOperation {
		id, part := callOf(x.r.URL.Path)
		if elements, ok := elements(body); ok && part != "" {
			sheet := &sheet{array: true, part: part}
			for _, e := range elements {
				sheet.rows = append(sheet.rows, entry{id, e})
			}
			return sheet, true
		}
		return &sheet{rows: []entry{{id, body}}, part: part}, true
	}
	out := &sheet{array: true}
	rows, ok := elements(body)
	if !ok {
		if out.envelope, ok = members(body); !ok {
			return nil, false
		}
		out.within = slices.IndexFunc(out.envelope, func(m member) bool { return m.value.Kind() == '[' })
		if out.within < 0 {
			return nil, false
		}
		rows, _ = elements(out.envelope[out.within].value)
	}
	for _, r := range rows {
		out.rows = append(out.rows, entry{x.s.vendor.read(r).id, r})
	}
	return out, true
}

// callOf reads the id and the part from the path to a call.
func callOf(path string) (id, part string) {
	for _, prefix := range []string{voicyBase + "/call-get/", "/call-get/", "/call-logs/", "/api/v1/calls/", "/api/calls/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			id, part, _ = strings.Cut(rest, "/")
			return id, part
		}
	}
	return "", ""
}

// ids are those of the records, each once.
func (s *sheet) ids() (out []string) {
	for _, r := range s.rows {
		if r.id != "" && !slices.Contains(out, r.id) {
			out = append(out, r.id)
		}
	}
	return out
}

// changed says whether any fault has touched the sheet: otherwise the provider's own bytes are sent.
func (s *sheet) changed(met []*trouble) bool {
	return slices.ContainsFunc(met, func(t *trouble) bool {
		return t.broke && (kinds[t.Kind].stage == onRecords || kinds[t.Kind].stage == onList)
	})
}

// rope puts the answer together again.
func (s *sheet) rope() rope {
	rows := make([][]byte, len(s.rows))
	for i, r := range s.rows {
		rows[i] = r.text
	}
	var body []byte
	switch {
	case s.envelope != nil:
		s.envelope[s.within].value = appendRows(nil, rows)
		body = object(s.envelope)
	case s.array:
		body = appendRows(nil, rows)
	default:
		body = rows[0]
	}
	var out rope
	for i, between := range bytes.Split(body, []byte(longText)) {
		if i > 0 {
			out = append(out, fill(s.long)...)
		}
		out = append(out, strand{between, 1})
	}
	return out
}

// breakList breaks the list of a page, and says whether there was anything to break.
func (s *sheet) breakList(t *trouble) bool {
	switch t.Kind {
	case EmptyPage:
		had := len(s.rows) > 0
		s.rows = nil
		return had
	case ShuffledRows:
		return s.shuffle(t)
	case DuplicatedRows:
		return s.duplicate(t)
	case VanishedRows:
		return s.vanish(t)
	}
	return s.miscount(t.Kind)
}

func (s *sheet) shuffle(t *trouble) bool {
	if len(s.rows) < 2 {
		return false
	}
	before := slices.Clone(s.rows)
	r := rand.New(rand.NewPCG(t.chance(3), t.chance(4)))
	r.Shuffle(len(s.rows), func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
	if slices.EqualFunc(s.rows, before, func(a, b entry) bool { return a.id == b.id }) {
		s.rows[0], s.rows[1] = s.rows[1], s.rows[0]
	}
	return true
}

func (s *sheet) duplicate(t *trouble) bool {
	if len(s.rows) == 0 {
		return false
	}
	always := int(t.chance(5) % uint64(len(s.rows)))
	var out []entry
	for i, r := range s.rows {
		out = append(out, r)
		if i == always || t.chance(6+uint64(i))%4 == 0 {
			out = append(out, r)
		}
	}
	s.rows = out
	return true
}

// vanish takes rows away. Each row belongs to the even answers or to the odd ones, and can be missing from those alone.
func (s *sheet) vanish(t *trouble) bool {
	turn := func(r entry) bool {
		h := t.Seed
		for _, b := range []byte(r.id) {
			h = mix(h ^ uint64(b))
		}
		return h%2 == t.n%2
	}
	var mine []int
	for i, r := range s.rows {
		if turn(r) {
			mine = append(mine, i)
		}
	}
	if len(mine) == 0 {
		return false
	}
	always := mine[t.chance(5)%uint64(len(mine))]
	var out []entry
	for i, r := range s.rows {
		if i != always && !(slices.Contains(mine, i) && t.chance(6+uint64(i))%2 == 0) {
			out = append(out, r)
		}
	}
	s.rows = out
	return true
}

// miscount changes the total.
func (s *sheet) miscount(how Kind) bool {
	for i, m := range s.envelope {
		if m.name != `"total"` && m.name != `"total_count"` {
			continue
		}
		total, err := strconv.Atoi(string(m.value))
		if err != nil {
			return false
		}
		lie := map[Kind]int{TotalOneMore: total + 1, TotalOneFewer: total - 1, TotalZero: 0, TotalNegative: -1}[how]
		s.envelope[i].value = jsontext.Value(strconv.Itoa(lie))
		return lie != total
	}
	return false
}
