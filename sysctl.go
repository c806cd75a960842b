package handfast

import (
	"errors"
	"syscall"

	"github.com/handfast/handfast/engine"
)

// Setting is one thing about a Host that can be changed while it runs, under
// the name that Linux has for it.
type Setting = engine.Setting

// Sysctls returns all settings of the Host: Linux' names, units and formats.
// The slice is the caller's. docs/sysctl.md explains each.
func (h *Host) Sysctls() []Setting {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.e.Sysctls()
}

// Sysctl returns the value of one setting, such as net.ipv4.tcp_sack. The name
// may be a path, with slashes. For a name that does not exist the error is
// syscall.ENOENT and names the nearest; inside it is an *engine.SettingError.
func (h *Host) Sysctl(name string) (string, error) {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.e.Sysctl(name)
	return v, settingErrno(err)
}

// SetSysctl changes one setting. Setting.Effect says whether that applies at
// once or to what begins later; living connections keep what they began with.
// The error is syscall.EINVAL for a value that is not allowed, ENOENT for a name
// that does not exist, EACCES for a setting that cannot be changed; its text
// says what was tried and what is allowed, and inside it is an
// *engine.SettingError.
func (h *Host) SetSysctl(name, value string) error {
	s := &h.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	return settingErrno(s.e.SetSysctl(name, value))
}

// settingError is an error of the Engine's with the errno that Linux would have
// returned.
type settingError struct {
	err   error
	errno syscall.Errno
}

// Error is the Engine's text, which says more than the errno's.
func (e *settingError) Error() string { return e.err.Error() }

// Unwrap returns both.
func (e *settingError) Unwrap() []error { return []error{e.err, e.errno} }

func settingErrno(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrUnknownSetting):
		return &settingError{err, syscall.ENOENT}
	case errors.Is(err, engine.ErrReadOnlySetting):
		return &settingError{err, syscall.EACCES}
	}
	return &settingError{err, syscall.EINVAL}
}
