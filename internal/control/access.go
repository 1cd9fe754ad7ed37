package control

// mayAsk reports whether a user's work is done by a process of another: by one of the same user, and for root, who could become that user anyway.
func mayAsk(own, uid int) bool { return uid == own || uid == 0 }

// mayAnswer reports whether a process hands its work to one of another user: of the same user's or of root's. Root trusts whoever holds the
// warehouse.
func mayAnswer(own, uid int) bool { return mayAsk(own, uid) || own == 0 }
