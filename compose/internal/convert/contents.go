package convert

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/place"
)

// keep adds a file with its content to the stack, once.
func (c *converter) keep(k fileKey, content []byte) rhumb.File {
	sum := sha256.Sum256(content)
	f := rhumb.File{Kind: k.kind, Name: k.name, Hash: hex.EncodeToString(sum[:]), Content: content}
	c.contents[k] = f
	return f
}

// file returns a config or secret, and reads it the first time. Mistakes are reported at its definition; at is where
// it is used.
func (c *converter) file(at string, k fileKey) (rhumb.File, bool) {
	c.used[k] = true
	if f, ok := c.contents[k]; ok {
		return f, true
	}
	object, ok := c.object(k)
	if !ok {
		return rhumb.File{}, false // reported by check
	}
	if object.External {
		c.named(definition(k), object.Name)
		f := rhumb.File{Kind: k.kind, Name: k.name, External: object.Name}
		c.contents[k] = f
		return f, true
	}
	content, ok := c.content(definition(k), object)
	if !ok {
		return rhumb.File{}, false
	}
	return c.keep(k, content), true
}

func (c *converter) object(k fileKey) (types.FileObjectConfig, bool) {
	if k.kind == rhumb.FileConfig {
		o, ok := c.project.Configs[k.name]
		return types.FileObjectConfig(o), ok
	}
	o, ok := c.project.Secrets[k.name]
	return types.FileObjectConfig(o), ok
}

func definition(k fileKey) string { return string(k.kind) + "s." + k.name }

// content returns the content of a config or secret: a file's, a variable's, or the text itself.
func (c *converter) content(path string, o types.FileObjectConfig) ([]byte, bool) {
	switch {
	case o.File != "":
		b, err := diskfile.Read(o.File, c.in.Shown(o.File), diskfile.MaxContent)
		if err != nil {
			c.bad.At(path+".file", "", "%s", err)
		}
		return b, err == nil
	case o.Environment != "":
		v, ok := c.in.Env[o.Environment]
		if !ok {
			c.bad.At(path+".environment", place.SetHint(o.Environment), "variable %s is not set", o.Environment)
			return nil, false
		}
		return c.limited(path, []byte(v))
	case o.Content != "" || c.lines.Has(path+".content"):
		return c.limited(path, []byte(o.Content))
	}
	c.bad.At(path, "set file, environment or external", "it has no content")
	return nil, false
}

func (c *converter) limited(path string, b []byte) ([]byte, bool) {
	if len(b) > diskfile.MaxContent {
		c.bad.At(path, "mount large data from a volume", "is larger than %d KB", diskfile.MaxContent>>10)
		return nil, false
	}
	return b, true
}
