// SPDX-License-Identifier: AGPL-3.0-or-later

package once

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Opcodes of terminal modes, RFC 4254 section 8 and RFC 8160 (IUTF8). Those
// from 1 to 159 have a uint32 argument; the others end the list.
const (
	opEnd    = 0
	opCS7    = 90
	opCS8    = 91
	opISpeed = 128
	opOSpeed = 129
	opLast   = 159
)

// controls are the opcodes of special characters.
var controls = map[byte]int{
	1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL, 7: unix.VEOL2,
	8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT, 13: unix.VWERASE, 14: unix.VLNEXT,
	16: unix.VSWTC, 18: unix.VDISCARD,
}

// inputs, locals and outputs are the opcodes of flags.
var (
	inputs = map[byte]uint32{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR, 36: unix.ICRNL,
		37: unix.IUCLC, 38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	locals = map[byte]uint32{
		50: unix.ISIG, 51: unix.ICANON, 52: unix.XCASE, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL,
		57: unix.NOFLSH, 58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE, 62: unix.PENDIN,
	}
	outputs = map[byte]uint32{
		70: unix.OPOST, 71: unix.OLCUC, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
	parity = map[byte]uint32{92: unix.PARENB, 93: unix.PARODD}
)

// speeds are the line speeds that termios has names for.
var speeds = map[uint32]uint32{
	50: unix.B50, 75: unix.B75, 110: unix.B110, 134: unix.B134, 150: unix.B150, 200: unix.B200, 300: unix.B300, 600: unix.B600,
	1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600, 19200: unix.B19200,
	38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400,
}

// kernelModes is what Linux gives a new terminal (tty_std_termios in tty_io.c,
// INIT_C_CC). The client's modes are applied on top, as sshd does.
func kernelModes() *unix.Termios {
	t := &unix.Termios{
		Iflag: unix.ICRNL | unix.IXON,
		Oflag: unix.OPOST | unix.ONLCR,
		Cflag: unix.B38400 | unix.CS8 | unix.CREAD,
		Lflag: unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
	}
	for i, c := range map[int]uint8{
		unix.VINTR: 3, unix.VQUIT: 28, unix.VERASE: 127, unix.VKILL: 21, unix.VEOF: 4, unix.VMIN: 1, unix.VSTART: 17,
		unix.VSTOP: 19, unix.VSUSP: 26, unix.VREPRINT: 18, unix.VDISCARD: 15, unix.VWERASE: 23, unix.VLNEXT: 22,
	} {
		t.Cc[i] = c
	}
	return t
}

// terminalModes returns the modes that the client's encoded ones ask for. What
// Linux doesn't know is passed over.
func terminalModes(encoded []byte) *unix.Termios {
	t := kernelModes()
	for len(encoded) >= 5 && encoded[0] != opEnd && encoded[0] <= opLast {
		apply(t, encoded[0], binary.BigEndian.Uint32(encoded[1:]))
		encoded = encoded[5:]
	}
	return t
}

func apply(t *unix.Termios, op byte, arg uint32) {
	if i, ok := controls[op]; ok {
		t.Cc[i] = uint8(arg)
		if arg == 255 { // RFC 4254: the character is switched off
			t.Cc[i] = 0 // _POSIX_VDISABLE
		}
		return
	}
	switch op {
	case opCS7: // who has 8 bits says so next
		setFlag(&t.Cflag, unix.CSIZE, false)
		setFlag(&t.Cflag, unix.CS7, true)
	case opCS8:
		setFlag(&t.Cflag, unix.CS8, arg != 0 || t.Cflag&unix.CSIZE != unix.CS7)
		setFlag(&t.Cflag, unix.CS7, true)
	case opISpeed, opOSpeed: // a pty has one speed
		if speed, ok := speeds[arg]; ok {
			setFlag(&t.Cflag, unix.CBAUD, false)
			setFlag(&t.Cflag, speed, true)
		}
	default:
		setFlag(&t.Iflag, inputs[op], arg != 0)
		setFlag(&t.Lflag, locals[op], arg != 0)
		setFlag(&t.Oflag, outputs[op], arg != 0)
		setFlag(&t.Cflag, parity[op], arg != 0)
	}
}

func setFlag(field *uint32, flag uint32, on bool) {
	*field &^= flag
	if on {
		*field |= flag
	}
}
