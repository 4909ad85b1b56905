#pragma once

#include <string>

namespace meshattn::gpu {

/// Sets what CUDA and NCCL read of the environment, each once in a process: to be called before anything else of
/// theirs, from the only thread there is. What a user has set stays.
void set_default_variables();

/// "one of 4 processes (PMI_SIZE)", if a launcher says that it started this process so; else empty.
[[nodiscard]] std::string launcher_text();

}  // namespace meshattn::gpu
