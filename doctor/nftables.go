package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// nftItem is one item in the output of "nft -j list ruleset".
type nftItem struct {
	Chain *struct {
		Family, Table, Name, Hook, Policy string
	}
	Rule *struct {
		Family, Table, Chain string
		Expr                 []map[string]json.RawMessage
	}
}

// parseNft parses the output of "nft -j list ruleset" and returns the chains with the hook input, except in tables
// for which skip returns true.
func parseNft(text []byte, skip func(family, table string) bool) ([]Base, error) {
	var doc struct{ Nftables []nftItem }
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("unexpected output of nft: %w", err)
	}
	var bases []Base
	chains := map[string]map[string][]Rule{} // by family and table
	in := func(family, table string) map[string][]Rule {
		key := family + " " + table
		if chains[key] == nil {
			chains[key] = map[string][]Rule{}
		}
		return chains[key]
	}
	for _, it := range doc.Nftables {
		switch {
		case it.Chain != nil && it.Chain.Hook == "input" && !skip(it.Chain.Family, it.Chain.Table):
			c := it.Chain
			b := Base{From: "nft " + c.Family + " " + c.Table, V4: c.Family == "ip" || c.Family == "inet",
				V6:    c.Family == "ip6" || c.Family == "inet",
				Drops: c.Policy == "drop", Chain: c.Name, Chains: in(c.Family, c.Table)}
			if b.V4 || b.V6 {
				bases = append(bases, b)
			}
		case it.Rule != nil:
			r := it.Rule
			m := in(r.Family, r.Table)
			m[r.Chain] = append(m[r.Chain], nftRule(r.Expr))
		}
	}
	return bases, nil
}

func nftRule(exprs []map[string]json.RawMessage) Rule {
	var r Rule
	for _, e := range exprs {
		for kind, raw := range e {
			r.nftExpr(kind, raw)
		}
	}
	return r
}

// nftExpr parses one expression of a rule.
func (r *Rule) nftExpr(kind string, raw json.RawMessage) {
	switch kind {
	case "match":
		r.nftMatch(raw)
	case "accept":
		r.Verdict = Accept
	case "drop", "reject":
		r.Verdict = Drop
	case "return":
		r.Verdict = Return
	case "jump", "goto":
		var to struct{ Target string }
		if json.Unmarshal(raw, &to) == nil {
			r.Verdict, r.Chain = Jump, to.Target
			if kind == "goto" {
				r.Verdict = Goto
			}
		}
	case "vmap": // a verdict map may accept
		r.nftMap(raw)
	case "counter", "log", "comment":
	default:
		r.Partly = true
	}
}

// nftMap parses a verdict map. A map by connection state doesn't affect new connections, unless it has the state new.
func (r *Rule) nftMap(raw json.RawMessage) {
	var m struct{ Key nftSide }
	if json.Unmarshal(raw, &m) == nil && m.Key.Ct.Key == "state" && !bytes.Contains(raw, []byte(`"new"`)) {
		r.Never = true
		return
	}
	r.Partly, r.Verdict = true, Accept
}

// nftSide is the left side of a match.
type nftSide struct {
	Meta    struct{ Key string }
	Ct      struct{ Key string }
	Payload struct{ Protocol, Field string }
}

func (r *Rule) nftMatch(raw json.RawMessage) {
	var m struct {
		Op    string
		Left  nftSide
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil {
		r.Partly = true
		return
	}
	not := m.Op == "!="
	values, ok := nftValues(m.Right)
	switch {
	case !ok:
		r.Partly = true
	case m.Left.Meta.Key == "iifname" || m.Left.Meta.Key == "iif":
		r.onlyFrom(values[0], not)
		r.Partly = r.Partly || len(values) > 1
	case m.Left.Meta.Key == "l4proto" && !not:
		r.Protocols = values
	case m.Left.Ct.Key == "state":
		r.Never = r.Never || slices.Contains(values, "new") == not
	case m.Left.Ct.Key == "status" && !not && slices.Contains(values, "dnat"): // published by another program
		r.Never = true
	case m.Left.Payload.Field == "dport" && !not:
		if p := m.Left.Payload.Protocol; p != "th" {
			r.Protocols = []string{p}
		}
		if r.Ports, ok = portRanges(values, "-"); !ok {
			r.Partly = true
		}
	default:
		r.Partly = true
	}
}

// nftValues parses the right side of a match: a value, a range, a list or a set. It returns at least one value.
func nftValues(raw json.RawMessage) ([]string, bool) {
	var one string
	var number uint32
	var several []json.RawMessage
	var composed struct{ Set, Range []json.RawMessage }
	switch {
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}, one != "" && one[0] != '@' // "@NAME" is a set that is defined elsewhere
	case json.Unmarshal(raw, &number) == nil:
		return []string{fmt.Sprint(number)}, true
	case json.Unmarshal(raw, &several) == nil:
	case json.Unmarshal(raw, &composed) == nil && len(composed.Range) == 2:
		from, ok := nftValues(composed.Range[0])
		to, ok2 := nftValues(composed.Range[1])
		if !ok || !ok2 {
			return nil, false
		}
		return []string{from[0] + "-" + to[0]}, true
	default:
		several = composed.Set
	}
	var all []string
	for _, s := range several {
		v, ok := nftValues(s)
		if !ok {
			return nil, false
		}
		all = append(all, v...)
	}
	return all, len(all) > 0
}
