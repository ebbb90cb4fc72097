// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build bench

package bench

import (
	"math"
	"slices"
)

// difference is what tells two series of pairs apart.
type difference struct {
	median, low, high float64 // low and high: the median's 95 % interval
	slower            float64 // share of the pairs in which the second took longer
}

// paired compares b with a. The interval is that of the sign test, which
// assumes nothing about how the differences are distributed.
func paired(a, b []float64) difference {
	n := min(len(a), len(b))
	if n == 0 {
		return difference{}
	}
	d := make([]float64, n)
	more := 0
	for i := range d {
		if d[i] = b[i] - a[i]; d[i] > 0 {
			more++
		}
	}
	slices.Sort(d)
	off := int(0.98 * math.Sqrt(float64(n)))
	return difference{median(d), d[max(n/2-off, 0)], d[min(n/2+off, n-1)], float64(more) / float64(n)}
}
