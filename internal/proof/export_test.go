package proof

import "slices"

// Fields are the fields that are derived again.
func Fields() []string { return fieldNames() }

// AllChecks are the statements, tables and sentences of all findings that there can be, those for each column of text as one.
func AllChecks() []Finding {
	var all []check
	for _, q := range slices.Concat(questions(nil, Options{})...) {
		for _, c := range q.conditions {
			all = append(all, c.check)
		}
	}
	loose, differs := ledgerChecks()
	strange, hashes := payloadChecks()
	all = append(all, loose, differs, strange, hashes, idCheck(), secretIn(textColumn{"runs", "error"}))
	for _, f := range fieldNames() {
		all = append(all, fieldCheck(f))
	}
	var findings []Finding
	for _, c := range slices.Compact(all) {
		findings = append(findings, Finding{Statement: c.statement, Table: c.table, What: c.what})
	}
	return findings
}

// Shown is an example as it may be shown.
func Shown(example string) string { return shown(example) }
