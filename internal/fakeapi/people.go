package fakeapi

import (
	"fmt"
	"math/rand/v2"
)

// agent is one of the account's voice agents.
type agent struct {
	name      string
	flow      string  // "": it answers without a flow
	line      string  // the account's own number
	inbound   float64 // share of its calls that customers make
	weight    int
	revisions int  // how many new versions it got over the time covered
	scene     int  // index into scenes
	unpriced  bool // cost tracking is off
}

// agents are the same in every fake; their ids differ by provider.
var agents = []agent{
	{name: "Customer Support Agent", flow: "Main reception", line: "+15550100101", inbound: 0.95, weight: 34, revisions: 11, scene: 0},
	{name: "Appointment Booking", flow: "Main reception", line: "+15550100102", inbound: 0.85, weight: 24, revisions: 6, scene: 1},
	{name: "Sales Qualifier", line: "+442079460100", inbound: 0.10, weight: 16, revisions: 9, scene: 2},
	{name: "Order Desk", flow: "Orders & returns", line: "+15550100103", inbound: 0.90, weight: 14, revisions: 4, scene: 3},
	{name: "Payment Reminders", line: "+493023125001", inbound: 0.05, weight: 8, revisions: 3, scene: 4},
	{name: "After-Hours Reception", flow: "Main reception", line: "+15550100104", inbound: 1, weight: 4, revisions: 1, scene: 0, unpriced: true},
}

// pickAgent draws an agent by weight.
func pickAgent(r *rand.Rand) int {
	draw := r.IntN(100)
	for i, a := range agents {
		if draw < a.weight {
			return i
		}
		draw -= a.weight
	}
	return 0
}

// customerNumber is the number of a customer, E.164, from ranges that no one has: 555 in North America, and those that the British and
// German regulators keep for drama.
func customerNumber(seed uint64, customer int) string {
	h := mix(seed ^ 0x706f6e65 ^ uint64(customer)<<20)
	switch h % 10 {
	case 0:
		return fmt.Sprintf("+442079460%03d", h>>8%1000)
	case 1:
		return fmt.Sprintf("+493023125%03d", h>>8%1000)
	default:
		return fmt.Sprintf("+1555%07d", 2_000_000+h>>8%8_000_000)
	}
}

var firstNames = []string{
	"Olivia", "Liam", "Zoë", "Noah", "Jürgen", "Amelia", "Siobhán", "Mateo", "Ingrid", "Priya", "Tomás", "Grace", "Yusuf", "Hannah", "Björn", "Chloé",
}

var lastNames = []string{
	"Carter", "O'Brien", "Weiß", "Nguyen", "Okafor", "Lindström", "García", "Patel", "Müller", "Ito", "Kowalska", "Haddad", "Smith-Jones", "Fischer",
}
