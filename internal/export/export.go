// Package export writes the tables of a warehouse as Parquet files, one for each table, source and month, and writes again only what has changed.
//
// It owns the layout of the folder, its manifest, what counts as changed, and the list of the folders that a warehouse was exported to, so that
// whoever must be forgotten can be forgotten there, too. It refuses to write into a folder that holds anything else, to leave a part of a file under
// a name that readers look at, and to read the warehouse itself: package query does, which lets DuckDB write one file and no other.
//
// # Layout
//
// DIR/<table>/source=<source>/month=<YYYY-MM>/<table>.parquet, as Hive and all who read its partitions have it. A month is one of UTC, by the
// call's start, and what belongs to a call lies where its call does; calls without a start are in month=unknown. The columns source and month are
// the folders', not the files': DuckDB, Spark and polars add them by themselves, and some readers (pyarrow) refuse files that have a partition's
// column, too. Readers guess the columns' types from the names, so a source whose name is a number is best read with the type given. What is the
// writer's own (the start in the tables of a call's parts) is left out.
//
// # What a death in the middle costs
//
// A file is written beside its place, is on the disk, and then takes the place of the one before: under its name there is always a whole file.
// Before the first of them is replaced, the manifest is replaced by one that lists only what stays as it is; the last step is the manifest that lists
// everything. So what a manifest lists is what lies there, and what it does not list, the next export writes or removes.
package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"syncd/internal/query"
)

// ErrRefused is what errors.Is finds in the error of an export that cannot be meant: nothing was written.
var ErrRefused = errors.New("the export was refused")

// ErrNone is what errors.Is finds in the error of an export that was to be made as before, in a folder that has none: it was removed, or its disk is
// not there.
var ErrNone = errors.New("there is no export")

type refusal struct{ what string }

func (e *refusal) Error() string { return e.what }

// Is makes errors.Is(err, ErrRefused) true.
func (e *refusal) Is(target error) bool { return target == ErrRefused }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// Options say what is exported where.
type Options struct {
	Warehouse string           // the warehouse's own path, also where a copy of it is read: where it was exported to is noted beside it
	Dir       string           // is made where there is none
	Sources   []string         // none: all. The files of the others stay as they are
	Raw       *bool            // with the stored payloads; nil: as the folder was exported before, and at first without
	Version   string           // of syncd
	Now       func() time.Time // nil: the system's
	Tell      func(Progress)   // nil: nobody wants to know

	// AsBefore exports the sources that the folder was exported with before, whatever Sources says. Where there is no export, the error is ErrNone, and
	// none is made.
	AsBefore bool

	// Open opens what is read, with query.Options.Output set to output. In the folder temp large sorts may be put aside.
	Open func(ctx context.Context, output, temp string) (*query.Reader, error)
}

// Progress is how far an export has come.
type Progress struct {
	What        string // what is counted: tables compared, then rows written
	Done, Total int64
}

// Report is what came of an export.
type Report struct {
	Dir   string    // absolute, links resolved
	AsOf  time.Time // what was committed by then is in it
	Lines []Line    // by source and table
}

// Line is what came of one table of a source.
type Line struct {
	Source, Table               string
	Written, Unchanged, Removed int   // files
	Rows, Bytes                 int64 // of all the files that there are now
}

// Run exports. Only one export into a folder goes on at a time.
//
// Where it fails, or ctx ends, what it has written until then is listed by the manifest, which says that the export is not complete; the files that it
// did not come to are as they were.
func Run(ctx context.Context, o Options) (report Report, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tell == nil {
		o.Tell = func(Progress) {}
	}
	if o.AsBefore && !hasManifest(o.Dir) {
		return Report{}, fmt.Errorf("export to %s: %w", o.Dir, ErrNone)
	}
	f, err := openFolder(o.Dir)
	if err != nil {
		return Report{}, fmt.Errorf("export to %s: %w", o.Dir, err)
	}
	defer f.close()
	if report, err = f.export(ctx, o); err != nil {
		return Report{}, fmt.Errorf("export to %s: %w", o.Dir, explain(err))
	}
	return report, nil
}

