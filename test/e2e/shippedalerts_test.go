package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
	"rhumb/internal/porttest"
)

// alertCase is a cause on which rules fire. When it is gone, their alerts are over.
type alertCase struct {
	rules   []string
	name    string // "": that of the rules
	machine bool   // the alerts are of the server itself
	pending bool   // they fire after an hour, so that being pending is enough
	compose string
	env     []string
	before  func(k *trial) // before the first deployment
	cause   func(k *trial)
	cure    func(k *trial)
	fires   time.Duration // within this time, beside what the rule waits for
	ends    time.Duration // within this time, beside what the rule keeps
	server  func(t *testing.T, b *inbox) *server
}

const alertStacks = 30

// unmade are the rules whose causes no test can make within an hour, or without harm to the machine.
var unmade = map[string]string{
	"DiskFillsWithinADay": "it needs samples of three hours",
	"HostMemory":          "it would need nearly all memory of a machine that others use",
	"ClockOff":            "a test must not touch the machine's clock",
}

func TestShippedAlertsFireAndResolve(t *testing.T) {
	needDocker(t)
	needLong(t, alertStacks)
	var mu sync.Mutex
	var rows []string
	made := map[string]bool{}
	box := newInbox(t)
	s := alertingServer(t, box)
	deploying := make(chan struct{}, whyDeploys)
	t.Run("rules", func(t *testing.T) {
		for _, c := range slices.Concat(stackAlerts, machineAlerts) {
			for _, r := range c.rules {
				made[r] = true
			}
			t.Run(or(c.name, strings.Join(c.rules, "And")), func(t *testing.T) {
				t.Parallel()
				row := c.run(t, s, box, deploying)
				mu.Lock()
				defer mu.Unlock()
				rows = append(rows, row)
			})
		}
	})
	for _, r := range alertrule.Shipped() {
		if why, ok := unmade[r.Name]; ok {
			rows = append(rows, fmt.Sprintf("%-25s not tried: %s", r.Name, why))
		} else if !made[r.Name] {
			t.Errorf("there is no case for %s", r.Name)
		}
	}
	slices.Sort(rows)
	t.Logf("\n%s", strings.Join(rows, "\n"))
}

// run makes the cause, waits for the messages, takes the cause away, and waits for the end. It returns what came of it.
func (c alertCase) run(t *testing.T, s *server, box *inbox, deploying chan struct{}) string {
	if c.server != nil {
		box = newInbox(t)
		s = c.server(t, box)
	}
	k := newTrial(t, s, or(c.compose, webAlone), deploying)
	k.env = c.env
	if c.before != nil {
		c.before(k)
	}
	k.change(0, "deploy")
	k.visitors = visit(t, k.client, or(k.target, k.url("/")), 3)
	stack := k.name
	if c.machine {
		stack = ""
	}
	began := time.Now()
	if c.cause != nil {
		c.cause(k)
	}
	if c.pending {
		return c.pend(k, stack, began)
	}
	for _, rule := range c.rules {
		r, _ := alertrule.ShippedRule(rule)
		box.tells(t, stack, rule, false, r.For+or(c.fires, 4*time.Minute))
	}
	fired := time.Now()
	c.cure(k)
	for _, rule := range c.rules {
		r, _ := alertrule.ShippedRule(rule)
		box.tells(t, stack, rule, true, r.Keep+or(c.ends, 5*time.Minute))
	}
	return fmt.Sprintf("%-40s fired after %4.0f s, resolved after %4.0f s", or(c.name, strings.Join(c.rules, ", ")),
		fired.Sub(began).Seconds(), time.Since(fired).Seconds())
}

// pend waits until the alerts are pending, takes the cause away, and waits until they aren't.
func (c alertCase) pend(k *trial, stack string, began time.Time) string {
	state := func() (found []string) {
		r := k.s.rhumb("", "alerts", "--format", "json")
		var list []rhumb.Alert
		if err := json.Unmarshal([]byte(r.out), &list); err != nil {
			return []string{err.Error()}
		}
		for _, a := range list {
			if slices.Contains(c.rules, a.Rule) && a.Stack == stack {
				found = append(found, string(a.State))
			}
		}
		return found
	}
	want := slices.Repeat([]string{string(rhumb.AlertPending)}, len(c.rules))
	wait := func(what string, want []string) {
		eventually(k.t, 3*time.Minute, what, func() error {
			if found := state(); !slices.Equal(found, want) {
				return fmt.Errorf("%v, want %v", found, want)
			}
			return nil
		})
	}
	wait("it is pending", want)
	pended := time.Now()
	c.cure(k)
	wait("it isn't pending any more", nil)
	return fmt.Sprintf("%-40s pending after %3.0f s (it fires after an hour), over after %4.0f s",
		strings.Join(c.rules, ", "), pended.Sub(began).Seconds(), time.Since(pended).Seconds())
}

// alertingServer is a measured server that sends messages to an inbox.
func alertingServer(t *testing.T, b *inbox) *server {
	return measuredServer(t, "--alert-to", b.server.URL)
}

// idleAlerting is alertingServer before its start.
func idleAlerting(t *testing.T, b *inbox) *server {
	s := idleServer(t, binary)
	s.metrics, s.dashboard = porttest.Free(t), porttest.Free(t)
	s.flags = []string{"--alert-to", b.server.URL}
	return s
}

// note is a message about alerts, as a webhook gets it.
type note struct {
	Kind     string `json:"kind"`
	Stack    string `json:"stack"`
	New      []told `json:"new"`
	Resolved []told `json:"resolved"`
}

// told is an alert in a message.
type told struct {
	Rule string `json:"rule"`
	Text string `json:"text"`
}

// notes returns the messages so far.
func (b *inbox) notes(t *testing.T) []note {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []note
	for _, text := range b.text {
		var n note
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Errorf("a message is no JSON: %v", err)
		}
		all = append(all, n)
	}
	return all
}

// tells waits until a message has that a rule fires for a stack, or that it does no more.
func (b *inbox) tells(t *testing.T, stack, rule string, over bool, limit time.Duration) {
	t.Helper()
	what := rule + " fires"
	if over {
		what = rule + " is over"
	}
	eventually(t, limit, what, func() error {
		var of []note
		for _, n := range b.notes(t) {
			if n.Stack != stack {
				continue
			}
			of = append(of, n)
			list := n.New
			if over {
				list = n.Resolved
			}
			if slices.ContainsFunc(list, func(a told) bool { return a.Rule == rule }) {
				return nil
			}
		}
		return fmt.Errorf("not among %+v", of)
	})
}

func TestGoodDeploymentsAlertNobody(t *testing.T) {
	needDocker(t)
	needLong(t, 1)
	box := newInbox(t)
	s := alertingServer(t, box)
	k := newStack(t, s, webTwice)
	k.must(0, "deploy")
	if r := s.rhumb("", "alerts", "test"); r.code != 0 {
		t.Fatalf("alerts test exits with %d: %s", r.code, r.out)
	}
	box.have(t, "test")
	visit(t, nil, k.url("/"), 20)
	for n := range 50 {
		k.env = []string{fmt.Sprintf("V=%d", n+2)}
		if r := k.rhumb("deploy"); r.code != 0 {
			t.Fatalf("deployment %d exits with %d: %s", n+1, r.code, r.out)
		}
	}
	pause(t, 4*time.Minute) // what waits for a verdict has been sent by then
	for _, n := range box.notes(t) {
		if n.Kind != "test" {
			t.Errorf("a message: %+v", n)
		}
	}
}
