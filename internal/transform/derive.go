package transform

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/rawjson"
)

// The reasons for which a record is rejected.
const (
	reasonNotJSON     = "not json"
	reasonNotAnObject = "not an object"
	reasonNoID        = "no id"
	reasonUnusableID  = "unusable id"
	reasonNumberID    = "id is a phone number"
	reasonOtherCall   = "part of another call"
	reasonNoPart      = "no payload"
)

// maxID is how long a call's id may be, in bytes.
const maxID = 512

// part is one payload of a call on its way through.
type part struct {
	name    call.Part
	record  extract.Record
	payload []byte  // sanitised, after privacy
	object  *object // the payload, where it is an object
	fault   *fault  // why the payload is of no use; nil: it is
}

// fault is why a record cannot be a call.
type fault struct{ reason, detail string }

// reading is what a provider's read function looks at.
type reading struct {
	*object // list and detail in one, the later over the earlier
	opts    *Options
	parts   []part
}

// part returns a payload of the call, or nil where there is none that can be read.
func (r *reading) part(name call.Part) *part {
	for i := range r.parts {
		if r.parts[i].name == name && r.parts[i].fault == nil {
			return &r.parts[i]
		}
	}
	return nil
}

// derive reads a call from its parts, oldest first; parts[read] is the one just fetched. Where not all of it is wanted, its key is all.
func (t *Transformer) derive(parts []part, read int, all bool) Result {
	n := &notes{}
	for i := range parts {
		parts[i].payload = sanitise(parts[i].record.Payload)
	}
	scrubbed := t.opts.Privacy.apply(&t.provider.shape, parts)
	for i := range parts {
		parts[i].parse(n)
	}
	this := &parts[read]
	if this.fault != nil {
		return t.reject(this, this.fault)
	}
	base, f := t.merge(parts, read, n)
	if f != nil {
		return t.reject(this, f)
	}
	id, alias, f := t.identify(base, scrubbed)
	if f != nil {
		return t.reject(this, f)
	}
	var c call.Call
	if all {
		c = t.provider.read(&reading{object: base, opts: &t.opts, parts: parts})
		base.unknown()
	} else if at := this.record.StartedAt; !at.IsZero() {
		c.StartedAt = &at
	}
	c.Key = call.Key{Source: t.opts.Source, ID: id}
	c.Provider = t.provider.name
	return Result{Observation: call.Observation{
		Call:        c,
		Alias:       alias,
		Part:        this.name,
		Payload:     rawjson.View(this.payload),
		ContentHash: contentHash(this, t.provider.volatile),
		FetchedAt:   this.record.FetchedAt,
		Drift:       n.list,
	}}
}

// parse reads the payload's outermost level. A transcript or a list of costs need not be an object.
func (p *part) parse(n *notes) {
	if p.fault != nil {
		return
	}
	whole := p.name == call.PartList || p.name == call.PartDetail
	trimmed := bytes.TrimLeft(p.payload, " \t\r\n")
	if len(trimmed) == 0 {
		p.fault = &fault{reasonNotJSON, "the record is empty"}
		return
	}
	if trimmed[0] == '{' {
		path := ""
		if !whole {
			path = string(p.name)
		}
		fields, err := p.members()
		if err != nil {
			p.fault = notJSON(p.payload, err)
			return
		}
		p.object = newObject(fields, path, n)
		return
	}
	if err := checkJSON(p.payload); err != nil {
		p.fault = notJSON(p.payload, err)
	} else if whole {
		p.fault = &fault{reasonNotAnObject, fmt.Sprintf("a call is a JSON object, and this is %s", kindName(jsontext.Value(trimmed).Kind()))}
	}
}

// members cuts the payload into its members. Where it is the record as the page had it, that has been done already.
func (p *part) members() ([]rawjson.Member, error) {
	if r := p.record; r.Fields != nil && len(p.payload) == len(r.Payload) && &p.payload[0] == &r.Payload[0] {
		return r.Fields, nil
	}
	if err := checkJSON(p.payload); err != nil {
		return nil, err
	}
	return rawjson.Members(make([]rawjson.Member, 0, 16), p.payload), nil
}

// notJSON words a syntax error without quoting the record, which may hold what must not be shown.
func notJSON(payload []byte, err error) *fault {
	return &fault{reasonNotJSON, fmt.Sprintf("the record of %d bytes cannot be read as JSON beyond byte %d; its bytes are kept", len(payload), syntaxOffset(err))}
}

// merge lays the later of list and detail over the earlier.
func (t *Transformer) merge(parts []part, read int, n *notes) (*object, *fault) {
	var base *object
	for i := range parts {
		p := &parts[i]
		if p.fault != nil {
			n.add(string(p.name)+": not readable", p.fault.reason)
			continue
		}
		if p.name != call.PartList && p.name != call.PartDetail {
			continue
		}
		switch {
		case base == nil:
			base = p.object
		case sameCall(base, p.object, t.provider.ids):
			base = overlay(base, p.object)
		default:
			return nil, &fault{reasonOtherCall, "list and detail do not share an id; fetch the detail again"}
		}
	}
	if base == nil {
		return nil, &fault{reasonNoID, fmt.Sprintf("a %s alone does not say which call it belongs to; fetch the call's list record or detail", parts[read].name)}
	}
	return base, nil
}

// sameCall reports whether two records share an id. Records without ids to compare are taken for the same.
func sameCall(a, b *object, ids []string) bool {
	compared := false
	for _, name := range ids {
		x, y := a.find(name), b.find(name)
		if emptyValue(x) || emptyValue(y) {
			continue
		}
		if idText(x) == idText(y) {
			return true
		}
		compared = true
	}
	return !compared
}

// identify finds the id of the call, and another one it may be known by.
func (t *Transformer) identify(o *object, s scrubbed) (id, alias string, f *fault) {
	for _, name := range t.provider.ids {
		text, f := o.id(name)
		switch {
		case f != nil:
			return "", "", f
		case text == "":
		case s.ids[name] && id == "":
			return "", "", &fault{reasonNumberID, fmt.Sprintf(
				"%s holds a phone number, which privacy.phone_numbers: %s takes away; only hash or keep leave it an id", name, t.opts.Privacy.Numbers)}
		case id == "":
			id = text
		case text != id && !s.ids[name]:
			alias = text
		}
	}
	if id == "" {
		return "", "", &fault{reasonNoID, fmt.Sprintf("none of %v is set, and without one the call cannot be told from others", t.provider.ids)}
	}
	return id, alias, nil
}

// reject keeps a record that cannot be a call.
func (t *Transformer) reject(p *part, f *fault) Result {
	return Result{Reject: &call.Reject{
		Source:    t.opts.Source,
		Reason:    f.reason,
		Detail:    f.detail,
		Payload:   plainText(string(p.payload)),
		FetchedAt: p.record.FetchedAt,
	}}
}
