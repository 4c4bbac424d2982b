// Package banrule knows the parts of rules of bans that several rooms need: the ready-made rules, patterns of paths,
// and expressions for lines of logs. It has no clock and does no I/O.
package banrule

import (
	"maps"
	"slices"
	"time"

	"rhumb"
)

// What a rule and a ban have if they don't say otherwise.
const (
	Count = 5
	In    = 10 * time.Minute
	For   = 10 * time.Minute
	Grow  = 2
	Max   = 7 * 24 * time.Hour
)

// missing are the answers to a request for what isn't there, or what isn't for its sender.
var missing = []rhumb.StatusRange{{From: 400, To: 405}, {From: 410, To: 410}}

// readyMade are the rules that a stack names instead of writing them.
var readyMade = map[string][]rhumb.BanRule{
	// Sign-ins that are refused. Applications that answer a wrong password with 200 need a rule about their log.
	"login": {
		{Status: []rhumb.StatusRange{{From: 401, To: 401}, {From: 403, To: 403}, {From: 422, To: 422}},
			Methods: []string{"POST"}, Count: Count, In: In,
			Paths: []string{"*login*", "*signin*", "*sign-in*", "*sign_in*", "*auth*", "*session*", "*password*",
				"*token*"}},
	},
	// Searches for files and tools that are found on careless servers only.
	"scanner": {
		{Status: missing, Count: 3, In: In, Paths: []string{
			"*/.env*", "*/.git/*", "*/.svn/*", "*/.aws/*", "*/.ssh/*", "*/.vscode/*", "*/.ds_store", "*/wp-*",
			"*/xmlrpc.php",
			"*/wlwmanifest.xml", "*phpmyadmin*", "/pma/*", "*/vendor/phpunit/*", "/cgi-bin/*", "/boaform/*", "/hnap1*",
			"/actuator/*", "/server-status", "/solr/*", "/_ignition/*", "/manager/html", "*/etc/passwd*", "*.sql", "*.bak",
			"*/eval-stdin.php", "/setup.cgi", "/shell*", "/telescope/requests",
		}},
		{Status: []rhumb.StatusRange{{From: 404, To: 404}}, Count: 100, In: time.Minute},
	},
	// Guesses of passwords at WordPress, which answers a wrong one with the form again.
	"wordpress": {
		{Status: []rhumb.StatusRange{{From: 200, To: 200}}, Methods: []string{"POST"}, Paths: []string{"*/wp-login.php"},
			Count: Count, In: In},
		{Methods: []string{"POST"}, Paths: []string{"*/xmlrpc.php"}, Count: 20, In: time.Minute},
	},
	// Far more requests than a person makes, and clients that go on although they are over their limit.
	"flood": {
		{Count: 2000, In: 10 * time.Second},
		{Status: []rhumb.StatusRange{{From: 429, To: 429}}, Count: 100, In: time.Minute},
	},
}

// Names returns the names of the ready-made rules, sorted.
func Names() []string { return slices.Sorted(maps.Keys(readyMade)) }

// ReadyMade returns the rules of a name, which they all have; false if there are none of that name.
func ReadyMade(name string) ([]rhumb.BanRule, bool) {
	rules, ok := readyMade[name]
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].Name = name
		if i > 0 {
			rules[i].Name += "-" + string(rune('1'+i)) // login, login-2
		}
	}
	return rules, ok
}
