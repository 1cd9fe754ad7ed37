package fakeapi

// scene is what an agent's calls are about. In its lines, {name}, {date}, {time}, {order}, {amount} and {city} are filled in for each call.
type scene struct {
	topic     string
	opening   string
	exchanges [][2]string // what the customer says, and what the agent answers
	tool      string
	summary   string
}

// scenes are what the agents talk about.
var scenes = []scene{
	{
		topic:   "support",
		opening: "Thank you for calling Northwind Home, this is Ava. How can I help you today?",
		exchanges: [][2]string{
			{"Hi, this is {name}. My internet has been dropping every evening since {date}, and it's driving me mad.", "I'm sorry to hear that, {name}. Let me pull up your account. Could you confirm the city that the line is in?"},
			{"It's in {city}, the flat on the second floor. The router is the grey one that you sent last year.", "Thank you. I can see the line in {city}. Are the lights on the router green, amber or off at the moment?"},
			{"The second one is amber, the others are green. It blinks when somebody makes a call.", "An amber second light usually means that the signal is weak. Could you unplug the router for thirty seconds and plug it in again?"},
			{"All right, give me a moment… it's unplugged. Now I'm plugging it back in.", "Take your time. I'll stay on the line until the lights have settled."},
			{"Now it's green. But it did that yesterday as well, and then dropped at about {time}.", "That's useful to know. I'll open a ticket for an engineer to look at the line itself, reference {order}."},
			{"Will that cost me anything? I've paid {amount} this month already.", "No, the visit is covered by your plan. You'll only see the usual {amount} on the next bill."},
		},
		tool:    "create_ticket",
		summary: "{name} reported evening dropouts in {city}. After a restart the line came back; ticket {order} was opened for an engineer.",
	},
	{
		topic:   "booking",
		opening: "Good day, you've reached Brightside Dental. I can book, move or cancel an appointment. What would you like to do?",
		exchanges: [][2]string{
			{"I'd like to book a check-up, please. The name is {name}.", "Of course, {name}. Do you prefer mornings or afternoons?"},
			{"Mornings are better, I start work at noon. Anything around {date}?", "On {date} I have {time} with Doctor Lindqvist, or the same time a day later with Doctor Osei."},
			{"{time} on {date} sounds good. Is that the practice in {city}?", "Yes, that's our practice in {city}, on the ground floor next to the pharmacy. There's parking behind the house."},
			{"Do I need to bring anything? I moved here only two months ago.", "Please bring your insurance card, and come ten minutes early to fill in the form for new patients."},
			{"And what does it cost if the insurance doesn't pay?", "A check-up without insurance is {amount}. You'd get the bill by post, with three weeks to pay it."},
			{"Fine. Could you send me a confirmation as a text message?", "Certainly. You'll get it within a minute, and a reminder the day before. Your booking number is {order}."},
		},
		tool:    "book_appointment",
		summary: "Booked a check-up for {name} on {date} at {time} in {city}, booking {order}. A confirmation was promised by text message.",
	},
	{
		topic:   "sales",
		opening: "Hello, this is Max from Fleetly. You asked for a quote on our website; do you have two minutes?",
		exchanges: [][2]string{
			{"Oh, right, that was for our vans. I'm {name}, I look after the depot in {city}.", "Great to reach you, {name}. How many vehicles do you run in {city} at the moment?"},
			{"Fourteen, and two more from {date}. Half of them are electric.", "Thank you. And what do you use today to plan routes: a spreadsheet, or another product?"},
			{"A spreadsheet, honestly. It takes Priya an hour every morning, at least until {time}.", "That is what we hear most. With sixteen vehicles the plan usually comes down to ten minutes."},
			{"What would it cost? Ballpark, I won't hold you to it.", "For sixteen vehicles it's {amount} a month, everything included, and you can leave at the end of any month."},
			{"Hmm, that's more than I thought. Does it work with the charging points we have?", "It does: it reads the state of charge of every common model and plans the stops around it."},
			{"Okay, send me something in writing and call me back on {date}.", "I will. You'll have the quote, number {order}, in your inbox today, and I'll call on {date} at {time}."},
		},
		tool:    "create_quote",
		summary: "{name} runs 14 vans in {city}, soon 16; plans by spreadsheet. Quote {order} over {amount} a month; call back on {date}.",
	},
	{
		topic:   "orders",
		opening: "Welcome to the order desk of Paper & Pine. You can ask about an order, a return or a refund.",
		exchanges: [][2]string{
			{"Hello, I'm waiting for order {order}. It should have been here on {date}.", "Let me look at {order} for you. May I have the name on the order, please?"},
			{"It's {name}, and the parcel goes to {city}.", "Thank you, {name}. The parcel left our warehouse, and the carrier has had it in {city} since this morning."},
			{"So will it come today? I have to leave at {time}.", "The carrier says between noon and {time}. Would you like it left with a neighbour if you're out?"},
			{"Yes, please, number 14. And one of the frames in my last order was broken.", "I'm sorry about that. Would you rather have a new frame or the money back? It was {amount}."},
			{"The money, please. Do I have to send the broken one back?", "No need, a photo is enough. Just reply to the confirmation with it, and we refund {amount} within five days."},
			{"Perfect. That was easier than \"please hold the line\" for half an hour.", "I'm glad to hear it! Is there anything else about your order that I can do?"},
		},
		tool:    "lookup_order",
		summary: "{name} asked about order {order}, out for delivery in {city}. A broken frame is refunded with {amount}.",
	},
	{
		topic:   "payments",
		opening: "Good morning, this is the automatic assistant of Havel Energy, calling about your account. Am I speaking with the account holder?",
		exchanges: [][2]string{
			{"Yes, speaking. {name}. What's it about?", "Thank you, {name}. The bill {order} over {amount} was due on {date}, and we haven't seen a payment yet."},
			{"That can't be, I'm sure I paid it. Wait, let me look at my bank.", "Of course. If you paid by transfer, it can take two working days until we see it."},
			{"You're right, it went out with the wrong reference. Can you match it by the amount, {amount}?", "I can ask our accounts team to do that. It would help to know the day on which it left your account."},
			{"That was {date}, at {time}, it says here.", "Thank you. I've noted {date}, {time}, and {amount}. You don't have to do anything else for now."},
			{"And there won't be a reminder fee? I had one when I moved from {city}.", "No, I've put the account on hold for ten days, so there is no fee and no second reminder."},
			{"Good. Could the next bills be taken from my account directly?", "Yes, I'll send you the form for direct debit. It takes effect with the following bill."},
		},
		tool:    "hold_account",
		summary: "{name} paid bill {order} over {amount} with a wrong reference on {date}. The account is on hold for ten days; direct debit form to be sent.",
	},
}

