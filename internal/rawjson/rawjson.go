// Package rawjson cuts JSON that is known to be valid into its members and elements, byte for byte and without copying.
//
// It owns where a value begins and ends. It refuses to judge: whoever has bytes from elsewhere lets a real decoder check them first, once. Of
// what is not valid it may return anything, but it never reads past the end and never panics.
package rawjson

import (
	"bytes"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// Member is one name of an object with its value, in the bytes of the object.
type Member struct {
	Name  string // unescaped
	Value jsontext.Value
}

// Members appends the members of an object, in their order, a name that is there twice twice. What is no object has none.
func Members(list []Member, src jsontext.Value) []Member {
	at := space(src, 0)
	if at >= len(src) || src[at] != '{' {
		return list
	}
	for at = space(src, at+1); at < len(src) && src[at] == '"'; {
		end := text(src, at)
		name := src[at:end:end]
		if at = space(src, end); at >= len(src) || src[at] != ':' {
			return list
		}
		at = space(src, at+1)
		if end = value(src, at); end <= at {
			return list
		}
		list = append(list, Member{Name: Text(name), Value: src[at:end:end]})
		at = after(src, end)
	}
	return list
}

// Elements returns the elements of an array, in their order; what is no array has none.
func Elements(src jsontext.Value) []jsontext.Value {
	at := space(src, 0)
	if at >= len(src) || src[at] != '[' {
		return nil
	}
	var list []jsontext.Value
	for at = space(src, at+1); at < len(src) && src[at] != ']'; {
		end := value(src, at)
		if end <= at {
			return list
		}
		list = append(list, src[at:end:end])
		at = after(src, end)
	}
	return list
}

// Text is the text of a JSON string. Without escapes it is the very bytes that are given, as a View, even where they are no UTF-8.
func Text(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return View(raw[1 : len(raw)-1])
	}
	// The only error is text that no UTF-8 can hold, in whose place U+FFFD stands.
	b, _ := jsontext.AppendUnquote(nil, raw)
	return View(b)
}

// View is the text of bytes that nobody writes to any more, without a copy: of a large page every text would be copied otherwise, and that is
// what takes most of the time.
func View(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the one place where text and bytes are shared, and the doc says on what terms
}

// space is the first place from at on where there is no white space.
func space(src []byte, at int) int {
	for at < len(src) && (src[at] == ' ' || src[at] == '\n' || src[at] == '\r' || src[at] == '\t') {
		at++
	}
	return at
}

// after is where the next member or element begins, behind the comma, or where the end of the list is.
func after(src []byte, at int) int {
	if at = space(src, at); at < len(src) && src[at] == ',' {
		at = space(src, at+1)
	}
	return at
}

// value is the end of the value that begins at at.
func value(src []byte, at int) int {
	if at >= len(src) {
		return at
	}
	switch src[at] {
	case '"':
		return text(src, at)
	case '{', '[':
		return nest(src, at)
	}
	for at < len(src) {
		switch src[at] {
		case ',', '}', ']', ' ', '\n', '\r', '\t':
			return at
		}
		at++
	}
	return at
}

// nest is the end of the object or array that begins at at.
func nest(src []byte, at int) int {
	for depth := 0; at < len(src); {
		switch src[at] {
		case '"':
			at = text(src, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
		at++
	}
	return at
}

// text is the end of the string that begins at at.
func text(src []byte, at int) int {
	from := at + 1
	for at = from; ; at++ {
		next := bytes.IndexByte(src[at:], '"')
		if next < 0 {
			return len(src)
		}
		at += next
		escapes := at
		for escapes > from && src[escapes-1] == '\\' {
			escapes--
		}
		if (at-escapes)%2 == 0 {
			return at + 1
		}
	}
}
