package main

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"syncd/internal/config"
)

// checkLogFlags refuses, before anything is done, what newLog could not make a logger of.
func (a *app) checkLogFlags() error {
	_, err := a.newLog(config.Log{Level: "info", Format: "text"}, io.Discard)
	return err
}

// newLog makes the logger that the flags ask for, and where they ask for nothing, the configuration.
func (a *app) newLog(c config.Log, to io.Writer) (*zap.Logger, error) {
	level, format := c.Level, c.Format
	if a.logLevel != "" {
		level = a.logLevel
	}
	if a.logFormat != "" {
		format = a.logFormat
	}
	parsed, err := zapcore.ParseLevel(level)
	if err != nil || parsed > zapcore.ErrorLevel {
		return nil, usageError{fmt.Errorf("--log-level %q: must be debug, info, warn or error", level)}
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch format {
	case "text":
		encoding.ConsoleSeparator = " "
		encoder = zapcore.NewConsoleEncoder(encoding)
	case "json":
		encoder = zapcore.NewJSONEncoder(encoding)
	default:
		return nil, usageError{fmt.Errorf("--log-format %q: must be text or json", format)}
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(to)), parsed)), nil
}
