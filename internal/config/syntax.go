package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxSize is far more than a thousand sources need, and little enough to be read in a moment.
	maxSize = 256 << 10
	// maxFlowDepth bounds nested [ and {, for which the parser's time grows with the square. The deepest of ours is three.
	maxFlowDepth = 64
)

// parseYAML reads the one document of a file. A byte order mark and Windows or old Mac line ends are taken as they are meant. A nil
// node without an error is a file without content.
func parseYAML(file string, data []byte) (ast.Node, *Error) {
	if len(data) > maxSize {
		return nil, &Error{File: file, Message: fmt.Sprintf("larger than %d KiB: this is no configuration of syncd", maxSize>>10)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	if line, column, bad := notText(data); bad {
		return nil, &Error{File: file, Line: line, Column: column, Message: "not UTF-8 text; save the file as UTF-8"}
	}
	f, err := parse(string(data))
	if err != nil {
		return nil, syntaxError(file, data, err)
	}
	var root ast.Node
	for _, doc := range f.Docs {
		switch body := doc.Body.(type) {
		case nil, *ast.DirectiveNode: // an empty document, or a line such as "%YAML 1.2"
		default:
			if root != nil {
				at := tokenOf(body).Position
				return nil, &Error{File: file, Line: at.Line, Column: at.Column,
					Message: `a second document begins here; want one: join them, without "---"`}
			}
			root = body
		}
	}
	return root, nil
}

// parse is the YAML library's, with its panics made errors: a file that it cannot bear must not end the program.
func parse(text string) (f *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("this YAML is beyond syncd's parser; write it more plainly")
		}
	}()
	tokens := lexer.Tokenize(text)
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		}
		if depth > maxFlowDepth {
			return nil, &yaml.SyntaxError{Message: fmt.Sprintf("more than %d brackets within each other", maxFlowDepth), Token: t}
		}
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // repeated keys are told with all other errors
}

// syntaxError takes the library's message and position, and leaves its picture of the source out: a key pasted into the file would be in it.
func syntaxError(file string, data []byte, err error) *Error {
	var told yaml.Error
	if !errors.As(err, &told) {
		return &Error{File: file, Message: "not valid YAML: " + err.Error()}
	}
	e := &Error{File: file, Message: "not valid YAML: " + strings.ReplaceAll(told.GetMessage(), "\t", `\t`)}
	if t := told.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = max(t.Position.Line, 1), max(t.Position.Column, 1)
		e.Message += hint(data, e.Line)
	}
	return e
}

// hint recognises the commonest slips: a tab before a key, and a value such as @every 5m or */5 * * * * without its quotes.
func hint(data []byte, line int) string {
	lines := strings.Split(string(data), "\n")
	if line > len(lines) {
		return ""
	}
	text := lines[line-1]
	if indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]; strings.Contains(indent, "\t") {
		return "; indent with spaces, not with tabs"
	}
	_, value, _ := strings.Cut(text, ": ")
	value = strings.TrimLeft(value, " ")
	if value == "" || !strings.Contains("@*&!%`", value[:1]) {
		return ""
	}
	return fmt.Sprintf("; a value that begins with %s needs quotes around it", value[:1])
}

// notText finds the first place that is not UTF-8.
func notText(data []byte) (line, column int, bad bool) {
	if utf8.Valid(data) {
		return 0, 0, false
	}
	line, column = 1, 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		data = data[n:]
	}
	return line, column, true
}

// tokenOf returns the token that a person would point at for a node: of a block mapping its first key, not that key's colon.
func tokenOf(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}
