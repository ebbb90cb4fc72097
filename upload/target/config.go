// SPDX-License-Identifier: AGPL-3.0-or-later

package target

import "errors"

// Config is one target; exactly one of its keys is there.
type Config struct {
	Dir       *DirConfig       `yaml:"dir"`
	Asciinema *AsciinemaConfig `yaml:"asciinema"`
	S3        *S3Config        `yaml:"s3"`
	Archive   *ArchiveConfig   `yaml:"archive"`
	TTYSpy    *TTYSpyConfig    `yaml:"ttyspy"`
}

// New makes the target and checks its settings.
func (c Config) New() (Target, error) {
	var made []Target
	var errs []error
	add := func(t Target, err error) { made, errs = append(made, t), append(errs, err) }
	if c.Dir != nil {
		add(newDir(*c.Dir))
	}
	if c.Asciinema != nil {
		add(newAsciinema(*c.Asciinema))
	}
	if c.S3 != nil {
		add(newS3(*c.S3))
	}
	if c.Archive != nil {
		add(newArchive(*c.Archive))
	}
	if c.TTYSpy != nil {
		add(newTTYSpy(*c.TTYSpy))
	}
	if len(made) != 1 {
		return nil, errors.New("wants exactly one of dir, asciinema, s3, archive, ttyspy")
	}
	return made[0], errs[0]
}

// Streams says whether the target is a Live.
func (c Config) Streams() bool { return c.Archive != nil || c.S3 != nil && c.S3.Ticket == nil }

// Unsealed says that the target can't take sealed recordings: it makes a copy of
// what they show.
func (c Config) Unsealed() bool { return c.Asciinema != nil || c.TTYSpy != nil }
