package extract

// Where a provider tells how many calls match, an end that does not fit it is not believed at once: a server that caps the page size in
// silence sends short pages too.

// total reads how many calls match; nil where the provider does not tell.
func (r *reading) total(a answer) (*int64, error) {
	n, err := a.count(r.count)
	if err != nil {
		return nil, r.malformed("%v", err)
	}
	return n, nil
}

// all reads how many calls there are from a look at the whole list.
func (r *reading) all(a answer) (total int64, ok bool, err error) {
	told, err := r.total(a)
	if err != nil || told == nil {
		return 0, false, err
	}
	if shown := len(a.records); int64(shown) > *told || shown == 0 && *told > 0 {
		return 0, false, r.malformed("the page has %d calls, and the provider says that there are %d in all", shown, *told)
	}
	return *told, true, nil
}

// lastPage reports whether a page of n rows, the last of which is the read-th of the list, ends the list.
//
// Where no total is told, a short page is the end as documented, unless its length looks like a cap: then one more request shows whether
// anything follows. A page of a few rows is not doubted, as that is what every tick of a quiet account reads, and a second request
// each time would double its traffic.
func (r *reading) lastPage(n int, total *int64, read int64) bool {
	if total != nil {
		return n < r.pageSize && read >= *total
	}
	return n < r.pageSize && !looksCapped(n)
}

// looksCapped reports whether a page may be as long as a server allows: caps are round numbers, and not tiny ones.
func looksCapped(n int) bool { return n >= 20 && (n%10 == 0 || n%25 == 0) }

// emptyPage is the end of the list, unless the whole list is empty and the provider says that it is not.
func (r *reading) emptyPage(p Page, first bool) (Page, error) {
	if first && p.Total != nil && *p.Total > 0 {
		return Page{}, r.malformed("the page has no calls, and the provider says that %d match", *p.Total)
	}
	p.Done = true
	return p, nil
}

func sameCount(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
