#include <spdlog/fmt/fmt.h>

#include <cstdlib>

#include "core/error.h"
#include "gpu/job.h"

namespace meshattn::gpu {

Job::Job() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
    if (const char* size = std::getenv(variable); size != nullptr && std::atoi(size) > 1)
      throw InvalidInput(
          fmt::format("started as one of {} processes ({}), but this meshattn was built without MPI", size, variable));
}
Job::~Job() = default;

void Job::barrier(Deadline) const {}
void Job::broadcast(std::span<std::byte>, Deadline) const {}
std::vector<std::vector<std::byte>> Job::gather(std::span<const std::byte> bytes, Deadline) const {
  return {{bytes.begin(), bytes.end()}};
}
Job::ClockOffset Job::clock_offset(Deadline) const { return {}; }

int in_job(const std::function<int(const Job&)>& work) {
  const Job job;
  return work(job);
}

std::string mpi_version() { return "without MPI"; }

}  // namespace meshattn::gpu
