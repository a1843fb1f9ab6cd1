// The nodes a session ran as a trace that chrome://tracing and ui.perfetto.dev show.
#pragma once

#include <string>

#include "hone/exec/session.h"

namespace hone::report {

// Trace event format (JSON): one complete event for each run of each node, times in microseconds; `args` hold operator, kernel,
// run, bytes read and written, and floating-point operations. Of a session with SessionOptions::trace.
std::string chrome_trace(const exec::Session& session);

}  // namespace hone::report
