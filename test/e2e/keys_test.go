package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The key table, key by key, on a real engine. What is promised is read where the users read it: in
// docs/stack-file.md, which is made from the table itself. Keys that are refused or ignored need no engine: package
// compose has their cases.

// shown is what must be seen of some keys.
type shown struct {
	keys string // below services.NAME unless they begin with a slash; key=value is one value of it
	of   string // a service, or "network KEY" or "volume KEY"
	run  string // a line for the shell in the service's container
	look string // a template for docker inspect, in place of run
	want string // a regular expression for all that is printed
	why  string // why the inside of the container can't show it
}

// keyStack is a stack whose containers show keys.
type keyStack struct {
	name    string
	compose string
	files   map[string]string
	prepare func(k *stack)
	shown   []shown
}

func TestEveryKeyOfTheTableIsSeenOnTheEngine(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	turns := make(chan struct{}, 6) // they wait far more than they work: more go side by side than -parallel lets
	var all sync.WaitGroup
	defer all.Wait()
	begin := func(name string, run func(t *testing.T, s *server)) {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			t.Run(name, func(t *testing.T) { run(t, s) })
		})
	}
	for _, kt := range allKeyTests() {
		begin(kt.name, kt.run)
	}
	for _, ks := range keyStacks {
		begin(ks.name, ks.run)
	}
}

func (ks keyStack) run(t *testing.T, s *server) {
	k := newStack(t, s, ks.compose)
	for name, content := range ks.files {
		k.write(name, content)
	}
	if ks.prepare != nil {
		ks.prepare(k)
	}
	k.must(0, "deploy")
	k.show(ks.shown)
}

// show looks at all of it, with one command for each thing that is looked at.
func (k *stack) show(all []shown) {
	k.t.Helper()
	all = slices.Clone(all)
	var inside, outside []string
	for _, c := range all {
		if c.run != "" && !slices.Contains(inside, c.of) {
			inside = append(inside, c.of)
		}
		if c.look != "" && !slices.Contains(outside, c.of) {
			outside = append(outside, c.of)
		}
	}
	for i := range all {
		all[i].look = strings.ReplaceAll(all[i].look, "STACK", k.name)
		all[i].run = strings.ReplaceAll(all[i].run, "STACK", k.name)
	}
	for _, of := range inside {
		k.compare(all, of, true)
	}
	for _, of := range outside {
		k.compare(all, of, false)
	}
}

// mark parts what the commands for one container print.
const mark = "\n@@@@\n"

// compare runs what is to be seen of one thing, and compares.
func (k *stack) compare(all []shown, of string, inside bool) {
	k.t.Helper()
	var cases []shown
	var script strings.Builder
	for _, c := range all {
		switch {
		case c.of != of || inside != (c.run != ""):
			continue
		case inside:
			fmt.Fprintf(&script, "( %s ) 2>&1; printf '\\n@@@@\\n'\n", c.run)
		default:
			script.WriteString(c.look + mark)
		}
		cases = append(cases, c)
	}
	var out string
	if inside {
		out = k.sh(of, script.String())
	} else {
		kind, key, named := strings.Cut(of, " ")
		if named {
			out = docker(k.t, kind, "inspect", "--format", script.String(), k.name+"_"+key)
		} else {
			out = docker(k.t, "inspect", "--format", script.String(), k.container(of))
		}
	}
	parts := strings.Split(out, mark)
	if len(parts) < len(cases) {
		k.t.Fatalf("%s: %d answers for %d cases:\n%s", of, len(parts), len(cases), out)
	}
	for i, c := range cases {
		want := strings.NewReplacer("STACK", k.name, "FOLDER", regexp.QuoteMeta(k.dir)).Replace(c.want)
		if got := strings.TrimSpace(parts[i]); !regexp.MustCompile(`^(?:` + want + `)$`).MatchString(got) {
			k.t.Errorf("%s of %s: %s%s gives %q, want %q", c.keys, of, c.run, c.look, got, want)
		}
	}
}

// sh runs a script in a service's container.
func (k *stack) sh(service, script string) string {
	k.t.Helper()
	cmd := exec.Command("docker", "exec", "-i", k.container(service), "/bin/sh", "-s")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("a script in %s: %v\n%s", service, err, out)
	}
	return string(out)
}

// container returns the name of a service's only container.
func (k *stack) container(service string) string {
	k.t.Helper()
	prefix := k.name + "-" + service + "."
	for _, name := range k.containers() {
		if strings.HasPrefix(name, prefix) {
			return name
		}
	}
	k.t.Fatalf("service %s has no container", service)
	return ""
}

// promise is a row's key in the document.
type promise struct{ key, fate string }

var (
	codeSpan = regexp.MustCompile("`([^`]+)`( with any other value)?")
	keyRow   = regexp.MustCompile(`^\| (.+?) \| \**(honoured|emulated|ignored|refused)\** \|`)
)

// promises reads the table of docs/stack-file.md.
func promises(t *testing.T) []promise {
	t.Helper()
	b, err := os.ReadFile("../../docs/stack-file.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []promise
	under := ""
	for line := range strings.Lines(string(b)) {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			under = strings.Trim(strings.TrimSpace(title), "`")
			if under == "At the top level" {
				under = ""
			}
		}
		row := keyRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(row[1], -1) {
			name := strings.Replace(span[1], ": ", "=", 1)
			if span[2] != "" {
				name += "=*"
			}
			list = append(list, promise{strings.TrimPrefix(under+"."+name, "."), row[2]})
		}
	}
	return list
}

// keysOf returns full names: services.NAME.user for user, networks.NAME for /networks.NAME.
func keysOf(names string) []string {
	var list []string
	for name := range strings.FieldsSeq(names) {
		if top, ok := strings.CutPrefix(name, "/"); ok {
			list = append(list, top)
			continue
		}
		list = append(list, "services.NAME."+name)
	}
	return list
}

func TestEveryKeyThatIsHonouredOrEmulatedHasACase(t *testing.T) {
	have := map[string]bool{}
	for _, ks := range keyStacks {
		for _, c := range ks.shown {
			for _, key := range keysOf(c.keys) {
				have[key] = true
			}
		}
	}
	for _, kt := range allKeyTests() {
		for _, key := range keysOf(kt.keys) {
			have[key] = true
		}
	}
	for _, e := range shownElsewhere {
		if err := exec.Command("grep", "-rqw", "--include=*_test.go", "func "+e.test, "../../"+e.folder).Run(); err != nil {
			t.Errorf("package %s has no test %s", e.folder, e.test)
		}
		for _, key := range keysOf(e.keys) {
			have[key] = true
		}
	}
	for key := range have { // what shows a key shows the one that it is in
		key, _, _ = strings.Cut(key, "=")
		for have[key] = true; strings.Contains(key, "."); have[strings.TrimSuffix(key, "[]")] = true {
			key = key[:strings.LastIndexByte(key, '.')]
		}
	}
	known := map[string]bool{}
	for _, p := range promises(t) {
		known[p.key] = true
		if !have[p.key] && (p.fate == "honoured" || p.fate == "emulated") {
			t.Errorf("%s is %s, and no case shows it", p.key, p.fate)
		}
	}
	if len(known) < 200 {
		t.Errorf("the document's table has %d keys only", len(known))
	}
	for key := range have {
		if !known[key] && !strings.HasSuffix(key, "NAME") {
			t.Errorf("a case is for %s, which the table hasn't", key)
		}
	}
}
