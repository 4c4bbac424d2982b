package arch

// owed are the rooms that don't keep a rule yet, by the name of the rule. A room is a folder with everything below it;
// "." is the root folder alone.
var owed = map[string][]string{
	"length of a file":     {"sqlite"},
	"length of a function": {"cmd"},
	"length of a line": {
		".", "certs", "cmd", "compose", "docs", "engine", "examples", "httpapi", "proxy",
		"sqlite", "test", "vip",
	},
	"words": {
		".", "certs", "cmd", "docs", "engine", "httpapi", "proxy", "rollout", "sqlite", "test",
		"vip",
	},
	"verbs of doc comments": {
		"certs", "cmd", "compose", "engine", "httpapi", "proxy", "rollout", "sqlite", "test",
	},
	"names of tests":  {"cmd", "test"},
	"sleeps in tests": {"engine", "proxy"},
}
