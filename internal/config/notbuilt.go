package config

// notBuilt lists the keys of the contract whose feature is not built yet, each with the one value that is accepted, its default,
// as a file would write it ("" where there is none). Who builds the feature deletes the line.
var notBuilt = map[string]string{
	"server.token_env": "",
	"server.tls":       "",
}

// later is a key without a default, whatever its value.
func later(name string) field {
	return field{name: name, read: func(v value) { v.fail("not built yet; leave it out") }}
}
