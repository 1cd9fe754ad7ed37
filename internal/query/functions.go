package query

import "strings"

// tableFunctions are the functions that may stand in FROM: they make rows from their arguments or tell what the warehouse holds. All others
// are refused, among them every one that reads files, runs SQL from a string, or switches something (enable_logging stops a process).
var tableFunctions = set(
	"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree",
	"duckdb_tables", "duckdb_columns", "duckdb_views", "duckdb_schemas", "duckdb_types", "duckdb_functions", "duckdb_constraints",
	"duckdb_indexes", "duckdb_sequences", "duckdb_dependencies", "duckdb_databases", "duckdb_keywords", "duckdb_settings", "duckdb_memory",
	"pragma_table_info", "pragma_show", "pragma_storage_info", "pragma_database_size", "pragma_version", "pragma_platform",
	"pragma_collations", "pg_timezone_names", "icu_calendar_names",
)

// deniedFunctions are scalar functions that change something, wait, plan SQL from a string past the guard, or put values into error messages.
var deniedFunctions = set(
	"nextval", "currval", "setseed", "write_log", "json_serialize_plan", "json_execute_serialized_sql",
	"sleep_ms", "pg_sleep", "error", "getenv", "set_config", "read_text", "read_blob",
)

func deniedFunction(name string) bool {
	name = strings.ToLower(name)
	// Those with the prefix are the optimizer's own: they trust their arguments.
	return deniedFunctions[name] || strings.HasPrefix(name, "__internal_")
}

// expressionClasses are the kinds of expression that a SELECT is made of.
var expressionClasses = set(
	"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT", "FUNCTION", "LAMBDA",
	"LAMBDA_REF", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
)

// nodeTypes are the kinds of everything else in a tree: queries, what stands in FROM, and what orders and bounds the rows.
var nodeTypes = set(
	"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE",
	"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF",
	"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "ORDER_MODIFIER", "DISTINCT_MODIFIER",
	"ORDER_DEFAULT", "ASCENDING", "DESCENDING",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
