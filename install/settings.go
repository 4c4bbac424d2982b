package install

import (
	"maps"
	"slices"
	"strings"
)

const settingsHead = `# The settings of rhumb's services. Each flag of "rhumb server" is a variable: --http is RHUMB_HTTP.
# After a change: systemctl reload rhumb-proxy; systemctl restart rhumb rhumb-observe
`

// mergeSettings returns a settings file with new values. Its other lines stay as they are.
func mergeSettings(old []byte, values map[string]string) []byte {
	text := string(old)
	if old == nil {
		text = settingsHead
	}
	left := maps.Clone(values)
	var b strings.Builder
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if _, given := values[name]; !given {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		} else if value, first := left[name]; first { // later lines of the same name are dropped
			b.WriteString(name + "=" + quoted(value) + "\n")
			delete(left, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		b.WriteString(name + "=" + quoted(left[name]) + "\n")
	}
	return []byte(b.String())
}

// quoted returns a value in the syntax of systemd's EnvironmentFile.
func quoted(s string) string {
	if !strings.ContainsAny(s, " \t'\"\\$`#;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(s) + `"`
}

// Values returns the variables of a settings file, by name. Of several lines for a name, the last counts.
func Values(file []byte) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		values[name] = unquoted(value)
	}
	return values
}

func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	escaped := false
	for _, r := range s[1 : len(s)-1] {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		escaped = false
		b.WriteRune(r)
	}
	return b.String()
}
