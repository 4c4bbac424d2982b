package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// parseIptables parses the output of iptables-save. It returns the chain INPUT of the table filter, if there is one.
// byNft reports whether the rules are stored in nftables, where nft lists them again in another form.
func parseIptables(text, from string, v6 bool) (bases []Base, byNft bool) {
	b := Base{From: from, V4: !v6, V6: v6, Chain: "INPUT", Chains: map[string][]Rule{}}
	table, found := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			byNft = byNft || strings.Contains(line, "nf_tables")
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case table != "filter":
		case strings.HasPrefix(line, ":"):
			name, policy, _ := strings.Cut(line[1:], " ")
			b.Chains[name] = nil
			if name == "INPUT" {
				found = true
				b.Drops = strings.HasPrefix(policy, "DROP")
			}
		case strings.HasPrefix(line, "-A "):
			words := shellWords(line)
			if len(words) > 1 {
				b.Chains[words[1]] = append(b.Chains[words[1]], iptablesRule(words[2:]))
			}
		}
	}
	if found {
		bases = []Base{b}
	}
	return bases, byNft
}

// shellWords splits a line that iptables-save quoted: with double quotes and backslashes.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped, open := false, false, false
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quoted:
			escaped = true
		case c == '"':
			quoted, open = !quoted, true
		case c == ' ' && !quoted:
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(c)
		}
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// iptablesRule parses the words of a rule after its chain.
func iptablesRule(words []string) Rule {
	var r Rule
	for len(words) > 0 {
		not := words[0] == "!"
		if not {
			words = words[1:]
		}
		if len(words) == 0 {
			break
		}
		if words[0] == "-j" || words[0] == "-g" {
			r.aim(words)
			return r // the rest are options of the target
		}
		option := words[0]
		end := 1
		for end < len(words) && !strings.HasPrefix(words[end], "-") && words[end] != "!" {
			end++
		}
		r.restrict(option, strings.Join(words[1:end], " "), not)
		words = words[end:]
	}
	return r
}

// aim parses "-j TARGET" or "-g CHAIN".
func (r *Rule) aim(words []string) {
	if len(words) < 2 {
		return
	}
	switch target := words[1]; target {
	case "ACCEPT":
		r.Verdict = Accept
	case "DROP", "REJECT":
		r.Verdict = Drop
	case "RETURN":
		r.Verdict = Return
	default: // a target without a verdict: there is no chain of its name, so the walk ignores it
		r.Verdict, r.Chain = Jump, target
		if words[0] == "-g" {
			r.Verdict = Goto
		}
	}
}

// plainModules are modules whose options restrict reads, or that have no restricting options.
var plainModules = []string{"tcp", "udp", "conntrack", "state", "multiport", "comment", "addrtype"}

// restrict parses one condition.
func (r *Rule) restrict(option, value string, not bool) {
	switch option {
	case "--comment", "--reject-with":
	case "-m":
		r.Partly = r.Partly || !slices.Contains(plainModules, value)
	case "-i":
		r.onlyFrom(value, not)
	case "--ctstate", "--state":
		isNew := slices.Contains(strings.Split(value, ","), "NEW")
		r.Never = r.Never || isNew == not
	case "--dst-type":
		r.Never = r.Never || (value == "LOCAL") == not
	case "-p":
		if not {
			r.Partly = true
		} else if value != "all" {
			r.Protocols = []string{value}
		}
	case "--dport", "--dports":
		ports, ok := portRanges(strings.Split(value, ","), ":")
		r.Partly = r.Partly || not || !ok
		if !not && ok {
			r.Ports = ports
		}
	default:
		r.Partly = true
	}
}

// onlyFrom restricts a rule to packets from an interface.
func (r *Rule) onlyFrom(name string, not bool) {
	switch {
	case name == "lo" && !not:
		r.Never = true
	case name != "lo":
		r.Partly = true
	}
}

// portRanges parses "80" and "8000:8010".
func portRanges(words []string, between string) ([]Range, bool) {
	var out []Range
	for _, w := range words {
		from, to, ranged := strings.Cut(w, between)
		if !ranged {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil {
			return nil, false
		}
		out = append(out, Range{uint16(a), uint16(b)})
	}
	return out, true
}
