package query

import (
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// column is one column of an answer.
type column struct {
	name string
	typ  *dataType
}

// kind is what a value's text means.
type kind int

const (
	plain    kind = iota // text, and all that has no form of its own in JSON
	number               // an integer or decimal: exact digits
	float                // may be nan, inf, -inf
	boolean              // true or false
	instant              // date and time, with an offset or without
	blob                 // bytes, those that are no printable ASCII as \xHH
	document             // JSON
	list
	structure
	mapping
)

// dataType is a column's type as far as writing its values goes.
type dataType struct {
	kind   kind
	elem   *dataType // of list and mapping
	size   int       // of a list of fixed length; 0: any
	fields []column  // of structure
}

// simpleKinds are the types whose text needs care in JSON; the others are written as strings.
var simpleKinds = map[bindings.Type]kind{
	bindings.TypeBoolean: boolean,
	bindings.TypeTinyInt: number, bindings.TypeSmallInt: number, bindings.TypeInteger: number, bindings.TypeBigInt: number,
	bindings.TypeHugeInt: number, bindings.TypeUTinyInt: number, bindings.TypeUSmallInt: number, bindings.TypeUInteger: number,
	bindings.TypeUBigInt: number, bindings.TypeUHugeInt: number, bindings.TypeBigNum: number, bindings.TypeDecimal: number,
	bindings.TypeFloat: float, bindings.TypeDouble: float,
	bindings.TypeTimestamp: instant, bindings.TypeTimestampS: instant, bindings.TypeTimestampMS: instant,
	bindings.TypeTimestampNS: instant, bindings.TypeTimestampTZ: instant,
	bindings.TypeBlob: blob, bindings.TypeVariant: document,
}

func typeOf(t bindings.LogicalType) *dataType {
	switch id := bindings.GetTypeId(t); id {
	case bindings.TypeList:
		return &dataType{kind: list, elem: childOf(bindings.ListTypeChildType(t))}
	case bindings.TypeArray:
		return &dataType{kind: list, elem: childOf(bindings.ArrayTypeChildType(t)), size: int(bindings.ArrayTypeArraySize(t))} //nolint:gosec // DuckDB's own bound
	case bindings.TypeMap:
		return &dataType{kind: mapping, elem: childOf(bindings.MapTypeValueType(t))}
	case bindings.TypeStruct:
		return structOf(t)
	case bindings.TypeVarchar:
		if bindings.LogicalTypeGetAlias(t) == "JSON" {
			return &dataType{kind: document}
		}
		return &dataType{kind: plain}
	default:
		return &dataType{kind: simpleKinds[id]}
	}
}

func childOf(t bindings.LogicalType) *dataType {
	defer bindings.DestroyLogicalType(&t)
	return typeOf(t)
}

func structOf(t bindings.LogicalType) *dataType {
	s := &dataType{kind: structure}
	for i := range bindings.StructTypeChildCount(t) {
		name := bindings.StructTypeChildName(t, i)
		if name == "" { // made by ROW(…): without names there is no object to write
			return &dataType{kind: plain}
		}
		s.fields = append(s.fields, column{name: name, typ: childOf(bindings.StructTypeChildType(t, i))})
	}
	return s
}

// text is the SQL expression that turns a value of this type into the text that f is made from.
func (t *dataType) text(value string, f Format) string {
	switch {
	case (f == JSON || f == NDJSON) && t.kind == document:
		return "CAST(CAST(" + value + " AS JSON) AS VARCHAR)"
	case (f == JSON || f == NDJSON) && t.nested():
		return "CAST(to_json(CAST(" + value + " AS " + t.textual() + ")) AS VARCHAR)"
	}
	return "CAST(" + value + " AS VARCHAR)"
}

func (t *dataType) nested() bool { return t.kind == list || t.kind == structure || t.kind == mapping }

// textual is this type with text in all its leaves: JSON made from it by DuckDB has lost no digit.
func (t *dataType) textual() string {
	switch t.kind {
	case list:
		if t.size > 0 {
			return fmt.Sprintf("%s[%d]", t.elem.textual(), t.size)
		}
		return t.elem.textual() + "[]"
	case mapping:
		return "MAP(VARCHAR, " + t.elem.textual() + ")"
	case structure:
		fields := make([]string, len(t.fields))
		for i, f := range t.fields {
			fields[i] = ident(f.name) + " " + f.typ.textual()
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	default:
		return "VARCHAR"
	}
}
