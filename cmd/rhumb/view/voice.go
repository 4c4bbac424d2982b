// Package view prints everything that people see: the progress of a deployment, tables, plans, failures. Colour is
// used only here.
//
// # Rules of speech
//
// The result of a command goes to standard output: tables, JSON, the plan, the verdict of a success. Everything about
// the run itself goes to standard error: progress, questions, warnings, errors, failure cards, the verdict of a
// failure. With --format json, progress and failures are lines of JSON on standard output.
//
// A message begins in lower case and ends without a full stop. It names its subject, and then what is wrong:
// "shop: deployment 7 goes on". A hint is a line of its own and says what to do, as an imperative or a command:
// "hint: wait for it with --wait-lock". A place in a file comes first: "compose.yaml:4: ...". Other errors begin with
// "rhumb: ".
//
// The help of a flag says what the flag does, as an imperative: "--force  replace an existing FILE". A question ends
// with the possible answers: "[y/N]". Without a terminal no question is asked: the command line is the answer, or the
// command refuses.
//
// A verdict is one line: the phase, a colon, and what serves. Words mean what NOMENCLATURE.md says.
package view
