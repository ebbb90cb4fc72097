// SPDX-License-Identifier: AGPL-3.0-or-later

// Package nearest finds the word that somebody meant: a key of a configuration
// file that is written wrong gets a hint.
package nearest

// far is one edit more than a slip: beyond it is another word.
const far = 3

// To returns the known word nearest to what was written, "" when none is near.
func To(word string, known []string) string {
	best, dist := "", far
	for _, k := range known {
		if d := distance(word, k); d < dist {
			best, dist = k, d
		}
	}
	return best
}

// distance is the number of single-letter edits between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost++
			}
			diag = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
