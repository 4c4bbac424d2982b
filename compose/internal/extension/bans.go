package extension

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/compose/internal/place"
	"rhumb/internal/banrule"
)

const (
	maxBanRules = 50
	maxCount    = 100_000
	longestIn   = day
	longestBan  = 3650 * day
	maxPatterns = 100
	maxPattern  = 200 // bytes
)

const (
	bansHint = "write it as [login, scanner], or as {on: [login, {status: 401, count: 5, in: 10m}], for: 10m}"
	ruleHint = "write a name (login, scanner, wordpress, flood), or a mapping such as {status: 401, count: 5, in: 10m}"
)

// readBans reads for what clients are banned: a list of rules, or a mapping.
func readBans(r reader, v any) rhumb.Bans {
	b := rhumb.Bans{For: banrule.For, Grow: banrule.Grow, Max: banrule.Max}
	list, isList := v.([]any)
	if isList {
		b.On = banReader{r}.rules(list)
		return b
	}
	if _, ok := v.(map[string]any); !ok {
		r.wrong(bansHint, "%v is not a list of rules", shown(v))
		return rhumb.Bans{}
	}
	fields := r.fields(v, "on", "for", "grow", "max", "private")
	if v, ok := fields["for"]; ok {
		b.For = r.below("for").days(v, time.Second, longestBan, "from 1s to 3650d")
		b.Max = max(b.Max, b.For)
	}
	if v, ok := fields["max"]; ok {
		b.Max = r.below("max").days(v, time.Second, longestBan, "from 1s to 3650d")
		if b.Max > 0 && b.Max < b.For {
			r.below("max").wrong("leave one of them out", "it is shorter than the first ban (for: %s)", b.For)
		}
	}
	if v, ok := fields["grow"]; ok {
		b.Grow = banReader{r.below("grow")}.factor(v)
	}
	if v, ok := fields["private"]; ok {
		b.Private = r.below("private").yes(v)
	}
	if list, isList = fields["on"].([]any); !isList || len(list) == 0 {
		r.below("on").wrong(bansHint, "the list of rules is missing")
		return b
	}
	b.On = banReader{r.below("on")}.rules(list)
	return b
}

// banReader reads rules of bans, or a part of one.
type banReader struct{ reader }

func (r banReader) below(name string) banReader { return banReader{r.reader.below(name)} }

// rules reads a list of rules.
func (r banReader) rules(list []any) []rhumb.BanRule {
	if len(list) > maxBanRules {
		r.wrong("", "%d rules are too many: at most %d are possible", len(list), maxBanRules)
		return nil
	}
	var rules []rhumb.BanRule
	seen := map[string]bool{}
	for i, item := range list {
		at := banReader{r.item(i)}
		name, isName := item.(string)
		if !isName {
			rules = append(rules, at.rule(item, "rule "+strconv.Itoa(i+1)))
			continue
		}
		shipped, ok := banrule.ReadyMade(name)
		switch {
		case !ok:
			at.wrong(place.DidYouMean(name, banrule.Names()), "there is no ready-made rule %q", name)
		case seen[name]:
			at.wrong("keep one of them", "duplicate rule %s", name)
		}
		seen[name] = true
		rules = append(rules, shipped...)
	}
	return rules
}

// rule reads one rule.
func (r banReader) rule(v any, name string) rhumb.BanRule {
	rule := rhumb.BanRule{Name: name, Count: banrule.Count, In: banrule.In}
	if _, ok := v.(map[string]any); !ok {
		r.wrong(ruleHint, "%v is not a rule", shown(v))
		return rule
	}
	fields := r.fields(v, "status", "path", "method", "log", "match", "count", "in")
	if v, ok := fields["status"]; ok {
		rule.Status = r.below("status").statuses(v)
	}
	if v, ok := fields["path"]; ok {
		rule.Paths = r.below("path").patterns(v)
	}
	if v, ok := fields["method"]; ok {
		rule.Methods = r.below("method").methods(v)
	}
	if v, ok := fields["count"]; ok {
		rule.Count = readNumber(r.below("count").reader, v, 1, maxCount)
	}
	if v, ok := fields["in"]; ok {
		rule.In = r.below("in").days(v, time.Second, longestIn, "from 1s to 24h")
	}
	r.ofLog(&rule, fields)
	return rule
}

// ofLog reads what a rule says about lines of a log.
func (r banReader) ofLog(rule *rhumb.BanRule, fields map[string]any) {
	log, hasLog := fields["log"]
	match, hasMatch := fields["match"]
	switch {
	case hasLog != hasMatch:
		r.wrong("write both: {log: web, match: 'login failed from <client>'}", "one of log and match is missing")
		return
	case len(fields) == 0:
		r.wrong(ruleHint, "the rule is empty")
	case len(fields) == 1 && fields["in"] != nil:
		r.wrong("add count, or what requests must have", "every fifth request would match")
	}
	if !hasLog {
		return
	}
	if len(rule.Status)+len(rule.Paths)+len(rule.Methods) > 0 {
		r.wrong("make two rules of it", "a rule is about requests or about a log, not both")
	}
	rule.Log, rule.Match = r.below("log").text(log), r.below("match").text(match)
	if _, err := banrule.CompileLine(rule.Match); err != nil {
		r.below("match").wrong(rhumb.ErrorHint(err), "%s", err)
	}
}

// each returns the items of a list, or the one item; of a text, its parts between bars.
func (r banReader) each(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		var items []any
		for part := range strings.SplitSeq(v, "|") {
			items = append(items, strings.TrimSpace(part))
		}
		return items
	}
	return []any{v}
}

// statuses reads statuses of HTTP: 401, 4xx, or a list of them.
func (r banReader) statuses(v any) (ranges []rhumb.StatusRange) {
	for _, item := range r.each(v) {
		text := fmt.Sprint(item)
		class, isClass := strings.CutSuffix(strings.ToLower(text), "xx")
		n, err := strconv.Atoi(class)
		switch {
		case err == nil && isClass && 1 <= n && n <= 5:
			ranges = append(ranges, rhumb.StatusRange{From: 100 * n, To: 100*n + 99})
		case err == nil && !isClass && 100 <= n && n <= 599:
			ranges = append(ranges, rhumb.StatusRange{From: n, To: n})
		default:
			r.wrong("write 401, 4xx, or a list of them", "%v is not a status", shown(item))
		}
	}
	return ranges
}

// patterns reads patterns of paths.
func (r banReader) patterns(v any) (patterns []string) {
	items := r.each(v)
	if len(items) > maxPatterns {
		r.wrong("", "%d patterns are too many: at most %d are possible", len(items), maxPatterns)
		return nil
	}
	for _, item := range items {
		p, _ := item.(string)
		if p == "" || p[0] != '/' && p[0] != '*' || strings.ContainsAny(p, " ?#\r\n") || len(p) > maxPattern {
			r.wrong("write it as /wp-* or */.env: it begins with a slash or a star", "%v is not a pattern of paths", shown(item))
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns
}

// methods reads methods of HTTP.
func (r banReader) methods(v any) (methods []string) {
	for _, item := range r.each(v) {
		m, _ := item.(string)
		if m == "" || len(m) > 20 || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			r.wrong("write it as POST", "%v is not a method", shown(item))
			continue
		}
		if !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	return methods
}

// factor reads how many times as long each further ban is.
func (r banReader) factor(v any) float64 {
	f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil || !(f >= 1 && f <= 100) {
		r.wrong("write 2, or 1 for bans of the same length", "%v is not a number from 1 to 100", shown(v))
		return banrule.Grow
	}
	return f
}
