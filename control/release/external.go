package release

import (
	"context"

	"rhumb"
)

// checkExternal looks whether all is there that the stack takes for granted: networks, volumes and values, which it
// fills in. That is asked before anything changes, and before images are pulled: an engine makes a missing volume in
// silence, and empty. All that is missing is told at once.
func (k *Maker) checkExternal(ctx context.Context, model *rhumb.Stack) error {
	var errs rhumb.Errors
	note := func(err error) error {
		if rhumb.ErrorCode(err) != rhumb.NotFound {
			return err
		}
		errs = append(errs, &rhumb.Error{Code: rhumb.Invalid, Msg: err.Error(), Hint: rhumb.ErrorHint(err), Err: err})
		return nil
	}
	for _, n := range model.Networks {
		if !n.External {
			continue
		}
		if err := k.Engine.EnsureNetwork(ctx, model.Name, n); err != nil && note(err) != nil {
			return err
		}
	}
	for _, v := range model.Volumes {
		if !v.External {
			continue
		}
		if err := k.Engine.EnsureVolume(ctx, model.Name, v); err != nil && note(err) != nil {
			return err
		}
	}
	missing, err := k.fillValues(ctx, model)
	if err != nil {
		return err
	}
	errs = append(errs, missing...)
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return errs
}
