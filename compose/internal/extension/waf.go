package extension

import (
	"slices"
	"strings"

	"rhumb"
	"rhumb/internal/routeoption"
)

var sizesOfWAF = sizes{0, rhumb.MaxWAFBody, "up to 128 KB", "write it as 32KB; 0 looks at no bodies"}

// waf reads how requests are looked at for attacks: a mode, or a mapping.
func (r optionReader) waf(v any) *rhumb.WAF {
	w := &rhumb.WAF{Mode: rhumb.WAFDetect, Paranoia: 1, Score: rhumb.WAFScore, Body: rhumb.WAFBody}
	switch v := v.(type) {
	case bool, string:
		if v == true || v == "true" || v == "on" {
			return w
		}
		w.Mode = r.wafMode(v)
		return w
	}
	fields := r.fields(v, "mode", "paranoia", "score", "body", "large", "exclude")
	if v, ok := fields["mode"]; ok {
		w.Mode = r.at("mode").wafMode(v)
	}
	if v, ok := fields["paranoia"]; ok {
		w.Paranoia = readNumber(r.at("paranoia").reader, v, 1, routeoption.MaxParanoia)
	}
	if v, ok := fields["score"]; ok {
		w.Score = readNumber(r.at("score").reader, v, 1, routeoption.MaxScore)
	}
	if v, ok := fields["body"]; ok {
		w.Body = r.at("body").size(v, sizesOfWAF)
	}
	if v, ok := fields["large"]; ok {
		w.Refuse = r.at("large").refuses(v)
	}
	if v, ok := fields["exclude"]; ok {
		w.Exclude = r.at("exclude").exclusions(v)
	}
	return w
}

func (r optionReader) wafMode(v any) rhumb.WAFMode {
	switch m, _ := v.(string); rhumb.WAFMode(m) {
	case rhumb.WAFDetect, rhumb.WAFBlock:
		return rhumb.WAFMode(m)
	}
	r.wrong("choose detect, which logs attacks, or block, which also refuses them", "%v is neither detect nor block",
		shown(v))
	return rhumb.WAFDetect
}

func (r optionReader) refuses(v any) bool {
	switch v {
	case "refuse":
		return true
	case "pass":
	default:
		r.wrong("choose pass or refuse", "%v is neither pass nor refuse", shown(v))
	}
	return false
}

// exclusions reads which rules don't count.
func (r optionReader) exclusions(v any) (list []rhumb.WAFExclusion) {
	items, ok := v.([]any)
	if !ok {
		r.wrong("write it as [{path: /admin, rules: [942100]}]", "it must be a list")
		return nil
	}
	for i, item := range items {
		at := optionReader{r.item(i)}
		if e, ok := at.exclusion(item); ok {
			list = append(list, e)
		}
	}
	return list
}

func (r optionReader) exclusion(v any) (e rhumb.WAFExclusion, ok bool) {
	fields := r.fields(v, "path", "rules")
	if len(fields) == 0 {
		if fields != nil {
			r.wrong("add a path, or rules, or both", "it leaves everything out")
		}
		return e, false
	}
	if v, ok := fields["path"]; ok {
		e.Path = strings.TrimRight(r.below("path").text(v), "/")
		if err := routeoption.WAFPath(e.Path); err != nil {
			r.below("path").wrong("write it as /admin: it begins with a slash and is a plain prefix", "%s", err)
		}
	}
	rules, ok := fields["rules"]
	if !ok {
		return e, e.Path != ""
	}
	numbers, ok := rules.([]any)
	if !ok || len(numbers) == 0 {
		r.below("rules").wrong("write it as [942100, 942190]", "it must be a list of rules")
		return e, false
	}
	for i, n := range numbers {
		id, _ := wholeNumber(n) // 0 is no rule
		if err := routeoption.WAFRule(id); err != nil {
			optionReader{r.below("rules").item(i)}.wrong("the access log names rules: rhumb logs --kind access -q waf:*",
				"%s", err)
			continue
		}
		e.Rules = append(e.Rules, id)
	}
	slices.Sort(e.Rules)
	return e, len(e.Rules) > 0
}
