package release

import (
	"testing"

	"rhumb"
)

func TestAPlanSaysWhereClientsAreNotSeen(t *testing.T) {
	inner := rhumb.Container{Networks: []rhumb.Attachment{{Network: "shop_inner"}}}
	both := rhumb.Container{Networks: []rhumb.Attachment{{Network: "shop_inner"}, {Network: "shop_outer"}}}
	tcp, http := []rhumb.Port{{Target: 1, Protocol: rhumb.TCP}}, []rhumb.Port{{Target: 1, Protocol: rhumb.HTTP}}
	for _, c := range []struct {
		name string
		of   rhumb.Service
		want bool
	}{
		{"only internal networks", rhumb.Service{Container: inner, Ports: tcp}, true},
		{"another network, too", rhumb.Service{Container: both, Ports: tcp}, false},
		{"over HTTP", rhumb.Service{Container: inner, Ports: http}, false},
		{"no ports", rhumb.Service{Container: inner}, false},
		{"in the PROXY protocol", rhumb.Service{Container: inner, Ports: tcp, SendProxy: rhumb.ProxyV1}, false},
		{"the machine's network", rhumb.Service{Container: rhumb.Container{NetworkMode: "host"}, Ports: tcp}, true},
	} {
		m := &rhumb.Stack{Services: []rhumb.Service{c.of},
			Networks: []rhumb.Network{{Name: "shop_inner", Internal: true}, {Name: "shop_outer"}}}
		if got := len(AddressNotes(m)) > 0; got != c.want {
			t.Errorf("%s: there is a note: %v", c.name, got)
		}
	}
	if AddressNotes(nil) != nil {
		t.Error("a stack that goes has notes")
	}
}
