// Package htpasswd reads users with the hashes of their passwords, as "htpasswd -B" writes them.
package htpasswd

import (
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Bounds of a file. A check at the highest cost takes about a second of one core.
const (
	MaxBytes = 256 << 10
	maxUsers = 1000
	maxName  = 255
	maxCost  = 14
)

// Hint is what to do about a file that Parse refuses.
const Hint = "write lines of name:hash with hashes of bcrypt, as htpasswd -nB NAME prints them"

// Users are names with the hashes of their passwords. They are immutable.
type Users struct {
	hashes map[string][]byte
	all    [][]byte
	seed   maphash.Seed
}

// Parse reads lines of name:hash. Empty lines, and those that begin with #, are skipped. An error names the line, and
// nothing of what is in it.
func Parse(b []byte) (*Users, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("larger than %d KB", MaxBytes>>10)
	}
	u := &Users{hashes: map[string][]byte{}, seed: maphash.MakeSeed()}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := u.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(u.all) == 0 {
		return nil, errors.New("there are no users in it")
	}
	return u, nil
}

func (u *Users) add(line string) error {
	name, hash, ok := strings.Cut(line, ":")
	switch {
	case !ok:
		return errors.New("there is no colon")
	case !validName(name):
		return fmt.Errorf("the name isn't 1 to %d characters without control characters", maxName)
	case u.hashes[name] != nil:
		return errors.New("the name is there twice")
	case len(u.all) == maxUsers:
		return fmt.Errorf("more than %d users", maxUsers)
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil || len(hash) != 60:
		return errors.New("the hash isn't one of bcrypt")
	case cost > maxCost:
		return fmt.Errorf("the hash has the cost %d: checking it takes too long (at most %d)", cost, maxCost)
	}
	u.hashes[name] = []byte(hash)
	u.all = append(u.all, u.hashes[name])
	return nil
}

func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == '\ufffd'
	})
}

// Check reports whether a user has the password. It takes as long for a name that isn't there as for one that is: it
// then checks the hash of another user, always the same one for a name.
func (u *Users) Check(name, password string) bool {
	hash, known := u.hashes[name]
	if !known {
		hash = u.all[maphash.String(u.seed, name)%uint64(len(u.all))]
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known
}
