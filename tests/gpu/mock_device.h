#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/cpu/reference.h"
#include "gpu/issue.h"

namespace meshattn::testing {

/// What came of issuing programs to devices that are not there.
struct MockRun {
  cpu::Tensors outputs;
  std::string problem;  ///< empty if all ran: a wait for what was not recorded, messages that do not fit, what is stuck
};

/// Gives every program's commands to streams in the order in which they are listed, and then runs streams in any order
/// that streams and events allow: `random` chooses. Kernels compute on real numbers (fp64, memory full of NaN to begin
/// with), all at once when a stream comes to them. A group begins when its stream comes to it; of a communicator the
/// k-th send from a rank to another gets to its k-th receive there once both have begun, and the group ends with the
/// last of its messages.
[[nodiscard]] MockRun run_on_mock(const Schedule& schedule, const std::vector<gpu::Program>& programs,
                                  const cpu::Tensors& given, std::mt19937& random);

}  // namespace meshattn::testing
