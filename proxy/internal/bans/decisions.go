package bans

import (
	"net/netip"
	"time"

	"rhumb"
)

// Decision is a ban that another system has decided on.
type Decision struct {
	Client netip.Prefix
	Until  time.Time
	Reason string
}

// Decide bans as another system of that name has decided, and ends its bans of those in gone. With all, made is
// everything that it has decided. Bans by rules and users stay. It returns how many decisions are about clients that
// are never banned.
func (b *Book) Decide(system string, made []Decision, gone []netip.Prefix, all bool) (spared int) {
	now := time.Now()
	its := func(ban rhumb.Ban) bool { return ban.By == system }
	for _, p := range gone {
		p = normal(p)
		b.inForce.end(p, func(ban rhumb.Ban) bool { return its(ban) && ban.Client == p })
	}
	listed := make(map[netip.Prefix]bool, len(made))
	for _, d := range made {
		client := normal(d.Client)
		if b.spared.why(client, false, now) != "" {
			spared++
			continue
		}
		listed[client] = true
		ban := rhumb.Ban{Client: client, Reference: newReference(), Reason: d.Reason, By: system, Since: now, Until: d.Until}
		if !ban.Ended(now) {
			b.inForce.begin(ban, func(old rhumb.Ban) bool { return !its(old) || !old.Until.Before(d.Until) })
		}
	}
	if !all {
		return spared
	}
	for _, ban := range b.inForce.all() {
		if its(ban) && !listed[ban.Client] {
			b.inForce.end(ban.Client, func(o rhumb.Ban) bool { return its(o) && o.Client == ban.Client })
		}
	}
	return spared
}
