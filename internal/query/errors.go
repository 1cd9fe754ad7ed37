package query

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrBusy is what errors.Is finds in a *BusyError.
var ErrBusy = errors.New("the warehouse is being written by another syncd")

// ErrRefused is what errors.Is finds in the error of a statement that is not answered here. Nothing of it was executed.
var ErrRefused = errors.New("the statement is not answered here")

// ErrTooManyRows is what errors.Is finds in the error of an answer that has more rows than Options.MaxRows.
var ErrTooManyRows = errors.New("the answer has too many rows")

// BusyError says that a writer held the file for as long as Open waited.
type BusyError struct {
	PID int // the process that writes; 0 where DuckDB does not tell
}

func (e *BusyError) Error() string {
	if e.PID == 0 {
		return ErrBusy.Error() + "; wait for it to finish and ask again"
	}
	return fmt.Sprintf("%v (process %d); wait for it to finish and ask again", ErrBusy, e.PID)
}

// Is makes errors.Is(err, ErrBusy) true.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// SQLError is a statement that DuckDB could not answer.
type SQLError struct {
	Kind    string // parser, binder, catalog, conversion …; lower case
	Message string // DuckDB's own words; values that came from the data are left out
	Line    int    // in the user's statement, from 1; 0 where DuckDB does not tell
	Column  int    // characters into the line, from 1
	excerpt string // the line with a mark under the place; "" without one
	at      int    // byte offset into the executed text; -1: not told
}

func (e *SQLError) Error() string {
	head := e.Kind + " error: " + lowerFirst(e.Message)
	if e.excerpt == "" {
		return head
	}
	return head + "\n" + e.excerpt
}

// in returns the error with its place in the user's text, which began offset bytes into what was executed.
func (e *SQLError) in(sql string, offset int) *SQLError {
	out := *e
	out.Message = withoutData(out, sql)
	at := e.at - offset
	if e.at < 0 || at < 0 || at > len(sql) {
		return &out
	}
	start := strings.LastIndexByte(sql[:at], '\n') + 1
	end := len(sql)
	if n := strings.IndexByte(sql[at:], '\n'); n >= 0 {
		end = at + n
	}
	out.Line = strings.Count(sql[:at], "\n") + 1
	out.Column = utf8.RuneCountInString(sql[start:at]) + 1
	out.excerpt = excerpt(out.Line, sql[start:at], sql[at:end])
	return &out
}

// excerpt shows a line around the place, cut to what fits a terminal, with a mark under it.
func excerpt(line int, before, after string) string {
	const around = 50
	b, a := []rune(printable(before)), []rune(printable(after))
	if len(b) > around {
		b = append([]rune("…"), b[len(b)-around:]...)
	}
	if len(a) > around {
		a = append(a[:around:around], '…')
	}
	head := fmt.Sprintf("line %d: ", line)
	return head + string(b) + string(a) + "\n" + strings.Repeat(" ", len(head)+textWidth(string(b))) + "^"
}

// engineError reads an error of DuckDB, which comes as JSON once the reader is confined, else as "Binder Error: …".
func engineError(message string) error {
	_, object, found := strings.Cut(message, "{")
	var parsed struct {
		Type     string          `json:"exception_type"`
		Message  string          `json:"exception_message"`
		Position json.RawMessage `json:"position"`
	}
	if found && json.Unmarshal([]byte("{"+object), &parsed) == nil && parsed.Type != "" {
		return &SQLError{Kind: strings.ToLower(parsed.Type), Message: plainWords(parsed.Type, parsed.Message), at: position(parsed.Position)}
	}
	kind, rest, found := strings.Cut(message, " Error: ")
	if !found || strings.ContainsAny(kind, ":\n") {
		return &SQLError{Kind: "engine", Message: message, at: -1}
	}
	return &SQLError{Kind: strings.ToLower(kind), Message: rest, at: -1}
}

// plainWords replaces advice that cannot be followed here (to SET something), and cuts what only DuckDB's makers can read.
func plainWords(kind, message string) string {
	switch kind {
	case "Permission":
		return "a query reads the tables of the warehouse, not files"
	case "Out of Memory":
		return "the query needs more memory than its limit; ask for less at a time, or raise query.memory_limit"
	}
	for _, tail := range []string{"\nThis error signals", "\n\nStack Trace", "\nStack Trace"} {
		message, _, _ = strings.Cut(message, tail)
	}
	return message
}

