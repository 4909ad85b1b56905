#pragma once

#include <iosfwd>
#include <span>

#include "core/network.h"
#include "core/trace.h"

namespace meshattn {

/// Writes what the given ranks did as a Chrome trace, which Perfetto and chrome://tracing open: one process per rank,
/// one track per lane, one event per op. Streams: memory does not grow with the trace.
void write_chrome_trace(std::ostream& out, const Schedule& schedule, const Network& network, const Trace& trace,
                        std::span<const Rank> ranks);

}  // namespace meshattn
