package bans

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestUnbanningEndsWhatIsInARange(t *testing.T) {
	b := newBook(t, Options{})
	for _, c := range []string{"203.0.113.7", "203.0.113.8", "203.0.114.1"} {
		fail(b, c, 3)
	}
	ended, err := b.Unban(t.Context(), netip.MustParsePrefix("203.0.113.0/24"))
	if err != nil || len(ended) != 2 || refused(b, "203.0.113.7") || !refused(b, "203.0.114.1") {
		t.Errorf("ended are %v, %v", ended, err)
	}
	if _, err := b.Unban(t.Context(), netip.MustParsePrefix("203.0.113.7/32")); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("a ban that isn't there: %v", err)
	}
	if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix("203.0.115.0/24")}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Unban(t.Context(), netip.MustParsePrefix("203.0.115.7/32"))
	if rhumb.ErrorCode(err) != rhumb.NotFound || !strings.Contains(rhumb.ErrorHint(err), "203.0.115.0/24") {
		t.Errorf("an address in a banned range: %v, %s", err, rhumb.ErrorHint(err))
	}
}

func TestWhatIsKnownOfAnAddressIsShown(t *testing.T) {
	b := newBook(t, Options{})
	a := netip.MustParseAddr("203.0.113.7")
	fail(b, "203.0.113.7", 2)
	answer, err := b.WhyBanned(t.Context(), a)
	if err != nil || answer.Ban != nil || len(answer.Counts) != 1 || answer.Counts[0].Matches != 2 ||
		answer.Counts[0].Rule != "login" {
		t.Errorf("before the ban: %+v, %v", answer, err)
	}
	fail(b, "203.0.113.7", 1)
	refused(b, "203.0.113.7")
	answer, err = b.WhyBanned(t.Context(), a)
	if err != nil || answer.Ban == nil || answer.Ban.Refused != 1 ||
		answer.Ban.Reason != "3 requests matched login within 1m" {
		t.Errorf("after the ban: %+v, %v", answer.Ban, err)
	}
}

func TestNewsAreNumberedAndAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t, Options{})
		begin := time.Now()
		if notes, err := b.BanNews(t.Context(), 0); err != nil || len(notes) > 0 || time.Since(begin) != newsTime {
			t.Errorf("without news: %v, %v after %s", notes, err, time.Since(begin))
		}
		got := make(chan []rhumb.BanNote)
		go func() {
			notes, _ := b.BanNews(t.Context(), 0)
			got <- notes
		}()
		synctest.Wait()
		fail(b, "203.0.113.7", 3)
		first := <-got
		if len(first) != 1 || first[0].Ban.Rule != "login" || first[0].Ended {
			t.Fatalf("the news are %+v", first)
		}
		if _, err := b.Unban(rhumb.WithActor(t.Context(), rhumb.Actor{Name: "ada"}),
			netip.MustParsePrefix("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		second, err := b.BanNews(t.Context(), first[0].Number)
		if err != nil || len(second) != 1 || !second[0].Ended || second[0].By != "ada" {
			t.Errorf("the next news are %+v, %v", second, err)
		}
	})
}

func TestDecisionsOfAnotherSystemAreItsOwn(t *testing.T) {
	b := newBook(t, Options{})
	fail(b, "203.0.113.7", 3)
	until := time.Now().Add(time.Hour)
	decide := func(all bool, gone []string, made ...string) int {
		var ds []Decision
		var ps []netip.Prefix
		for _, m := range made {
			ds = append(ds, Decision{Client: netip.MustParsePrefix(m), Until: until, Reason: "ssh"})
		}
		for _, g := range gone {
			ps = append(ps, netip.MustParsePrefix(g))
		}
		return b.Decide("crowdsec", ds, ps, all)
	}
	if spared := decide(true, nil, "203.0.113.7/32", "203.0.113.8/32", "203.0.114.0/24", "10.0.0.1/32"); spared != 1 {
		t.Errorf("%d decisions are about clients that are never banned, want 1", spared)
	}
	for client, want := range map[string]bool{"203.0.113.8": true, "203.0.114.200": true, "10.0.0.1": false} {
		if refused(b, client) != want {
			t.Errorf("%s is banned: %v", client, !want)
		}
	}
	decide(false, []string{"203.0.113.7/32", "203.0.113.8/32"})
	if !refused(b, "203.0.113.7") || refused(b, "203.0.113.8") || !refused(b, "203.0.114.1") {
		t.Error("a decision that is gone has ended the wrong bans")
	}
	decide(true, nil, "203.0.115.1/32")
	if !refused(b, "203.0.113.7") || refused(b, "203.0.114.1") || !refused(b, "203.0.115.1") {
		t.Error("all decisions have ended the wrong bans")
	}
}
