package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// decoder walks the nodes of one file and gathers what is wrong with them.
type decoder struct {
	file string
	errs []Error
}

// value is one node of the file, and the way to it.
type value struct {
	d    *decoder
	node ast.Node
	path string // sources[0].schedule
}

// place is where a value stands, kept for what can be told only after parsing.
type place struct {
	line, column int
	path         string
}

func (v value) place() place {
	at := tokenOf(v.node).Position
	return place{line: at.Line, column: at.Column, path: v.path}
}

// fail records an error at the value.
func (v value) fail(format string, args ...any) { v.d.failAt(v.place(), format, args...) }

func (d *decoder) failAt(p place, format string, args ...any) {
	d.errs = append(d.errs, Error{File: d.file, Line: p.line, Column: p.column, Path: p.path, Message: fmt.Sprintf(format, args...)})
}

// failed reports whether something is wrong with the value itself.
func (d *decoder) failed(path string) bool {
	return slices.ContainsFunc(d.errs, func(e Error) bool { return e.Path == path })
}

// field is a key that a mapping may have.
type field struct {
	name     string
	required string // what must be given, for the message that it is missing; "" where the key may be left out
	read     func(value)
}

// key is a field whose value goes to dst. What dst holds before is the key's default.
func key[T any](name string, dst *T, read func(value) (T, bool)) field {
	return field{name: name, read: func(v value) {
		got, ok := read(v)
		if !ok {
			return
		}
		if text, waiting := notBuilt[v.pattern()]; waiting && !reflect.DeepEqual(got, *dst) {
			v.fail("not built yet: only the default %s works so far; leave it out", text)
			return
		}
		*dst = got
	}}
}

// must is a key that may not be left out.
func must[T any](name, required string, dst *T, read func(value) (T, bool)) field {
	f := key(name, dst, read)
	f.required = required
	return f
}

// object is a mapping that was read.
type object struct {
	begin place
	keys  map[string]value // the known keys that it has, rightly filled or not
	meant map[string]bool  // the known keys that unknown ones were taken for, which are not told as missing too
}

// has reports whether the mapping has one of the keys, or meant to.
func (o object) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, there := o.keys[name]; return there || o.meant[name] })
}

// object reads a mapping: each known key once, unknown and repeated ones as errors, required ones missed.
func (v value) object(fields ...field) (object, bool) {
	entries, ok := v.entries(fields)
	if !ok {
		return object{}, false
	}
	o := object{begin: v.place(), keys: make(map[string]value, len(entries)), meant: map[string]bool{}}
	first := make(map[string]place, len(entries))
	for _, entry := range entries {
		name, at, ok := v.keyOf(entry)
		if !ok {
			continue
		}
		if earlier, repeated := first[name]; repeated {
			v.d.failAt(at, "the key stands here a second time, after line %d; keep one", earlier.line)
			continue
		}
		first[name] = at
		f, known := find(fields, name)
		if !known {
			near := nearest(name, names(fields))
			o.meant[near] = true
			v.d.failAt(at, "unknown key%s allowed: %s", didYouMean(near), strings.Join(names(fields), ", "))
			continue
		}
		child := value{d: v.d, node: entry.Value, path: at.path}
		o.keys[name] = child
		child.fill(f, at)
	}
	for _, f := range fields {
		if f.required != "" && !o.has(f.name) {
			v.d.failAt(place{o.begin.line, o.begin.column, v.join(f.name)}, "missing; want %s", f.required)
		}
	}
	return o, true
}

// fill reads the value into its field. A key without a value, as one left behind when its lines were commented out, is not taken for
// the default: nothing says that it was meant so.
func (v value) fill(f field, at place) {
	_, null := v.node.(*ast.NullNode)
	switch {
	case !null && v.node != nil:
		if v, ok := v.plain(); ok {
			f.read(v)
		}
	case f.required != "":
		v.d.failAt(at, "found nothing; want %s", f.required)
	default:
		v.d.failAt(at, "found nothing; give it a value or leave the key out")
	}
}

// entries returns a mapping's pairs, or fails.
func (v value) entries(fields []field) ([]*ast.MappingValueNode, bool) {
	switch n := v.node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	v.fail("found %s; want a mapping with the keys %s", kind(v.node), strings.Join(names(fields), ", "))
	return nil, false
}

// keyOf returns a pair's key and its place, or fails.
func (v value) keyOf(entry *ast.MappingValueNode) (string, place, bool) {
	k, ok := value{d: v.d, node: entry.Key, path: v.path}.plain()
	if !ok {
		return "", place{}, false
	}
	switch k.node.(type) {
	case *ast.MergeKeyNode:
		k.fail("merge keys (<<) are not supported; write the keys out")
		return "", place{}, false
	case *ast.MappingKeyNode:
		k.fail("found a key marked with ?; want a plain one")
		return "", place{}, false
	}
	at := k.place()
	name := k.node.GetToken().Value
	at.path = v.join(name)
	return name, at, true
}

// list reads the elements of a list, one value each.
func (v value) list(read func(i int, element value)) bool {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.fail("found %s; want a list", kind(v.node))
		return false
	}
	for i, node := range n.Values {
		if node == nil {
			v.fail("element %d is empty", i+1)
			continue
		}
		element := value{d: v.d, node: node, path: v.path + "[" + strconv.Itoa(i) + "]"}
		if element, ok := element.plain(); ok {
			read(i, element)
		}
	}
	return true
}

// plain takes anchors and tags off a value, as errors, so that what they hold is looked at all the same. For an alias, or a tag of
// nothing, it returns false: the error has been told.
func (v value) plain() (value, bool) {
	for {
		switch n := v.node.(type) {
		case *ast.AnchorNode:
			v.fail("anchors (&) are not supported; write the value out where it is needed")
			v.node = n.Value
		case *ast.TagNode:
			v.fail("tags (!) are not supported; the type follows from the key")
			v.node = n.Value
		case *ast.AliasNode:
			v.fail("aliases (*) are not supported; write the value out, and put quotes around text that begins with *")
			return v, false
		case nil:
			return v, false
		default:
			return v, true
		}
	}
}

// text reads a string. What was found otherwise is told by its kind alone: it may be a secret in the wrong place.
func (v value) text() (string, bool) {
	var s string
	switch n := v.node.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		s = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		v.fail("found %s; want text: put quotes around it", kind(v.node))
		return "", false
	default:
		v.fail("found %s; want text", kind(v.node))
		return "", false
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		v.fail("found text with a line break or another control character; want one line")
		return "", false
	}
	return s, true
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// join is the path of a key of the value.
func (v value) join(name string) string {
	if !plainKey.MatchString(name) {
		name = excerpt(name)
	}
	if v.path == "" {
		return name
	}
	return v.path + "." + name
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// pattern is the path without the places in lists: sources[].schedule.
func (v value) pattern() string { return index.ReplaceAllString(v.path, "[]") }

// kind names what a node is, without what it holds.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	}
	return "something else"
}

// excerpt quotes a text, cut short.
func excerpt(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

func find(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func names(fields []field) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.name
	}
	return all
}