// export is Run in a folder that is this export's alone.
func (f *folder) export(ctx context.Context, o Options) (report Report, err error) {
	m, err := f.begin(&o)
	if err != nil {
		return Report{}, err
	}
	if err := errors.Join(f.tidy(), os.Mkdir(f.temp(), 0o700)); err != nil {
		return Report{}, err
	}
	r, err := o.Open(ctx, f.staged(), f.temp())
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, r.Close(), f.tidy()) }()
	s, err := look(ctx, r, o, m.Raw)
	if err != nil {
		return Report{}, err
	}
	p, err := f.plan(m, s, o.Sources)
	if err != nil {
		return Report{}, err
	}
	// If the process dies here, the list names a folder with nothing new in it. The other way round nobody would know of what is there.
	if err := note(o.Warehouse, f.path); err != nil {
		return Report{}, err
	}
	if err := f.carryOut(ctx, r, m, p, o.Tell); err != nil {
		return Report{}, err
	}
	return Report{Dir: f.path, AsOf: s.asOf, Lines: p.lines(m)}, nil
}

// begin reads the folder's manifest, and settles what is to be exported by it and by the options.
func (f *folder) begin(o *Options) (*Manifest, error) {
	warehouse, err := filepath.Abs(o.Warehouse)
	if err != nil {
		return nil, fmt.Errorf("find the warehouse: %w", err)
	}
	o.Warehouse = warehouse
	m, err := f.readManifest()
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = &Manifest{Warehouse: warehouse, Sources: slices.Clone(o.Sources), Raw: o.Raw != nil && *o.Raw}
	}
	if m.Warehouse != warehouse {
		return nil, refuse("it holds an export of another warehouse, %s; name another folder, or empty this one", m.Warehouse)
	}
	if o.Raw != nil && *o.Raw != m.Raw {
		if len(o.Sources) > 0 {
			return nil, refuse("whether payloads are exported is so for all sources of a folder: leave the sources out, or --raw=%t", *o.Raw)
		}
		m.Raw = *o.Raw
	}
	switch {
	case o.AsBefore:
		o.Sources = m.Sources
	case len(o.Sources) == 0:
		m.Sources = nil
	case m.Sources != nil:
		m.Sources = slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.Sources, o.Sources))))
	}
	m.Version = o.Version
	return m, nil
}

// carryOut makes the folder what the plan says.
func (f *folder) carryOut(ctx context.Context, r *query.Reader, m *Manifest, p *plan, tell func(Progress)) (err error) {
	m.AsOf, m.Complete, m.Files = p.asOf, len(p.write)+len(p.remove) == 0, p.stay
	// From here until the last step the manifest lists less than there is: if the process dies in between, the next export writes all that is not listed.
	if err := f.writeManifest(m); err != nil || m.Complete {
		return err
	}
	defer func() {
		if err != nil { // what was done so far need not be done again; if this fails, too, or the process dies, it is
			err = errors.Join(err, f.writeManifest(m))
		}
	}()
	done := int64(0)
	for _, w := range p.write {
		file, err := f.write(ctx, r, w)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, file)
		done += w.rows
		tell(Progress{What: "rows", Done: done, Total: p.rows})
	}
	// Removed last: a call that has moved to another month is there twice for a moment, and not missing.
	for _, gone := range p.remove {
		if err := f.remove(gone); err != nil {
			return err
		}
	}
	m.Complete = true
	return f.writeManifest(m)
}

// write writes one file and gives it its name.
func (f *folder) write(ctx context.Context, r *query.Reader, w wanted) (File, error) {
	n, err := r.WriteParquet(ctx, w.query(), w.of.group)
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", w.path(), err)
	}
	if n != w.rows {
		return File{}, fmt.Errorf("write %s: it has %d rows, and there are %d of them; export again, and if that does not help, run a sync", w.path(), n, w.rows)
	}
	// If the process dies before this, the file before is still there; after it, the new one is, and the manifest lists neither.
	info, err := f.place(w.path())
	if err != nil {
		return File{}, fmt.Errorf("write %s: %w", w.path(), err)
	}
	return File{Path: w.path(), Table: w.of.name, Source: w.source, Month: w.month, Rows: w.rows, Bytes: info.Size(),
		Fingerprint: w.fingerprint, Schema: w.schema, AsOf: w.asOf, ModifiedAt: info.ModTime().UTC()}, nil
}
