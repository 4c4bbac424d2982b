package keys

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/compose/internal/place"
)

//go:generate go test -run TestTheDocumentContainsTheTable -rewrite

var rewrite = flag.Bool("rewrite", false, "write the table into the document")

const (
	documentFile  = "../../../docs/stack-file.md"
	documentBegin = "<!-- The table is made from compose/internal/keys/table.go: go generate " +
		"./compose/internal/keys -->\n"
	documentEnd = "<!-- The table ends here. -->\n"
)

func TestTheDocumentContainsTheTable(t *testing.T) {
	b, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(b, []byte(documentBegin))
	old, after, ended := bytes.Cut(rest, []byte(documentEnd))
	if !ok || !ended {
		t.Fatalf("%s has lost the marks around its table", documentFile)
	}
	table := documentTable(t)
	if *rewrite {
		whole := bytes.Join([][]byte{before, []byte(documentBegin), []byte(table), []byte(documentEnd), after}, nil)
		if err := os.WriteFile(documentFile, whole, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(old), table); diff != "" {
		t.Errorf("%s is out of date, run go generate ./compose/internal/keys (-document +table):\n%s", documentFile, diff)
	}
}

// documentTable returns the table as Markdown, a section for each path.
func documentTable(t *testing.T) string {
	var out strings.Builder
	var order []string
	parts := map[string][]row{}
	for _, r := range rows {
		if _, ok := parts[r.under]; !ok {
			order = append(order, r.under)
		}
		parts[r.under] = append(parts[r.under], r)
	}
	out.WriteString("\n")
	for _, under := range order {
		title := "At the top level"
		if under != "" {
			title = "`" + strings.ReplaceAll(under, "*", "NAME") + "`"
		}
		fmt.Fprintf(&out, "### %s\n| key | fate | how or why |\n| --- | --- | --- |\n", title)
		for _, r := range parts[under] {
			fmt.Fprintf(&out, "| %s | %s | %s |\n", keyNames(r.names), fateWord(r.fate), cmp.Or(r.why, needed(t, r)))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// needed returns which engine a row's keys need. All keys of a row must need the same engine.
func needed(t *testing.T, r row) string {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(r.names) {
		key, value, _ := strings.Cut(name, "=")
		word := ""
		if n := rhumb.NeedOf(place.Join(r.under, key), value); n != nil {
			word = "needs Docker Engine " + n.Engine + " or newer"
			if _, when, ok := strings.Cut(n.What, key+" of "); ok {
				word = "that of " + when + " " + word
			}
		}
		all[word] = true
	}
	if len(all) > 1 {
		t.Errorf("the keys of one row need different engines: %s", r.names)
	}
	return slices.Sorted(maps.Keys(all))[0]
}

func keyNames(names string) string {
	var list []string
	for name := range strings.FieldsSeq(names) {
		key, value, ok := strings.Cut(name, "=")
		switch {
		case !ok:
			list = append(list, "`"+key+"`")
		case value == "*":
			list = append(list, "`"+key+"` with any other value")
		default:
			list = append(list, "`"+key+": "+strings.ReplaceAll(value, "*", "…")+"`")
		}
	}
	return strings.Join(list, ", ")
}

func fateWord(f rhumb.Fate) string {
	if f == rhumb.Honoured {
		return string(f)
	}
	return "**" + string(f) + "**"
}
