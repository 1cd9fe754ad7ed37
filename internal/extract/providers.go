package extract

// providers lists every provider, one line each.
var providers = []struct {
	name string
	open func(Account) (Source, error)
}{
	{"millis", openMillis},
	{"burki", openBurki},
	{"voicy", openVoicy},
}
