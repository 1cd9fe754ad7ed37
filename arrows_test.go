package syncd_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says which packages of ours each package may import. What is not here may import none. The command and the benchmarks may import all.
var arrows = map[string][]string{
	"internal/extract":             {"internal/extract/httpapi", "internal/rawjson"},
	"internal/transform":           {"internal/extract", "internal/call", "internal/rawjson"},
	"internal/load":                {"internal/call", "internal/panics", "internal/disk", "internal/interrupt"},
	"internal/query":               {"internal/disk", "internal/interrupt"},
	"internal/export":              {"internal/query"},
	"internal/pipeline":            {"internal/extract", "internal/transform", "internal/load", "internal/checkpoint", "internal/call", "internal/panics"},
	"internal/proof":               {"internal/checkpoint", "internal/transform", "internal/extract", "internal/call"},
	"internal/repair":              {},
	"internal/proof/prooftest":     {"internal/proof", "internal/load"},
	"internal/schedule":            {"internal/panics"},
	"internal/control":             {"internal/panics"},
	"internal/server":              {"internal/panics"},
	"internal/fakeapi/openapitest": {"internal/fakeapi"},
}

// duckdbImporters are the packages that may speak to DuckDB: the one writer, and the reader, which never imports the writer. The benchmarks have
// references of their own to measure against.
var duckdbImporters = []string{"internal/load", "internal/query", "internal/interrupt", "bench/ctas", "bench/growth"}

// commandOnly are packages that only the command may import, beside tests and benchmarks, and those that have an arrow to them.
var commandOnly = []string{"internal/config", "internal/control", "internal/export", "internal/fakeapi", "internal/query", "internal/schedule", "internal/server"}

const module = "syncd"

// TestArrows holds every import of the tree against the house's plan: data goes one way, and load and checkpoint never meet.
func TestArrows(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		from := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range file.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if complaint := forbidden(from, to); complaint != "" {
				t.Errorf("%s imports %s: %s", path, to, complaint)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d files were looked at: is this the project's root?", seen)
	}
}

// forbidden says why a package may not import another, and "" where it may.
func forbidden(from, to string) string {
	if strings.HasPrefix(to, "github.com/duckdb/") && !slices.Contains(duckdbImporters, from) {
		return "only " + strings.Join(duckdbImporters, " and ") + " speak to DuckDB"
	}
	ours, ok := strings.CutPrefix(to, module+"/")
	if !ok || strings.HasPrefix(from, "cmd/") || strings.HasPrefix(from+"/", "bench/") {
		return ""
	}
	switch {
	case slices.Contains(arrows[from], ours):
		return ""
	case slices.Contains(commandOnly, ours):
		return "only the command imports it"
	}
	return "the house has no such arrow; see ARCHITECTURE.md"
}

func TestForbiddenArrowsAreSeen(t *testing.T) {
	for _, c := range [][2]string{
		{"internal/load", "syncd/internal/checkpoint"},
		{"internal/checkpoint", "syncd/internal/load"},
		{"internal/call", "syncd/internal/extract"},
		{"internal/transform", "syncd/internal/extract/httpapi"},
		{"internal/pipeline", "github.com/duckdb/duckdb-go/v2"},
		{"internal/pipeline", "syncd/internal/config"},
		{"internal/query", "syncd/internal/load"},
		{"internal/export", "syncd/internal/load"},
		{"internal/export", "github.com/duckdb/duckdb-go/v2"},
		{"internal/pipeline", "syncd/internal/export"},
		{"internal/proof", "syncd/internal/load"},
		{"internal/pipeline", "syncd/internal/proof"},
	} {
		if forbidden(c[0], c[1]) == "" {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
}
