#include "gpu/job/environment_variables.h"

#include <spdlog/fmt/fmt.h>

#include <cstdlib>

namespace meshattn::gpu {

void set_default_variables() {
  // By default streams share 8 queues, so that more than 8 streams wait for each other.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  // Kernels of several communicators must start in the order in which they are issued, the same on all ranks (NCCL user
  // guide, environment variables).
  setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
}

std::string launcher_text() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    if (const char* size = std::getenv(variable); size != nullptr && std::atoi(size) > 1)
      return fmt::format("one of {} processes ({})", size, variable);
  return "";
}

}  // namespace meshattn::gpu
