// SPDX-License-Identifier: AGPL-3.0-or-later

#include "textflag.h"

// onSignal is what the kernel calls (sigaction(2)), on the alternate stack that
// the Go runtime gives each thread, with every signal blocked. The signal's
// number is in R0 (AAPCS64). What is changed here, rt_sigreturn(2) puts back.
TEXT onSignal<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVWU R0, R0
	MOVD  $·caught(SB), R1
	MOVD  $1, R2
	MOVW  R2, (R1)(R0<<2)
	MOVW  ·caughtFD(SB), R0
	MOVD  $·one(SB), R1
	MOVD  $8, R2
	MOVD  $64, R8 // write
	SVC
	RET

// onReturn is where onSignal returns to.
TEXT onReturn<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVD $139, R8 // rt_sigreturn
	SVC
	BRK

// func handlerAddresses() (handler, restorer uintptr)
TEXT ·handlerAddresses(SB), NOSPLIT, $0-16
	MOVD $onSignal<>(SB), R0
	MOVD R0, handler+0(FP)
	MOVD $onReturn<>(SB), R0
	MOVD R0, restorer+8(FP)
	RET
