package server

import "time"

// Hasten makes the server's waits short.
func (s *Server) Hasten(answer, stop time.Duration) { s.answerTime, s.stopTime = answer, stop }
