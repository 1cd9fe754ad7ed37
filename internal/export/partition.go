package export

import (
	"fmt"
	"strings"
	"time"
)

// table is one that is exported.
type table struct {
	name    string
	own     []string // columns that are the writer's own, which are left out
	order   string   // of the rows in a file; "": as they are stored
	group   int64    // most rows of a row group
	started string   // the start of the call that a row belongs to
	join    string   // what that takes
}

// Rows are ordered so that who looks for a time or for a call reads a part of a file. Payloads are not, as all of a month would be put aside on the disk.
// What is in a row group is in memory until it is whole, so wide rows have smaller ones; columns of some thousand rows are still compressed well.
const (
	narrow  = 120 * 1024
	wide    = 60 * 1024
	payload = 4 * 1024
)

const rawTable = "raw_calls"

// allTables are the tables that a folder may have.
func allTables() []table {
	of := func(name, order string, group int64, own ...string) table {
		return table{name: name, own: own, order: order, group: group, started: "t.started_at"}
	}
	revisions := of("call_revisions", "t.changed_at, t.call_id, t.revision, t.field", narrow)
	revisions.started, revisions.join = "c.started_at", ` LEFT JOIN calls AS c ON c.source = t.source AND c.call_id = t.call_id`
	return []table{
		of("calls", "t.started_at, t.call_id", wide),
		of("call_costs", "t.started_at, t.call_id, t.seq", narrow, "started_at"),
		of("call_messages", "t.started_at, t.call_id, t.seq", narrow, "started_at"),
		of("call_functions", "t.started_at, t.call_id, t.seq", wide, "started_at"),
		revisions,
		of(rawTable, "", payload, "started_at", "reading", "content_hash"),
	}
}

// partition is what one file holds.
type partition struct {
	table, source, month string
}

// unknown stands for the month of calls that have no start.
const unknown = "unknown"

const monthForm = "2006-01"

// isMonth reports whether a text is a month, or stands for none.
func isMonth(s string) bool {
	at, err := time.Parse(monthForm, s)
	return s == unknown || err == nil && at.Format(monthForm) == s
}

const (
	sourcePrefix = "source="
	monthPrefix  = "month="
	suffix       = ".parquet"
)

// path is where a partition's file is, in the folder. It always has slashes.
func (p partition) path() string {
	return p.table + "/" + sourcePrefix + escape(p.source) + "/" + monthPrefix + p.month + "/" + p.table + suffix
}

// escape writes a value as it stands in the name of a partition's folder. The names that a configuration allows stay as they are.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// wanted is a partition as the warehouse has it.
type wanted struct {
	partition
	of          table
	columns     []string
	rows        int64
	fingerprint string
	schema      string
	asOf        time.Time
}

// query selects the rows of the partition.
func (w wanted) query() string {
	sql := "SELECT " + named(w.columns) + " FROM " + quoteName(w.of.name) + " AS t" + w.of.join + " WHERE t.source = " + quote(w.source)
	if w.month == unknown {
		sql += " AND " + w.of.started + " IS NULL"
	} else {
		since, _ := time.Parse(monthForm, w.month) // it is one: look has seen to it
		sql += fmt.Sprintf(" AND %[1]s >= %[2]s AND %[1]s < %[3]s", w.of.started, instant(since), instant(since.AddDate(0, 1, 0)))
	}
	if w.of.order != "" {
		sql += " ORDER BY " + w.of.order
	}
	return sql
}

func instant(at time.Time) string { return "TIMESTAMPTZ '" + at.UTC().Format(time.DateTime) + "+00'" }

// named lists columns of the table.
func named(columns []string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = "t." + quoteName(c)
	}
	return strings.Join(all, ", ")
}

func quoteName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
