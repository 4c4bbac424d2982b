package banrule

// Fits reports whether a path fits a pattern, in which * stands for any text, slashes included. ASCII letters fit in
// either case. It allocates nothing, and takes time in proportion to the product of both lengths at worst.
func Fits(pattern, path string) bool {
	p, s := 0, 0
	star, from := -1, 0 // the last star, and where its text ends for now
	for s < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, s
			p++
		case p < len(pattern) && lower(pattern[p]) == lower(path[s]):
			p++
			s++
		case star >= 0:
			from++
			p, s = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