// common are exchanges that fit everywhere, for the longer calls.
var common = [][2]string{
	{"Sorry, it's loud here. Could you say that again?", "Of course. I said that everything is noted under {order}, and nothing changes before {date}."},
	{"Hold on, somebody's at the door.", "No problem, I'm here whenever you're ready."},
	{"Okay, I'm back. Where were we?", "We had just gone over the details for {city}. Shall I repeat them from the start?"},
	{"No, that's fine. One more thing: my address has changed.", "Thank you for telling me. Please give me the new street and the number, and I'll update it."},
	{"It's 27 Old Mill Lane, same city.", "27 Old Mill Lane, in {city}. That's saved. You'll get a short message to confirm it."},
	{"How long will that take?", "Usually it's done by {time} the same day, and at the latest by {date}."},
	{"Is there a number that I can call if it isn't?", "Yes, this one. If you mention {order}, my colleagues will see everything that we've talked about."},
	{"Right. And can I do that online as well, next time?", "You can: sign in, choose \"My requests\", and you'll find it at the top of the page."},
}

var cities = []string{"Springfield", "Leeds", "Zürich", "Portland", "Köln", "Austin", "Reykjavík", "Dundee", "Potsdam", "Boise"}

const (
	voicemailGreeting = "Hi, you've reached {name}. I can't take your call right now, so please leave a message after the tone."
	voicemailMessage  = "Hello {name}, we tried to reach you about {order}. Please call us back any day until {time}. Thank you, and goodbye."
	closingCustomer   = "No, that's all. Thanks a lot, bye!"
	closingAgent      = "Thank you for your time, {name}. Have a lovely day, goodbye."
)
