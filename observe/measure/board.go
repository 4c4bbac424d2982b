package measure

import (
	"context"
	"log/slog"
	"math"
	"time"

	"rhumb/observe"
)

// board is what one part measures at one time, and the series that it had measured the time before. It is not safe for
// concurrent use.
type board struct {
	sink observe.SampleSink
	log  *slog.Logger
	// mine are the series of the last turn, by their names and labels. Each keeps its pointer for as long as it has a
	// sample at each turn.
	mine    map[string]*line
	turn    uint64
	key     []byte
	samples []observe.Sample
	failing bool
}

// line is a series on a board.
type line struct {
	series *observe.Series
	turn   uint64 // the last that had a sample
	kept   bool   // a sample was handed on
}

func newBoard(sink observe.SampleSink, log *slog.Logger) *board {
	return &board{sink: sink, log: log, mine: map[string]*line{}, turn: 1}
}

// set adds a sample of a series: its name, and pairs of a label's name and value. A label without a value is left out.
// NaN means that the value is unknown; there is no sample then.
func (b *board) set(value float64, name string, pairs ...string) {
	if math.IsNaN(value) {
		return
	}
	b.key = append(b.key[:0], name...)
	for _, s := range pairs {
		b.key = append(append(b.key, 0xff), s...) // the byte is in no UTF-8
	}
	l, ok := b.mine[string(b.key)]
	if !ok {
		l = &line{series: seriesOf(name, pairs)}
		b.mine[string(b.key)] = l
	}
	b.put(l, value)
}

// put adds a sample of a line, unless it has one in this turn.
func (b *board) put(l *line, value float64) {
	if l.turn != b.turn {
		l.turn = b.turn
		b.samples = append(b.samples, observe.Sample{Series: l.series, Value: value})
	}
}

// publish hands the turn's samples on. Series that had a sample in the last turn, and have none in this one, end.
func (b *board) publish(ctx context.Context, at time.Time) {
	if len(b.samples) > 0 {
		b.report(b.sink.Add(ctx, at, b.samples))
	}
	var ended []*observe.Series
	for key, l := range b.mine {
		if l.turn == b.turn {
			l.kept = true
			continue
		}
		if l.kept {
			ended = append(ended, l.series)
		}
		delete(b.mine, key)
	}
	if len(ended) > 0 {
		b.report(b.sink.End(ctx, at, ended))
	}
	b.discard()
}

// discard drops the turn's samples.
func (b *board) discard() {
	clear(b.samples)
	b.samples = b.samples[:0]
	b.turn++
}

// report logs the first error of a row, and its end.
func (b *board) report(err error) {
	switch {
	case err != nil && !b.failing:
		b.log.Warn("samples not kept", "err", err)
	case err == nil && b.failing:
		b.log.Info("samples are kept again")
	}
	b.failing = err != nil
}
