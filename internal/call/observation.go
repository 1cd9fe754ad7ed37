package call

import "time"

// Part names which of a provider's answers a payload came from. A call is derived from the newest payload of all its parts.
type Part string

// The parts.
const (
	PartList        Part = "list"        // an element of the list
	PartDetail      Part = "detail"      // the single call
	PartTranscripts Part = "transcripts" // Burki's transcript of a call
	PartCosts       Part = "costs"       // Burki's itemised costs of a call
)

// Observation is a call as one reading saw it, with the payload that says so. It is what the transform hands to the warehouse.
type Observation struct {
	Call Call

	// Alias is another id under which the warehouse may know this call from an earlier reading (Millis' call_id, before the
	// session_id appeared); empty: none. The call is then re-keyed, not stored twice.
	Alias string

	Part        Part
	Payload     string    // the provider's JSON after privacy, valid UTF-8; never empty
	ContentHash int64     // of Payload without the provider's volatile fields: equal hashes mean nothing changed
	Reading     int64     // taken when the request was sent: the higher is the newer
	FetchedAt   time.Time // when the answer arrived, our clock, UTC

	Drift []Drift
}

// Reject is a record that could not become a call. Nothing of it is lost: Payload holds its bytes, after privacy.
type Reject struct {
	Source    string
	Reason    string // a short class, the same for every record of its kind: "no id", "not an object" …
	Detail    string // what a person needs to know to act
	Payload   string // valid UTF-8
	FetchedAt time.Time
}

// Drift is something in a record that syncd has no name for: a field, a status, a type, a component. It is kept and counted, never an
// error and never guessed at.
type Drift struct {
	Path   string // where: a field path such as "cost_breakdown[].type", then what is odd about it
	Sample string // the value met, shortened, after privacy
}
