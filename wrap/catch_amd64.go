// SPDX-License-Identifier: AGPL-3.0-or-later

package wrap

// SA_RESTORER: on x86-64 the kernel has no other way back from a handler.
const handlerFlags = saOnStack | saRestart | 0x04000000
