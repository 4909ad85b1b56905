#pragma once

#include <string>

namespace meshattn::gpu {

/// Sets the environment variables of CUDA and NCCL that the user has not set. They read them once per process: call
/// this before any call of theirs and before starting threads.
void set_default_variables();

/// "one of 4 processes (PMI_SIZE)" if a launcher's variables say so; else empty.
[[nodiscard]] std::string launcher_text();

}  // namespace meshattn::gpu
