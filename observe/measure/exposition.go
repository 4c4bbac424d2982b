package measure

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"rhumb"
	"rhumb/observe"
)

// reserved begins the names of rhumb's own series. An application can't have such series.
const reserved = "rhumb_"

// nameLabel is the label in which the library has the name of a series.
const nameLabel = "__name__"

// parse adds the samples of an answer to the board, and returns how many they are. Times that the application gives its
// samples don't count.
func (s *scraper) parse(body []byte, contentType string) (int, error) {
	p := parserOf(withoutBlanks(body), contentType)
	var lset labels.Labels
	n, fresh := 0, int64(0)
	for {
		entry, err := p.Next()
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, rhumb.Errorf(rhumb.Invalid, "the answer is not in the text format of Prometheus: %w", err)
		case entry != textparse.EntrySeries:
			continue
		}
		key, _, value := p.Series()
		if bytes.HasPrefix(key, []byte(reserved)) {
			continue
		}
		if n++; n > maxSeries {
			return n, rhumb.Errorf(rhumb.Invalid, "the answer has more than %d series", maxSeries)
		}
		l, ok := s.board.mine[string(key)]
		if !ok {
			if fresh++; s.spent.series.Load()+fresh > maxAllSeries {
				return n, rhumb.Errorf(rhumb.Unavailable, "the applications together have more than %d series", maxAllSeries)
			}
			p.Labels(&lset)
			if name, twice := lset.HasDuplicateLabelNames(); twice {
				return n, rhumb.Errorf(rhumb.Invalid, "a series of the answer has two labels %q", name)
			}
			l = &line{series: labelled(lset, s.labels)}
			s.board.mine[string(key)] = l
		}
		s.board.put(l, value)
	}
}

// parserOf returns the parser of a format.
func parserOf(text []byte, contentType string) textparse.Parser {
	st := labels.NewSymbolTable()
	if strings.HasPrefix(contentType, "application/openmetrics-text") {
		return textparse.NewOpenMetricsParser(text, st)
	}
	return textparse.NewPromParser(text, st, false)
}

// withoutBlanks removes blank lines, in place. The parser calls itself for each of them: ten million would end this
// process.
func withoutBlanks(text []byte) []byte {
	kept := text[:0]
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) > 0 {
			kept = append(kept, line...)
		}
	}
	return kept
}

// labelled returns an application's series with the labels of its replica. Labels of its own with such a name get
// another name.
func labelled(lset labels.Labels, own []string) *observe.Series {
	pairs := make([]string, 0, len(own)+8)
	pairs = append(pairs, own...)
	lset.Range(func(l labels.Label) {
		if l.Name == nameLabel {
			return
		}
		name := l.Name
		for isOwn(own, name) || name != l.Name && lset.Has(name) {
			name = "exported_" + name
		}
		pairs = append(pairs, name, l.Value)
	})
	return seriesOf(lset.Get(nameLabel), pairs)
}

func isOwn(own []string, name string) bool {
	for i := 0; i < len(own); i += 2 {
		if own[i] == name {
			return true
		}
	}
	return false
}
