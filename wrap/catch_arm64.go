// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

// The way back from a handler is the kernel's own, in the vDSO.
const handlerFlags = saOnStack | saRestart
