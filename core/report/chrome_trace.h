#pragma once

#include <iosfwd>
#include <span>
#include <string>

#include "core/cluster/network.h"
#include "core/schedule/trace.h"

namespace meshattn {

/// A trace with a name that tells it from others of the same schedule: "measured".
struct NamedTrace {
  std::string name;
  const Trace& trace;
};

/// Writes the trace of the given ranks in Chrome's trace format, for Perfetto and chrome://tracing: one process per
/// rank, one track per lane, one event per op. It streams: memory does not grow with the trace.
void write_chrome_trace(std::ostream& out, const Schedule& schedule, const Network& network, const Trace& trace,
                        std::span<const Rank> ranks);
/// Writes several traces of one schedule, those of a rank one above the other.
void write_chrome_trace(std::ostream& out, const Schedule& schedule, const Network& network,
                        std::span<const NamedTrace> traces, std::span<const Rank> ranks);

}  // namespace meshattn
