//go:build race

package main

// raceDetector says that the command is watched for races, which takes many times its own memory and time.
const raceDetector = true
