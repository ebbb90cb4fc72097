// SPDX-License-Identifier: AGPL-3.0-or-later

#include "textflag.h"

// onSignal is what the kernel calls (sigaction(2)), on the alternate stack that
// the Go runtime gives each thread, with every signal blocked. The signal's
// number is in DI (System V ABI). What is changed here, rt_sigreturn(2) puts
// back.
TEXT onSignal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL DI, DI
	LEAQ ·caught(SB), AX
	MOVL $1, (AX)(DI*4)
	MOVL ·caughtFD(SB), DI
	LEAQ ·one(SB), SI
	MOVL $8, DX
	MOVL $1, AX // write
	SYSCALL
	RET

// onReturn is where onSignal returns to.
TEXT onReturn<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL $15, AX // rt_sigreturn
	SYSCALL
	INT  $3

// func handlerAddresses() (handler, restorer uintptr)
TEXT ·handlerAddresses(SB), NOSPLIT, $0-16
	LEAQ onSignal<>(SB), AX
	MOVQ AX, handler+0(FP)
	LEAQ onReturn<>(SB), AX
	MOVQ AX, restorer+8(FP)
	RET
