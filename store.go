package rhumb

// Store is all that must outlive the daemon, as the wiring and the stores' contract need it. Everything else takes the
// part that it uses.
//
// When a method that changes something returns without an error, the change is on disk. Beside the codes that its own
// comment names, a method returns Cancelled or Timeout if its context ended, Unavailable if the disk is full, busy or
// can't be written, and Internal if the file is damaged.
type Store interface {
	Ledger
	EventLog
	Vault
	Settings
}
