// Package crs looks at requests for attacks with the OWASP Core Rule Set. One set of rules serves all routes: how
// suspicious it is and what doesn't count is a matter of each request.
package crs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"

	"rhumb"
)

// Engine looks at requests. It is safe for concurrent use.
type Engine struct{ waf coraza.WAF }

// transaction is what a request's own settings need of the library.
type transaction interface {
	types.Transaction
	plugintypes.TransactionState
	RemoveRuleByID(id int)
	// DetectionOnlyInterruption returns what would have been done, because the rules only detect here.
	DetectionOnlyInterruption() *types.Interruption
}

// New returns an Engine. It takes some tenths of a second, and most of the memory.
func New() (*Engine, error) {
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(directives()))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the rules can't be read: %w", err)
	}
	if _, ok := waf.NewTransaction().(transaction); !ok {
		return nil, rhumb.Errorf(rhumb.Internal, "the library of the rules has changed")
	}
	return &Engine{waf}, nil
}

// directives returns the configuration of the library, and the rules for requests. Answers aren't looked at. The proxy
// has limits of its own for bodies. APIs use methods that the rules refuse by default.
func directives() string {
	return fmt.Sprintf(`
Include @coraza.conf-recommended
SecRuleEngine DetectionOnly
SecAuditEngine Off
SecResponseBodyAccess Off
SecRequestBodyLimit %[1]d
SecRequestBodyInMemoryLimit %[1]d
SecRequestBodyLimitAction ProcessPartial
Include @crs-setup.conf.example
SecAction "id:9000100,phase:1,pass,nolog,t:none,setvar:tx.crs_skip_response_analysis=1,`+
		`setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE'"
Include @owasp_crs/REQUEST-9*.conf
`, 2*rhumb.MaxWAFBody)
}

// Rules that say what the body is, and that don't hold for a part of one.
var ofWholeBodies = []int{200002, 200003}

// finds reports whether a rule finds something: others prepare for them, or add up what they have found.
func finds(m types.MatchedRule) bool {
	group := m.Rule().ID() / 1000
	return m.Message() != "" && group != 901 && group != 949 && group != 980
}

// Inspect looks at a request.
func (e *Engine) Inspect(i *rhumb.Inspection) rhumb.Finding {
	tx := e.waf.NewTransaction().(transaction)
	defer func() { _ = tx.Close() }() // it removes the files of a form's parts
	e.set(tx, i)
	tx.ProcessConnection(i.Client.String(), 0, "", 0)
	tx.ProcessURI(i.Target, i.Method, i.Proto)
	for _, f := range i.Fields {
		tx.AddRequestHeader(f.Name, f.Value)
	}
	if i.Host != "" {
		tx.AddRequestHeader("Host", i.Host)
		tx.SetServerName(i.Host)
	}
	tx.ProcessRequestHeaders()
	if len(i.Body) > 0 {
		// with DetectionOnly there is no interruption, and an error is the body's own: a rule reports it
		_, _, _ = tx.WriteRequestBody(i.Body)
	}
	_, _ = tx.ProcessRequestBody()
	return finding(tx)
}

// set makes the settings of a route those of a transaction.
func (e *Engine) set(tx transaction, i *rhumb.Inspection) {
	vars := tx.Variables().TX()
	level := strconv.Itoa(min(max(i.Paranoia, 1), 4))
	vars.Set("blocking_paranoia_level", []string{level})
	vars.Set("detection_paranoia_level", []string{level})
	vars.Set("inbound_anomaly_score_threshold", []string{strconv.Itoa(max(i.Score, 1))})
	for _, id := range i.Without {
		tx.RemoveRuleByID(id)
	}
	if i.Partial {
		for _, id := range ofWholeBodies {
			tx.RemoveRuleByID(id)
		}
	}
}

// finding returns what has been found.
func finding(tx transaction) rhumb.Finding {
	f := rhumb.Finding{Attack: tx.DetectionOnlyInterruption() != nil}
	if s := tx.Variables().TX().Get("blocking_inbound_anomaly_score"); len(s) > 0 {
		f.Score, _ = strconv.Atoi(s[0])
	}
	for _, m := range tx.MatchedRules() {
		id := m.Rule().ID()
		if !finds(m) || slices.ContainsFunc(f.Rules, func(o rhumb.WAFMatch) bool { return o.ID == id }) {
			continue
		}
		f.Rules = append(f.Rules, rhumb.WAFMatch{ID: id, Text: m.Message(), Where: where(m)})
	}
	slices.SortFunc(f.Rules, func(a, b rhumb.WAFMatch) int { return cmp.Compare(a.ID, b.ID) })
	return f
}

const maxWhere = 100 // bytes of a name that a client has chosen

// where returns the part of the request that a rule matched.
func where(m types.MatchedRule) string {
	for _, d := range m.MatchedDatas() {
		name := d.Variable().Name()
		if name == "TX" || name == "UNKNOWN" {
			continue
		}
		if d.Key() != "" {
			name += ":" + d.Key()
		}
		return strings.ToValidUTF8(name[:min(len(name), maxWhere)], "")
	}
	return ""
}
