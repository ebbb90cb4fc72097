// SPDX-License-Identifier: AGPL-3.0-or-later

package keys

// Marker is the first line of a file that Render wrote.
const Marker = marker

// Finder and Bulk are whom the service asks.
func (s *Service) Finder() Finder { return s.finder }

// Bulk are the directories, in the order in which they are tried.
func (s *Service) Bulk() []Directory { return s.bulk }
