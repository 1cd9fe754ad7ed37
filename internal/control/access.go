package control

import "os"

// mayAsk reports whether a user's work is done here: this user's, and that of root, who could become this user anyway.
func mayAsk(uid int) bool { return uid == os.Geteuid() || uid == 0 }

// mayAnswer reports whether work is handed to a user's process: this user's or root's. Root trusts whoever holds the warehouse.
func mayAnswer(uid int) bool { return mayAsk(uid) || os.Geteuid() == 0 }
