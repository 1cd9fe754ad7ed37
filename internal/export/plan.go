package export

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// plan says what becomes of every file of a folder.
type plan struct {
	asOf   time.Time
	stay   []File // as the manifest is to list them
	write  []wanted
	remove []partition
	rows   int64 // of all that is written

	unchanged []partition
}

// plan compares what the warehouse has with what the manifest lists and with what lies there. It concerns the sources, or all of them for none.
func (f *folder) plan(m *Manifest, s survey, sources []string) (*plan, error) {
	listed := make(map[partition]File, len(m.Files))
	p := &plan{asOf: s.asOf}
	concerned := func(source string) bool { return len(sources) == 0 || slices.Contains(sources, source) }
	for _, file := range m.Files {
		if concerned(file.Source) {
			listed[file.partition()] = file
		} else {
			p.stay = append(p.stay, file)
		}
	}
	is := make(map[partition]bool, len(s.partitions))
	for _, w := range s.partitions {
		is[w.partition] = true
		file, ok := listed[w.partition]
		same := ok && file.Fingerprint == w.fingerprint && file.Rows == w.rows && file.Schema == w.schema
		if !same || !f.untouched(file) {
			p.write = append(p.write, w)
			p.rows += w.rows
			continue
		}
		file.AsOf = s.asOf
		p.stay, p.unchanged = append(p.stay, file), append(p.unchanged, w.partition)
	}
	// What to remove is what lies there, and not what the manifest lists: an export that died may have written what no manifest ever listed.
	there, err := f.find()
	if err != nil {
		return nil, err
	}
	for _, at := range there {
		if !is[at] && concerned(at.source) {
			p.remove = append(p.remove, at)
		}
	}
	return p, nil
}

// untouched reports whether a file is as it was written, as far as its size and its time tell.
func (f *folder) untouched(file File) bool {
	info, err := os.Lstat(f.at(file.Path))
	return err == nil && info.Mode().IsRegular() && info.Size() == file.Bytes && info.ModTime().Equal(file.ModifiedAt)
}

// find lists the files that have a partition's name.
func (f *folder) find() (found []partition, err error) {
	for _, t := range allTables() {
		sources, err := subfolders(f.at(t.name), sourcePrefix)
		if err != nil {
			return nil, err
		}
		for _, source := range sources {
			months, err := subfolders(filepath.Join(f.at(t.name), sourcePrefix+escape(source)), monthPrefix)
			if err != nil {
				return nil, err
			}
			for _, month := range months {
				p := partition{t.name, source, month}
				if _, err := os.Lstat(f.at(p.path())); err == nil && isMonth(month) {
					found = append(found, p)
				}
			}
		}
	}
	return found, nil
}

// lines sums up, by source and table, what the plan did and what the manifest lists now.
func (p *plan) lines(m *Manifest) []Line {
	type key struct{ source, table string }
	sums := make(map[key]*Line)
	of := func(at partition) *Line {
		k := key{at.source, at.table}
		if sums[k] == nil {
			sums[k] = &Line{Source: at.source, Table: at.table}
		}
		return sums[k]
	}
	for _, w := range p.write {
		of(w.partition).Written++
	}
	for _, at := range p.unchanged {
		of(at).Unchanged++
	}
	for _, at := range p.remove {
		of(at).Removed++
	}
	for _, file := range m.Files {
		if l := sums[key{file.Source, file.Table}]; l != nil {
			l.Rows += file.Rows
			l.Bytes += file.Bytes
		}
	}
	rank := make(map[string]int)
	for i, t := range allTables() {
		rank[t.name] = i
	}
	lines := make([]Line, 0, len(sums))
	for _, l := range sums {
		lines = append(lines, *l)
	}
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Or(cmp.Compare(a.Source, b.Source), rank[a.Table]-rank[b.Table]) })
	return lines
}

// partition is what a file of the manifest holds.
func (file File) partition() partition { return partition{file.Table, file.Source, file.Month} }

// check tells what is wrong with an entry of a manifest.
func (file File) check() error {
	p := file.partition()
	known := slices.ContainsFunc(allTables(), func(t table) bool { return t.name == p.table })
	if !known || !isMonth(p.month) || file.Path != p.path() {
		return fmt.Errorf("it lists a file %q that no export writes", file.Path)
	}
	return nil
}
