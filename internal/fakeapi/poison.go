package fakeapi

import "bytes"

// Poisoning is how a call breaks every answer that holds it.
type Poisoning int

// The ways to be poisonous.
const (
	InvalidJSON Poisoning = iota // status 200, with a value that JSON does not have (NaN) within the call's record
	ServerError                  // status 500 for the whole page, or for anything that is asked about the call
)

// Poison breaks every list page that holds the call, and every answer for the call alone, until Cure. Which pages those are is the reader's
// choice of bounds: a window without the call reads well. [Server.Call] goes on telling the truth.
func (s *Server) Poison(id string, how Poisoning) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poisoned == nil {
		s.poisoned = map[string]Poisoning{}
	}
	s.poisoned[id] = how
}

// Cure undoes Poison.
func (s *Server) Cure(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.poisoned, id)
}

// spoiled writes NaN into a record, as Python's json module does where nobody forbids it.
func spoiled(element []byte) []byte {
	if i := bytes.IndexAny(element, "{["); i >= 0 {
		name := []byte(`"score":NaN,`)
		if element[i] == '[' {
			name = []byte("NaN,")
		}
		return bytes.Join([][]byte{element[:i+1], name, element[i+1:]}, nil)
	}
	return []byte("NaN")
}

// spoiled spoils every part that the record has.
func (r Record) spoiled() Record {
	for _, part := range []*string{&r.List, &r.Detail, &r.Transcripts, &r.Recordings, &r.Costs} {
		if *part != "" {
			*part = string(spoiled([]byte(*part)))
		}
	}
	return r
}
