package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSQL bounds a statement, in bytes: far above what people and tools write, far below what makes the parser a burden.
const maxSQL = 1 << 20

// tree is the syntax tree of one SELECT, as DuckDB's own parser gives it in JSON.
type tree map[string]any

// accept lets a statement pass that is one SELECT and uses only what a question about the warehouse needs. It comes before anything else
// that is done with the text, for preparing alone can already have effects.
func (s *session) accept(ctx context.Context, sql string) (*statement, error) {
	node, err := s.parse(ctx, sql)
	if err != nil {
		return nil, err
	}
	if err := judge(node); err != nil {
		return nil, err
	}
	q := &statement{original: sql, body: withoutEnd(sql), node: node}
	if q.columns, err = s.describe(ctx, q.body); err != nil {
		return nil, q.located(err, 0)
	}
	return q, nil
}

// verify proves that the text to be executed is one SELECT around exactly the statement that was judged.
func (s *session) verify(ctx context.Context, q *statement, w wrapped) error {
	node, err := s.parse(ctx, w.sql)
	if err != nil {
		return err
	}
	if err := judge(node); err != nil {
		return err
	}
	if !reflect.DeepEqual(inner(node), withoutLocations(q.node)) {
		return refuse("the statement means something else inside another one", "write it without its last comment or semicolon")
	}
	return nil
}

// parse returns the tree of a text that holds exactly one SELECT.
func (s *session) parse(ctx context.Context, sql string) (tree, error) {
	switch {
	case len(sql) > maxSQL:
		return nil, refuse(fmt.Sprintf("the statement has more than %d bytes", maxSQL), "put long lists of values into a join")
	case strings.ContainsRune(sql, 0):
		return nil, refuse("the statement contains a zero byte", "")
	case !utf8.ValidString(sql):
		return nil, refuse("the statement is not UTF-8 text", "")
	}
	out, err := s.serialize(ctx, sql)
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Error      bool            `json:"error"`
		Type       string          `json:"error_type"`
		Message    string          `json:"error_message"`
		Position   json.RawMessage `json:"position"`
		Statements []struct {
			Node tree `json:"node"`
		} `json:"statements"`
	}
	if err := json.Unmarshal([]byte(out), &parsed); err != nil {
		return nil, fmt.Errorf("read the syntax tree: %w", err)
	}
	switch {
	case parsed.Error && parsed.Type == "parser":
		e := &SQLError{Kind: "parser", Message: parsed.Message, at: position(parsed.Position)}
		return nil, e.in(sql, 0)
	case parsed.Error:
		return nil, notSelect(sql)
	case len(parsed.Statements) == 0:
		return nil, refuse("there is no statement", "ask something like `SELECT count(*) FROM calls`")
	case len(parsed.Statements) > 1:
		return nil, refuse("there is more than one statement", "ask one at a time")
	}
	return parsed.Statements[0].Node, nil
}

// serialize has DuckDB parse the text. The text is an argument and never part of what is executed.
func (s *session) serialize(ctx context.Context, sql string) (string, error) {
	rows, err := s.stream(ctx, "SELECT CAST(json_serialize_sql(CAST($1 AS VARCHAR)) AS VARCHAR)", 1, sql)
	if err != nil {
		return "", err
	}
	defer rows.close()
	if !rows.next(ctx) {
		return "", errors.Join(errors.New("parse the statement: the parser gave nothing"), rows.err)
	}
	return rows.cells[0].text, nil
}

// judge walks the whole tree: what it does not know, it refuses, so that a newer DuckDB brings nothing in unseen.
func judge(v any) error {
	switch v := v.(type) {
	case tree:
		return judge(map[string]any(v))
	case []any:
		for _, e := range v {
			if err := judge(e); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := judgeNode(v); err != nil {
			return err
		}
		for _, e := range v {
			if err := judge(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func judgeNode(n map[string]any) error {
	kind, _ := n["type"].(string)
	class, isExpression := n["class"].(string)
	switch {
	case class == "PARAMETER":
		return refuse("the statement has a parameter", "write the value in its place")
	case isExpression && !expressionClasses[class]:
		return refuse(fmt.Sprintf("the statement uses an expression (%s) that is not answered here", strings.ToLower(class)), "")
	case !isExpression && kind != "" && !nodeTypes[kind] && !strings.HasSuffix(kind, "_TYPE_INFO"):
		return refuse(fmt.Sprintf("the statement uses a form (%s) that is not answered here", strings.ToLower(kind)), "")
	}
	if kind == "TABLE_FUNCTION" {
		f, _ := n["function"].(map[string]any)
		name, _ := f["function_name"].(string)
		if !tableFunctions[strings.ToLower(name)] {
			return refuse(fmt.Sprintf("the table function %q is not answered here", name),
				"a query reads the tables and views of the warehouse; SHOW TABLES lists them")
		}
		return nil
	}
	if name, ok := n["function_name"].(string); ok && deniedFunction(name) {
		return refuse(fmt.Sprintf("the function %q is not answered here", name), "")
	}
	return nil
}

// inner is the tree of the statement that a wrapped one stands around.
func inner(outer tree) any {
	from, _ := outer["from_table"].(map[string]any)
	sub, _ := from["subquery"].(map[string]any)
	return withoutLocations(sub["node"])
}

// withoutLocations copies a tree without the offsets into its text, which wrapping moves.
func withoutLocations(v any) any {
	switch v := v.(type) {
	case tree:
		return withoutLocations(map[string]any(v))
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutLocations(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if k != "query_location" {
				out[k] = withoutLocations(e)
			}
		}
		return out
	}
	return v
}

// notSelect says what to ask instead of a statement that is no SELECT.
func notSelect(sql string) error {
	verb := firstWord(sql)
	switch {
	case slices.Contains([]string{"PIVOT", "FROM", "WITH", "SELECT", ""}, verb) && strings.Contains(strings.ToUpper(sql), "PIVOT"):
		return refuse("a PIVOT that finds its columns itself is two statements",
			"name them: PIVOT calls ON status IN ('completed', 'failed') USING count(*)")
	case slices.Contains([]string{"PRAGMA", "CALL"}, verb):
		return refuse(verb+" is not answered here", "use SELECT … FROM duckdb_tables(), duckdb_columns() or pragma_table_info('calls')")
	case verb == "EXPLAIN":
		return refuse("EXPLAIN is not answered here", "only SELECT is; open a copy of the file with another DuckDB client to see plans")
	case slices.Contains([]string{"FROM", "WITH", "SELECT", ""}, verb):
		return refuse("the statement is not a SELECT alone", "ask one SELECT at a time")
	}
	return refuse(verb+" is not answered here", "only SELECT is: queries never change the warehouse")
}
