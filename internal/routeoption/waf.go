package routeoption

import (
	"errors"
	"fmt"
	"strings"

	"rhumb"
)

// Bounds of what looks for attacks.
const (
	MaxParanoia = 4
	MaxScore    = 1000
	maxExcluded = 200 // rules, in all
	maxPath     = 1 << 10
)

// waf checks what looks for attacks.
func waf(w *rhumb.WAF) error {
	if w == nil {
		return nil
	}
	switch {
	case w.Mode != rhumb.WAFDetect && w.Mode != rhumb.WAFBlock:
		return fmt.Errorf("waf: %q is neither detect nor block", w.Mode)
	case w.Paranoia < 1 || w.Paranoia > MaxParanoia:
		return fmt.Errorf("waf: paranoia %d is not from 1 to %d", w.Paranoia, MaxParanoia)
	case w.Score < 1 || w.Score > MaxScore:
		return fmt.Errorf("waf: score %d is not from 1 to %d", w.Score, MaxScore)
	case w.Body < 0 || w.Body > rhumb.MaxWAFBody:
		return errors.New("waf: the size of the body is out of range")
	}
	rules := 0
	for _, e := range w.Exclude {
		if err := WAFPath(e.Path); err != nil {
			return fmt.Errorf("waf: %w", err)
		}
		for _, id := range e.Rules {
			if err := WAFRule(id); err != nil {
				return fmt.Errorf("waf: %w", err)
			}
		}
		if rules += max(1, len(e.Rules)); rules > maxExcluded {
			return fmt.Errorf("waf: more than %d exclusions", maxExcluded)
		}
	}
	return nil
}

// WAFPath returns an error if no path of a request is, or is beneath, an exclusion's path.
func WAFPath(p string) error {
	if p == "" {
		return nil
	}
	if len(p) > maxPath || p[0] != '/' || p[len(p)-1] == '/' || strings.ContainsAny(p, "?#;\\\x00*") ||
		strings.Contains(p, "//") || strings.Contains(p+"/", "/./") || strings.Contains(p+"/", "/../") {
		return fmt.Errorf("%q is not a path that can be left out", p)
	}
	return nil
}

// WAFRule returns an error if a number isn't that of a rule that can be left out. Those that add up what others have
// found can't be.
func WAFRule(id int) error {
	if id < 200000 || id > 999999 || 901000 <= id && id < 902000 || 949000 <= id && id < 950000 {
		return fmt.Errorf("%d is not a rule that can be left out", id)
	}
	return nil
}