// position reads a byte offset, which DuckDB writes as a string.
func position(raw json.RawMessage) int {
	at, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	if err != nil {
		return -1
	}
	return at
}

var longNumber = regexp.MustCompile(`[+0-9][0-9.\-]{4,}`)

// withoutData takes values out of an error that came from rows: a message quotes the value that did not fit, which may be a phone number or
// a turn of a transcript. What stands in the statement itself stays.
func withoutData(e SQLError, sql string) string {
	switch e.Kind {
	case "conversion", "out of range", "invalid input", "mismatch type", "constraint", "invalid", "serialization":
	default:
		return e.Message
	}
	m := e.Message
	for _, q := range []string{"'", `"`} {
		from, to := strings.Index(m, q), strings.LastIndex(m, q)
		// From the first quote to the last: a value may contain quotes itself.
		if from >= 0 && to > from && !strings.Contains(sql, m[from+1:to]) {
			m = m[:from+1] + "…" + m[to:]
		}
	}
	return longNumber.ReplaceAllStringFunc(m, func(n string) string {
		if strings.Contains(sql, strings.Trim(n, ".-")) {
			return n
		}
		return "…"
	})
}

// interrupted tells the error of a query that was told to stop.
func interrupted(err error) bool {
	var e *SQLError
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &e) && (e.Kind == "interrupt" || strings.Contains(strings.ToLower(e.Message), "interrupted"))
}

type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the query was stopped after %v: ask for less, or allow more time", e.after)
}

func (e *timeoutError) Unwrap() error { return context.DeadlineExceeded }

type limitError struct {
	rows  int64
	whole bool // nothing was written, instead of the first rows
}

func (e *limitError) Error() string {
	what := "only these were written"
	if e.whole {
		what = "no file was written"
	}
	return fmt.Sprintf("the answer has more than %d rows, %s: ask for fewer, or raise the bound", e.rows, what)
}

func (e *limitError) Is(target error) bool { return target == ErrTooManyRows }

type refusal struct{ what, hint string }

func refuse(what, hint string) error { return &refusal{what: what, hint: hint} }

func (e *refusal) Error() string {
	if e.hint == "" {
		return e.what
	}
	return e.what + ": " + e.hint
}

func (e *refusal) Is(target error) bool { return target == ErrRefused }

var lockHolder = regexp.MustCompile(`\(PID (\d+)\)`)

// openError says why a file could not be opened, in the words of someone who has a warehouse, not an engine.
func openError(path string, err error) error {
	m := err.Error()
	has := func(s string) bool { return strings.Contains(m, s) }
	switch {
	case has("Could not set lock") || has("Conflicting lock"):
		e := &BusyError{}
		if pid := lockHolder.FindStringSubmatch(m); pid != nil {
			e.PID, _ = strconv.Atoi(pid[1]) // the pattern allows digits alone
		}
		return e
	case has("different configuration"):
		return fmt.Errorf("open the warehouse %s: this process has it open already", path)
	case has("with version number"):
		return fmt.Errorf("open the warehouse %s: a newer DuckDB wrote it; use the syncd that made it, or a newer one", path)
	case has("not a valid DuckDB database") || has("sqlite") || has("Could not read enough bytes"):
		return fmt.Errorf("open the warehouse %s: it is not a DuckDB file, or only part of one; is the path right?", path)
	case has("Corrupt database file"):
		return fmt.Errorf("open the warehouse %s: the file is damaged; restore a copy of it, or move it away and sync again", path)
	case has("WAL"):
		return fmt.Errorf("open the warehouse %s: its write-ahead log cannot be read here; run `syncd sync`, whose writer recovers it", path)
	case has("Permission denied"):
		return fmt.Errorf("open the warehouse %s: permission denied; let this user read it", path)
	}
	_, rest, found := strings.Cut(m, " Error: ")
	if !found {
		rest = m
	}
	return fmt.Errorf("open the warehouse %s: %s", path, lowerFirst(rest))
}

// lowerFirst lowers a capital at the start, but leaves names and abbreviations (DECIMAL, JSON) alone.
func lowerFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	second, _ := utf8.DecodeRuneInString(s[size:])
	if unicode.IsUpper(first) && !unicode.IsUpper(second) {
		return string(unicode.ToLower(first)) + s[size:]
	}
	return s
}
