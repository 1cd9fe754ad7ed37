package control

import (
	"errors"
	"net"
	"syscall"
)

// peer returns the user of the process at the other end, as the kernel knows it.
func peer(conn *net.UnixConn) (uid int, known bool, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false, err
	}
	var cred *syscall.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err = errors.Join(err, asked); err != nil {
		return 0, false, err
	}
	return int(cred.Uid), true, nil
}
