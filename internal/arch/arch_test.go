// Package arch contains no code. Its tests keep the rules of the house that a program can keep: docs/architecture.md
// draws the house, NOMENCLATURE.md has its words. Each test parses the source text; nothing is compiled.
//
// A rule that a room doesn't keep yet is in owed_test.go. An exception that is meant to stay is in exceptions_test.go,
// with its reason. Both lists only shrink: an entry that isn't needed any more fails the tests.
package arch
