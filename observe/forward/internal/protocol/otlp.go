package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"rhumb"
)

// otlp writes requests of OTLP/HTTP in Protobuf: every receiver of OTLP takes it, and some refuse JSON. The numbers of
// the fields are those of opentelemetry/proto/logs/v1/logs.proto.
type otlp struct{ host string }

// otlpSeverities are the levels as severity numbers.
var otlpSeverities = [...]uint64{0, 1, 5, 9, 13, 17, 21}

func (otlp) contentType() string { return "application/x-protobuf" }

func (otlp) retry(status int) bool {
	return status == 429 || status == 502 || status == 503 || status == 504
}

func (o otlp) encode(lines []Line) []byte {
	type resource struct {
		stack, service, replica, container string
		release                            int
	}
	var order []resource
	records := map[resource][]byte{}
	now := time.Now()
	for _, l := range lines {
		r := resource{l.Stack, service(l), l.Replica, l.Container, l.Release}
		if _, ok := records[r]; !ok {
			order = append(order, r)
		}
		records[r] = appendBytes(records[r], 2, o.record(l, now)) // ScopeLogs.log_records
	}
	var request []byte
	for _, r := range order {
		var attributes []byte // of Resource
		for _, f := range []field{
			{"service.name", r.service}, {"service.namespace", r.stack}, {"service.version", number(r.release)},
			{"service.instance.id", r.replica}, {"container.id", r.container}, {"host.name", o.host},
		} {
			attributes = appendAttribute(attributes, 1, f)
		}
		scope := appendBytes(nil, 1, appendString(nil, 1, "rhumb")) // ScopeLogs.scope.name
		logs := appendBytes(nil, 1, attributes)                     // ResourceLogs.resource
		logs = appendBytes(logs, 2, append(scope, records[r]...))   // ResourceLogs.scope_logs
		request = appendBytes(request, 1, logs)
	}
	return request
}

// record returns a line as a LogRecord.
func (o otlp) record(l Line, now time.Time) []byte {
	b := appendFixed(nil, 1, uint64(l.Time.UnixNano()))
	b = appendFixed(b, 11, uint64(now.UnixNano()))
	if n := level(l); n != rhumb.LevelUnknown {
		b = binary.AppendUvarint(append(b, 2<<3), otlpSeverities[n])
		b = appendString(b, 3, n.String())
	}
	b = appendBytes(b, 5, appendString(nil, 1, l.Text))
	b = appendAttribute(b, 6, field{"log.iostream", l.Stream()})
	b = appendAttribute(b, 6, field{"rhumb.kind", string(l.Kind)})
	b = appendAttribute(b, 6, field{"rhumb.cut_bytes", number(l.Cut)})
	for name, value := range l.Fields {
		if name != "" {
			b = appendAttribute(b, 6, field{name, value})
		}
	}
	return b
}

// appendAttribute appends a field as a KeyValue, unless it is empty.
func appendAttribute(b []byte, number uint64, f field) []byte {
	if f.value == "" {
		return b
	}
	kv := appendString(nil, 1, f.name)
	return appendBytes(b, number, appendBytes(kv, 2, appendString(nil, 1, f.value)))
}

func appendBytes(b []byte, number uint64, value []byte) []byte {
	b = binary.AppendUvarint(b, number<<3|2)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendString(b []byte, number uint64, value string) []byte {
	return appendBytes(b, number, []byte(valid(value)))
}

func appendFixed(b []byte, number, value uint64) []byte {
	b = binary.AppendUvarint(b, number<<3|1)
	return binary.LittleEndian.AppendUint64(b, value)
}

// accept reads the answer: the receiver may have refused a part of the lines, which must not be sent again.
func (o otlp) accept(lines []Line, answer []byte) Result {
	partial, _ := protoField(answer, 1) // ExportLogsServiceResponse.partial_success
	_, rejected := protoField(partial, 1)
	message, _ := protoField(partial, 2)
	if rejected == 0 {
		return Result{}
	}
	return Result{
		Refused: int(min(rejected, uint64(len(lines)))),
		Err:     fmt.Errorf("the receiver refuses %s lines: %s", strconv.FormatUint(rejected, 10), excerpt(message)),
	}
}

// protoField returns the last value of a field: bytes, or a varint. What it can't read counts as absent.
func protoField(b []byte, number uint64) (value []byte, varint uint64) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return value, varint
		}
		b = b[n:]
		v, n, size := uint64(0), 0, uint64(0)
		switch tag & 7 {
		case 0:
			v, n = binary.Uvarint(b)
		case 1:
			size = 8
		case 2:
			size, n = binary.Uvarint(b)
		case 5:
			size = 4
		default:
			return value, varint
		}
		if n < 0 || tag&7 != 1 && tag&7 != 5 && n == 0 || size > math.MaxInt32 || uint64(len(b)-n) < size {
			return value, varint
		}
		if tag>>3 == number {
			value, varint = b[n:n+int(size)], v
		}
		b = b[n+int(size):]
	}
	return value, varint
}
