package extract

// providers lists every provider, one line each.
var providers = []struct {
	name    string
	dialect dialect
	open    func(Account, dialect) (Source, error)
}{
	{"millis", dialect{baseURL: "https://api-west.millis.ai", maxPage: millisMaxPage, refusal: "detail"}, openMillis},
	{"burki", dialect{baseURL: "https://api.burki.dev", authScheme: "Bearer", maxPage: burkiMaxPage, refusal: "detail"}, openBurki},
	{"voicy", dialect{baseURL: "https://api.voicy.co/functions/v1", authScheme: "Bearer", maxPage: voicyMaxPage, refusal: "error"}, openVoicy},
}
