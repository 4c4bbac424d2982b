package logstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/logstore"
)

// pieces are what texts and values are made of.
var pieces = []string{
	"error", "GET", "/path", "x", "y", "42", "0.5", " ", " ", "  ", "\n", "\t", `"`, `\`, "'", "`", "(", ")", "|", "*",
	":", "=", "{", "}", "[", "]", ",", "and", "or", "not", "ü", "\xff", "\x00", "~", "-", "!", "#", "$", "Ω", "options",
	"_time:1m", ".", "+", "?", "^", ".*", ".+", "(?i)", "(?s)", `\b`, "x*",
}

// phrase returns a few pieces.
func phrase(r *rand.Rand, n int) string {
	var b strings.Builder
	for range r.IntN(n) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// strange appends lines with strange texts and values, and returns them.
func strange(t testing.TB, s *logstore.Store, r *rand.Rand, n int) []rhumb.LogLine {
	t.Helper()
	var all []rhumb.LogLine
	start := time.Now().Add(-time.Hour)
	for i := range n {
		l := rhumb.LogLine{
			Time: start.Add(time.Duration(i)), Stack: "shop", Service: phrase(r, 3), Replica: phrase(r, 3),
			Container: phrase(r, 3), Release: r.IntN(3), Level: rhumb.Level(r.IntN(7)), Stderr: r.IntN(2) == 0,
			Text: phrase(r, 8), Fields: map[string]string{"user": phrase(r, 3), "status": pieces[r.IntN(len(pieces))]},
		}
		all = append(all, l)
	}
	if _, err := s.Append(context.Background(), all); err != nil {
		t.Fatal(err)
	}
	return all
}

// same fails unless the store and observe.Match choose the same lines.
func same(t *testing.T, s *logstore.Store, all []rhumb.LogLine, q rhumb.LogQuery) {
	t.Helper()
	match, wantErr := observe.Match(q)
	var want, got []string
	for i := range all {
		if wantErr == nil && match(&all[i]) {
			want = append(want, all[i].Text)
		}
	}
	var err error
	for l, e := range s.Lines(context.Background(), q) {
		if err = e; e == nil {
			got = append(got, l.Text)
		}
	}
	if rhumb.ErrorCode(err) != rhumb.ErrorCode(wantErr) || !slices.Equal(got, want) {
		t.Fatalf("%+v:\ngot  %q: %v\nwant %q: %v", q, got, err, want, wantErr)
	}
}

func TestQueriesChooseWhatTheirValuesSay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := open(t, t.TempDir())
	all := strange(t, s, r, 500)
	for range 3000 {
		q := rhumb.LogQuery{Release: r.IntN(3), Level: rhumb.Level(r.IntN(4))}
		switch r.IntN(3) {
		case 0:
			q.Grep = phrase(r, 5)
		case 1:
			q.Services = []string{phrase(r, 3), all[r.IntN(len(all))].Service}
		case 2:
			q.Replica = all[r.IntN(len(all))].Replica
		}
		same(t, s, all, q)
	}
	for _, grep := range []string{
		"^", "$", "^$", ".", "(?i)ERROR", "error|GET", "error.*x", "(?s)error.*x", `\bx\b`, `x$`,
		`^x`, `(?m)^x`, "[^a]", "()",
		".*", ".+", "x*", `\x00`, "ü", `\pL`, "error.+", ".*error.*", ".+error.+",
		"(error|x)(y|42)", "(?U)x.*", "é|Ω", "^error", "(?s).(?-s).", ".+ü(?s).", `x\b.(?s:.)`, "error\\b", "x*^",
	} {
		same(t, s, all, rhumb.LogQuery{Grep: grep})
	}
}

func FuzzQueriesNeverChangeMeaning(f *testing.F) {
	s := open(f, f.TempDir())
	all := strange(f, s, rand.New(rand.NewPCG(1, 1)), 50)
	for _, v := range []string{
		`" or *`, `") or (*`, "`", "\\", "\\\"", "'", `"|stats count()`, "\xff", "*", "", `in(*)`, "x\ny", "#", "\u2028",
	} {
		f.Add(v, v, v)
	}
	f.Fuzz(func(t *testing.T, service, replica, grep string) {
		same(t, s, all, rhumb.LogQuery{Services: []string{service}})
		same(t, s, all, rhumb.LogQuery{Replica: replica})
		same(t, s, all, rhumb.LogQuery{Grep: grep})
	})
}

func TestFollowersChooseWhatReadersChoose(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := open(t, t.TempDir())
	strange(t, s, rand.New(rand.NewPCG(seed, 1)), 1)
	for _, query := range []string{
		"*", "error", "error or x", "error x", "not error", "!error", `"error"`, "err*",
		"user:x", "user:=x", "status:42",
		"status:>1", "status:in(42,x)", "level:error", "level:in(warn,fatal)", "stream:stderr",
		`{stream="stderr"}`, `{stack="shop"}`,
		"_msg:~\"^e\"", "~GET", "i(ERROR)", "seq(error, x)", "user:*", `user:""`, "release:1",
		"_time:2h", "container:x", "len_range(3,9)",
		"_msg:len_range(3,9)", "user:eq_field(status)", "contains_any(error, GET)", "contains_all(error, x)",
		"_time:day_range[00:00, 23:59]", "kind:access", `=error`, `="error"*`,
		"pattern_match(\"<N>\")", "status:range(0,50)",
	} {
		follow(t, s, seed, query)
	}
}

// follow appends lines while a follower with a query reads, and compares what it reads with what is stored.
func follow(t *testing.T, s *logstore.Store, seed uint64, query string) {
	t.Helper()
	from := time.Now().Add(-2 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	end := rhumb.LogLine{Time: time.Now(), Stack: "end", Text: query}
	stored := rhumb.LogQuery{LogOptions: rhumb.LogOptions{Since: from}, Stack: "shop", Query: query}
	before := len(lines(t, s, stored))
	var live, want []string
	q := rhumb.LogQuery{
		LogOptions: rhumb.LogOptions{Since: from, Tail: 1, Follow: true}, Query: "(" + query + `) or stack:="end"`,
	}
	if _, err := s.Append(ctx, []rhumb.LogLine{end}); err != nil {
		t.Fatal(err)
	}
	began := false
	for l, err := range s.Lines(ctx, q) {
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if !began {
			began = true
			strange(t, s, rand.New(rand.NewPCG(seed, uint64(len(query)))), 300)
			end.Time = time.Now()
			if _, err := s.Append(ctx, []rhumb.LogLine{end}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if l.Stack == "end" {
			break
		}
		live = append(live, l.Text)
	}
	for _, l := range lines(t, s, stored)[before:] {
		want = append(want, l.Text)
	}
	if !slices.Equal(live, want) {
		t.Errorf("%s: %d lines live, %d stored%s", query, len(live), len(want), firstDifference(live, want))
	}
}

// firstDifference describes where two lists differ.
func firstDifference(a, b []string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf(": %q, %q", a[i], b[i])
		}
	}
	return ""
}

func TestQueriesWithPipesAreInvalid(t *testing.T) {
	s := open(t, t.TempDir())
	for _, query := range []string{
		"* | stats count()", "user:in(error | fields user)", "error | delete _msg", "(", `"`,
		"user:", "options(concurrency=9) error |",
	} {
		for _, err := range s.Lines(t.Context(), rhumb.LogQuery{Query: query}) {
			if rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" || strings.Contains(err.Error(), "http") {
				t.Errorf("%s: %v", query, err)
			}
		}
	}
	same(t, s, nil, rhumb.LogQuery{Query: `"a|b" or user:"|"`})
}
