// Package call is syncd's vocabulary: what a call, its costs, its turns and its tool calls are once the
// differences between providers have been taken out.
//
// It owns names and their meaning. It refuses everything else: it knows no provider, no HTTP, no SQL and no
// file, and it imports nothing of this project.
//
// Conventions, for every type here: times are instants in UTC at microsecond precision (what the warehouse keeps);
// durations and offsets are whole milliseconds; money is an exact [Amount]. An empty string is an unknown value and
// is stored as NULL, as is a nil pointer; a field that must be known says so.
package call

import "time"

// Key identifies a call for ever: the user's name for the account, and the provider's id for the call.
// Neither is ever empty.
type Key struct {
	Source string
	ID     string
}

// Status is the canonical state of a call. What each provider's own value becomes is the transform's business.
type Status string

// The canonical statuses.
const (
	Queued     Status = "queued"
	Ringing    Status = "ringing"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Voicemail  Status = "voicemail"
	NoAnswer   Status = "no_answer"
	Busy       Status = "busy"
	Canceled   Status = "canceled"
	Failed     Status = "failed"
	Unknown    Status = "unknown" // the provider's value has no known meaning; StatusRaw keeps it
)

// Final reports whether a call in this state has ended for good. Unknown is not final: it may yet change.
func (s Status) Final() bool {
	switch s {
	case Completed, Voicemail, NoAnswer, Busy, Canceled, Failed:
		return true
	case Queued, Ringing, InProgress, Unknown:
		return false
	}
	return false
}

// EndReason is who or what ended a call; empty where the provider does not tell.
type EndReason string

// The canonical end reasons.
const (
	EndedByUser       EndReason = "user"
	EndedByAgent      EndReason = "agent"
	EndedByAPI        EndReason = "api"
	EndedByTimeout    EndReason = "timeout"
	EndedByInactivity EndReason = "inactivity"
	EndedByVoicemail  EndReason = "voicemail"
	EndedByError      EndReason = "error"
)

// Channel is how the parties talked. Never empty: ChannelUnknown where the provider does not tell.
type Channel string

// The channels.
const (
	ChannelPhone   Channel = "phone"
	ChannelWeb     Channel = "web"
	ChannelChat    Channel = "chat"
	ChannelUnknown Channel = "unknown"
)

// Direction is who called whom, seen from the account. Never empty: DirectionUnknown where the provider does not tell.
type Direction string

// The directions.
const (
	Inbound          Direction = "inbound"
	Outbound         Direction = "outbound"
	DirectionUnknown Direction = "unknown"
)

// Component is the part of a call's price that a [Cost] pays for.
type Component string

// The priced components.
const (
	LLM       Component = "llm"
	TTS       Component = "tts"
	STT       Component = "stt"
	Telephony Component = "telephony"
	Platform  Component = "platform"
	Other     Component = "other" // a component the provider names and syncd does not know
)

// Role is who said a turn of a transcript, or did a step of it.
type Role string

// The roles.
const (
	RoleAgent    Role = "agent"
	RoleCustomer Role = "customer"
	RoleSystem   Role = "system"
	RoleTool     Role = "tool"
)

// Call is one call in its latest known state.
type Call struct {
	Key
	Provider string // millis, burki or voicy; never empty

	AgentID      string
	AgentName    string
	AgentVersion string
	FlowName     string

	Channel        Channel
	Direction      Direction
	FromNumber     string // as the provider writes it, after privacy
	ToNumber       string
	CustomerNumber string
	TelephonySID   string // the telephony carrier's own id for the call

	Status    Status
	StatusRaw string // the provider's text, kept even where Status is Unknown
	EndReason EndReason

	StartedAt  *time.Time // nil: not told yet; such a call lies outside every window
	EndedAt    *time.Time
	DurationMS *int64 // nil: not told, or the call has not ended

	Cost         *Amount // total, in CostCurrency; nil: not told yet
	CostCurrency string  // ISO 4217, or "credit" for provider credits that nobody has given a value

	Summary      string
	RecordingURL string // often signed and short-lived: never compared, never a revision
	IsTest       *bool
	Metadata     string // JSON text of what the user attached to the call

	Costs     []Cost
	Messages  []Message
	Functions []Function
}

// Cost is one priced component of a call, in the provider's order.
type Cost struct {
	Component    Component // never empty
	Vendor       string
	Amount       *Amount
	Currency     string // as Call.CostCurrency
	InputTokens  *int64
	OutputTokens *int64
}

// Message is one turn of a transcript, in the order spoken.
type Message struct {
	Role     Role   // empty: the provider named a speaker that syncd does not know (counted as drift)
	Content  string // may be empty: a turn without words
	OffsetMS *int64 // from the start of the call; nil: not told
}

// Function is one tool call that the agent made, in the order made.
type Function struct {
	Name   string
	Params string // JSON text, or the provider's plain text
	Result string // JSON text, or the provider's plain text
}
