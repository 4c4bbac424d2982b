package table

import (
	"net/netip"
	"strings"
	"testing"

	"rhumb"
)

func TestATableWithOptionsThatCannotBeServedIsRefused(t *testing.T) {
	whole := func() rhumb.Table {
		o := rhumb.OptionsOf(&rhumb.RouteOptions{Compress: true})
		return rhumb.Table{
			Backends: []rhumb.Backend{{Name: "b"}},
			Rules:    []rhumb.Rule{{Host: "a.test", Backend: "b", Options: o.ID}},
			Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Protocol: rhumb.HTTP, Backend: "b",
				Options: o.ID}},
			Options: []rhumb.TableOptions{o},
		}
	}
	if err := Validate(whole()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*rhumb.Table){
		"unknown options":         func(t *rhumb.Table) { t.Rules[0].Options = "o" },
		"can't have the options":  func(t *rhumb.Table) { t.Listeners[0].Options = "o" },
		"two options":             func(t *rhumb.Table) { t.Options = append(t.Options, t.Options[0]) },
		"is not the ID":           func(t *rhumb.Table) { t.Options[0].Compress = false },
		"is not a status":         func(t *rhumb.Table) { redirected(t, 200) },
		"127.0.0.1:80 can't have": func(t *rhumb.Table) { t.Listeners[0].Protocol = rhumb.TCP },
	} {
		table := whole()
		change(&table)
		err := Validate(table)
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// redirected has all routes of a table redirect with a status.
func redirected(t *rhumb.Table, status int) {
	o := rhumb.OptionsOf(&rhumb.RouteOptions{Redirect: &rhumb.Redirect{To: "/a", Status: status}})
	t.Options, t.Rules[0].Options, t.Listeners[0].Options = []rhumb.TableOptions{o}, o.ID, o.ID
}
