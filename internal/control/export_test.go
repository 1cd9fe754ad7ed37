package control

import "time"

// Hasten makes a listener's waits short.
func (l *Listener) Hasten(patience, sign time.Duration) { l.patience, l.sign = patience, sign }

// Parting tells how long clients may take to hear the end.
func (l *Listener) Parting() time.Duration { return l.parting }

// PartIn makes a listener part from its clients sooner or later.
func (l *Listener) PartIn(parting time.Duration) { l.parting = parting }

// GiveTo makes a listener another user's.
func (l *Listener) GiveTo(uid int) { l.own = uid }

// The rules of who may ask whom.
var (
	MayAsk    = mayAsk
	MayAnswer = mayAnswer
)

// Hasty returns the client with a short patience.
func (c Client) Hasty(patience time.Duration) Client {
	c.patience = patience
	return c
}
