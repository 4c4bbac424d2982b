package doctor

import (
	"os"
	"testing"
)

func noSkip(string, string) bool { return false }

// The files in testdata are rule sets from real machines: a plain one, and those of ufw, firewalld and nftables.
func TestFirewallsAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		file     string
		protocol string
		port     uint16
		verdict  Verdict
		some     bool
	}{
		{"open.iptables", "tcp", 80, Accept, false},
		{"plain.iptables", "tcp", 80, Accept, false},
		{"plain.iptables", "tcp", 8010, Accept, false},
		{"plain.iptables", "tcp", 8011, Drop, false},
		{"plain.iptables", "udp", 80, Drop, false},
		{"plain.iptables", "udp", 53, Accept, false},
		{"plain.iptables", "tcp", 5432, Drop, true}, // only from one network
		{"plain.iptables", "tcp", 25, Drop, false},  // refused before it is allowed
		{"ufw.iptables", "tcp", 22, Accept, false},
		{"ufw.iptables", "tcp", 80, Drop, false},
		{"nft.json", "tcp", 80, Accept, false},
		{"nft.json", "tcp", 443, Accept, false},
		{"nft.json", "tcp", 8005, Accept, false},
		{"nft.json", "udp", 80, Drop, false},
		{"nft.json", "tcp", 9000, Drop, true}, // from a named set
		{"nft.json", "tcp", 81, Drop, false},
		{"firewalld.json", "tcp", 22, Accept, false},
		{"firewalld.json", "tcp", 80, Drop, false},
	} {
		text, err := os.ReadFile("testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		var bases []Base
		if c.file[len(c.file)-5:] == ".json" {
			bases, err = parseNft(text, noSkip)
		} else {
			bases, _ = parseIptables(string(text), "iptables", false)
		}
		if err != nil || len(bases) != 1 {
			t.Fatalf("%s: %v, %d chains", c.file, err, len(bases))
		}
		if got := bases[0].pass(c.protocol, c.port); got != (passage{c.verdict, c.some}) {
			t.Errorf("%s: %d/%s: %+v, want %v, %v", c.file, c.port, c.protocol, got, c.verdict, c.some)
		}
	}
}

func TestChainsThatCallEachOtherEnd(t *testing.T) {
	b := drops("iptables")
	var many []Rule
	for range 50 {
		many = append(many, Rule{Verdict: Jump, Chain: "INPUT"})
	}
	b.Chains["INPUT"] = many
	if got := b.pass("tcp", 80); got.verdict != Drop {
		t.Errorf("%+v", got)
	}
}

func TestRulesListedTwiceByNftablesAreReadOnce(t *testing.T) {
	text := []byte(`{"nftables":[{"chain":{"family":"ip","table":"filter","name":"INPUT",` +
		`"hook":"input","policy":"drop"}}]}`)
	bases, err := parseNft(text, func(family, table string) bool { return table == "filter" })
	if err != nil || len(bases) != 0 {
		t.Errorf("%v, %v", bases, err)
	}
}

func FuzzIptables(f *testing.F) {
	for _, name := range []string{"open.iptables", "plain.iptables", "ufw.iptables"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		bases, _ := parseIptables(text, "iptables", false)
		for _, b := range bases {
			b.pass("tcp", 80)
		}
	})
}

func FuzzNft(f *testing.F) {
	for _, name := range []string{"nft.json", "firewalld.json"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		bases, err := parseNft(text, noSkip)
		if err != nil {
			return
		}
		for _, b := range bases {
			b.pass("tcp", 80)
		}
	})
}
